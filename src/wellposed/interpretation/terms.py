"""How much each learned term counts in the cost of a surface."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Terms:
    """Weights of the learned terms, for a reflector and for a horizon that is no waveform.

    `cap` bounds what the head may say against a place; `cosine` weighs the links of learned features;
    `lead` shifts the resultant length from which on the waveform leads (see `wellposed.seismic.phase`), and
    `lead_line` does so further on a survey that is a line, where no neighbouring line holds the surface.
    """

    head_reflector: float = 0.05
    head_boundary: float = 0.3
    cosine_reflector: float = 0.5
    cosine_boundary: float = 0.0
    cap: float = 10.0
    lead: float = 0.0
    lead_line: float = 0.4

    def at(self, weight: float) -> tuple[float, float]:
        """Weights of head and links where the picks are a waveform with probability `weight`."""
        head = weight * self.head_reflector + (1 - weight) * self.head_boundary
        return head, weight * self.cosine_reflector + (1 - weight) * self.cosine_boundary
