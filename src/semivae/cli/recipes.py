"""`semivae recipes`: the recipes by name, with what each is made of."""

from typing import TYPE_CHECKING, Any

from semivae.cli.console import show, show_json
from semivae.cli.options import Json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from semivae.recipe import Reached, Recipe

# The settings of a recipe depend on the data; these are shown as an example.
EXAMPLE = "MNIST with 1,000 labels"


def recipes(as_json: Json = False) -> None:
    """List the recipes and what they are made of."""
    from semivae.config import to_plain
    from semivae.recipe import DataFacts
    from semivae.recipes import RECIPES

    facts = DataFacts((1, 28, 28), 1_000, 59_000, 10)
    built = {name: named.build(facts) for name, named in RECIPES.items()}
    if as_json:
        listed = [
            {
                "name": name,
                "summary": RECIPES[name].summary,
                "labels_that_chose_it": dict(RECIPES[name].chosen_on),
                "reached": [row._asdict() for row in RECIPES[name].reached],
                "settings": to_plain(recipe),
            }
            for name, recipe in built.items()
        ]
        show_json({"example": EXAMPLE, "recipes": listed})
        return
    width = max(map(len, RECIPES)) + 2
    for name, recipe in built.items():
        show(f"{name:{width}}{RECIPES[name].summary}")
        named = RECIPES[name]
        for line in (*described(recipe), *chosen(named.chosen_on), *map(reached, named.reached)):
            show(" " * width + line)
    show(f"\nAs resolved for {EXAMPLE}; `semivae fit DATA --set KEY=VALUE` changes a value.")


def described(recipe: "Recipe") -> list[str]:
    """A recipe in three lines: model, objective, training (a line more for each other stage)."""
    from semivae.config import to_plain

    plain = to_plain(recipe)
    training, first, last = plain["training"], plain["pretraining"], plain["refining"]
    before, after = [], []
    if first is not None:
        before = [f"M1 first: {_trained(first)}, {first['unlabeled_rows']} rows a step"]
    if last is not None:
        after = [
            f"then M1 and M2 together: {_trained(last)}, {last['unlabeled_rows']} rows a step"
        ]
    return [
        f"{_call(plain['network'])}, {_call(plain['family'])} q, {_call(plain['likelihood'])}",
        f"{_call(plain['objective'])}{_smooth(plain['smoothness'])}, y {_call(plain['labels'])}",
        *before,
        f"{_trained(training)}, "
        f"{training['labeled_rows']} + {training['unlabeled_rows']} rows a step",
        *after,
    ]


def _smooth(plain: dict[str, Any]) -> str:
    if plain["weight"] == 0.0:
        return ""
    return f" - {_value(plain['weight'])} local_smoothness(radius={_value(plain['radius'])})"


def _trained(plain: dict[str, Any]) -> str:
    rest = {
        "mean of the last {:g} of the steps": plain["average"],
        "noise {:g} on what q reads": plain["corruption"],
        "gradients clipped at {:g}": plain["clip_norm"],
        "mirrored at random": plain["views"]["flips"],
        "moved by up to {} pixels": plain["views"]["shifts"],
    }
    return ", ".join(
        (
            f"{plain['epochs']} epochs",
            _call(plain["optimizer"]),
            _call(plain["learning_rate"]),
            *(words.format(value) for words, value in rest.items() if value),
        )
    )


def chosen(on: "Mapping[str, int]") -> list[str]:
    """Which labels chose a recipe, in a line if any did."""
    counts = ", ".join(f"{n:,} of {data}" for data, n in on.items())
    return [f"chosen on training labels: {counts}"] if counts else []


def reached(row: "Reached") -> str:
    """What a recipe reached, in one line."""
    changed = f" and {', '.join(row.settings)}" if row.settings else ""
    if row.used_to_choose:
        changed += f", chosen on {row.used_to_choose:,} training labels"
    return (
        f"reached {row.accuracy:.2f} ± {row.standard_error:.2f} % on {row.data} with "
        f"{row.labels:,} labels{changed} ({row.seeds} seeds, {row.minutes:.1f} min each on one "
        f"thread; {row.command})"
    )


def _call(plain: dict[str, object]) -> str:
    """A value that was chosen by name, with its arguments, as one would write it.

    >>> _call({"kind": "gaussian", "sigma": 0.3})
    'gaussian(sigma=0.3)'
    """
    from semivae.config import REFERENCES

    hidden = ("kind", *REFERENCES)  # the variants of a term: `--json` shows them
    shown = [f"{name}={_value(part)}" for name, part in plain.items() if name not in hidden]
    rest = ", ".join(shown)
    return f"{plain['kind']}({rest})" if rest else str(plain["kind"])


def _value(part: object) -> str:
    from semivae.schedules import Ramp

    if isinstance(part, dict) and "ramp" in part:
        return str(Ramp(*part["ramp"]))
    return f"{part:.4g}" if isinstance(part, float) else str(part).replace(" ", "")
