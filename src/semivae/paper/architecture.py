"""The paper's layer tables (2.10, 2.11, 4.3) and settings (4.4) beside the networks as built.

Each layer of ours is what hooks saw in a real forward pass, each setting is read from the recipe;
only the paper's own rows are written down. Tables are text; printing them is the caller's.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from semivae.markdown import table
from semivae.models.m2 import M2
from semivae.models.networks import PaperCNN43
from semivae.nets import learned_values
from semivae.optimizers import Constant
from semivae.paper.layers import Layer, multiply_adds, trace
from semivae.paper.printed import (
    NO_MLP,
    NOTE_2_10,
    NOTE_2_11,
    NOTE_4_3,
    NOTE_4_4,
    NOTE_COST,
    NOTE_SYMBOLS,
    SECTION_2_10,
    SECTION_2_11,
    SECTION_4_3,
    SECTION_4_4,
    SYMBOLS,
    Facts,
    Printed,
)
from semivae.recipe import DataFacts, Recipe
from semivae.recipes import RECIPES


@dataclass(frozen=True)
class Table:
    """A table as text: every row has one cell per name in `header`."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str


# The data sets in the order of the paper's columns; their counts of rows reach no cell.
DATA = {
    "MNIST": DataFacts((1, 28, 28), 1_000, 59_000, 10),
    "CIFAR-10": DataFacts((3, 32, 32), 4_000, 46_000, 10),
}
NONE = "–"


def verdict(*compared: tuple[str, str | None, str | None]) -> str:
    """What triples (name, printed, ours) say together; printed None agrees with all."""
    wrong = [f"{n} {b}, printed {a}".strip() for n, a, b in compared if a not in (None, b)]
    return f"differs: {'; '.join(dict.fromkeys(wrong))}" if wrong else "as printed"


NAMES = tuple(name.replace("_", " ") for name in Facts._fields)
LAYER_HEADER = (
    "Layer, as printed", "Details, as printed", "Ours", *(name.capitalize() for name in NAMES),
    "Parameters", "Verdict",
)  # fmt: skip


def compare(
    printed: tuple[Printed, ...], layers: list[Layer], column: int
) -> tuple[tuple[str, ...], ...]:
    """Each printed row beside the next layers of its part of the model, then the layers left over.

    `column` is the paper's: 0 for MNIST, 1 for CIFAR-10.
    """
    left = {row.part: [x for x in layers if x.module.split(".")[0] == row.part] for row in printed}
    rows = []
    for row in printed:
        ours, left[row.part] = left[row.part][: row.layers], left[row.part][row.layers :]
        count = ("number of layers", str(row.layers), str(len(ours)))
        facts = [p for x in ours for p in zip(NAMES, row.facts[column], x.facts, strict=True)]
        rows.append((row.layer, row.details, *_cells(ours), verdict(count, *facts)))
    extra = [layer for layers in left.values() for layer in layers]
    return (*rows, *((NONE, NONE, *_cells([x]), "differs: not printed") for x in extra))


def _cells(layers: list[Layer]) -> tuple[str, ...]:
    """The cells from "Ours" to "Parameters"; what the layers have in common is said once."""
    columns = zip(*(layer.facts for layer in layers), strict=True)
    facts = [", ".join(dict.fromkeys(fact or NONE for fact in column)) for column in columns]
    modules = ", ".join(f"`{layer.module}`" for layer in layers)
    count = f"{sum(layer.parameters for layer in layers):,}"
    return (modules, *facts, count) if layers else (NONE,) * (len(NAMES) + 2)


def tables() -> list[Table]:
    """Sections 2.10, 2.11, 4.3 and 4.4, what the paper leaves open, and what a pass costs."""
    recipes = [RECIPES["paper-m2"].build(facts) for facts in DATA.values()]
    ours = _build(recipes)
    decoder = PaperCNN43(ours[0].latent_size)
    with_4_3 = _build([replace(recipe, network=decoder) for recipe in recipes])
    return [
        *_layer_tables("Encoder, section 2.10", SECTION_2_10, ours, NOTE_2_10),
        *_layer_tables("Decoder, section 2.11", SECTION_2_11, ours, NOTE_2_11),
        *_layer_tables("Architecture, section 4.3", SECTION_4_3, with_4_3, NOTE_4_3),
        _settings(recipes[0], ours[0]),
        _symbols(("paper-m2", "paper-optimized")),
        _costs({"2.11": ours, "4.3": with_4_3}),
    ]


def _build(recipes: list[Recipe]) -> list[M2]:
    """The model of each recipe, one per data set; no cell depends on the initial weights."""
    models = []
    for recipe, facts in zip(recipes, DATA.values(), strict=True):
        model = recipe.model.build(facts.event, torch.zeros(facts.classes), seed=0)
        assert isinstance(model, M2), "the paper's recipes are of M2"
        models.append(model)
    return models


def _layer_tables(
    title: str, printed: tuple[Printed, ...], models: list[M2], note: str
) -> Iterator[Table]:
    for column, (model, (data, (event, *_))) in enumerate(zip(models, DATA.items(), strict=True)):
        layers = trace(model, event)
        decoder = [layer.facts for layer in layers if layer.module.startswith("decoder")]
        filled = note.format(
            paddings=", ".join(x.output_padding for x in decoder if x.output_padding),
            shape=decoder[-1].output_shape,
            output=decoder[-1].activation,
        )
        full_title = f"{title}: {data}, {' x '.join(map(str, event))}"
        yield Table(full_title, LAYER_HEADER, compare(printed, layers, column), filled)


def _settings(recipe: Recipe, model: M2) -> Table:
    facts = [layer.facts for layer in trace(model, DATA["MNIST"].event)]
    training, is_cnn = recipe.training, any(x.kernel for x in facts)
    rate = np.format_float_scientific(training.optimizer.peak, trim="-", exp_digits=1)
    constant = training.learning_rate == Constant()
    ours = (
        str(model.latent_size),
        str(model.classes),
        NO_MLP if is_cnn else _distinct(x.inputs for x in facts if x.activation == "none"),
        _distinct(x.activation for x in facts if x.activation != "none"),
        _distinct((training.labeled_rows, training.unlabeled_rows)),
        str(training.epochs),
        rate if constant else f"{rate}, {training.learning_rate}",
        type(training.optimizer.build(model.parameters())).__name__,
    )
    rows = tuple(
        (*printed, value, verdict(("", printed[2], value)))
        for printed, value in zip(SECTION_4_4, ours, strict=True)
    )
    header = ("Hyperparameter", "Paper settings", "Implemented settings", "Ours", "Verdict")
    return Table("Hyperparameters, section 4.4", header, rows, NOTE_4_4)


def _distinct(values: Iterable[object]) -> str:
    return ", ".join(dict.fromkeys(map(str, values)))


def symbol(recipe: Recipe, name: str) -> str:
    """The value of one of the paper's symbols in a recipe; a dash if it is not there."""
    parts = (recipe.objective, recipe.labels, recipe.likelihood, recipe.training)
    values = [getattr(part, name) for part in parts if hasattr(part, name)]
    named = ["0.1 N / N_l" if value is None else value for value in values]  # Kingma's alpha
    return _distinct(f"{v:.4g}" if isinstance(v, float) else v for v in named) or NONE


def _symbols(names: tuple[str, ...]) -> Table:
    recipes = [RECIPES[name].build(DATA["MNIST"]) for name in names]
    rows = tuple((*row, *(symbol(recipe, row[0]) for recipe in recipes)) for row in SYMBOLS)
    header = ("Symbol", "Meaning", "The paper prints", *(f"`{name}`" for name in names))
    return Table("Not printed in the paper", header, rows, NOTE_SYMBOLS)


def _costs(networks: dict[str, list[M2]]) -> Table:
    rows = []
    for section, models in networks.items():
        for model, (data, facts) in zip(models, DATA.items(), strict=True):
            encoder = learned_values(model.trunk, model.classifier, model.latent)
            counts = (encoder, learned_values(model.decoder), learned_values(model))
            costs = multiply_adds(model, facts.event)
            rows.append((data, section, *(f"{count:,}" for count in counts + costs)))
    header = (
        "Data set", "Decoder of section", "Parameters: encoder", "Parameters: decoder",
        "Parameters: total", "Multiply-adds: encoder", "Multiply-adds: decoder",
    )  # fmt: skip
    return Table("Size and cost", header, tuple(rows), NOTE_COST)


HEAD = """# Architecture

The networks and settings that the paper prints, beside what the code builds. Written by
`semivae reproduce architecture`; not to be edited by hand.
"""


def markdown(tables: list[Table]) -> str:
    """The page `docs/architecture.md`, ending in a newline."""
    parts = [
        f"## {each.title}\n\n{table(each.header, each.rows)}\n{each.note}\n" for each in tables
    ]
    return "\n".join([HEAD, *parts])


def to_json(tables: list[Table]) -> list[dict[str, Any]]:
    """The tables as JSON values, each row by the names of its header."""
    return [
        {
            "title": table.title,
            "rows": [dict(zip(table.header, row, strict=True)) for row in table.rows],
            "note": " ".join(table.note.split()),
        }
        for table in tables
    ]
