"""The assessment of every model and its measures: each on the rows it says, each with its
meaning."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from semivae.assessment import Effort, assess, drawn_rows, few_pairs
from semivae.cli.evaluate import Evaluation, plain
from semivae.cli.rows import Labeled
from semivae.data.datasets import load
from semivae.diagnostics.evidence import evidence
from semivae.evaluation import classification_report
from semivae.fitting import Hooks, train
from semivae.measures import MEANINGS, Measure, groups, values
from semivae.models.specs import Bernoulli
from semivae.predictor import Predictor
from semivae.request import Request, prepare
from test_stages import EVERY

pytestmark = pytest.mark.usefixtures("unchecked")

EFFORT = Effort(rows=40, samples=3, gap_samples=2, surgery_rows=100, linear_rows=200)
M2 = Request("digits", labels=50, epochs=3, settings=("network.latent=4",))
QUICKLY = ("training.unlabeled_rows=50", "training.optimizer.peak=0.02", "objective.alpha=200")
FROM_M1 = ("pretraining.epochs=20", "pretraining.optimizer.peak=0.03")
RECIPES = ("m2", "m1m2", "m1m2-joint", "adgm", "sdgm")


def request_for(recipe: str) -> Request:
    """A training of seconds that leaves a classifier with something to say, in float32: there,
    what is computed twice is the same to its digits."""
    request, settings = M2, M2.settings
    if recipe != "m2":
        request = replace(EVERY[recipe], labels=50, epochs=12, baseline=False)
        settings = (*request.settings, *QUICKLY, *(FROM_M1 if recipe == "m1m2" else ()))
    return replace(request, settings=(*settings, "training.bfloat16=false"))


@pytest.fixture(scope="module", params=RECIPES)
def recipe(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def predictor(recipe: str) -> Predictor:
    prepared = prepare(request_for(recipe))
    return train(prepared.training_set, prepared.recipe, 0, Hooks()).predictor


@pytest.fixture(scope="module")
def rows() -> tuple[np.ndarray, np.ndarray]:
    digits = load("digits")
    assert digits.x_test is not None
    assert digits.y_test is not None
    return digits.x_test, digits.y_test


def test_each_group_is_measured_on_the_rows_it_says(
    recipe: str, predictor: Predictor, rows: tuple[np.ndarray, np.ndarray]
) -> None:
    x, y = rows
    progress: list[tuple[int, int]] = []
    found = assess(predictor, x, y, EFFORT, 5, on_rows=lambda *pair: progress.append(pair))
    assert progress[-1] == (40, 40)
    assert [group.rows for group in groups(found)] == [450, 40, 100, 200]
    whole = classification_report(predictor.predict_proba(x), y)
    assert found.classification is not None
    assert found.classification.nll == whole.nll
    chosen = drawn_rows(450, 40, 5)
    assert found.discriminative is not None
    assert found.discriminative.n == 40
    part = classification_report(predictor.predict_proba(x[chosen]), y[chosen])
    assert found.discriminative.accuracy == part.accuracy
    again = evidence(predictor.model, few_pairs(predictor, x[chosen]), EFFORT.samples, seed=5)
    labels = torch.from_numpy(y[chosen])
    assert found.log_p_xy == pytest.approx(float(again.log_p_xy(labels).mean()))
    if recipe == "m2":  # the others' few samples are further off
        more = evidence(predictor.model, few_pairs(predictor, x[chosen]), 200, seed=6)
        assert found.log_p_xy == pytest.approx(float(more.log_p_xy(labels).mean()), abs=1.0)
    assert found.evidence.mean > found.log_p_xy
    same, other = (assess(predictor, x, y, EFFORT, seed) for seed in (5, 6))
    assert values(same) == values(found) != values(other)


def test_names_are_the_same_everywhere_and_every_value_is_a_number(
    predictor: Predictor, rows: tuple[np.ndarray, np.ndarray]
) -> None:
    found = assess(predictor, *rows, EFFORT, 0)
    listed = [measure for group in groups(found) for measure in group.measures]
    assert [measure.name for measure in listed] == list(MEANINGS)
    assert values(found) == {measure.name: measure.value for measure in listed}
    assert all(np.isfinite(value) for value in values(found).values())
    assert all("{" not in measure.meaning for measure in listed)
    entropy = next(measure for measure in listed if measure.name == "classifier_entropy")
    assert "2.30 is guessing" in entropy.meaning
    assert found.information.classifier_entropy == entropy.value


def test_the_parts_add_up_and_are_of_the_classifier_that_predicts(
    predictor: Predictor, rows: tuple[np.ndarray, np.ndarray]
) -> None:
    """The identities of docs/diagnostics.md within what `semivae evaluate --json` prints, with
    surgery of all rows."""
    x, y = rows
    found = assess(predictor, x, y, replace(EFFORT, surgery_rows=len(x)), 0)
    assert found.classification is not None
    classified, pixels = found.classification, Bernoulli()
    on = Labeled("digits", x, y, "test rows")
    result = Evaluation(Path("run"), on, predictor.classes, classified, found, pixels)
    printed = json.loads(json.dumps(plain(result), allow_nan=False))
    v, cuts = printed["diagnostics"], printed["surgery"]
    for whole, parts in (
        ("aggregate_entropy", ("classifier_entropy", "mutual_information")),
        ("label_kl", ("mutual_information", "marginal_label_kl")),
        ("latent_kl", ("index_code_information", "marginal_latent_kl")),
        ("joint_kl", ("label_kl", "latent_kl", "coupling")),
        (
            "joint_kl",
            ("joint_information", "leakage", "marginal_label_kl", "marginal_latent_kl"),
        ),
    ):
        total = sum(v[name] for name in parts)
        assert v[whole] == pytest.approx(total, abs=2e-6), (whole, parts)
    for name, value in found.information._asdict().items():
        assert v[name] == value and cuts[name] == pytest.approx(value, abs=2e-6), name
    assert v["mutual_information"] > 0.05  # it has something to say


def test_without_labels_what_takes_labels_is_none_and_the_rest_is_the_same(
    predictor: Predictor, rows: tuple[np.ndarray, np.ndarray]
) -> None:
    x, y = rows
    with_labels = values(assess(predictor, x, y, EFFORT, 0))
    without = values(assess(predictor, x, np.full_like(y, -1), EFFORT, 0))
    take_labels = {name for name, value in without.items() if value is None}
    assert take_labels == {
        *("nll", "brier", "ece", "discriminative_accuracy", "log_p_xy"),
        *("generative_accuracy", "generative_nll", "generative_brier", "generative_ece"),
        *("accuracy_from_means", "accuracy_from_z", "accuracy_from_x", "chance"),
        "information_from_z",
    }
    assert all(without[name] == with_labels[name] for name in set(MEANINGS) - take_labels)


def test_a_few_labels_are_used_where_they_are(
    predictor: Predictor, rows: tuple[np.ndarray, np.ndarray]
) -> None:
    x, y = rows
    chosen = drawn_rows(450, 40, 0)
    some = np.full_like(y, -1)
    some[chosen[:7]] = y[chosen[:7]]
    found = assess(predictor, x, some, EFFORT, 0)
    assert found.generative is not None
    assert found.generative.n == 7
    assert found.linear is None  # some class has a single row
    assert isinstance(found.log_p_xy, float)


def test_at_most_so_many_rows_are_drawn_in_order() -> None:
    np.testing.assert_array_equal(drawn_rows(5, 5, 0), np.arange(5))
    drawn = drawn_rows(1000, 10, 3)
    assert len(set(drawn)) == 10
    np.testing.assert_array_equal(drawn, np.sort(drawn))
    assert not np.array_equal(drawn, drawn_rows(1000, 10, 4))


def test_a_measure_says_its_unit() -> None:
    assert Measure("n", 1234, "", "").text == "1,234"
    assert Measure("n", 0.5, "", "").text == "0.500"
    assert Measure("n", None, "nats", "").text == "–"
