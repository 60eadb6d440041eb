"""What a user asks of a run, as plain values, and the same with its data read and checked."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from semivae.checks import check_recipe
from semivae.data.datasets import load
from semivae.data.published import Arrays
from semivae.data.splits import LabelSplit, as_unlabeled, balanced_split, holdout
from semivae.errors import InputError
from semivae.predictor import TrainingSet
from semivae.recipe import Recipe
from semivae.recipes import named_recipe
from semivae.settings import under_objective, with_settings


@dataclass(frozen=True)
class Request:
    """What a user asks of `semivae fit`, as plain values; kept in `config.json` so that a run
    resumes.

    labels: how many rows keep their label, balanced over classes (None: all that have one);
    rows: use only so many training rows, drawn by seed with balanced classes (None: all);
    validation: how many further training labels may be used to choose something, and
    holdout: which share of the labeled rows is held out for the same; their accuracy is reported;
    settings: `KEY=VALUE` changes to the recipe, in order.
    """

    data: str
    labels: int | None = None
    rows: int | None = None
    validation: int = 0
    holdout: float = 0.0
    recipe: str = "auto"
    objective: str | None = None
    settings: tuple[str, ...] = ()
    seed: int = 0
    epochs: int | None = None
    max_minutes: float | None = None
    baseline: bool = True

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Request":
        """The request that `asdict` made these JSON values of; TypeError or KeyError if it did
        not."""
        return cls(**{**values, "settings": tuple(values["settings"])})

    def parameters(self, trained: Recipe) -> dict[str, Any]:
        """Those of `SemiVAEClassifier` that ask for the recipe of the run, as `trained`."""
        objective = [] if self.objective is None else [f"objective={self.objective}"]
        settings = [*objective, *self.settings]
        epochs = self.epochs
        if self.max_minutes is not None:  # every stage has as many epochs as they gave it
            epochs = trained.training.epochs
            others = {"pretraining": trained.pretraining, "refining": trained.refining}
            settings += [f"{name}.epochs={of.epochs}" for name, of in others.items() if of]
        return {
            "recipe": self.recipe,
            "settings": tuple(settings),
            "epochs": epochs,
            "random_state": self.seed,
        }


@dataclass(frozen=True, eq=False)
class Prepared:
    """A request with its data read and checked, nothing written yet."""

    request: Request
    arrays: Arrays
    split: LabelSplit
    training_set: TrainingSet
    recipe: Recipe

    @property
    def n_labels_that_chose_the_recipe(self) -> int:
        """How many labels of these data chose what the named recipe does, before any run."""
        return named_recipe(self.request.recipe).chosen_on.get(self.request.data, 0)


def prepare(request: Request, data_dir: Path | None = None) -> Prepared:
    """Reads the data, draws the labels, builds the recipe; raises every error a user can make."""
    if request.max_minutes is not None and not 0 < request.max_minutes < math.inf:
        raise InputError(f"--max-minutes {request.max_minutes:g}: give a number above 0")
    arrays = load(request.data, data_dir)
    if request.rows is not None:
        kept = balanced_split(arrays.y, request.rows, request.seed, 0, len(arrays.classes)).labeled
        arrays = replace(arrays, x=arrays.x[kept], y=arrays.y[kept])
    split = _split(arrays, request)
    y = as_unlabeled(arrays.y, split.labeled)
    training_set = TrainingSet(arrays.x, y, arrays.classes, arrays.scaling)
    recipe = named_recipe(request.recipe).build(training_set.facts)
    if request.objective is not None:
        recipe = under_objective(recipe, request.objective, training_set.facts)
    recipe = with_settings(recipe, request.settings, training_set.facts)
    if request.epochs is not None:
        if request.epochs < 1:
            raise InputError(f"--epochs {request.epochs}: give at least 1")
        recipe = replace(recipe, training=replace(recipe.training, epochs=request.epochs))
    check_recipe(training_set, recipe)
    return Prepared(request, arrays, split, training_set, recipe)


def _split(arrays: Arrays, request: Request) -> LabelSplit:
    """Which rows keep their label, and which labels may choose something."""
    if request.labels is None and not request.validation:
        split = _as_given(arrays, request.seed)
    else:
        known = int((arrays.y >= 0).sum())
        labels = known if request.labels is None else request.labels
        names = arrays.classes
        split = balanced_split(
            arrays.y, labels, request.seed, request.validation, len(names), names
        )
    if not request.holdout:
        return split
    if request.validation:
        raise InputError("--validation and --holdout both ask for validation labels: give one")
    kept, held = holdout(split.labeled, arrays.y, request.holdout, request.seed)
    if not len(held):
        raise InputError(
            f"--holdout {request.holdout:g} holds out none of {len(kept):,} labels, of which each "
            "class keeps one: give more labels or a larger share"
        )
    return LabelSplit.of_rows(len(arrays.y), kept, held, request.seed)


def _as_given(arrays: Arrays, seed: int) -> LabelSplit:
    labeled = np.flatnonzero(arrays.y >= 0)
    missing = sorted(set(range(len(arrays.classes))) - set(arrays.y[labeled].tolist()))
    if missing:
        names = ", ".join(arrays.classes[k] for k in missing)
        raise InputError(f"no row is labeled with class {names}: label at least one row of each")
    return LabelSplit.of_rows(len(arrays.y), labeled, labeled[:0], seed)
