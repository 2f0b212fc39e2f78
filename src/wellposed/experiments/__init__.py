"""Every claim of the field, tested: one file, and one TOML of what is expected, an experiment."""

from wellposed.experiments.judge import Expectations, Verdict, expectations, names
from wellposed.experiments.setting import Outcome, Setting

__all__ = ["Expectations", "Outcome", "Setting", "Verdict", "expectations", "names"]
