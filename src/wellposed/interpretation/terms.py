"""How much each learned term counts in the cost of a surface."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Terms:
    """Weights of the learned terms, for a reflector and for a horizon that is no waveform.

    `cap` bounds what the head may say against a place; with `learned_links` the links are those of the
    network's features, else those by correlation; `lead` shifts the resultant length from which on the
    waveform leads (see `wellposed.seismic.phase`). On a survey that is a line it leads later by
    `lead_line`, and the head counts `head_line` times as much.
    """

    head_reflector: float = 0.1
    head_boundary: float = 0.3
    learned_links: bool = False
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

    def head(self, weight: float) -> float:
        """Weight of the head where the picks are a waveform with probability `weight`."""
        return weight * self.head_reflector + (1 - weight) * self.head_boundary
