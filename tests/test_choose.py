"""What is used is what the committed logs of trials choose; nothing is trained."""

import pytest
from benchmarks import choose
from benchmarks.choice_plans import SUPERVISED, Settings

from semivae.config import set_value
from semivae.paper import label_counts
from semivae.paper.sides import (
    LITERAL,
    LITERAL_EPOCHS,
    M2_LEARNING_RATE,
    SHARP,
    SUPERVISED_PASSES,
    TITLES,
)
from semivae.recipe import DataFacts, Recipe
from semivae.recipes import named_recipe
from semivae.smoothness import USUAL


@pytest.fixture(autouse=True)
def no_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    """A candidate that is not in a log would be trained."""

    def trained(*asked: object) -> None:
        pytest.fail(f"not in the log: {asked}")

    monkeypatch.setattr(choose, "trial", trained)


def under(recipe: Recipe, settings: Settings) -> Recipe:
    for setting in settings:
        recipe = set_value(recipe, *setting.split("=", 1))
    return recipe


@pytest.mark.parametrize("labels", [100, 1000])
def test_our_default_recipe_is_the_best_of_its_trials(labels: int) -> None:
    auto = named_recipe("auto").build(DataFacts((1, 28, 28), labels, 60_000 - labels, 10))
    _, optimized = choose.both("auto-soft", None)
    assert under(auto, optimized) == auto
    sharp = under(auto, SHARP)
    m2, optimized = choose.both("auto", None)
    before = under(sharp, ("smoothness.weight=0", "training.epochs=10"))
    assert under(auto, optimized) == before
    assert under(sharp, m2) == before, "M2 chose what both share"
    m2, optimized = choose.both("auto-smooth", None)
    before = under(sharp, (f"smoothness.weight={USUAL:g}",))
    assert under(auto, optimized) == under(sharp, m2) == before
    other = "training.optimizer.peak=0.005"
    assert under(auto, (other,)) != auto


@pytest.mark.parametrize("data", TITLES)
def test_the_literal_rows_have_the_best_symbols(data: str) -> None:
    m2, optimized = choose.both(data, None)
    chosen = {each for each in optimized if not each.startswith("training.epochs")}
    assert chosen == {*LITERAL[data].shared, *LITERAL[data].optimized}
    assert set(m2) < set(optimized)
    if data == "cifar10":
        assert f"training.epochs={LITERAL_EPOCHS[data]}" in m2


def test_m2_has_the_best_learning_rate_on_cifar10() -> None:
    m2, _ = choose.both("auto-cifar10", None)
    assert M2_LEARNING_RATE["cifar10"] in m2
    assert "training.corruption=0" in m2


@pytest.mark.parametrize("data", TITLES)
def test_the_network_alone_is_trained_as_is_best_for_it(data: str) -> None:
    quiet = [settings for settings in SUPERVISED if len(settings) == 1]
    best = choose.supervised(data, quiet, None)
    assert best == (f"baseline.epochs={SUPERVISED_PASSES[data]}",)
    epochs, *noise = choose.supervised(data, SUPERVISED, None)
    chosen = label_counts.BASELINES[data]
    assert epochs == f"baseline.epochs={chosen.passes}"
    assert noise == ([f"baseline.corruption={chosen.noise:g}"] if chosen.noise else [])
