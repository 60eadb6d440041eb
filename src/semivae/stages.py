"""The stages of a training: what the loop is called with, one call after another."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float

from semivae.data.batches import SemiSupervisedBatches
from semivae.data.scaling import Scaling, pixels
from semivae.errors import InputError
from semivae.models.base import DeepGenerativeModel
from semivae.models.m1 import M1
from semivae.models.m1m2 import M1M2
from semivae.noise import key
from semivae.objectives import m1
from semivae.predictor import TrainingSet, predictor_of
from semivae.probing import Probe, probe_of
from semivae.recipe import DataFacts, Recipe
from semivae.smoothness import Smoothness
from semivae.sums import Objective
from semivae.terms import Reconstruction
from semivae.training import Training


class Stage(NamedTuple):
    """One call of the training loop: what it trains, on which rows, under which objective, how,
    how many rows are looked at after each epoch, and whether the model explains them as they are:
    an M2 on the codes of a frozen M1 explains draws of z1. The probe is of `probe_seed`, or else
    of the seed of the steps."""

    model: DeepGenerativeModel
    data: TrainingSet
    objective: Objective
    training: Training
    seed: int
    probe_size: int = 0
    explains_x: bool = True
    probe_seed: int | None = None

    @property
    def batches(self) -> SemiSupervisedBatches:
        """The rows of each step."""
        return batches_of(self.data, self.training, self.seed)

    @property
    def probe(self) -> Probe | None:
        """What is looked at after each epoch, if anything is."""
        seed = self.seed if self.probe_seed is None else self.probe_seed
        return probe_of(self.batches, self.probe_size, seed, self.explains_x)


class Place(NamedTuple):
    """Where a stage stands in a training: epochs and steps before it, steps in all, and the prefix
    of the names of its terms."""

    epochs: int
    steps: int
    of: int
    prefix: str


class Phase(NamedTuple):
    """A stage before those in front of it have ended: its rows and training, the prefix of its
    terms' names, and what makes it of the model as they left it."""

    data: TrainingSet
    training: Training
    prefix: str
    build: Callable[[], Stage]

    @property
    def steps(self) -> int:
        """Steps in all of its epochs."""
        return steps_of(self.data, self.training)


def phases(
    data: TrainingSet, recipe: Recipe, model: DeepGenerativeModel, seed: int
) -> list[Phase]:
    """Every stage of the recipe in turn; with a `pretraining` the M1 below, then M2 on its frozen
    codes, and with a `refining` after them both together under the joint bound."""
    plan = [Phase(data, recipe.training, "", lambda: main_stage(data, recipe, model, seed))]
    if recipe.pretraining is not None:
        rows = replace(data, y=np.full(len(data.x), -1))
        below = Phase(
            rows, recipe.pretraining, "m1/", lambda: first_stage(data, recipe, model, seed)
        )
        plan.insert(0, below)
    if (refining := recipe.refining) is not None:

        def build() -> Stage:
            # Of another seed, as the stage before it counts its steps from 0 too; one probe.
            again = key(seed, "refining")
            stage = whole_stage(data, recipe, model, refining, again)
            return stage._replace(probe_seed=seed)

        joint = Phase(data, refining, "joint/", build)
        plan.append(joint)
    return plan


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
        return whole_stage(data, recipe, model, recipe.training, seed)
    assert isinstance(model, M1M2)
    codes = predictor_of(model, data, recipe.pretraining).codes(data.x)
    model.keep_used(torch.from_numpy(codes[:, 0]).to(model.kept))
    return codes_stage(data, recipe, model, codes, seed)


def codes_stage(
    data: TrainingSet, recipe: Recipe, model: M1M2, codes: Float[np.ndarray, "N 2 D"], seed: int
) -> Stage:
    """The training of the M2 above on codes of the rows, which lie in memory; smoothness is of x,
    and waits for a stage that reads it."""
    rows = replace(data, x=codes, scaling=pixels(1.0))
    objective = objective_for(data.facts, replace(recipe, smoothness=Smoothness()))
    above, training, probe = model.on_codes(), recipe.training, recipe.probe
    return Stage(above, rows, objective, training, seed, probe, explains_x=False)


def whole_stage(
    data: TrainingSet, recipe: Recipe, model: DeepGenerativeModel, training: Training, seed: int
) -> Stage:
    """All of the model on x; of an M1+M2 under its joint bound."""
    return Stage(model, data, objective_for(data.facts, recipe), training, seed, recipe.probe)


def steps_of(data: TrainingSet, training: Training) -> int:
    """Steps in all epochs of a training on these rows."""
    return training.epochs * batches_of(data, training, seed=0).steps_per_epoch


def objective_for(facts: DataFacts, recipe: Recipe) -> Objective:
    """The recipe's objective with its smoothness; without unlabeled rows, its labeled sum
    alone."""
    if facts.n_labeled == 0:
        raise InputError("no row has a label: label at least one row of each class")
    objective = recipe.objective.build(facts.n_labeled, facts.n_unlabeled, recipe.labels)
    objective = recipe.smoothness.added_to(objective)
    parts = [part for total in objective.sums for part in total.parts]
    if not any(isinstance(part.term, Reconstruction) for part in parts):
        warnings.warn(
            "this objective trains the classifier alone: samples, log p(x) and what is said of z "
            "are those of untrained networks",
            stacklevel=2,
        )
    if facts.n_unlabeled == 0 and objective.unlabeled is not None:
        warnings.warn(
            "every row has a label: nothing is learned from unlabeled rows", stacklevel=2
        )
        return replace(objective, unlabeled=None)
    return objective


def batches_of(data: TrainingSet, training: Training, seed: int) -> SemiSupervisedBatches:
    """The rows of each step."""
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
