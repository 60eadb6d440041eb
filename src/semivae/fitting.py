"""From rows to a predictor: what the estimator, the command line and the paper share."""

import time
from dataclasses import dataclass, replace

import numpy as np

from semivae.data.scaling import Scaling
from semivae.discriminative import supervised
from semivae.models.base import DeepGenerativeModel
from semivae.models.specs import M1Spec
from semivae.predictor import Predictor, TrainingSet, predictor_of
from semivae.recipe import Recipe
from semivae.stages import Place, Stage, first_stage, m1_stage, new_model, phases, steps_of
from semivae.streams import UNLABELED
from semivae.training import EpochLog, Snapshot, Training, fit


class Hooks:
    """What may happen while a model trains; the methods do nothing and are overridden as
    needed."""

    def on_step(self, step: int, steps: int) -> None:
        """After each step."""

    def on_epoch(self, model: DeepGenerativeModel, log: EpochLog, snapshot: Snapshot) -> None:
        """After each epoch, with all that resuming needs."""


@dataclass(frozen=True, eq=False)
class Trained:
    """A finished run: the predictor, its recipe as trained, its history, its cost.

    The time of a probe is in `probe_seconds` and not in `train_seconds`, nor in the speed.
    """

    predictor: Predictor
    recipe: Recipe
    history: list[EpochLog]
    train_seconds: float
    examples_per_second: float
    probe_seconds: float = 0.0


def train(
    data: TrainingSet,
    recipe: Recipe,
    seed: int,
    hooks: Hooks,
    model: DeepGenerativeModel | None = None,
    resume: Snapshot | None = None,
) -> Trained:
    """Trains the recipe's model under its objective; `model` and `resume` continue an earlier run.

    A recipe may have several stages (`stages.phases`), whose epochs and steps are counted as one
    sequence.
    """
    started = time.monotonic()
    model = model or new_model(data.facts, recipe, seed)
    history: list[EpochLog] = []
    plan = phases(data, recipe, model, seed)
    epochs, steps, of = 0, 0, sum(phase.steps for phase in plan)
    for phase in plan:
        end = epochs + phase.training.epochs
        # One that has had its last epoch may still have to take its average.
        if resume is None or resume.epoch <= end:
            stage = phase.build()
            own = resume and resume._replace(epoch=resume.epoch - epochs)
            history += _fit(stage, model, hooks, Place(epochs, steps, of, phase.prefix), own)
            resume = None
        epochs, steps = end, steps + phase.steps
    return _trained(data, recipe, stage, model, history, time.monotonic() - started)


def pretrain(
    data: TrainingSet,
    recipe: Recipe,
    seed: int,
    hooks: Hooks,
    model: DeepGenerativeModel,
    resume: Snapshot | None = None,
) -> list[EpochLog]:
    """The first stage of `train` alone: from its last snapshot `train` goes on with the second.

    It reads no label, so that one of them may begin the runs of any number of labels.
    """
    first = first_stage(data, recipe, model, seed)
    plan = phases(data, recipe, model, seed)
    place = Place(0, 0, sum(phase.steps for phase in plan), plan[0].prefix)
    return _fit(first, model, hooks, place, resume)


def train_m1(
    x: np.ndarray, scaling: Scaling, spec: M1Spec, training: Training, seed: int, hooks: Hooks
) -> tuple[Predictor, list[EpochLog]]:
    """An M1 alone, trained on every row."""
    model = spec.build(x.shape[1:], seed)
    stage = m1_stage(model, x, scaling, training, seed)
    place = Place(0, 0, steps_of(stage.data, training), "")
    logs = _fit(stage, model, hooks, place, resume=None)
    return predictor_of(model, stage.data, training), logs


def train_supervised(data: TrainingSet, recipe: Recipe, seed: int, hooks: Hooks) -> Trained:
    """The supervised-only baseline: the same network, initial weights and labels, no unlabeled
    row."""
    started = time.monotonic()
    labeled = data.y >= 0
    rows = replace(data, x=data.x[labeled], y=data.y[labeled])
    model = new_model(rows.facts, recipe, seed)
    stage = Stage(model, rows, supervised(), recipe.baseline, seed)
    place = Place(0, 0, steps_of(rows, recipe.baseline), "")
    history = _fit(stage, model, hooks, place, resume=None)
    return _trained(rows, recipe, stage, model, history, time.monotonic() - started)


def _fit(
    stage: Stage,
    whole: DeepGenerativeModel,
    hooks: Hooks,
    place: Place,
    resume: Snapshot | None,
) -> list[EpochLog]:
    """Trains a stage of the model `whole`, and counts and names what it logs by its place."""

    def in_place(log: EpochLog) -> EpochLog:
        return log._replace(
            epoch=place.epochs + log.epoch,
            step=place.steps + log.step,
            terms={place.prefix + name: value for name, value in log.terms.items()},
        )

    def on_epoch(log: EpochLog, snapshot: Snapshot) -> None:
        counted = snapshot._replace(epoch=place.epochs + snapshot.epoch)
        hooks.on_epoch(whole, in_place(log), counted)

    logs = fit(
        stage.model,
        stage.objective,
        stage.batches,
        stage.training,
        stage.seed,
        resume,
        on_epoch=on_epoch,
        on_step=lambda step, steps: hooks.on_step(place.steps + step, place.of),
        probe=stage.probe,
    )
    whole.to(stage.model.log_prior.device)  # where `fit` has moved the stage
    return [in_place(log) for log in logs]


def _trained(
    data: TrainingSet,
    recipe: Recipe,
    stage: Stage,
    model: DeepGenerativeModel,
    history: list[EpochLog],
    seconds: float,
) -> Trained:
    reads_unlabeled = UNLABELED in stage.objective.streams
    rows = data.facts.n_unlabeled * reads_unlabeled * len(history)
    probe_seconds = sum((log.probe_seconds for log in history), 0.0)
    seconds -= probe_seconds
    predictor = predictor_of(model, data, stage.training)
    return Trained(predictor, recipe, history, seconds, rows / seconds, probe_seconds)
