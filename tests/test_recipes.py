"""The literal recipes are what the paper and design.md section 4 say; `auto` fits its data."""

import dataclasses

import pytest
import torch
from torch import nn

from semivae.data.views import AS_GIVEN, Views
from semivae.errors import InputError
from semivae.labels import Enumerated, Pruned, Relaxed
from semivae.models.deep_networks import AuxiliaryMLP, StackedMLP
from semivae.models.networks import MLP, KingmaMLP, PaperCNN
from semivae.models.specs import (
    Auxiliary,
    Binarized,
    Conditional,
    Factorized,
    Gaussian,
    SkipAuxiliary,
    Stacked,
)
from semivae.objective_specs import Equation8, Kingma2014, OptimizedELBO
from semivae.optimizers import Adam, Constant
from semivae.recipe import DataFacts, Recipe
from semivae.recipes import MANY_ROWS, RECIPES, named_recipe
from semivae.schedules import Ramp
from semivae.smoothness import Smoothness

MNIST = DataFacts((1, 28, 28), 1000, 59_000, 10)
CIFAR10 = DataFacts((3, 32, 32), 1000, 49_000, 10)
DIGITS = DataFacts((1, 8, 8), 50, 1297, 10)
TABLE = DataFacts((6,), 20, 400, 3)
EVERY_FACTS = {"mnist": MNIST, "cifar10": CIFAR10, "digits": DIGITS, "table": TABLE}
LITERAL = ["paper-m2", "paper-optimized"]


def build(name: str, facts: DataFacts) -> Recipe:
    return named_recipe(name).build(facts)


@pytest.mark.parametrize("name", LITERAL)
@pytest.mark.parametrize("facts", [MNIST, CIFAR10, DIGITS], ids=["mnist", "cifar10", "digits"])
def test_a_literal_recipe_is_what_the_paper_says(name: str, facts: DataFacts) -> None:
    recipe = build(name, facts)
    assert recipe.network == PaperCNN(latent=50)
    assert recipe.family == Factorized()
    assert isinstance(recipe.likelihood, Gaussian)
    assert isinstance(recipe.labels, Relaxed)
    training = recipe.training
    assert training.optimizer == Adam(1e-3)
    assert training.learning_rate == Constant()
    assert (training.labeled_rows, training.unlabeled_rows) == (128, 128)
    assert 1 <= training.epochs <= 50


def test_the_two_literal_recipes_differ_only_in_the_objective() -> None:
    m2, optimized = (build(name, MNIST) for name in LITERAL)
    assert isinstance(m2.objective, Equation8)
    assert isinstance(optimized.objective, OptimizedELBO)
    assert dataclasses.replace(optimized, objective=m2.objective) == m2
    assert optimized.objective.alpha == m2.objective.alpha
    assert optimized.objective.weighting is m2.objective.weighting
    assert optimized.objective.beta != 0
    assert optimized.objective.gamma != 0
    assert optimized.objective.epsilon > 0


@pytest.mark.parametrize(
    ("facts", "flat"), [(MNIST, 3136), (CIFAR10, 4096)], ids=["mnist", "cifar10"]
)
def test_a_literal_model_has_the_layers_of_sections_2_10_and_2_11(
    facts: DataFacts, flat: int
) -> None:
    model = build("paper-m2", facts).model.build(facts.event, torch.zeros(10), 0)
    convolutions = [m.out_channels for m in model.trunk.modules() if isinstance(m, nn.Conv2d)]
    transposed = [
        m.out_channels for m in model.decoder.modules() if isinstance(m, nn.ConvTranspose2d)
    ]
    widths = [m.out_features for m in model.decoder.modules() if isinstance(m, nn.Linear)]
    assert convolutions == [32, 64]
    assert transposed == [32, facts.event[0]]
    assert model.latent.mean.in_features == 512
    assert model.latent_size == 50
    assert flat in widths
    assert 512 in widths
    y = torch.eye(10)[:2]
    assert model.decode(torch.zeros(2, 50), y).shape == (2, *facts.event)


def test_kingma_m2_is_as_published() -> None:
    recipe = build("kingma-m2", MNIST)
    assert recipe.network == KingmaMLP(hidden=500, latent=50)
    assert recipe.family == Conditional()
    assert recipe.likelihood == Binarized()
    assert recipe.labels == Enumerated()
    assert recipe.objective == Kingma2014()
    assert recipe.training.optimizer == Adam(3e-4)


def test_m1m2_is_kingmas_in_two_stages() -> None:
    recipe = build("m1m2", MNIST)
    assert recipe.family == Stacked()
    assert recipe.network == StackedMLP(hidden=600, code=50, hidden_above=500, latent=50)
    assert recipe.labels == Enumerated()
    assert recipe.likelihood == Binarized()
    assert recipe.pretraining is not None
    assert recipe.epochs == (recipe.pretraining.epochs, recipe.training.epochs)
    joint = build("m1m2-joint", MNIST)
    assert joint == dataclasses.replace(recipe, pretraining=None)
    assert joint.epochs == (joint.training.epochs,)


def test_the_auxiliary_models_are_as_published() -> None:
    adgm, sdgm = build("adgm", MNIST), build("sdgm", MNIST)
    assert adgm.network == AuxiliaryMLP(hidden=500, latent=100, auxiliary=100)
    assert (adgm.family, sdgm.family) == (Auxiliary(), SkipAuxiliary())
    assert adgm == dataclasses.replace(sdgm, family=Auxiliary())
    assert adgm.likelihood == Binarized()
    assert adgm.labels == Enumerated()
    assert adgm.objective == Equation8(alpha=None), "alpha = 0.1 N / N_l, weights 1 and 1"
    assert (adgm.training.labeled_rows, adgm.training.unlabeled_rows) == (100, 100)
    assert adgm.training.optimizer == Adam(3e-4)


def test_auto_takes_the_papers_network_for_images_and_an_mlp_for_tables() -> None:
    image, table = build("auto", MNIST), build("auto", TABLE)
    assert isinstance(image.network, PaperCNN)
    assert isinstance(table.network, MLP)
    # Columns of a table are standardized, not in [0, 1]: no Bernoulli.
    assert not hasattr(image.likelihood, "sigma")
    assert hasattr(table.likelihood, "initial")


def test_auto_sums_exactly_over_few_rows_and_by_the_pruned_estimate_over_many() -> None:
    """The symbols of benchmarks/results/choice: digits.jsonl, auto.jsonl, auto-soft.jsonl."""
    few, many = (
        build("auto", MNIST._replace(n_unlabeled=rows)) for rows in (MANY_ROWS, MANY_ROWS + 1)
    )
    assert (few.labels, many.labels) == (Enumerated(), Pruned())
    assert few.objective == OptimizedELBO(alpha=10.0, beta=1.0, gamma=1.0)
    soft_first = Ramp(-300.0, 300.0, 0.5)
    assert many.objective == OptimizedELBO(alpha=300.0, beta=soft_first, gamma=300.0)
    assert build("auto", CIFAR10).objective == many.objective
    table = build("auto", TABLE._replace(n_unlabeled=MANY_ROWS + 1))
    assert table.objective == OptimizedELBO(alpha=10.0, beta=10.0, gamma=10.0)


def test_auto_learns_faster_from_many_images() -> None:
    """benchmarks/results/choice/auto.jsonl; tables and few images were no part of that choice."""
    many = {"images": MNIST, "table": TABLE._replace(n_unlabeled=MANY_ROWS + 1)}
    peaks = {name: build("auto", facts).training.optimizer.peak for name, facts in many.items()}
    assert peaks == {"images": 3e-3, "table": 1e-3}
    few = build("auto", MNIST._replace(n_unlabeled=MANY_ROWS))
    assert few.training.optimizer == Adam(1e-3)


def test_auto_varies_colour_images_alone_and_its_baseline_with_them() -> None:
    for event, views in (
        ((3, 32, 32), Views(flips=True, shifts=4)),
        ((3, 20, 100), Views(flips=True, shifts=2)),
        ((1, 32, 32), AS_GIVEN),
        ((4, 32, 32), AS_GIVEN),
        ((30,), AS_GIVEN),
    ):
        recipe = build("auto", DataFacts(event, 100, 20_000, 10))
        assert recipe.training.views == recipe.baseline.views == views


def test_auto_is_smooth_for_images_alone() -> None:
    """benchmarks/results/choice: auto-soft.jsonl, few images in auto-tried.jsonl; no table."""
    few, many = (build("auto", MNIST._replace(n_unlabeled=n)) for n in (100, MANY_ROWS + 1))
    assert (few.smoothness, many.smoothness) == (Smoothness(10.0, 0.07), Smoothness(300.0, 0.07))
    assert build("auto", CIFAR10).smoothness == many.smoothness
    assert build("auto", TABLE).smoothness == Smoothness()
    others = {build(name, MNIST).smoothness for name in RECIPES if name != "auto"}
    assert others == {Smoothness()}


def test_auto_is_at_most_12_one_cycle_passes_over_many_rows() -> None:
    for facts in (MNIST, CIFAR10):
        training = build("auto", facts).training
        assert training.epochs <= 12
        assert training.learning_rate(1.0) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("rows", [0, 1, 127, 128, 129, 1297, 10_000, 10_001, 10**7])
def test_auto_trains_at_least_one_epoch_on_any_number_of_rows(rows: int) -> None:
    facts = DataFacts((1, 8, 8), 50, rows, 10)
    assert build("auto", facts).training.epochs >= 1


@pytest.mark.parametrize("facts", EVERY_FACTS.values(), ids=EVERY_FACTS)
@pytest.mark.parametrize("name", ["auto", "paper-m2", "kingma-m2"])
def test_the_supervised_only_run_takes_about_1500_steps(name: str, facts: DataFacts) -> None:
    baseline = build(name, facts).baseline
    steps_per_epoch = -(-facts.n_labeled // min(baseline.labeled_rows, facts.n_labeled))
    assert baseline.epochs * steps_per_epoch == pytest.approx(1500, rel=0.02)


def test_every_side_of_a_comparison_has_the_same_baseline() -> None:
    assert len({build(name, MNIST).baseline for name in RECIPES}) == 1


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("facts", EVERY_FACTS.values(), ids=EVERY_FACTS)
def test_a_recipe_is_a_hashable_value_of_the_facts(name: str, facts: DataFacts) -> None:
    assert build(name, facts) == build(name, facts)
    assert hash(build(name, facts)) == hash(build(name, facts))


def test_every_recipe_says_what_it_is_for_in_a_line() -> None:
    for recipe in RECIPES.values():
        assert recipe.summary
        assert "\n" not in recipe.summary


def test_an_unknown_recipe_is_an_error_that_lists_the_names() -> None:
    with pytest.raises(InputError) as caught:
        named_recipe("papr-m2")
    names = (
        "auto, paper-m2, paper-optimized, kingma-m2, m1m2, m1m2-joint, m1m2-refined, adgm, sdgm"
    )
    assert str(caught.value) == f"recipe=papr-m2: choose one of {names}"
