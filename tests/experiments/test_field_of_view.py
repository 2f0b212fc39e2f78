"""A wrong implicit step turns the verdict."""

from dataclasses import dataclass

from wellposed.experiments import Setting, expectations
from wellposed.experiments.field_of_view import run
from wellposed.integrators import IMEX, Euler


@dataclass(frozen=True)
class Slow(IMEX):
    """A step of half the diffusion."""

    def updates(self, f, h):
        return super().updates(f, h / 2)


def judged(tmp_path, *planted):
    return expectations("field-of-view").judge(run(Setting(tmp_path, quick=True), *planted).measures).word


def test_a_step_that_is_explicit_or_of_another_length_is_seen(tmp_path):
    assert judged(tmp_path / "right") == "reproduced"
    assert judged(tmp_path / "explicit", Euler()) == "refuted"
    assert judged(tmp_path / "slow", Slow()) == "not reproduced"
