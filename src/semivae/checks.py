"""What of a recipe does not go with the data, said before anything is written."""

from semivae.errors import InputError
from semivae.finite import NonFiniteError
from semivae.models.networks import PaperCNN, PaperCNN43
from semivae.models.specs import Bernoulli, Binarized, Rectified
from semivae.objective_specs import OptimizedELBO, OptimizedELBOLiteral, Survey3J
from semivae.predictor import TrainingSet
from semivae.probing import check_probe
from semivae.processes import launched
from semivae.recipe import Recipe
from semivae.terms import MutualInformation
from semivae.trials import dry_step


def check_recipe(data: TrainingSet, recipe: Recipe) -> None:
    """Takes a step on a few rows, so that a bad symbol fails before anything is written."""
    _check_table(data, recipe)
    _check_plug_in(data, recipe)
    _check_shares(data, recipe)
    check_probe(data.y, recipe.probe, data.facts.classes)
    try:
        dry_step(data, recipe)
    except (ValueError, NonFiniteError) as error:
        raise InputError(str(error)) from error


def _check_shares(data: TrainingSet, recipe: Recipe) -> None:
    """Each process needs a row of each stream."""
    facts, training = data.facts, recipe.training
    rows = [min(training.labeled_rows, facts.n_labeled)]
    rows += [min(training.unlabeled_rows, facts.n_unlabeled)] if facts.n_unlabeled else []
    if min(rows) < launched():
        raise InputError(
            f"a step has {min(rows)} rows of one stream for {launched()} processes: start fewer"
        )


def _check_plug_in(data: TrainingSet, recipe: Recipe) -> None:
    """The plug-in mutual information is biased by (K - 1) / 2B: not for fewer than 5 K rows."""
    facts, objective = data.facts, recipe.objective
    if not isinstance(objective, OptimizedELBO | OptimizedELBOLiteral | Survey3J):
        return
    rows = min(recipe.training.unlabeled_rows, facts.n_unlabeled)
    if objective.information is MutualInformation and rows < 5 * facts.classes:
        raise InputError(
            f"objective.information=batch needs at least {5 * facts.classes} unlabeled rows a "
            f"step (5 per class) and there are {rows}: use objective.information=running"
        )


def _check_table(data: TrainingSet, recipe: Recipe) -> None:
    """What reads or draws pixels has no meaning for the columns of a table."""
    if len(data.facts.event) == 3:
        return
    if isinstance(recipe.network, PaperCNN | PaperCNN43):
        raise InputError(
            "the data are a table, and the recipe's convolutional network reads images: use the "
            "recipe auto or --set network=mlp"
        )
    if isinstance(recipe.likelihood, Bernoulli | Binarized):
        raise InputError(
            "the data are a table, whose columns are standardized, and a Bernoulli likelihood is "
            "of pixels from 0 to 1: use --set likelihood=learned-gaussian"
        )
    if isinstance(recipe.likelihood, Rectified):
        raise InputError(
            "the data are a table, whose columns are standardized, and the mean of a rectified "
            "Gaussian is never below 0: use --set likelihood=gaussian"
        )
