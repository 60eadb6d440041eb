"""The paper's layer tables (2.10, 2.11, 4.3) and hyperparameters (4.4) beside the networks as built.

Each layer of ours is what hooks saw in one real forward pass, each setting is read from the recipes; only
the paper's own rows are written down here. Every table is text; what prints or writes it is the caller's.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from semivae.labels import one_pair_each
from semivae.models.m2 import M2
from semivae.models.networks import PaperCNN43
from semivae.nets import AddLabel, Shape, SplitLinear
from semivae.noise import Noise
from semivae.optimizers import Constant
from semivae.recipes import RECIPES, DataFacts, Recipe


@dataclass(frozen=True)
class Table:
    """A table as text: every row has one cell per name in `header`."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str


class Facts(NamedTuple):
    """What a row says of a layer, in the paper's words; None is "does not say"."""

    type: str | None = None
    kernel: str | None = None
    stride: str | None = None
    padding: str | None = None
    output_padding: str | None = None
    inputs: str | None = None
    """The number of values it reads."""
    outputs: str | None = None
    """Its filters or units."""
    shape: str | None = None
    activation: str | None = None


class Printed(NamedTuple):
    """A row of the paper; `part` names the part of the model it is about, `facts` is per data set."""

    part: str
    layer: str
    details: str
    facts: tuple[Facts, Facts]
    layers: int = 1
    """How many layers of ours the row stands for."""


class Layer(NamedTuple):
    """A layer with weights as a forward pass met it; `module` is its name in the model."""

    module: str
    facts: Facts
    parameters: int


def _shapes(part: str, layer: str, mnist: str, cifar: str, layers: int = 1) -> Printed:
    """A row of 2.10 or 2.11: a layer and its output shape on each data set."""
    facts = (Facts(shape=mnist), Facts(shape=cifar))
    return Printed(part, layer, f"{mnist}; {cifar}", facts, layers)


def _details(part: str, layer: str, details: str, facts: Facts, layers: int = 1) -> Printed:
    """A row of 4.3 that is the same on both data sets."""
    return Printed(part, layer, details, (facts, facts), layers)


# The data sets in the order of the paper's columns; the counts of rows reach no cell.
DATA = {
    "MNIST": DataFacts((1, 28, 28), 1_000, 59_000, 10),
    "CIFAR-10": DataFacts((3, 32, 32), 4_000, 46_000, 10),
}
SECTION_2_10 = (
    _shapes("trunk", "Conv2D (32 filters)", "(32, 14, 14)", "(32, 16, 16)"),
    _shapes("trunk", "Conv2D (64 filters)", "(64, 7, 7)", "(64, 8, 8)"),
    _shapes("trunk", "Fully Connected (512 units)", "(512)", "(512)"),
    _shapes("latent", "Latent Output (z)", "(50)", "(50)", layers=2),
    _shapes("classifier", "Class Logits (y)", "(10)", "(10)"),
)
SECTION_2_11 = (
    _shapes("decoder", "Fully Connected (512 units)", "(512)", "(512)"),
    _shapes("decoder", "Fully Connected (Flattened Size)", "(3136)", "(4096)"),
    _shapes("decoder", "ConvTranspose2D (32 filters)", "(32, 14, 14)", "(32, 16, 16)"),
    _shapes("decoder", "ConvTranspose2D (Output Channels)", "(1, 28, 28)", "(3, 32, 32)"),
)
_DOWN = Facts("Conv2D", "3x3", "2", "1", activation="ReLU")
_UP = _DOWN._replace(type="ConvTranspose2D", output_padding="1")
_FULL = Facts("Fully Connected")
_512 = _FULL._replace(outputs="512", activation="ReLU")
_KERNEL = "Kernel: 3x3, Stride: 2, Padding: 1"
_DOUBLING = f"{_KERNEL}, Output Padding: 1, Activation: ReLU"
SECTION_4_3 = (
    _details("trunk", "Conv2D", f"Filters: 32, {_KERNEL}, Activation: ReLU", _DOWN._replace(outputs="32")),
    _details("trunk", "Conv2D", f"Filters: 64, {_KERNEL}, Activation: ReLU", _DOWN._replace(outputs="64")),
    Printed("trunk", "Fully Connected", "Input: Flattened feature map, Output: 512 units, Activation: ReLU",
            (_512._replace(inputs="3136"), _512._replace(inputs="4096"))),
    _details("latent", "Mean/LogVar Layers", "Separate fully connected layers for latent mean and log "
             "variance (50 units each)", _FULL._replace(outputs="50"), layers=2),
    _details("classifier", "Classifier Layer", "Fully connected layer for logits of categorical "
             "distribution (10 classes)", _FULL._replace(outputs="10")),
    _details("decoder", "Fully Connected", "Input: Latent + one-hot class, Output: 512 units, "
             "Activation: ReLU", _512._replace(inputs="60")),
    _details("decoder", "ConvTranspose2D", f"Filters: 64, {_DOUBLING}", _UP._replace(outputs="64")),
    _details("decoder", "ConvTranspose2D", f"Filters: 32, {_DOUBLING}", _UP._replace(outputs="32")),
    Printed("decoder", "ConvTranspose2D", "Filters: Channels in input (1 for MNIST, 3 for CIFAR-10), "
            f"{_DOUBLING}", (_UP._replace(outputs="1"), _UP._replace(outputs="3"))),
)  # fmt: skip
NOT_SPECIFIED = "Not specified"
NO_MLP = "N/A (Replaced by CNN)"
SECTION_4_4 = (  # hyperparameter, "Paper Settings" (Kingma's), "Implemented Settings"
    ("Latent Dimension (z)", "50", "50"),
    ("Number of Classes", "10", "10"),
    ("Hidden Units (MLP)", "500", NO_MLP),
    ("Activation Function", "Softplus", "ReLU"),
    ("Batch Size, labeled rows", NOT_SPECIFIED, "128"),
    ("Batch Size, unlabeled rows", NOT_SPECIFIED, "128"),
    ("Number of Epochs", NOT_SPECIFIED, "50"),
    ("Learning Rate", NOT_SPECIFIED, "1e-3"),
    ("Optimizer", NOT_SPECIFIED, "Adam"),
)
SYMBOLS = (  # symbol, meaning, what the paper prints of its value
    ("alpha", "weight of the classification loss (Eqs 7 and 8, 3.6)", "nothing"),
    ("beta", "weight of the entropy penalty (3.1, Eq 15)", "nothing"),
    ("gamma", "weight of the mutual information (3.2)", "nothing"),
    ("epsilon", "label smoothing (3.3.2)", "an example, 0.001"),
    ("tau", "temperature of Gumbel-Softmax (2.7.2)", "nothing"),
    ("sigma", "standard deviation of a pixel (2.1, Eq 1)", "nothing"),
)

# What counts as one layer: the last two are one matrix product, written as a sum over its inputs.
_LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear, SplitLinear, AddLabel)
_NONE = "–"
AS_PRINTED = "as printed"


def _two_passes(model: M2, event: Shape) -> Iterator[None]:
    """The encoder and its heads on one example, then its decoder: one of them per `next`."""
    noise = Noise(0, 0, (("one", 1),), model.log_prior.device)
    encoded = model.encode(torch.zeros(1, *event), noise)
    draws = one_pair_each(encoded.q_y.logits, encoded.q_y.probs)
    z = model.q_z(encoded.h, draws).mean
    yield
    model.p_x(z, draws)
    yield


def trace(model: M2, event: Shape) -> list[Layer]:
    """Every layer in the order of one forward pass, with the activation that its output went through."""
    layers: list[Layer] = []
    outputs: list[tuple[Tensor, int]] = []  # each with the number of the layer it comes from

    def hook(name: str) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
        def record(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            sources = [number for tensor, number in outputs if tensor is inputs[0]]
            if isinstance(module, _LAYERS):
                outputs.append((output, len(layers)))
                layers.append(_layer(name, module, inputs, output))
            elif sources:
                outputs.append((output, sources[-1]))
                if type(module).__module__ == nn.ReLU.__module__:  # where all activations are
                    module_name, facts, count = layers[sources[-1]]
                    facts = facts._replace(activation=type(module).__name__)
                    layers[sources[-1]] = Layer(module_name, facts, count)

        return record

    handles = [module.register_forward_hook(hook(name)) for name, module in _leaves(model, "")]
    with torch.no_grad():
        list(_two_passes(model, event))
    for handle in handles:
        handle.remove()
    return layers


def _leaves(module: nn.Module, prefix: str) -> Iterator[tuple[str, nn.Module]]:
    """The modules with nothing inside, by name; a layer is one whatever is inside."""
    for name, child in module.named_children():
        if isinstance(child, _LAYERS) or not list(child.children()):
            yield prefix + name, child
        else:
            yield from _leaves(child, f"{prefix}{name}.")


def _layer(name: str, module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Layer:
    shape = tuple(output.shape[1:])
    facts = Facts(
        type="Fully Connected",
        inputs=str(sum(x[0].numel() for x in inputs if torch.is_tensor(x) and x.is_floating_point())),
        outputs=str(shape[0]),
        shape=f"({', '.join(map(str, shape))})",
        activation="none",
    )  # fmt: skip
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        facts = facts._replace(
            type=type(module).__name__.replace("2d", "2D"),
            kernel="x".join(map(str, module.kernel_size)),
            stride=_side(module.stride),
            padding=_side(module.padding),
        )
    if isinstance(module, nn.ConvTranspose2d):
        facts = facts._replace(output_padding=_side(module.output_padding))
    return Layer(name, facts, count_parameters(module))


def _side(pair: tuple[int, ...] | str) -> str:
    """(2, 2) as 2, (2, 1) as 2x1."""
    return "x".join(map(str, pair if len(set(pair)) > 1 else pair[:1]))


def count_parameters(*modules: nn.Module) -> int:
    """The number of learned values."""
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def multiply_adds(model: M2, event: Shape) -> tuple[int, int]:
    """Per example, of the encoder with its heads and of the decoder: matrix products and convolutions."""
    counts, steps = [], _two_passes(model, event)
    for _ in range(2):
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            next(steps)
        counts.append(counter.get_total_flops() // 2)
    return counts[0], counts[1]


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
        wrong = dict.fromkeys(
            f"{name.replace('_', ' ')} {getattr(layer.facts, name)}, printed {fact}"
            for layer in ours
            for name, fact in row.facts[column]._asdict().items()
            if fact not in (None, getattr(layer.facts, name))
        )
        if len(ours) < row.layers:
            wrong = {f"layers {len(ours)}, printed {row.layers}": None}
        verdict = f"differs: {'; '.join(wrong)}" if wrong else AS_PRINTED
        rows.append((row.layer, row.details, *_cells(ours), verdict))
    extra = [(_NONE, _NONE, *_cells([x]), "differs: not printed") for x in sum(left.values(), [])]
    return (*rows, *extra)


LAYER_HEADER = (
    "Layer, as printed", "Details, as printed", "Ours", "Type", "Kernel", "Stride", "Padding",
    "Output padding", "Inputs", "Output shape", "Activation", "Parameters", "Verdict",
)  # fmt: skip


def _cells(layers: list[Layer]) -> tuple[str, ...]:
    """The cells from "Ours" to "Parameters"; what the layers of a row have in common is said once."""
    columns = [layer.facts._replace(outputs=None)._asdict() for layer in layers]
    names = [name for name in Facts._fields if name != "outputs"]
    facts = [", ".join(dict.fromkeys(c[name] or _NONE for c in columns)) for name in names]
    modules = ", ".join(f"`{layer.module}`" for layer in layers)
    count = sum(layer.parameters for layer in layers)
    return tuple(cell or _NONE for cell in (modules, *facts, f"{count:,}"))


class Built(NamedTuple):
    """A recipe's network on a data set, traced."""

    event: Shape
    recipe: Recipe
    model: M2
    layers: list[Layer]


def build(recipe: Recipe, facts: DataFacts) -> Built:
    """Builds and traces; the initial weights reach no cell."""
    model = recipe.model.build(facts.event, torch.zeros(facts.classes), seed=0)
    return Built(facts.event, recipe, model, trace(model, facts.event))


def settings(built: Built) -> dict[str, str]:
    """The hyperparameters of section 4.4, by the names of `SECTION_4_4`."""
    training, outputs = built.recipe.training, [x.facts for x in built.layers]
    rate = np.format_float_scientific(training.optimizer.peak, trim="-", exp_digits=1)
    if training.learning_rate != Constant():
        rate += f", {training.learning_rate}"
    optimizer = training.optimizer.build(built.model.parameters())
    hidden = {facts.inputs or _NONE for facts in outputs if facts.activation == "none"}
    values = (
        str(built.model.latent_size),
        str(built.model.classes),
        NO_MLP if any(facts.kernel for facts in outputs) else ", ".join(sorted(hidden)),
        ", ".join(sorted({facts.activation or _NONE for facts in outputs} - {"none"})),
        str(training.labeled_rows),
        str(training.unlabeled_rows),
        str(training.epochs),
        rate,
        type(optimizer).__name__,
    )
    return dict(zip((name for name, *_ in SECTION_4_4), values, strict=True))


def symbol(recipe: Recipe, name: str) -> str:
    """The value of one of the paper's symbols in a recipe."""
    for part in (recipe.objective, recipe.labels, recipe.likelihood):
        if hasattr(part, name):
            value = getattr(part, name)
            return f"{value:.4g}" if isinstance(value, float) else str(value)
    return _NONE


def _hyperparameters(kingma: Built, ours: Built) -> Table:
    rows = []
    for name, *printed in SECTION_4_4:
        pairs = list(zip(printed, (settings(kingma)[name], settings(ours)[name]), strict=True))
        wrong = [f"{b}, printed {a}" for a, b in pairs if a not in (NOT_SPECIFIED, b)]
        verdict = f"differs: {'; '.join(wrong)}" if wrong else AS_PRINTED
        rows.append((name, *pairs[0], *pairs[1], verdict))
    header = ("Hyperparameter", "Paper settings, as printed", "Ours: `kingma-m2`")
    header += ("Implemented settings, as printed", "Ours: `paper-m2`", "Verdict")
    return Table("Hyperparameters, section 4.4", header, tuple(rows), NOTES["4.4"])
