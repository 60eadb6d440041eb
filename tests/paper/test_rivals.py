"""What stands beside M2 in a table: each against scikit-learn or against another way to the same
result; and M1, which is trained once for every number of labels."""

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import config
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.semi_supervised import LabelSpreading
from sklearn.svm import SVC

from semivae import rundir
from semivae.data.datasets import load
from semivae.data.splits import as_unlabeled, balanced_split
from semivae.fitting import Hooks, train
from semivae.models.base import DeepGenerativeModel
from semivae.models.m1m2 import M1M2
from semivae.paper import rivals
from semivae.paper.results import RunResult, load_result
from semivae.paper.rivals import Logistic, SupportVectors, first_stage, on_codes
from semivae.paper.runs import execute
from semivae.request import Request, prepare
from semivae.training import EpochLog, Snapshot

BELOW = 6
M1M2_REQUEST = Request(
    "digits",
    labels=20,
    rows=300,
    recipe="m1m2",
    settings=(
        "network.hidden=32",
        "network.code=6",
        "network.hidden_above=16",
        "network.latent=3",
        "likelihood=gaussian",
        "likelihood.sigma=0.1",
        "training.unlabeled_rows=100",
        f"pretraining.epochs={BELOW}",
        "pretraining.unlabeled_rows=50",
        "pretraining.optimizer.peak=0.01",
        "pretraining.average=0.5",
    ),
    epochs=2,
    baseline=False,
)
MORE_LABELS = replace(M1M2_REQUEST, labels=40)
ALONE = Request(
    "digits",
    labels=20,
    rows=200,
    settings=("network=mlp", "network.hidden=16", "baseline.epochs=3"),
    epochs=1,
    baseline=False,
)


@pytest.fixture(scope="module", autouse=True)
def unchecked() -> Iterator[None]:
    """Annotations are not checked here: other files do, and it would take most of the time."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)


class Counting(Hooks):
    """Counts epochs; stops after some as a kill would."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.epochs, self.stop_after = 0, stop_after

    def on_epoch(self, model: DeepGenerativeModel, log: EpochLog, snapshot: Snapshot) -> None:
        self.epochs += 1
        if self.epochs == self.stop_after:
            raise KeyboardInterrupt


def never() -> Path:
    raise AssertionError("asked for a first stage that is not needed")


def text(result: RunResult) -> str:
    """What its file holds."""
    return json.dumps(asdict(result))


def terms(result: RunResult) -> list[dict[str, object]]:
    """The history without what a clock says."""
    return [{k: v for k, v in line.items() if k != "seconds"} for line in result.history]


# --- M1, trained once ---


def test_a_run_from_a_shared_first_stage_is_the_run_in_one_piece(tmp_path: Path) -> None:
    """M1 was trained by a run of fewer labels: it reads none."""
    whole = execute(MORE_LABELS, tmp_path, None, Hooks())
    folder = tmp_path / "shared"
    folder.mkdir()
    hooks = Counting()

    def first() -> Path:
        return first_stage(M1M2_REQUEST, folder, None, Hooks())

    result = execute(MORE_LABELS, folder, None, hooks, first_stage=first)
    assert hooks.epochs == 2, "M1 is not trained again"
    assert result.name == whole.name
    assert result.test == whole.test
    assert terms(result) == terms(whole)
    assert len(result.history) == BELOW + 2
    seconds = sum(line["seconds"] for line in result.history)
    assert result.summary["train_seconds"] > 0.9 * seconds, "M1's time counts"
    assert text(execute(MORE_LABELS, folder, None, hooks, first_stage=never)) == text(result)


def test_a_run_that_was_stopped_while_its_first_stage_was_trained_shares_it_all_the_same(
    tmp_path: Path,
) -> None:
    def cut() -> Path:
        return first_stage(M1M2_REQUEST, tmp_path, None, Counting(stop_after=2))

    with pytest.raises(KeyboardInterrupt):
        execute(MORE_LABELS, tmp_path, None, Hooks(), first_stage=cut)
    hooks = Counting()
    execute(
        MORE_LABELS, tmp_path, None, hooks,
        first_stage=lambda: first_stage(M1M2_REQUEST, tmp_path, None, Hooks()),
    )  # fmt: skip
    assert hooks.epochs == 2, "the run trains its own epochs alone"


def test_a_first_stage_is_trained_once_and_goes_on_where_it_was(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        first_stage(M1M2_REQUEST, tmp_path / "cut", None, Counting(stop_after=4))
    left, none_left = Counting(), Counting()
    folder = first_stage(M1M2_REQUEST, tmp_path / "cut", None, left)
    assert left.epochs == BELOW - 4
    assert first_stage(M1M2_REQUEST, tmp_path / "cut", None, none_left) == folder
    assert none_left.epochs == 0
    whole = first_stage(M1M2_REQUEST, tmp_path / "whole", None, Hooks())
    assert (folder / rundir.CHECKPOINT).read_bytes() == (whole / rundir.CHECKPOINT).read_bytes()


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"settings": (*M1M2_REQUEST.settings, "pretraining.epochs=2")},
        {"settings": (*M1M2_REQUEST.settings, "likelihood.sigma=0.2")},
    ],
    ids=["seed", "epochs", "likelihood"],
)
def test_a_first_stage_of_another_m1_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    other = replace(M1M2_REQUEST, **change)  # type: ignore[arg-type]

    def first() -> Path:
        return first_stage(other, tmp_path, None, Hooks())

    with pytest.raises(ValueError, match="another M1, training or seed"):
        execute(M1M2_REQUEST, tmp_path, None, Hooks(), first_stage=first)


def test_a_recipe_of_one_stage_has_no_first(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="recipe auto has no first stage: choose m1m2"):
        first_stage(ALONE, tmp_path, None, Hooks())


# --- the rivals ---


@pytest.mark.parametrize(
    ("classifier", "theirs"),
    [(Logistic(), LogisticRegression(max_iter=1000)), (SupportVectors(), SVC())],
    ids=["logistic", "support-vectors"],
)
def test_a_classifier_on_codes_is_scikit_learns_on_m1s_means(
    tmp_path: Path, classifier: Logistic | SupportVectors, theirs: LogisticRegression | SVC
) -> None:
    """By another way to M1: below the M1+M2 of the same seed, trained whole."""
    first = first_stage(M1M2_REQUEST, tmp_path, None, Hooks())
    result = on_codes("m1", classifier, MORE_LABELS, lambda: first, tmp_path, None)
    prepared = prepare(MORE_LABELS)
    trained = train(prepared.training_set, prepared.recipe, 0, Hooks())
    assert isinstance(trained.predictor.model, M1M2)
    x, y, rows = prepared.arrays.x, prepared.arrays.y, prepared.split.labeled
    assert prepared.arrays.x_test is not None
    x_test = prepared.arrays.x_test
    codes, test = (trained.predictor.codes(part)[:, 0] for part in (x[rows], x_test))
    right = theirs.fit(codes, y[rows]).predict(test) == prepared.arrays.y_test
    assert result.test == {"n": 450, "accuracy": right.mean()}
    assert result.summary["n_labeled"] == 40
    assert result.summary["epochs"] == BELOW
    m1_seconds = sum(line["seconds"] for line in rundir.read_metrics(first))
    assert result.summary["train_seconds"] > m1_seconds
    again = on_codes("m1", classifier, MORE_LABELS, never, tmp_path, None)
    assert text(again) == text(result)


def test_label_spreading_is_scikit_learns_on_principal_components(tmp_path: Path) -> None:
    request = replace(ALONE, rows=None, labels=50, seed=3)
    result = rivals.label_spreading("spreading", request, tmp_path, None)
    digits = load("digits")
    x = digits.x.reshape(1347, 64) / 16.0
    pca = PCA(50).fit(x)
    y = as_unlabeled(digits.y, balanced_split(digits.y, 50, 3).labeled)
    model = LabelSpreading(kernel="knn", n_neighbors=7, alpha=0.2).fit(pca.transform(x), y)
    assert digits.x_test is not None
    test = pca.transform(digits.x_test.reshape(450, 64) / 16.0)
    with np.errstate(invalid="ignore"):
        right = model.predict(test) == digits.y_test
    assert result.accuracy == pytest.approx(100 * right.mean(), abs=0.5)
    assert result.accuracy > 80
    assert result.summary["n_labeled"] == 50
    assert text(rivals.label_spreading("spreading", request, tmp_path, None)) == text(result)


def test_the_network_alone_is_the_baseline_of_a_run(tmp_path: Path) -> None:
    result = rivals.supervised_only("alone", ALONE, tmp_path, None, Hooks())
    with_baseline = execute(replace(ALONE, baseline=True), tmp_path, None, Hooks())
    assert result.accuracy == with_baseline.supervised_only
    assert result.summary["epochs"] == 3
    assert result.parameters == with_baseline.parameters
    hooks = Counting()
    assert text(rivals.supervised_only("alone", ALONE, tmp_path, None, hooks)) == text(result)
    assert hooks.epochs == 0


def test_rivals_of_one_request_have_files_of_their_own(tmp_path: Path) -> None:
    first = first_stage(M1M2_REQUEST, tmp_path, None, Hooks())
    for name, classifier in (("logistic", Logistic()), ("svm", SupportVectors())):
        on_codes(name, classifier, M1M2_REQUEST, lambda: first, tmp_path, None)
    rivals.label_spreading("spreading", M1M2_REQUEST, tmp_path, None)
    execute(M1M2_REQUEST, tmp_path, None, Hooks(), first_stage=lambda: first)
    results = [load_result(path) for path in tmp_path.glob("*.json")]
    assert sorted(result.summary["recipe"] for result in results) == [
        "logistic", "m1m2", "spreading", "svm",
    ]  # fmt: skip
    assert {result.asked for result in results} == {M1M2_REQUEST}
    assert np.isfinite([result.accuracy for result in results]).all()


def test_validation_rows_are_scored_where_labels_are_learned(tmp_path: Path) -> None:
    """Not in the first stage: the classifier is untrained there."""
    result = execute(replace(M1M2_REQUEST, validation=20), tmp_path, None, Hooks())
    scored = ["validation_accuracy" in line for line in result.history]
    assert scored == [False] * BELOW + [True] * 2
    last = result.history[-1]["validation_accuracy"]
    assert last == result.summary["validation_accuracy"]
