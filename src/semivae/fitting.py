"""From rows to a predictor: what the estimator, the command line and the paper share."""

import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from semivae.bounds import bound
from semivae.data.batches import SemiSupervisedBatches
from semivae.data.scaling import Scaling, pixels
from semivae.diagnostics.encodings import encode_set
from semivae.errors import InputError
from semivae.generation import sample_class
from semivae.labels import every_pair
from semivae.models.base import DeepGenerativeModel
from semivae.models.m1 import M1
from semivae.models.m1m2 import M1M2
from semivae.models.specs import M1Spec
from semivae.noise import Noise, generator, key
from semivae.objectives import Objective, m1, supervised
from semivae.probing import Probe, probe_of
from semivae.recipes import DataFacts, Recipe
from semivae.streams import UNLABELED
from semivae.training import EpochLog, Snapshot, Training, autocast, fit

CHUNK = 512


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """x (N, *X) as given, y (N,) class numbers with -1 where unlabeled, the classes, the scaling
    of x."""

    x: np.ndarray
    y: Int[np.ndarray, " N"]
    classes: tuple[str, ...]
    scaling: Scaling

    @property
    def facts(self) -> DataFacts:
        """Shape and counts."""
        labeled = int((self.y >= 0).sum())
        return DataFacts(self.x.shape[1:], labeled, len(self.y) - labeled, len(self.classes))


@dataclass(frozen=True, eq=False)
class Predictor:
    """A trained model with what it needs to read x as given; memory is flat in the number of
    rows.

    With `bfloat16`, q(y|x) of images is computed as it was trained, in about half the time: on
    MNIST 3 in 10,000 labels change, and a row's probabilities depend on its company by up to 2e-4.
    All else is float32.
    """

    model: DeepGenerativeModel
    scaling: Scaling
    classes: tuple[str, ...]
    event: tuple[int, ...]
    bfloat16: bool

    def chunks(self, x: np.ndarray) -> Iterator[Tensor]:
        """x scaled and on the model's device, `CHUNK` rows at a time, the model in eval mode."""
        if x.shape[1:] != self.event:
            raise InputError(f"X has rows of shape {x.shape[1:]}; this model reads {self.event}")
        self.model.eval()
        device = self.model.log_prior.device
        for start in range(0, len(x), CHUNK):
            part = np.array(x[start : start + CHUNK])  # a copy: x may be read-only
            yield self.scaling.apply(torch.from_numpy(part).to(device))

    @torch.inference_mode()
    def predict_proba(self, x: np.ndarray) -> Float[np.ndarray, "N K"]:
        """q(y|x); columns in the order of `classes`."""
        image = len(self.event) == 3  # the row of a table costs little, and is read to the digit
        with autocast(self.bfloat16 and image, self.model.log_prior.device):
            return self._by_chunks(x, self.model.predict_proba)

    @torch.inference_mode()
    def transform(self, x: np.ndarray) -> Float[np.ndarray, "N D"]:
        """The posterior mean of z: mu(x), or sum_k q(k|x) mu(x, k) where q(z|x, y) sees y."""
        return self._by_chunks(x, lambda part: encode_set(self.model, [part]).posterior_mean)

    @torch.inference_mode()
    def score_samples(self, x: np.ndarray) -> Float[np.ndarray, " N"]:
        """The lower bound U(x) on log p(x) (Eq 5), in nats per example, with fixed noise."""

        def bounds(part: Tensor) -> Tensor:
            # One draw for all rows: a row's score does not depend on its company.
            noise = Noise(0, 0, (("score", 1),), part.device)
            encoded = self.model.encode(part, noise)
            z_noise = noise.normal("z", self.model.latent_size).expand(len(part), -1)
            return bound(self.model, encoded, every_pair(encoded.q_y.logits), z_noise).value

        return self._by_chunks(x, bounds)

    def _by_chunks(self, x: np.ndarray, of: Callable[[Tensor], Tensor]) -> np.ndarray:
        """`of` of every chunk, one row per row of x, as float32.

        Written into one array: a small result kept after each chunk would pin the memory that the
        chunk's temporaries leave, and the process would grow with the number of rows.
        """
        found: np.ndarray | None = None
        start = 0
        for part in self.chunks(x):
            values = of(part).float().cpu().numpy()
            if found is None:
                found = np.empty((len(x), *values.shape[1:]), values.dtype)
            found[start : start + len(values)] = values
            start += len(values)
        assert found is not None, "X has rows"
        return found

    @torch.inference_mode()
    def codes(self, x: np.ndarray) -> Float[np.ndarray, "N 2 D"]:
        """Mean and log variance of q(z1|x) of an M1+M2."""
        assert isinstance(self.model, M1M2)
        return self._by_chunks(x, self.model.m1.codes)

    def sample(self, y: Int[np.ndarray, " N"], seed: int) -> Float[np.ndarray, "N *X"]:
        """One x per class number in y, z from the prior at temperature 1, in x's own units."""
        device = self.model.log_prior.device
        source = generator(device, seed, "sample")
        x = sample_class(self.model, torch.from_numpy(y).to(device), source)
        return self.scaling.undo(x).cpu().numpy()


class Hooks:
    """What may happen while a model trains; the methods do nothing and are overridden as
    needed."""

    def on_step(self, step: int, steps: int) -> None:
        """After each step."""

    def on_epoch(self, model: DeepGenerativeModel, log: EpochLog, snapshot: Snapshot) -> None:
        """After each epoch, with all that resuming needs."""


class Stage(NamedTuple):
    """One call of the training loop: what it trains, on which rows, under which objective, how,
    and how many rows are looked at after each epoch."""

    model: DeepGenerativeModel
    data: TrainingSet
    objective: Objective
    training: Training
    seed: int
    probe_size: int = 0

    @property
    def batches(self) -> SemiSupervisedBatches:
        """The rows of each step."""
        return _batches(self.data, self.training, self.seed)

    @property
    def probe(self) -> Probe | None:
        """What is looked at after each epoch, if anything is."""
        return probe_of(self.batches, self.probe_size, self.seed)


class Place(NamedTuple):
    """Where a stage stands in a training: epochs and steps before it, steps in all, and the prefix
    of the names of its terms."""

    epochs: int
    steps: int
    of: int
    prefix: str


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

    A recipe with `pretraining` has two stages, whose epochs and steps are counted as one sequence:
    the M1 below, on all rows and no label; then, M1 frozen, the M2 above on the codes q(z1|x),
    computed once and drawn anew at each step.
    """
    started = time.monotonic()
    model = model or new_model(data.facts, recipe, seed)
    history: list[EpochLog] = []
    before = recipe.pretraining.epochs if recipe.pretraining else 0
    if before and (resume is None or resume.epoch <= before):
        history, resume = pretrain(data, recipe, seed, hooks, model, resume), None
    elif resume is not None:
        resume = resume._replace(epoch=resume.epoch - before)
    steps = _first_steps(data, recipe)
    place = Place(before, steps, steps + _steps(data, recipe.training), "")
    stage = main_stage(data, recipe, model, seed)
    history += _fit(stage, model, hooks, place, resume)
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
    steps = _first_steps(data, recipe) + _steps(data, recipe.training)
    return _fit(first, model, hooks, Place(0, 0, steps, "m1/"), resume)


def train_m1(
    x: np.ndarray, scaling: Scaling, spec: M1Spec, training: Training, seed: int, hooks: Hooks
) -> tuple[Predictor, list[EpochLog]]:
    """An M1 alone, trained on every row."""
    model = spec.build(x.shape[1:], seed)
    stage = m1_stage(model, x, scaling, training, seed)
    place = Place(0, 0, _steps(stage.data, training), "")
    logs = _fit(stage, model, hooks, place, resume=None)
    return predictor_of(model, stage.data, training), logs


def first_stage(data: TrainingSet, recipe: Recipe, model: DeepGenerativeModel, seed: int) -> Stage:
    """The M1 of an M1+M2 on all rows; `ValueError` for a recipe whose model has none."""
    below = model.m1 if isinstance(model, M1M2) else None
    if recipe.pretraining is None or not isinstance(below, M1):
        raise ValueError("pretraining is of the M1 of an M1+M2: choose the recipe m1m2")
    seed = key(seed, "pretraining")
    return m1_stage(below, data.x, data.scaling, recipe.pretraining, seed)


def m1_stage(model: M1, x: np.ndarray, scaling: Scaling, training: Training, seed: int) -> Stage:
    """The training of an M1, alone or below an M2: its ELBO on every row, all of one class."""
    unlabeled = TrainingSet(x, np.full(len(x), -1), ("",), scaling)
    return Stage(model, unlabeled, m1(), training, seed)


def main_stage(data: TrainingSet, recipe: Recipe, model: DeepGenerativeModel, seed: int) -> Stage:
    """The semi-supervised training: of the whole model on x, or of an M2 on the codes of its
    pretrained M1, of whose dimensions it keeps those that are used."""
    if recipe.pretraining is None:
        objective = objective_for(data.facts, recipe)
        return Stage(model, data, objective, recipe.training, seed, recipe.probe)
    assert isinstance(model, M1M2)
    codes = predictor_of(model, data, recipe.pretraining).codes(data.x)
    model.keep_used(torch.from_numpy(codes[:, 0]).to(model.kept))
    return codes_stage(data, recipe, model, codes, seed)


def codes_stage(
    data: TrainingSet, recipe: Recipe, model: M1M2, codes: Float[np.ndarray, "N 2 D"], seed: int
) -> Stage:
    """The training of the M2 above on codes of the rows, which lie in memory."""
    rows = replace(data, x=codes, scaling=pixels(1.0))
    objective = objective_for(data.facts, recipe)
    return Stage(model.on_codes(), rows, objective, recipe.training, seed, recipe.probe)


def _first_steps(data: TrainingSet, recipe: Recipe) -> int:
    """Steps of the first stage, 0 without one; it reads every row."""
    if recipe.pretraining is None:
        return 0
    return _steps(replace(data, y=np.full(len(data.x), -1)), recipe.pretraining)


def _steps(data: TrainingSet, training: Training) -> int:
    return training.epochs * _batches(data, training, seed=0).steps_per_epoch


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


def predictor_of(model: DeepGenerativeModel, data: TrainingSet, training: Training) -> Predictor:
    """The model with what it needs to read rows like those it is trained on."""
    return Predictor(model, data.scaling, data.classes, data.x.shape[1:], training.bfloat16)


def objective_for(facts: DataFacts, recipe: Recipe) -> Objective:
    """The recipe's objective; without unlabeled rows, its labeled sum alone."""
    if facts.n_labeled == 0:
        raise InputError("no row has a label: label at least one row of each class")
    objective = recipe.objective.build(facts.n_labeled, facts.n_unlabeled, recipe.labels)
    if facts.n_unlabeled == 0 and objective.unlabeled is not None:
        warnings.warn(
            "every row has a label: nothing is learned from unlabeled rows", stacklevel=2
        )
        return replace(objective, unlabeled=None)
    return objective


def train_supervised(data: TrainingSet, recipe: Recipe, seed: int, hooks: Hooks) -> Trained:
    """The supervised-only baseline: the same network, initial weights and labels, no unlabeled
    row."""
    started = time.monotonic()
    labeled = data.y >= 0
    rows = replace(data, x=data.x[labeled], y=data.y[labeled])
    model = new_model(rows.facts, recipe, seed)
    stage = Stage(model, rows, supervised(), recipe.baseline, seed)
    place = Place(0, 0, _steps(rows, recipe.baseline), "")
    history = _fit(stage, model, hooks, place, resume=None)
    return _trained(rows, recipe, stage, model, history, time.monotonic() - started)


def _batches(data: TrainingSet, training: Training, seed: int) -> SemiSupervisedBatches:
    return SemiSupervisedBatches(
        data.x,
        data.y,
        len(data.classes),
        data.scaling,
        training.labeled_rows,
        training.unlabeled_rows,
        seed,
    )


def new_model(facts: DataFacts, recipe: Recipe, seed: int) -> DeepGenerativeModel:
    """The recipe's model with a uniform prior p(y) and initial weights keyed by `seed`."""
    return recipe.model.build(facts.event, torch.zeros(facts.classes), seed)
