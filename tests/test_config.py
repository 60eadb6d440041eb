"""Configurations survive JSON, every name builds, and every error names the choices."""

import dataclasses
import json
from typing import Any

import pytest

from semivae import labels, objectives, weighting
from semivae.config import CHOICES, REFERENCES, choose, from_plain, set_value, to_plain
from semivae.data.views import Views
from semivae.errors import InputError
from semivae.labels import Enumerated, Relaxed, StraightThrough
from semivae.models import networks, specs
from semivae.models.deep_networks import AuxiliaryMLP, StackedMLP
from semivae.objective_specs import ObjectiveSpec
from semivae.optimizers import AdamW, Constant
from semivae.recipe import DataFacts, Recipe
from semivae.recipes import RECIPES
from semivae.schedules import Ramp

IMAGES = DataFacts((1, 28, 28), 100, 59_900, 10)
TABLE = DataFacts((7,), 20, 500, 3)
EVERY = [
    pytest.param(RECIPES[name].build(facts), id=f"{name}-{len(facts.event)}d")
    for name in RECIPES
    for facts in (IMAGES, TABLE)
]
AUTO = RECIPES["auto"].build(IMAGES)
SYMBOLS = [
    (kind, field.name)
    for kind, spec in CHOICES["objective"].items()
    for field in dataclasses.fields(spec)
]


# --- to and from JSON ---


@pytest.mark.parametrize("recipe", EVERY)
def test_a_recipe_comes_back_from_json_equal_and_with_the_same_hash(recipe: Recipe) -> None:
    again = from_plain(Recipe, json.loads(json.dumps(to_plain(recipe))))
    assert again == recipe
    assert hash(again) == hash(recipe)
    assert {again: "one run"}[recipe] == "one run"


def test_the_json_names_every_choice() -> None:
    plain = to_plain(AUTO)
    kinds = {name: plain[name]["kind"] for name in ("network", "family", "likelihood", "labels")}
    assert kinds == {
        "network": "paper-cnn",
        "family": "factorized",
        "likelihood": "bernoulli",
        "labels": "pruned",
    }
    assert plain["objective"]["kind"] == "optimized_elbo"
    assert plain["objective"]["label_divergence"] == "forward"
    assert plain["objective"]["information"] == "running"
    assert plain["objective"]["weighting"] == "balanced"
    assert plain["training"]["learning_rate"]["kind"] == "one-cycle"


def test_a_ramp_and_another_choice_come_back_from_json() -> None:
    recipe = AUTO
    for key, text in [
        ("objective.beta", "ramp(0, 30, 0.5)"),
        ("objective.label_divergence", "reverse"),
        ("objective.information", "batch"),
        ("objective.weighting", "sums"),
        ("labels", "relaxed"),
        ("labels.tau", "0.3"),
        ("training.optimizer", "adamw"),
        ("training.average", "0.5"),
    ]:
        recipe = set_value(recipe, key, text)
    again = from_plain(Recipe, json.loads(json.dumps(to_plain(recipe))))
    assert again == recipe
    assert again.objective.beta == Ramp(0.0, 30.0, 0.5)  # type: ignore[attr-defined]
    assert again.labels == Relaxed(0.3)
    assert again != AUTO


@pytest.mark.parametrize("field", CHOICES)
def test_every_name_of_a_choice_builds_and_comes_back(field: str) -> None:
    needs = {"gaussian": {"sigma": 0.3}}
    for name, value in CHOICES[field].items():
        if field in REFERENCES:
            assert to_plain(value, field) == name
            continue
        built = value(**needs.get(name, {}))
        plain = to_plain(built, field)
        assert plain["kind"] == name
        holder = dataclasses.make_dataclass("Holder", [(field, Any)], frozen=True)
        assert getattr(from_plain(holder, {field: plain}), field) == built


@pytest.mark.parametrize("field", CHOICES)
def test_what_a_choice_lists_is_listed_once(field: str) -> None:
    values = list(CHOICES[field].values())
    assert len({id(value) for value in values}) == len(values)


@pytest.mark.parametrize(
    ("field", "module", "base"),
    [
        ("network", networks, networks.Network),
        ("family", specs, specs.Family),
        ("likelihood", specs, specs.LikelihoodSpec),
    ],
)
def test_no_public_variant_is_missing_from_the_choices(
    field: str, module: object, base: type
) -> None:
    """A network is a Protocol, so its variants are what has both families' methods."""
    variants = {
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and dataclasses.is_dataclass(value)
        and (hasattr(value, "factorized") if field == "network" else issubclass(value, base))
    }
    others = {StackedMLP, AuxiliaryMLP} if field == "network" else set()
    assert variants | others == set(CHOICES[field].values())


def test_unknown_entries_in_a_configuration_are_named() -> None:
    plain = to_plain(AUTO) | {"colour": "red"}
    with pytest.raises(InputError, match="unknown entries in the configuration: colour"):
        from_plain(Recipe, plain)
    plain = to_plain(AUTO)
    plain["network"]["kind"] = "transformer"
    with pytest.raises(InputError, match="network=transformer: choose one of paper-cnn, "):
        from_plain(Recipe, plain)


# --- set_value ---


@pytest.mark.parametrize(("kind", "symbol"), SYMBOLS)
def test_every_symbol_of_every_objective_is_reachable(kind: str, symbol: str) -> None:
    recipe = set_value(AUTO, "objective", kind)
    assert to_plain(recipe)["objective"]["kind"] == kind
    text = {
        "weighting": "dataset",
        "label_divergence": "tight",
        "information": "batch",
    }.get(symbol, "0.125")
    changed = set_value(recipe, f"objective.{symbol}", text)
    expected = choose(symbol, text) if symbol in REFERENCES else 0.125
    assert getattr(changed.objective, symbol) == expected
    others = dataclasses.replace(changed.objective, **{symbol: getattr(recipe.objective, symbol)})
    assert others == recipe.objective
    assert isinstance(changed.objective, ObjectiveSpec)


def test_the_objectives_have_the_symbols_of_the_paper() -> None:
    assert set(SYMBOLS) >= {
        ("equation_8", "alpha"),
        ("equation_8", "weighting"),
        ("optimized_labeled", "epsilon"),
        ("optimized_labeled", "label_divergence"),
        *(("optimized_elbo", name) for name in ("alpha", "beta", "gamma", "epsilon")),
        ("optimized_elbo", "information"),
        *(("optimized_elbo_literal", name) for name in ("alpha", "beta", "gamma", "epsilon")),
        *(("modified_elbo", name) for name in ("alpha", "epsilon", "weighting")),
        *(("survey3_j", name) for name in ("beta", "gamma", "weighting")),
        *(("information_maximization", name) for name in ("alpha", "beta", "gamma", "weighting")),
        *(("shot_mnist", name) for name in ("alpha", "capacity_z", "capacity_y", "weight")),
    }


@pytest.mark.parametrize(
    ("key", "text", "read"),
    [
        ("labels", "straight_through", lambda r: r.labels == StraightThrough()),
        ("labels", "enumerated", lambda r: r.labels == Enumerated()),
        ("labels", "sampled", lambda r: r.labels == labels.Sampled()),
        ("likelihood", "learned-gaussian", lambda r: r.likelihood == specs.LearnedSigma()),
        ("network", "mlp", lambda r: r.network == networks.MLP()),
        ("network.latent", "7", lambda r: r.network == networks.PaperCNN(latent=7)),
        ("family", "conditional", lambda r: r.family == specs.Conditional()),
        ("training.epochs", "3", lambda r: r.training.epochs == 3),
        ("baseline.epochs", "4", lambda r: r.baseline.epochs == 4),
        ("training.optimizer", "adamw", lambda r: r.training.optimizer == AdamW()),
        ("training.optimizer.peak", "0.01", lambda r: r.training.optimizer.peak == 0.01),
        ("training.learning_rate", "constant", lambda r: r.training.learning_rate == Constant()),
        ("training.learning_rate.rise", "0.1", lambda r: r.training.learning_rate.rise == 0.1),
        ("training.bfloat16", "false", lambda r: r.training.bfloat16 is False),
        ("training.average", "0.5", lambda r: r.training.average == 0.5),
        ("training.clip_norm", "1", lambda r: r.training.clip_norm == 1.0),
        ("training.corruption", "0.5", lambda r: r.training.corruption == 0.5),
        ("training.views.flips", "true", lambda r: r.training.views == Views(flips=True)),
        ("baseline.views.shifts", "4", lambda r: r.baseline.views == Views(shifts=4)),
        ("objective.alpha", "none", lambda r: r.objective.alpha is None),
        ("objective.beta", "2", lambda r: r.objective.beta == 2.0),
        ("objective.gamma", "ramp(0,3,0.5)", lambda r: r.objective.gamma == Ramp(0.0, 3.0, 0.5)),
        ("objective.weighting", "sums", lambda r: r.objective.weighting is weighting.sums),
        (
            "objective.label_divergence",
            "reverse",
            lambda r: r.objective.label_divergence is objectives.reverse_divergence,
        ),
    ],
)
def test_set_changes_that_value_and_no_other(key: str, text: str, read: Any) -> None:
    changed = set_value(AUTO, key, text)
    assert read(changed)
    assert not read(AUTO)
    field = key.partition(".")[0]
    assert dataclasses.replace(changed, **{field: getattr(AUTO, field)}) == AUTO


def test_a_ramp_is_one_weight_that_a_number_replaces() -> None:
    recipe = set_value(set_value(AUTO, "objective.beta", "ramp(0,3,0.5)"), "objective.beta", "2")
    assert recipe.objective.beta == 2.0  # type: ignore[attr-defined]


def test_labels_and_their_tau_are_two_settings_in_order() -> None:
    recipe = set_value(set_value(AUTO, "labels", "relaxed"), "labels.tau", "0.3")
    assert recipe.labels == labels.Relaxed(tau=0.3)
    with pytest.raises(InputError, match="there is no 'tau' here"):
        set_value(AUTO, "labels.tau", "0.3")


def test_a_gaussian_can_be_chosen_and_its_sigma_set() -> None:
    recipe = set_value(AUTO, "likelihood", "gaussian")
    assert set_value(recipe, "likelihood.sigma", "0.2").likelihood == specs.Gaussian(0.2)


@pytest.mark.parametrize(
    ("key", "text", "words"),
    [
        ("colour", "red", ["there is no 'colour' here, only network, family", "baseline"]),
        ("objective.delta", "1", ["there is no 'delta' here", "alpha, beta, gamma, epsilon"]),
        ("objective", "vae", ["objective=vae: choose one of equation_8, labeled_elbo"]),
        ("labels", "guess", ["labels=guess: choose one of enumerated, pruned, relaxed"]),
        ("likelihood", "poisson", ["choose one of bernoulli, binarized, gaussian"]),
        ("objective.weighting", "x", ["choose one of balanced, dataset, sums"]),
        ("objective.information", "x", ["choose one of running, batch"]),
        ("objective.label_divergence", "x", ["choose one of forward, reverse"]),
        ("training.epochs", "many", ["training.epochs=many", "not a value like"]),
        ("training.epochs", "1.5", ["training.epochs=1.5", "not a value like"]),
        ("training.bfloat16", "yes", ["training.bfloat16=yes", "not a value like True"]),
        ("training.epochs.x", "1", ["'epochs' is a single value, it has no 'x'"]),
        (
            "objective.beta",
            "big",
            ["objective.beta=big", "not a value like ramp(-300, 300, 0.5)"],
        ),
        ("objective.beta", "ramp(0,1)", ["objective.beta=ramp(0,1)", "not a value like"]),
        ("objective.beta", "ramp(0,1,2)", ["until=2.0 is not a fraction of training"]),
        ("objective.beta", "", ["objective.beta="]),
        ("", "1", ["there is no '' here"]),
    ],
)
def test_what_cannot_be_set_is_one_sentence_that_names_it(
    key: str, text: str, words: list[str]
) -> None:
    with pytest.raises(InputError) as caught:
        set_value(AUTO, key, text)
    for part in words:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("objective.epsilon", "none"),
        ("training.average", "none"),
        ("training.optimizer.peak", "ramp(0,1,0.5)"),
        ("objective.beta", "none"),
        ("objective.beta", "nan"),
        ("objective.beta", "inf"),
    ],
)
def test_a_value_of_a_kind_that_the_field_cannot_hold_is_refused(key: str, text: str) -> None:
    with pytest.raises(InputError):
        set_value(AUTO, key, text)


STAGES = [
    (recipe, stage)
    for stage, recipes in (
        ("pretraining", ("auto", "m1m2-joint")),
        ("refining", ("auto", "m1m2-joint", "m1m2")),
    )
    for recipe in recipes
]


@pytest.mark.parametrize(("recipe", "stage"), STAGES)
@pytest.mark.parametrize("entry", ["", ".epochs", ".optimizer.peak"])
def test_a_stage_that_a_recipe_does_not_have_cannot_be_set(
    recipe: str, stage: str, entry: str
) -> None:
    """A number is no training either, and the sentence names a recipe that does have the stage."""
    built = RECIPES[recipe].build(IMAGES)
    with pytest.raises(InputError) as caught:
        set_value(built, stage + entry, "5")
    words = f"{stage}{entry}=5: this recipe has no {stage} stage, choose one that has, such"
    assert str(caught.value) == f"{words} as m1m2-refined"
    assert set_value(built, stage, "none") == built
    other = set_value(RECIPES["m1m2-refined"].build(IMAGES), f"{stage}.epochs", "5")
    assert getattr(other, stage).epochs == 5


@pytest.mark.parametrize("name", ["", "Gaussian"])
def test_choose_lists_the_names(name: str) -> None:
    with pytest.raises(InputError, match="choose one of bernoulli, binarized, gaussian"):
        choose("likelihood", name)
