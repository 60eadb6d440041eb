"""A run from a request to a run directory: what `semivae fit` does, without the printing."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from semivae import rundir
from semivae.data.published import Arrays
from semivae.errors import InputError
from semivae.evaluation import ClassificationReport, classification_report
from semivae.files import make_folder, remove, write_text
from semivae.fitting import Hooks, Trained, pretrain, train, train_supervised
from semivae.models.base import DeepGenerativeModel
from semivae.models.evaluating import evaluating
from semivae.predictor import Predictor, predictor_of
from semivae.processes import is_main
from semivae.recipe import DataFacts
from semivae.request import Prepared, Request, prepare
from semivae.stages import new_model, objective_for
from semivae.streams import UNLABELED
from semivae.training import EpochLog, Snapshot
from semivae.trials import within_minutes


@dataclass(frozen=True, eq=False)
class Finished:
    """A finished run and what it reached; `test` is None without a test set."""

    prepared: Prepared
    trained: Trained
    history: list[dict[str, Any]]
    test: ClassificationReport | None
    supervised_only_accuracy: float | None
    validation_accuracy: float | None

    def summary(self, folder: Path) -> dict[str, Any]:
        """The JSON object of `semivae fit --json`."""
        facts = self.prepared.training_set.facts
        request = self.prepared.request
        return {
            "test_accuracy": None if self.test is None else self.test.accuracy,
            "supervised_only_accuracy": self.supervised_only_accuracy,
            "validation_accuracy": self.validation_accuracy,
            "n_labeled": facts.n_labeled,
            "n_unlabeled": facts.n_unlabeled,
            "n_labels_used_to_choose": self.prepared.split.n_labels_used_to_choose,
            "n_labels_that_chose_the_recipe": self.prepared.n_labels_that_chose_the_recipe,
            "train_seconds": self.trained.train_seconds,
            "examples_per_second": self.trained.examples_per_second,
            "probe_seconds": self.trained.probe_seconds,
            "epochs": self.trained.recipe.training.epochs,
            "seed": request.seed,
            "recipe": request.recipe,
            "objective": rundir.objective_name(self.trained.recipe),
            "run": str(folder),
        }


def start(prepared: Prepared, folder: Path) -> Prepared:
    """Makes the run directory and fixes the number of epochs, so that the run can be resumed."""
    make_folder(folder)
    request, recipe = prepared.request, prepared.recipe
    if request.max_minutes is not None:
        recipe = within_minutes(prepared.training_set, recipe, request.seed, request.max_minutes)
        prepared = replace(prepared, recipe=recipe)
    write_text(folder / rundir.SPLIT, json.dumps(prepared.split.to_json()) + "\n")
    write_text(folder / rundir.CONFIG, _config(prepared).to_json())
    return prepared


def request_of(config: rundir.RunConfig, folder: Path) -> Request:
    """What was asked for when the run was made; a run of the Python API does not know its data."""
    try:
        return Request.from_json(config.settings)
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{folder} was not made by `semivae fit`: it does not say which data it was trained on"
        ) from error


def resume(
    folder: Path, data_dir: Path | None = None, baseline: bool = True
) -> tuple[Prepared, DeepGenerativeModel | None, Snapshot | None]:
    """A run that was cut off: its request, the recipe as started, its last checkpoint if any;
    without the labels alone if it should have no `baseline` after all."""
    config = rundir.load_config(folder)
    if (folder / rundir.MODEL).exists():
        raise InputError(f"{folder} is finished: there is nothing to resume")
    request = request_of(config, folder)
    request = replace(request, baseline=request.baseline and baseline)
    prepared = replace(prepare(request, data_dir), recipe=config.recipe)
    x_is_other = prepared.training_set.scaling.to_json() != config.preprocessing
    if x_is_other or prepared.split.to_json() != rundir.load_split(folder):
        raise InputError(f"{folder}: its data are no longer those it began on; train anew")
    if not (folder / rundir.CHECKPOINT_STATE).exists():
        return prepared, None, None
    model, snapshot = rundir.load_checkpoint(folder, config)
    return prepared, model, snapshot


def run(
    prepared: Prepared,
    folder: Path,
    hooks: Hooks,
    baseline_hooks: Hooks,
    model: DeepGenerativeModel | None = None,
    snapshot: Snapshot | None = None,
    on_finished: Callable[[Finished], None] = lambda finished: None,
) -> Finished:
    """Trains with a checkpoint per epoch, then the baseline, then reads the test set once.

    `on_finished` may write what belongs to the run, such as its report. The model is saved after
    it and ends the run, so that one that is killed before resumes, and nothing is missing.
    """
    logged = _keep_metrics(folder, snapshot)
    trained = train(
        prepared.training_set,
        prepared.recipe,
        prepared.request.seed,
        _Recorder(folder, hooks, prepared),
        model,
        snapshot,
    )
    trained = _with_earlier(trained, logged, prepared.training_set.facts)
    supervised: Trained | None = None
    if prepared.request.baseline:
        supervised = train_supervised(
            prepared.training_set, prepared.recipe, prepared.request.seed, baseline_hooks
        )
    test = test_report(trained.predictor, prepared.arrays)
    only = None if supervised is None else test_report(supervised.predictor, prepared.arrays)
    validated = validation_report(trained.predictor, prepared)
    history = rundir.read_metrics(folder)
    reached = None if only is None else only.accuracy
    held = None if validated is None else validated.accuracy
    finished = Finished(prepared, trained, history, test, reached, held)
    if is_main():
        on_finished(finished)
    rundir.save(folder, _config(prepared), trained.predictor)
    for name in (rundir.CHECKPOINT, rundir.CHECKPOINT_STATE):
        remove(folder / name)
    return finished


def run_first_stage(
    prepared: Prepared,
    folder: Path,
    hooks: Hooks,
    model: DeepGenerativeModel | None = None,
    snapshot: Snapshot | None = None,
) -> None:
    """The first stage of an M1+M2 alone, with a checkpoint per epoch: `resume` goes on from it."""
    _keep_metrics(folder, snapshot)
    data, recipe, seed = prepared.training_set, prepared.recipe, prepared.request.seed
    model = model or new_model(data.facts, recipe, seed)
    pretrain(data, recipe, seed, _Recorder(folder, hooks, prepared), model, snapshot)


def _keep_metrics(folder: Path, snapshot: Snapshot | None) -> list[dict[str, Any]]:
    """The metrics up to the snapshot; what was logged after it is dropped from the file."""
    logged = rundir.read_metrics(folder, 0 if snapshot is None else snapshot.epoch)
    write_text(folder / rundir.METRICS, "".join(json.dumps(line) + "\n" for line in logged))
    return logged


def validation_report(predictor: Predictor, prepared: Prepared) -> ClassificationReport | None:
    """The report on the rows whose labels may choose something, if there are any."""
    rows, arrays = prepared.split.validation, prepared.arrays
    if len(rows) == 0:
        return None
    return classification_report(predictor.predict_proba(arrays.x[rows]), arrays.y[rows])


def _with_earlier(trained: Trained, logged: list[dict[str, Any]], facts: DataFacts) -> Trained:
    """Counts the epochs from before a resumption into the time and the speed."""
    seconds = trained.train_seconds + sum(line["seconds"] for line in logged)
    probed = trained.probe_seconds + sum(line.get("probe_seconds", 0.0) for line in logged)
    reads_unlabeled = UNLABELED in objective_for(facts, trained.recipe).streams
    rows = facts.n_unlabeled * reads_unlabeled * (len(logged) + len(trained.history))
    return replace(
        trained, train_seconds=seconds, examples_per_second=rows / seconds, probe_seconds=probed
    )


def test_report(predictor: Predictor, arrays: Arrays) -> ClassificationReport | None:
    """The classification report on the test set, if there is one."""
    if not arrays.has_test:
        return None
    x, y = arrays.test
    return classification_report(predictor.predict_proba(x), y)


def commit() -> str | None:
    """The commit of the source tree that runs, with "+changes" if it was edited; None elsewhere,
    as in an environment within somebody else's repository."""
    file = Path(__file__)
    tracked = ["git", "ls-files", "--error-unmatch", file.name]
    head = ["git", "describe", "--always", "--dirty=+changes", "--exclude=*"]
    try:
        for command in (tracked, head):
            found = subprocess.run(command, cwd=file.parent, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.decode().strip()


def _config(prepared: Prepared) -> rundir.RunConfig:
    return rundir.RunConfig(
        prepared.request.recipe,
        prepared.recipe,
        prepared.request.seed,
        prepared.arrays.classes,
        prepared.arrays.x.shape[1:],
        prepared.training_set.scaling.to_json(),
        asdict(prepared.request),
    )


class _Recorder(Hooks):
    """Writes metrics and a checkpoint after each epoch, then passes the event on.

    The metrics hold `validation_accuracy`, nll, brier and ece where there are validation rows: of
    the weights after the epoch, before any averaging; not in a first stage, which reads no label.
    """

    def __init__(self, folder: Path, hooks: Hooks, prepared: Prepared) -> None:
        self.folder, self.hooks, self.prepared = folder, hooks, prepared

    def on_step(self, step: int, steps: int) -> None:
        self.hooks.on_step(step, steps)

    def on_epoch(self, model: DeepGenerativeModel, log: EpochLog, snapshot: Snapshot) -> None:
        rundir.append_metrics(self.folder, log, self._reached(model, log.epoch))
        rundir.save_checkpoint(self.folder, model, snapshot)
        self.hooks.on_epoch(model, log, snapshot)

    def _reached(self, model: DeepGenerativeModel, epoch: int) -> dict[str, float]:
        recipe = self.prepared.recipe
        if recipe.pretraining and epoch <= recipe.pretraining.epochs:
            return {}  # nothing has learned a label yet
        with evaluating(model):  # training goes on in its own mode
            predictor = predictor_of(model, self.prepared.training_set, recipe.training)
            found = validation_report(predictor, self.prepared)
        measures = ("accuracy", "nll", "brier", "ece")
        return {} if found is None else {f"validation_{m}": getattr(found, m) for m in measures}
