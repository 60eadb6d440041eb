"""The plan of 5.6, its predictions against the objectives themselves, and its page."""

import dataclasses

import pytest
import torch
from torch import Tensor

from semivae.paper.experiments import TEST_ACCURACY, Run
from semivae.paper.learning_from_labels import (
    ACCURACY,
    ALONE,
    CONFIDENCE,
    LABELED_SUMS,
    NAME,
    SHARPENED,
    WHOLE,
    LabeledSum,
    figures,
    findings,
    plan,
    read,
)
from semivae.paper.results import RunResult
from semivae.plots.panels import Reading
from semivae.request import Request, prepare
from semivae.streams import LABELED
from semivae.sums import Objective
from tractable import LinearGaussianMixture, best_q, one_hot, some_x, state_at, streams_of

pytestmark = pytest.mark.usefixtures("unchecked")


@pytest.fixture(scope="module")
def objectives() -> dict[tuple[str, str], Objective]:
    """The objective of every run of a quick look, by panel and line."""
    found = {}
    for run in plan(1, quick=True):
        recipe = prepare(run.request).recipe
        found[run.panel, run.line] = recipe.objective.build(50, 1297, recipe.labels)
    return found


def weights(objective: Objective) -> dict[str, float]:
    return {part.term.key: part.weight for total in objective.sums for part in total.parts}  # type: ignore[misc]


def logit_gradient(objective: Objective, label: int) -> Tensor | None:
    """Of one labeled x whose decoder cannot tell classes apart."""
    model = LinearGaussianMixture(classes=10)
    with torch.no_grad():
        model.W.zero_(), model.V.zero_()
    streams = streams_of(model, (some_x(1), one_hot([label], 10)))
    objective(model, streams, state_at()).loss.backward()
    gradient = model.logits.grad
    return None if gradient is None or not gradient.any() else gradient


@pytest.mark.parametrize("labeled", LABELED_SUMS, ids=[labeled.name for labeled in LABELED_SUMS])
def test_the_predictions_are_those_of_the_objectives(
    labeled: LabeledSum, objectives: dict[tuple[str, str], Objective]
) -> None:
    objective = objectives[ALONE, labeled.name]
    zero, seven = (logit_gradient(objective, label) for label in (0, 7))
    if labeled.best is None:
        assert zero is None and seven is None
        assert not labeled.teaches
        return
    assert zero is not None and seven is not None
    assert labeled.teaches is not torch.equal(zero, seven)
    q, _ = best_q(objective)
    assert q[3].item() == pytest.approx(labeled.best, abs=1e-4)


def test_alone_is_the_labeled_stream_and_the_whole_adds_the_same_unlabeled_elbo(
    objectives: dict[tuple[str, str], Objective],
) -> None:
    for labeled in LABELED_SUMS:
        alone, whole = (objectives[panel, labeled.name] for panel in (ALONE, WHOLE))
        assert alone.streams == (LABELED,)
        parts = {key: weight for key, weight in weights(whole).items() if weight}
        unlabeled = {key for key in parts if key.startswith("unlabeled/")}
        assert {key: parts[key] for key in unlabeled} == {
            "unlabeled/reconstruction": 1.0,
            "unlabeled/latent_kl": -1.0,
            "unlabeled/label_kl": -1.0,
        }
        assert {key: parts[key] for key in parts.keys() - unlabeled} == weights(alone)


def test_the_sharpened_lines_differ_in_the_labeled_sum_alone(
    objectives: dict[tuple[str, str], Objective],
) -> None:
    elbo, forward = (weights(objectives[WHOLE, name]) for name in SHARPENED.values())
    assert elbo["unlabeled/classifier_entropy"] == -10
    assert elbo["unlabeled/mutual_information"] == 10
    assert "labeled/label_kl" in elbo and "labeled/forward_label_kl" in forward
    rest = [{k: v for k, v in side.items() if k.startswith("un")} for side in (elbo, forward)]
    assert rest[0] == rest[1]


def test_no_run_has_cross_entropy(objectives: dict[tuple[str, str], Objective]) -> None:
    for objective in objectives.values():
        assert weights(objective).get("labeled/label_log_likelihood", 0.0) == 0.0


def test_one_seed_of_everything_comes_first() -> None:
    full = plan(3, quick=False)
    assert len({run.request for run in full}) == len(full) == 3 * 12
    assert [run.request.seed for run in full] == [0] * 12 + [1] * 12 + [2] * 12
    for run in full:
        assert (run.request.labels, run.request.rows, run.request.epochs) == (1000, 11_000, 30)
        assert run.request.validation == 2000
        assert "likelihood.sigma=0.5" in run.request.settings


# A bin without rows has no confidence.
SURE = {
    "n": 4,
    "accuracy": 0.75,
    "reliability": {"rows": [1, 0, 3], "confidence": [0.5, None, 0.9]},
}


def test_a_result_is_read_by_epoch() -> None:
    history = [{"epoch": 1, "validation_accuracy": 0.25}, {"epoch": 2, "validation_accuracy": 0.5}]
    trained = RunResult("x", {"epochs": 2}, SURE, {}, {}, 1, None, {}, history)
    found = list(read(Run(WHOLE, "line", Request("mnist", seed=1)), trained))
    assert found == [
        Reading(WHOLE, "line", 1, ACCURACY, 1, 25.0),
        Reading(WHOLE, "line", 2, ACCURACY, 1, 50.0),
        Reading(WHOLE, "line", 2, TEST_ACCURACY, 1, 75.0),
        Reading(WHOLE, "line", 2, CONFIDENCE, 1, pytest.approx(0.8)),  # type: ignore[arg-type]
    ]


def end(panel: str, line: str, *accuracies: float) -> list[Reading]:
    """Test accuracies by seed, with a learning curve of one epoch."""
    return [
        Reading(panel, line, 30, measure, seed, value)
        for seed, value in enumerate(accuracies)
        for measure in (ACCURACY, TEST_ACCURACY)
    ]


def test_a_prediction_stands_beside_what_was_measured() -> None:
    """Everything as predicted but the reverse divergence, which is said not to learn."""
    readings = []
    for labeled in LABELED_SUMS:
        alone = 90.0 if labeled.teaches and labeled.divergence != "reverse" else 29.0
        readings += end(ALONE, labeled.name, alone, alone) + end(WHOLE, labeled.name, 60.0, 62.0)
    for name in SHARPENED.values():
        readings += end(WHOLE, name, 10.0)
    page = findings(readings)
    assert "of the labeled sums alone, 4 of 5 do as the theory predicts" in page
    lines = [line for line in page.splitlines() if line.startswith("| ")]
    assert lines[2] == (
        "| labeled ELBO (Eq 6) | none | not in it | 29.00 ± 0.00 | does not learn | as predicted "
        "| 61.00 ± 1.00 |"
    )
    assert "| 0.475 | 90.00 ± 0.00 | learns | as predicted |" in lines[3]
    assert "| yes | 0.913 | 29.00 ± 0.00 | does not learn | NOT as predicted |" in lines[5]
    assert lines[-1] == "| forward, beta = gamma = 10 | 10.00 |"
    assert list(figures(readings)) == [NAME]


def test_a_quick_look_differs_in_size_alone() -> None:
    for full, quick in zip(plan(1, quick=False), plan(1, quick=True), strict=True):
        assert (full.panel, full.line) == (quick.panel, quick.line)
        assert full.request.objective == quick.request.objective
        assert quick.request.settings[: len(full.request.settings)] == full.request.settings
        sized = {"data", "labels", "rows", "validation", "epochs", "settings"}
        for field in dataclasses.fields(Request):
            if field.name not in sized:
                assert getattr(full.request, field.name) == getattr(quick.request, field.name)
