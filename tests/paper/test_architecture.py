"""The layer tables: what the networks are, what a wrong one is called, what the page says."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from semivae.convolutions import ConvEncoder
from semivae.models.m2 import M2
from semivae.models.networks import KingmaMLP, Network, PaperCNN, PaperCNN43
from semivae.models.specs import Conditional, Factorized, Gaussian, M2Spec
from semivae.nets import learned_values
from semivae.optimizers import AdamW
from semivae.paper import architecture
from semivae.paper.architecture import (
    DATA,
    LAYER_HEADER,
    Table,
    compare,
    markdown,
    symbol,
    tables,
    to_json,
)
from semivae.paper.layers import Layer, multiply_adds, trace
from semivae.paper.printed import SECTION_2_10, SECTION_2_11, SECTION_4_3
from semivae.recipe import NamedRecipe
from semivae.recipes import RECIPES
from semivae.schedules import Ramp

DOCUMENT = Path(__file__).parents[2] / "docs" / "architecture.md"
MNIST, CIFAR10 = (facts.event for facts in DATA.values())


def model_of(network: Network, event: tuple[int, ...]) -> M2:
    return M2Spec(network, Factorized(), Gaussian(0.3)).build(event, torch.zeros(10), 0)


def verdicts(rows: tuple[tuple[str, ...], ...]) -> list[str]:
    return [row[-1] for row in rows]


def cells(rows: tuple[tuple[str, ...], ...], name: str) -> list[str]:
    return [row[LAYER_HEADER.index(name)] for row in rows]


def table(title: str) -> Table:
    found = [one for one in tables() if one.title.startswith(title)]
    assert len(found) == 1, f"{len(found)} tables called {title}"
    return found[0]


def column(one: Table, name: str) -> dict[str, str]:
    return {row[0]: row[one.header.index(name)] for row in one.rows}


@pytest.mark.parametrize(
    ("at", "event", "shapes"),
    [
        (0, MNIST, ["(32, 14, 14)", "(64, 7, 7)", "(512)", "(50)", "(10)"]),
        (1, CIFAR10, ["(32, 16, 16)", "(64, 8, 8)", "(512)", "(50)", "(10)"]),
    ],
)
def test_the_encoder_is_that_of_section_2_10(
    at: int, event: tuple[int, ...], shapes: list[str]
) -> None:
    rows = compare(SECTION_2_10, trace(model_of(PaperCNN(), event), event), at)
    assert cells(rows, "Output shape") == shapes
    assert verdicts(rows) == ["as printed"] * 5
    assert cells(rows, "Ours")[3] == "`latent.mean`, `latent.log_variance`"


@pytest.mark.parametrize(
    ("at", "event", "shapes"),
    [
        (0, MNIST, ["(512)", "(3136)", "(32, 14, 14)", "(1, 28, 28)"]),
        (1, CIFAR10, ["(512)", "(4096)", "(32, 16, 16)", "(3, 32, 32)"]),
    ],
)
def test_the_decoder_is_that_of_section_2_11(
    at: int, event: tuple[int, ...], shapes: list[str]
) -> None:
    rows = compare(SECTION_2_11, trace(model_of(PaperCNN(), event), event), at)
    assert cells(rows, "Output shape") == shapes
    assert verdicts(rows) == ["as printed"] * 4
    assert cells(rows, "Activation") == ["ReLU", "ReLU", "ReLU", "none"]


@pytest.mark.parametrize(
    ("at", "event", "paddings"), [(0, MNIST, ["0", "1", "1"]), (1, CIFAR10, ["1", "1", "1"])]
)
def test_the_decoder_of_section_4_3_differs_where_it_must(
    at: int, event: tuple[int, ...], paddings: list[str]
) -> None:
    rows = compare(SECTION_4_3, trace(model_of(PaperCNN43(), event), event), at)
    assert cells(rows, "Output padding")[6:] == paddings
    padding = "differs: output padding 0, printed 1" if at == 0 else "as printed"
    relu = "differs: activation none, printed ReLU"
    assert verdicts(rows) == ["as printed"] * 6 + [padding, "as printed", relu]


def test_three_output_paddings_of_1_never_give_28() -> None:
    """The claim of the note under the tables of section 4.3, from the layers as printed there."""
    up = [nn.ConvTranspose2d(1, 1, 3, 2, 1, output_padding=1) for _ in range(3)]
    sizes = {
        side: nn.Sequential(*up)(torch.zeros(1, 1, side, side)).shape[-1] for side in range(1, 9)
    }
    assert sizes[7] == 56 and sizes[4] == 32
    assert 28 not in sizes.values()
    assert "56" in table("Architecture, section 4.3: MNIST").note


class WrongEncoder(nn.Sequential):
    """A padding, an activation and a layer that the paper does not have."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(1, 32, 3, stride=2, padding=1),
            nn.Softplus(),
            nn.Conv2d(32, 64, (3, 5), stride=(2, 1), padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64 * 7 * 12, 512),
            nn.ReLU(),
            nn.Linear(512, 512),
        )


def test_a_wrong_model_gets_a_verdict_per_difference() -> None:
    model = model_of(PaperCNN(latent=20), MNIST)
    model.trunk = WrongEncoder()
    layers = trace(model, MNIST)
    rows = compare(SECTION_4_3, layers, 0)
    assert verdicts(rows) == [
        "differs: activation Softplus, printed ReLU",
        "differs: kernel 3x5, printed 3x3; stride 2x1, printed 2",
        "differs: inputs 5376, printed 3136",
        "differs: outputs 20, printed 50",
        "as printed",
        "differs: inputs 30, printed 60",
        "differs: type Fully Connected, printed ConvTranspose2D; kernel None, printed 3x3; "
        "stride None, printed 2; padding None, printed 1; output padding None, printed 1; "
        "outputs 3136, printed 64",
        "as printed",
        "differs: activation none, printed ReLU",
        "differs: not printed",
    ]
    assert rows[-1][:3] == ("–", "–", "`trunk.7`")
    assert verdicts(compare(SECTION_2_10, layers, 0))[1] == (
        "differs: output shape (64, 7, 12), printed (64, 7, 7)"
    )


def test_a_layer_that_is_missing_differs() -> None:
    model = model_of(PaperCNN(), MNIST)
    model.trunk = ConvEncoder(MNIST, (32,), 512)
    rows = compare(SECTION_2_10, trace(model, MNIST), 0)
    assert verdicts(rows)[1] == (
        "differs: type Fully Connected, printed Conv2D; output shape (512), printed (64, 7, 7)"
    )
    assert rows[2][2:] == ("–",) * 11 + ("differs: number of layers 0, printed 1",)


@pytest.mark.parametrize("family", [Factorized(), Conditional()], ids=str)
def test_an_activation_is_found_behind_columns_and_sums(family: Factorized | Conditional) -> None:
    """Kingma's networks apply softplus to slices of one product, and to products plus labels."""
    model = M2Spec(KingmaMLP(7, 3), family, Gaussian(0.3)).build(MNIST, torch.zeros(10), 0)
    layers = trace(model, MNIST)
    outputs = {layer.module: layer.facts.activation for layer in layers}
    heads = {"classifier.2", "latent.mean", "latent.log_variance", "decoder.rest.0"}
    assert {name for name, activation in outputs.items() if activation == "none"} == heads
    assert set(outputs.values()) == {"none", "Softplus"}


@pytest.mark.parametrize("network", [PaperCNN(), PaperCNN43(), KingmaMLP()], ids=str)
def test_the_traced_layers_hold_every_parameter(network: Network) -> None:
    model = model_of(network, MNIST)
    assert sum(layer.parameters for layer in trace(model, MNIST)) == learned_values(model)


def test_tracing_leaves_the_model_as_it_was() -> None:
    model = model_of(PaperCNN(), MNIST)
    first: list[Layer] = trace(model, MNIST)
    assert not any(module._forward_hooks for module in model.modules())
    assert trace(model, MNIST) == first


def products(event: tuple[int, ...]) -> tuple[int, int]:
    """Multiply-adds of sections 2.10 and 2.11 by hand: outputs x inputs that each one reads."""
    channels, side, _ = event
    half, quarter = side // 2, side // 4
    convolutions = 9 * (channels * 32 * half**2 + 32 * 64 * quarter**2)
    flat = 64 * quarter**2
    return convolutions + flat * 512 + 512 * 110, 60 * 512 + 512 * flat + convolutions


@pytest.mark.parametrize(
    ("event", "encoder", "decoder"), [(MNIST, 2.62, 2.60), (CIFAR10, 3.55, 3.53)]
)
def test_multiply_adds_are_those_counted_by_hand(
    event: tuple[int, ...], encoder: float, decoder: float
) -> None:
    counted = multiply_adds(model_of(PaperCNN(), event), event)
    assert counted == products(event)
    assert [round(count / 1e6, 2) for count in counted] == [encoder, decoder]


def test_a_change_of_the_recipe_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Section 4.4 is read from the recipe: every setting that is changed says so."""
    before = table("Hyperparameters")

    def changed(facts: object) -> object:
        recipe = RECIPES["kingma-m2"].build(DATA["MNIST"])
        training = replace(
            recipe.training, epochs=7, optimizer=AdamW(5e-4), labeled_rows=16, unlabeled_rows=64
        )
        return replace(recipe, network=KingmaMLP(hidden=33, latent=4), training=training)

    recipes = {**RECIPES, "paper-m2": NamedRecipe("changed", changed)}  # type: ignore[arg-type]
    monkeypatch.setattr(architecture, "RECIPES", recipes)
    after = table("Hyperparameters")
    assert column(after, "Verdict") == {
        "Latent Dimension (z)": "differs: 4, printed 50",
        "Number of Classes": "as printed",
        "Hidden Units (MLP)": "differs: 33, printed N/A (Replaced by CNN)",
        "Activation Function": "differs: Softplus, printed ReLU",
        "Batch Size": "differs: 16, 64, printed 128",
        "Number of Epochs": "differs: 7, printed 50",
        "Learning Rate": "differs: 5e-4, printed 1e-3",
        "Optimizer": "differs: AdamW, printed Adam",
    }
    assert column(before, "Paper settings") == column(after, "Paper settings")


def test_a_learning_rate_that_moves_is_not_the_printed_one() -> None:
    recipe = RECIPES["auto"].build(DATA["MNIST"])
    model = recipe.model.build(MNIST, torch.zeros(10), 0)
    values = column(architecture._settings(recipe, model), "Verdict")
    assert values["Learning Rate"].startswith("differs: 3e-3, OneCycle(")


def test_the_symbols_are_those_of_the_recipes() -> None:
    symbols = table("Not printed in the paper")
    optimized = RECIPES["paper-optimized"].build(DATA["MNIST"])
    assert column(symbols, "`paper-m2`")["beta"] == "–"
    assert float(column(symbols, "`paper-optimized`")["tau"]) == pytest.approx(2 / 3, abs=1e-4)
    for name in ("alpha", "beta", "gamma", "epsilon"):
        expected = getattr(optimized.objective, name)
        assert float(column(symbols, "`paper-optimized`")[name]) == expected
    ramp = replace(optimized, objective=replace(optimized.objective, beta=Ramp(0.0, 3.0, 0.5)))
    assert symbol(ramp, "beta") == "ramp(0, 3, 0.5)"
    kingma = replace(optimized, objective=replace(optimized.objective, alpha=None))
    assert symbol(kingma, "alpha") == "0.1 N / N_l"


def test_the_settings_that_the_paper_prints() -> None:
    """What `paper-m2` must have of section 4.4 to be called literal; epochs are up to 50."""
    settings = table("Hyperparameters")
    found = column(settings, "Verdict")
    assert int(column(settings, "Ours")["Number of Epochs"]) <= 50
    assert {verdict for name, verdict in found.items() if name != "Number of Epochs"} == {
        "as printed"
    }


def test_every_table_is_rectangular_and_its_markdown_and_json_hold_all_of_it() -> None:
    found = tables()
    assert len({one.title for one in found}) == len(found) == 9
    page, plain = markdown(found), to_json(found)
    for one, values in zip(found, json.loads(json.dumps(plain)), strict=True):
        assert all(len(row) == len(one.header) and all(row) for row in one.rows)
        assert [tuple(row.values()) for row in values["rows"]] == list(one.rows)
        assert all(f"| {' | '.join(row)} |\n" in page for row in one.rows)
        assert f"## {one.title}\n" in page and one.note in page
        assert not any("|" in cell for row in one.rows for cell in row)


def test_the_committed_page_is_what_the_code_produces() -> None:
    """If not: `semivae reproduce architecture --out docs` writes it anew."""
    assert DOCUMENT.read_text("utf-8") == markdown(tables())
