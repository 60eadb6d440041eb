"""What stands beside M2 and Optimized-ELBO in a table of accuracies: the same network without
unlabeled rows, a classifier on M1's codes (Kingma 2014: M1), and label spreading.

Each result is a file like those of `paper.runs.execute`, read where it is there. None has a
setting that was tuned, but for what its caller gives.
"""

import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.semi_supervised import LabelSpreading
from sklearn.svm import SVC
from torch import Tensor

from semivae import rundir, runs
from semivae.averaging import take_average
from semivae.config import to_plain
from semivae.fitting import Hooks, train_supervised
from semivae.models.specs import AnyNetwork, Family, LikelihoodSpec
from semivae.nets import learned_values
from semivae.paper.results import RunResult, machine, name_of, stored, write_result
from semivae.paper.runs import sole
from semivae.predictor import predictor_of
from semivae.request import Prepared, Request, prepare
from semivae.training import Training

FIRST_STAGES = ".first-stages"


@dataclass(frozen=True)
class Alone:
    """The supervised-only network: what decides its result beside the request."""

    network: AnyNetwork
    family: Family
    baseline: Training


@dataclass(frozen=True)
class FirstStage:
    """What decides an M1 beside the rows and the seed."""

    network: AnyNetwork
    likelihood: LikelihoodSpec
    pretraining: Training


@dataclass(frozen=True)
class Logistic:
    """Logistic regression, `C` over the penalty."""

    C: float = 1.0

    def build(self) -> Any:
        """scikit-learn's estimator."""
        return LogisticRegression(C=self.C, max_iter=1000)


@dataclass(frozen=True)
class SupportVectors:
    """Support vectors with a Gaussian kernel, `C` over the penalty."""

    C: float = 1.0

    def build(self) -> Any:
        """scikit-learn's estimator."""
        return SVC(C=self.C)


@dataclass(frozen=True)
class OnCodes:
    """A classifier on the means of an M1's q(z|x)."""

    classifier: Logistic | SupportVectors
    m1: FirstStage


@dataclass(frozen=True)
class Spreading:
    """Label spreading (Zhou et al. 2004) over the nearest neighbours on principal components."""

    components: int = 50
    neighbors: int = 7
    alpha: float = 0.2


def supervised_only(
    name: str, request: Request, results: Path, data_dir: Path | None, hooks: Hooks
) -> RunResult:
    """log q(y|x) on the labeled rows alone: the request's network, initial weights and labels."""
    prepared = prepare(request, data_dir)
    recipe = prepared.recipe
    rival = _Rival(name, prepared, Alone(recipe.network, recipe.family, recipe.baseline), results)
    if (found := rival.stored) is not None:
        return found
    trained = train_supervised(prepared.training_set, recipe, request.seed, hooks)
    x_test, y_test = prepared.arrays.test
    right = trained.predictor.predict_proba(x_test).argmax(1) == y_test
    parameters = learned_values(trained.predictor.model)
    return rival.write(right, trained.train_seconds, recipe.baseline.epochs, parameters)


def first_stage(request: Request, results: Path, data_dir: Path | None, hooks: Hooks) -> Path:
    """The folder of a run of M1+M2 that has ended its first stage, which is trained where it is
    not there yet: what `paper.runs.execute` goes on from, for any number of labels.

    It lies in a hidden folder under `results`; an interrupted one goes on from its last epoch.
    """
    prepared = prepare(request, data_dir)
    name = name_of(request, _first_stage_of(prepared))
    folder = results / FIRST_STAGES / name
    with sole(folder):
        if not (folder / rundir.CHECKPOINT_STATE).exists():
            shutil.rmtree(folder, ignore_errors=True)
            runs.run_first_stage(runs.start(prepared, folder), folder, hooks)
            return folder
        prepared, model, snapshot = runs.resume(folder, data_dir)
        assert snapshot is not None
        if snapshot.epoch < _first_stage_of(prepared).pretraining.epochs:
            runs.run_first_stage(prepared, folder, hooks, model, snapshot)
    return folder


def on_codes(
    name: str,
    classifier: Logistic | SupportVectors,
    request: Request,
    first: Callable[[], Path],
    results: Path,
    data_dir: Path | None,
) -> RunResult:
    """The classifier on the codes of the M1 in the folder that `first` gives, only asked if the
    result is not there; its time has M1's in it."""
    prepared = prepare(request, data_dir)
    below = _first_stage_of(prepared)
    rival = _Rival(name, prepared, OnCodes(classifier, below), results)
    if (found := rival.stored) is not None:
        return found
    folder = first()
    model, snapshot = rundir.load_checkpoint(folder, rundir.load_config(folder))
    m1 = model.get_submodule("m1")
    take_average(m1, snapshot.buffers)
    predictor = predictor_of(model, prepared.training_set, below.pretraining)
    started = time.monotonic()
    labeled = prepared.split.labeled
    codes = predictor.codes(prepared.arrays.x[labeled])[:, 0]
    fitted = classifier.build().fit(codes, prepared.arrays.y[labeled])
    seconds = time.monotonic() - started
    seconds += sum(line["seconds"] for line in rundir.read_metrics(folder))
    x_test, y_test = prepared.arrays.test
    right = fitted.predict(predictor.codes(x_test)[:, 0]) == y_test
    parameters = learned_values(m1)
    return rival.write(right, seconds, below.pretraining.epochs, parameters)


def label_spreading(
    name: str, request: Request, results: Path, data_dir: Path | None
) -> RunResult:
    """Label spreading over all training rows; a test row takes what its neighbours have."""
    prepared = prepare(request, data_dir)
    spreading = Spreading()
    rival = _Rival(name, prepared, spreading, results)
    if (found := rival.stored) is not None:
        return found
    started = time.monotonic()
    x = _columns(prepared, prepared.arrays.x)
    pca = PCA(spreading.components, random_state=request.seed).fit(x)
    model = LabelSpreading(
        kernel="knn", n_neighbors=spreading.neighbors, alpha=spreading.alpha
    ).fit(pca.transform(x), prepared.training_set.y)
    seconds = time.monotonic() - started
    x_test, y_test = prepared.arrays.test
    test = pca.transform(_columns(prepared, x_test))
    with np.errstate(invalid="ignore"):  # 0 / 0, the first class, where no label reaches a row
        right = model.predict(test) == y_test
    return rival.write(right, seconds, epochs=0, parameters=0)


def _columns(prepared: Prepared, x: np.ndarray) -> Float[np.ndarray, "N D"]:
    """Rows as a model sees them, each a line of numbers."""
    scaled: Tensor = prepared.training_set.scaling.apply(torch.from_numpy(x))
    return scaled.flatten(1).double().numpy()


def _first_stage_of(prepared: Prepared) -> FirstStage:
    recipe = prepared.recipe
    if recipe.pretraining is None:
        raise ValueError(f"recipe {prepared.request.recipe} has no first stage: choose m1m2")
    return FirstStage(recipe.network, recipe.likelihood, recipe.pretraining)


class _Rival:
    """The result file of one of them; `spec` is what decides the result beside the request."""

    def __init__(
        self,
        name: str,
        prepared: Prepared,
        spec: Alone | OnCodes | Spreading,
        results: Path,
    ) -> None:
        self.name, self.prepared, self.plain = name, prepared, to_plain(spec)
        self.file = name_of(prepared.request, spec)
        self.path = results / f"{self.file}.json"
        self.commit = runs.commit()  # of what runs now, not of what the tree holds when it ends

    @property
    def stored(self) -> RunResult | None:
        """The result, if it is there."""
        return stored(self.path, self.plain)

    def write(self, right: np.ndarray, seconds: float, epochs: int, parameters: int) -> RunResult:
        """The result: which test rows were right, how long it took."""
        facts, accuracy = self.prepared.training_set.facts, float(right.mean())
        result = RunResult(
            name=self.file,
            summary={
                "test_accuracy": accuracy,
                "n_labeled": facts.n_labeled,
                "n_unlabeled": facts.n_unlabeled,
                "train_seconds": seconds,
                "epochs": epochs,
                "seed": self.prepared.request.seed,
                "recipe": self.name,
            },
            test={"n": len(right), "accuracy": accuracy},
            recipe=self.plain,
            request=asdict(self.prepared.request),
            parameters=parameters,
            commit=self.commit,
            machine=machine(),
        )
        return write_result(self.path, result)
