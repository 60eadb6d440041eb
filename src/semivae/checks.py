"""What of a recipe does not go with the data, said before anything is written."""

import math
import warnings

import numpy as np
import torch

from semivae.errors import InputError
from semivae.finite import NonFiniteError
from semivae.models.networks import PaperCNN, PaperCNN43
from semivae.models.specs import Bernoulli, Binarized, Rectified
from semivae.noise import Noise
from semivae.predictor import TrainingSet
from semivae.probing import check_probe
from semivae.processes import launched
from semivae.recipe import Recipe
from semivae.stages import Stage
from semivae.streams import LABELED, UNLABELED
from semivae.terms import MutualInformation, RunningMutualInformation
from semivae.training import Training
from semivae.trials import dry_step, untrained_stages


def check_recipe(data: TrainingSet, recipe: Recipe) -> None:
    """Takes a step on a few rows, so that a bad symbol fails before anything is written."""
    _check_table(data, recipe)
    check_probe(data.y, recipe.probe, data.facts.classes)
    try:
        _check_views(data, recipe.baseline)
        stages = untrained_stages(data, recipe, seed=0)
        for stage in stages:
            _check_plug_in(stage)
            _check_shares(stage)
        _warn_of_unequal_classes(data, stages[-1])
        dry_step(stages)
    except (ValueError, NonFiniteError) as error:
        raise InputError(str(error)) from error


def _check_views(data: TrainingSet, baseline: Training) -> None:
    """Those of the baseline, which is trained last."""
    two = torch.zeros(2, *data.facts.event)
    baseline.views(two, Noise(0, 0, ((LABELED, 2),), two.device))


def _check_shares(stage: Stage) -> None:
    """Each process needs a row of each stream."""
    batches = stage.batches
    rows = {LABELED: batches.labeled_rows, UNLABELED: batches.fewest_unlabeled}
    fewest = min(rows[stream] for stream in stage.objective.streams)
    if fewest < launched():
        raise InputError(
            f"a step has {fewest} rows of one stream for {launched()} processes: start fewer"
        )


def _check_plug_in(stage: Stage) -> None:
    """The plug-in mutual information is biased by (K - 1) / 2B: not for fewer than 5 K rows."""
    terms = [part.term for total in stage.objective.sums for part in total.parts]
    rows, needed = stage.batches.fewest_unlabeled, 5 * len(stage.data.classes)
    if rows < needed and any(isinstance(term, MutualInformation) for term in terms):
        raise InputError(
            f"objective.information=batch needs at least {needed} unlabeled rows a step (5 per "
            f"class) and there are {rows}: use objective.information=running"
        )


MUCH_MORE_COMMON = 2.0  # times the labels of the rarest class
CLEARLY = 3.3  # standard errors of the difference of two counts


def _warn_of_unequal_classes(data: TrainingSet, stage: Stage) -> None:
    """The mutual information is largest where q(y) is uniform, and so is p(y)."""
    counts = np.bincount(data.y[data.y >= 0], minlength=len(data.classes))
    most, fewest = int(counts.max()), int(counts.min())
    parts = [part for total in stage.objective.sums for part in total.parts if part.weight != 0.0]
    informed = any(isinstance(p.term, MutualInformation | RunningMutualInformation) for p in parts)
    clear = most - fewest > CLEARLY * math.sqrt(most + fewest)
    if informed and clear and most > MUCH_MORE_COMMON * fewest:
        common, rare = data.classes[counts.argmax()], data.classes[counts.argmin()]
        warnings.warn(
            f"the classes are unequal (labels: {most:,} of {common}, {fewest:,} of {rare}), and "
            "the mutual information draws the unlabeled rows to equal shares: if theirs are as "
            "unequal, gamma=0 may do better",
            stacklevel=3,
        )


def _check_table(data: TrainingSet, recipe: Recipe) -> None:
    """What reads or draws pixels has no meaning for the columns of a table."""
    if len(data.facts.event) == 3:
        return
    if isinstance(recipe.network, PaperCNN | PaperCNN43):
        raise InputError(
            "the data are a table, and the recipe's convolutional network reads images: use the "
            "recipe auto or set network=mlp"
        )
    if isinstance(recipe.likelihood, Bernoulli | Binarized):
        raise InputError(
            "the data are a table, whose columns are standardized, and a Bernoulli likelihood is "
            "of pixels from 0 to 1: set likelihood=learned-gaussian"
        )
    if isinstance(recipe.likelihood, Rectified):
        raise InputError(
            "the data are a table, whose columns are standardized, and the mean of a rectified "
            "Gaussian is never below 0: set likelihood=gaussian"
        )
