"""What all generators ask of their arguments."""

from __future__ import annotations

from wellposed.errors import ConfigError


def check_count(name: str, n: int) -> None:
    """Raise ConfigError unless at least one example is asked for."""
    if n < 1:
        raise ConfigError(
            f"{name} draws examples",
            given=f"n={n}",
            expected="at least 1",
            way_out="ask for more",
        )
