"""From rows to a predictor: what the estimator, the command line and the paper share."""

import copy
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from semivae.bounds import bound
from semivae.data.batches import SemiSupervisedBatches
from semivae.data.scaling import Scaling
from semivae.diagnostics.encodings import encode_set
from semivae.errors import InputError
from semivae.generation import sample_class
from semivae.labels import every_pair
from semivae.models.m2 import M2
from semivae.noise import Noise, generator
from semivae.objectives import Objective, supervised
from semivae.probing import probe_of
from semivae.processes import least
from semivae.recipes import DataFacts, Recipe
from semivae.streams import UNLABELED, StepState
from semivae.training import (
    EpochLog,
    Means,
    Snapshot,
    Step,
    Training,
    autocast,
    check_gradient,
    fit,
    step_input,
)

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

    With `bfloat16`, q(y|x) is computed as it was trained, in about half the time: on MNIST 3 in
    10,000 labels change, and a row's probabilities depend on its company by up to 2e-4. All else
    is float32.
    """

    model: M2
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
        with autocast(self.bfloat16, self.model.log_prior.device):
            return self._by_chunks(x, self.model.predict_proba)

    @torch.inference_mode()
    def transform(self, x: np.ndarray) -> Float[np.ndarray, "N D"]:
        """The posterior mean of z: mu(x), or sum_k q(k|x) mu(x, k) where q(z|x, y) sees y."""
        return self._by_chunks(x, lambda part: encode_set(self.model, [part], 0).posterior_mean)

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

    def on_epoch(self, model: M2, log: EpochLog, snapshot: Snapshot) -> None:
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
    model: M2 | None = None,
    resume: Snapshot | None = None,
) -> Trained:
    """Trains the recipe's model under its objective; `model` and `resume` continue an earlier
    run."""
    objective = objective_for(data.facts, recipe)
    return _run(data, recipe, recipe.training, objective, seed, hooks, model, resume, recipe.probe)


def objective_for(facts: DataFacts, recipe: Recipe) -> Objective:
    """The recipe's objective; without unlabeled rows, its labeled sum alone."""
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
    labeled = data.y >= 0
    rows = replace(data, x=data.x[labeled], y=data.y[labeled])
    return _run(rows, recipe, recipe.baseline, supervised(), seed, hooks, None, None)


def _run(
    data: TrainingSet,
    recipe: Recipe,
    training: Training,
    objective: Objective,
    seed: int,
    hooks: Hooks,
    model: M2 | None,
    resume: Snapshot | None,
    probe_size: int = 0,
) -> Trained:
    started = time.monotonic()
    model = model or new_model(data.facts, recipe, seed)
    batches = _batches(data, training, seed)
    history = fit(
        model,
        objective,
        batches,
        training,
        seed,
        resume,
        on_epoch=lambda log, snapshot: hooks.on_epoch(model, log, snapshot),
        on_step=hooks.on_step,
        probe=probe_of(batches, probe_size, seed),
    )
    probe_seconds = sum((log.probe_seconds for log in history), 0.0)
    seconds = time.monotonic() - started - probe_seconds
    read = len(batches.unlabeled) if UNLABELED in objective.streams else 0
    rows = read * len(history)
    predictor = predictor_of(model, data, training)
    return Trained(predictor, recipe, history, seconds, rows / seconds, probe_seconds)


def predictor_of(model: M2, data: TrainingSet, training: Training) -> Predictor:
    """The model with what it needs to read rows like those it is trained on."""
    return Predictor(model, data.scaling, data.classes, data.x.shape[1:], training.bfloat16)


def new_model(facts: DataFacts, recipe: Recipe, seed: int) -> M2:
    """The recipe's model with a uniform prior p(y) and initial weights keyed by `seed`."""
    return recipe.model.build(facts.event, torch.zeros(facts.classes), seed)


def within_minutes(data: TrainingSet, recipe: Recipe, seed: int, minutes: float) -> Recipe:
    """The recipe with the number of epochs that fit into so many minutes (at most its own, at
    least 1).

    Times a few steps on a throw-away copy; what they cost counts against the minutes.
    """
    started = time.monotonic()
    model = new_model(data.facts, recipe, seed)
    batches = _batches(data, recipe.training, seed)
    objective = objective_for(data.facts, recipe)
    times = [time.monotonic()]
    fit(
        copy.deepcopy(model),
        objective,
        batches,
        recipe.training,
        seed,
        on_step=lambda step, steps: times.append(time.monotonic()),
        stop_after=TIMED_STEPS,
    )
    # The first steps pay for set-up that later ones do not.
    steps = np.diff(times)
    step = statistics.median(steps[len(steps) // 3 :])
    left = 60 * minutes - (time.monotonic() - started)
    affordable = max(1, int(left / (step * batches.steps_per_epoch)))
    epochs = least(min(recipe.training.epochs, affordable))
    return replace(recipe, training=replace(recipe.training, epochs=epochs))


TIMED_STEPS = 12


def dry_step(data: TrainingSet, recipe: Recipe) -> None:
    """The loss of two rows a stream on fresh weights and its gradient; raises what a first step
    would raise."""
    few = replace(recipe.training, labeled_rows=2, unlabeled_rows=2)
    batches, objective = _batches(data, few, seed=0), objective_for(data.facts, recipe)
    model = new_model(data.facts, recipe, seed=0)
    device = torch.device("cpu")
    batch, noise = step_input(batches, objective.streams, 0, 0, device)
    recipe.training.optimizer.build(model.parameters())
    with autocast(recipe.training.bfloat16, device):
        state = StepState(0, 0.0, objective.initial_buffers(model))
        result = Step(model, objective)(batch, noise, state)
    Means().add(result, step=0)
    result.loss.backward()
    check_gradient(model, step=0)


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
