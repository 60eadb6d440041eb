"""What a training shows while it runs, driven by hand: stages of unequal steps, a resumed run."""

import pytest
import torch

from semivae.cli.progress import Display, Show, display
from semivae.cli.summary import rows_by_epoch
from semivae.fitting import Hooks
from semivae.models.base import DeepGenerativeModel
from semivae.recipe import DataFacts
from semivae.recipes import RECIPES
from semivae.training import EpochLog, Snapshot

FACTS = DataFacts((1, 28, 28), 100, 59_900, 10)
SNAPSHOT = Snapshot(0, {}, {})


class Told(Display):
    """Keeps every status."""

    def __init__(self) -> None:
        self.statuses: list[str] = []

    def new(self, title: str) -> Show:
        return lambda done, of, status, ended: self.statuses.append(status)


@pytest.fixture
def model() -> DeepGenerativeModel:
    return RECIPES["auto"].build(FACTS).model.build((1, 28, 28), torch.zeros(10), 0)


STEPS = (5, 5, 5, 2, 2)  # of each epoch: three of one stage, two of another


def epochs_told(
    hooks: Hooks, told: Told, model: DeepGenerativeModel, first: int
) -> list[list[str]]:
    """The statuses of each epoch from `first` on: after each step, and at its end."""
    every, step = [], sum(STEPS[: first - 1])
    for epoch, steps in enumerate(STEPS[first - 1 :], first):
        told.statuses.clear()
        for _ in range(steps):
            step += 1
            hooks.on_step(step, sum(STEPS))
        hooks.on_epoch(model, EpochLog(epoch, step, 2.0, 0.1, 3.0, {}), SNAPSHOT)
        every.append([status.split("  ")[0] for status in told.statuses])
    return every


def test_the_epoch_is_that_of_the_log_where_stages_differ_in_their_steps(
    model: DeepGenerativeModel,
) -> None:
    told = Told()
    hooks = told.training("a run", rows=[100, 100, 100, 40, 40])
    every = epochs_told(hooks, told, model, first=1)
    assert every == [[f"epoch {n}/5"] * (steps + 1) for n, steps in enumerate(STEPS, 1)]


def test_where_the_number_of_epochs_is_not_known_none_is_told(model: DeepGenerativeModel) -> None:
    told = Told()
    every = epochs_told(told.training("a run"), told, model, first=1)
    assert every == [[f"epoch {n}"] * (steps + 1) for n, steps in enumerate(STEPS, 1)]


@pytest.mark.parametrize(("done", "before"), [(3, "epoch 4"), (None, "")])
def test_a_resumed_run_goes_on_counting_or_waits_for_its_first_log(
    model: DeepGenerativeModel, done: int | None, before: str
) -> None:
    told = Told()
    every = epochs_told(told.training("a run", done=done), told, model, first=4)
    assert every == [[before, before, "epoch 4"], ["epoch 5"] * 3]


def test_the_speed_is_that_of_the_rows_of_the_epoch(model: DeepGenerativeModel) -> None:
    """2 seconds each, by the log: 100 rows an epoch in the first stage, 40 in the second."""
    told = Told()
    hooks = told.training("a run", rows=[100, 100, 100, 40, 40])
    for epoch, speed in ((3, "  50 rows/s"), (4, "  20 rows/s")):
        hooks.on_step(1, sum(STEPS))
        hooks.on_epoch(model, EpochLog(epoch, 2, 2.0, 0.1, 3.0, {}), SNAPSHOT)
        assert f"epoch {epoch}/5  loss 3{speed}" in told.statuses[-1]


def test_rows_are_those_that_each_stage_reads() -> None:
    recipe = RECIPES["m1m2-refined"].build(FACTS)
    below, above, joint = recipe.epochs
    rows = rows_by_epoch(recipe, FACTS)
    assert rows == [60_000] * below + [59_900] * (above + joint)
    assert rows_by_epoch(RECIPES["auto"].build(FACTS), FACTS)[0] == 59_900
    labeled = DataFacts((1, 28, 28), 60_000, 0, 10)
    assert set(rows_by_epoch(RECIPES["auto"].build(labeled), labeled)) == {60_000}


def test_lines_end_with_the_last_epoch(
    model: DeepGenerativeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    with display() as shown:
        hooks = shown.training("a run", rows=[7])
        hooks.on_step(1, 1)
        hooks.on_epoch(model, EpochLog(1, 1, 1.0, 0.1, 3.0, {}), SNAPSHOT)
    assert capsys.readouterr().err == "a run: epoch 1/1  loss 3  7 rows/s\n"
