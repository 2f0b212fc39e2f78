"""Six times the same dynamics turns the verdict; what lies within the spread of the seeds says nothing."""

import pytest
import torch

from wellposed.errors import RunError
from wellposed.experiments import Setting, expectations
from wellposed.experiments.choose import NONE, _measures, beyond, run
from wellposed.experiments.choose_tasks import NETS, TASKS, UNET, network, weights_of

SOME = {name: TASKS[name] for name in ("Q-tips", "units of a section")}


def verdict(measures):
    return expectations("choose").judge(measures).word


@pytest.mark.slow
def test_six_names_of_one_dynamics_are_no_choice(tmp_path):
    one = dict.fromkeys(NETS, NETS["residual"])
    assert verdict(run(Setting(tmp_path / "right", quick=True), tasks=SOME).measures) != "refuted"
    assert verdict(run(Setting(tmp_path / "wrong", quick=True), one, SOME).measures) == "refuted"


def scored(*tasks):
    """Return measures of tasks, on which there is a list for each of two dynamics."""
    rest = {UNET: [0.0] * 3, NONE: [0.0] * 3}
    scores = {f"task {k}": {"residual": a, "parabolic": b, **rest} for k, (a, b) in enumerate(tasks)}
    return _measures(scores, dict.fromkeys(scores, 1.0))


HIGH, LOW, UNSURE = [9.0, 9.1, 9.2], [5.0, 5.1, 5.3], [5.0, 9.0, 9.3]


@pytest.mark.parametrize(
    ("tasks", "word"),
    [
        ([(HIGH, LOW), (LOW, HIGH)], "reproduced"),
        ([(HIGH, LOW), (HIGH, HIGH)], "refuted"),
        ([(HIGH, LOW), (UNSURE, HIGH)], "not reproduced"),
        ([(UNSURE, HIGH), (HIGH, UNSURE)], "not reproduced"),
        ([(HIGH, LOW), (HIGH, LOW)], "refuted"),
    ],
)
def test_the_best_must_differ_beyond_the_spread(tasks, word):
    assert verdict(scored(*tasks)) == word


def test_three_that_beat_one_another_in_a_ring_are_not_enough():
    """No pair of bests is ahead of one another, though each is behind somewhere."""
    names = ("residual", "parabolic", "hyperbolic")
    rest = {UNET: [0.0] * 3, NONE: [0.0] * 3}
    ring = [(HIGH, UNSURE, LOW), (LOW, HIGH, UNSURE), (UNSURE, LOW, HIGH)]
    scores = {f"task {k}": dict(zip(names, ring[k], strict=True)) | rest for k in range(3)}
    measures = _measures(scores, dict.fromkeys(scores, 1.0))
    assert measures["behind nowhere"] == 0
    assert verdict(measures) == "not reproduced"


def test_where_nothing_differs_but_by_chance_nothing_is_refuted():
    draw, words = torch.Generator().manual_seed(0), []
    for _ in range(50):
        drawn = torch.randn(5, 8, 3, generator=draw).tolist()
        scores = {
            f"task {k}": dict(zip([*NETS, UNET, NONE], rows, strict=True)) for k, rows in enumerate(drawn)
        }
        words.append(verdict(_measures(scores, dict.fromkeys(scores, 1.0))))
    assert words.count("not reproduced") >= 45
    assert "refuted" not in words


def test_the_spread_is_that_of_the_difference_on_the_same_draws():
    draws = [1.0, 50.0, 99.0]
    assert beyond([d + 1 + s for d, s in zip(draws, (0, 0.1, 0.2), strict=True)], draws)
    assert not beyond([d + s for d, s in zip(draws, (0.0, 1.0, 3.0), strict=True)], draws)


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_weights_are_as_many(task):
    wanted = weights_of(network(task, NETS, "residual", 0))
    for name in [*NETS] if task.space == "points" else [*NETS, UNET]:
        assert abs(weights_of(network(task, NETS, name, 0)) / wanted - 1) < 0.06


def test_the_gap_holds_no_points_to_learn_from_and_half_of_those_to_judge_by():
    task = TASKS["ellipses with a gap"]
    ((sample, new, _),) = task.trials(0, True, None)

    def within(y):
        return (torch.atan2(y[:, 1] / 0.4, y[:, 0]).abs() < torch.pi / 6).float().mean()

    assert within(sample[0]) == 0
    assert within(new[0]) == 0.5


def test_the_full_run_asks_for_photographs(tmp_path):
    with pytest.raises(RunError, match="data"):
        run(Setting(tmp_path))
