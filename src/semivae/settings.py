"""What is asked for beside the name of a recipe: changes as KEY=VALUE texts, and the parameters of
the Python API."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from semivae.arguments import flag, number, whole_number
from semivae.config import choose, set_value, to_plain
from semivae.data.views import AS_GIVEN, usual
from semivae.errors import InputError
from semivae.models.specs import Conditional, Factorized
from semivae.objective_specs import Kingma2014, KingmaJ
from semivae.recipe import DataFacts, Recipe
from semivae.recipes import named_recipe
from semivae.rundir import objective_name
from semivae.smoothness import Smoothness


def with_settings(recipe: Recipe, settings: Sequence[str], facts: DataFacts) -> Recipe:
    """The recipe with each KEY=VALUE set in turn; InputError names the one that cannot be."""
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise InputError(f"{setting}: write KEY=VALUE, for example objective.beta=2")
        if key == "objective":  # with what goes with it, however it is asked for
            recipe = under_objective(recipe, value, facts)
        else:
            recipe = set_value(recipe, key, value)
    return recipe


def under_objective(recipe: Recipe, name: str, facts: DataFacts) -> Recipe:
    """The recipe with another objective, of its default symbols, and what goes with that: the
    q(z|x, y) of Kingma's, and the usual smoothness if there is any."""
    objective = choose("objective", name)()
    kingma = isinstance(objective, Kingma2014 | KingmaJ) and recipe.family == Factorized()
    family = Conditional() if kingma else recipe.family
    smoothness = recipe.smoothness.beside_another()
    if objective.build(facts.n_labeled, facts.n_unlabeled, recipe.labels).unlabeled is None:
        smoothness = Smoothness()  # it reads no row to be smooth at
    return replace(recipe, objective=objective, family=family, smoothness=smoothness)


SYMBOLS = ("alpha", "beta", "gamma", "epsilon")


def recipe_of(parameters: Mapping[str, Any], facts: DataFacts) -> Recipe:
    """The recipe that the parameters of `SemiVAEClassifier` ask for, on such data; what has a
    parameter of its own goes over the same among the settings."""
    name, settings = parameters["recipe"], parameters["settings"]
    texts = isinstance(settings, list | tuple) and all(isinstance(s, str) for s in settings)
    if not texts:
        raise InputError(f"settings={settings!r}: give a list of texts, each KEY=VALUE")
    recipe = with_settings(named_recipe(name).build(facts), settings, facts)
    symbols = {symbol: parameters[symbol] for symbol in SYMBOLS}
    given = {symbol: number(symbol, v) for symbol, v in symbols.items() if v is not None}
    unread = sorted(set(given) - set(to_plain(recipe.objective)))
    if unread:
        raise InputError(f"{unread[0]} is no symbol of the objective, {objective_name(recipe)}")
    recipe = replace(recipe, objective=replace(recipe.objective, **given))  # type: ignore[type-var]
    if parameters["smoothness"] is not None:
        weight = number("smoothness", parameters["smoothness"])
        try:
            recipe = replace(recipe, smoothness=replace(recipe.smoothness, weight=weight))
        except ValueError as error:
            raise InputError(f"smoothness={weight:g}: {error}") from None
    if parameters["views"] is not None:
        views = usual(facts.event) if flag("views", parameters["views"]) else AS_GIVEN
        recipe = replace(recipe, training=replace(recipe.training, views=views))
    if parameters["epochs"] is not None:
        epochs = whole_number("epochs", parameters["epochs"], least=1)
        recipe = replace(recipe, training=replace(recipe.training, epochs=epochs))
    return recipe
