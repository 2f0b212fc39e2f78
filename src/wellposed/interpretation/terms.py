"""How much each learned term counts in the cost of a surface."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Terms:
    """Weights of the learned terms, for a reflector and for a horizon that is no waveform.

    `cap` bounds what the head may say against a place; `cosine` weighs the links of learned features;
    `lead` shifts the resultant length from which on the waveform leads (see `wellposed.seismic.phase`). On a
    survey that is a line it leads later by `lead_line`, and the head counts `head_line` times as much.
    """

    head_reflector: float = 0.05
    head_boundary: float = 0.3
    cosine_reflector: float = 0.5
    cosine_boundary: float = 0.0
    cap: float = 10.0
    lead: float = 0.0
    lead_line: float = 0.2
    head_line: float = 0.5

    def on_line(self) -> Terms:
        """The weights for a survey that is a line."""
        return replace(
            self,
            lead=self.lead + self.lead_line,
            head_reflector=self.head_line * self.head_reflector,
            head_boundary=self.head_line * self.head_boundary,
        )

    def at(self, weight: float) -> tuple[float, float]:
        """Weights of head and links where the picks are a waveform with probability `weight`."""
        head = weight * self.head_reflector + (1 - weight) * self.head_boundary
        return head, weight * self.cosine_reflector + (1 - weight) * self.cosine_boundary
