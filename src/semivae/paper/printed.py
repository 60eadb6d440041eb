"""What the paper prints of its architecture: sections 2.10, 2.11, 4.3 and 4.4, row by row."""

from typing import NamedTuple


class Facts(NamedTuple):
    """What is said of a layer, in the paper's words; None is nothing."""

    type: str | None = None
    kernel: str | None = None
    stride: str | None = None
    padding: str | None = None
    output_padding: str | None = None
    inputs: str | None = None
    outputs: str | None = None
    output_shape: str | None = None
    activation: str | None = None


class Printed(NamedTuple):
    """A row of the paper, on `layers` layers of a part of the model; facts: MNIST, CIFAR-10."""

    part: str
    layer: str
    details: str
    facts: tuple[Facts, Facts]
    layers: int = 1


def _shapes(part: str, layer: str, mnist: str, cifar: str, layers: int = 1) -> Printed:
    name = layer.partition(" (")[0]
    kind = name if "Conv" in name or name == "Fully Connected" else None
    facts = (Facts(kind, output_shape=mnist), Facts(kind, output_shape=cifar))
    return Printed(part, layer, f"{mnist} / {cifar}", facts, layers)


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
_512 = Facts("Fully Connected", outputs="512", activation="ReLU")
_HEAD = Facts("Fully Connected")
_CONV = "Kernel: 3x3, Stride: 2, Padding: 1, Activation: ReLU"
_CONV_UP = "Kernel: 3x3, Stride: 2, Padding: 1, Output Padding: 1, Activation: ReLU"
SECTION_4_3 = (
    Printed("trunk", "Conv2D", f"Filters: 32, {_CONV}", (_DOWN._replace(outputs="32"),) * 2),
    Printed("trunk", "Conv2D", f"Filters: 64, {_CONV}", (_DOWN._replace(outputs="64"),) * 2),
    Printed("trunk", "Fully Connected",
            "Input: Flattened feature map, Output: 512 units, Activation: ReLU",
            (_512._replace(inputs="3136"), _512._replace(inputs="4096"))),
    Printed("latent", "Mean/LogVar Layers",
            "Separate fully connected layers for latent mean and log variance (50 units each)",
            (_HEAD._replace(outputs="50"),) * 2, layers=2),
    Printed("classifier", "Classifier Layer",
            "Fully connected layer for logits of categorical distribution (10 classes)",
            (_HEAD._replace(outputs="10"),) * 2),
    Printed("decoder", "Fully Connected",
            "Input: Latent + one-hot class, Output: 512 units, Activation: ReLU",
            (_512._replace(inputs="60"),) * 2),
    Printed("decoder", "ConvTranspose2D", f"Filters: 64, {_CONV_UP}",
            (_UP._replace(outputs="64"),) * 2),
    Printed("decoder", "ConvTranspose2D", f"Filters: 32, {_CONV_UP}",
            (_UP._replace(outputs="32"),) * 2),
    Printed("decoder", "ConvTranspose2D",
            f"Filters: Channels in input (1 for MNIST, 3 for CIFAR-10), {_CONV_UP}",
            (_UP._replace(outputs="1"), _UP._replace(outputs="3"))),
)  # fmt: skip
NO_MLP = "N/A (Replaced by CNN)"
SECTION_4_4 = (  # hyperparameter, "Paper Settings" (Kingma's), "Implemented Settings"
    ("Latent Dimension (z)", "50", "50"),
    ("Number of Classes", "10", "10"),
    ("Hidden Units (MLP)", "500", NO_MLP),
    ("Activation Function", "Softplus", "ReLU"),
    ("Batch Size", "Not specified", "128"),
    ("Number of Epochs", "Not specified", "50"),
    ("Learning Rate", "Not specified", "1e-3"),
    ("Optimizer", "Not specified", "Adam"),
)
SYMBOLS = (  # symbol, meaning, what the paper prints of its value
    ("alpha", "weight of the classification loss (2.5, Eqs 7 and 8; 3.6)", "nothing"),
    ("beta", "weight of the entropy penalty (3.1, Eq 15)", "nothing"),
    ("gamma", "weight of the mutual information (3.2)", "nothing"),
    ("epsilon", "label smoothing (3.3.2)", "an example, 0.001"),
    ("tau", "temperature of Gumbel-Softmax (2.7.2)", "nothing"),
    ("sigma", "standard deviation of a pixel in [0, 1] (2.1, Eq 1)", "nothing"),
    ("average", "last share of training over which weights are averaged", "nothing"),
)
NOTE_2_10 = """The paper prints shapes here; kernels, strides, paddings and activations of the
same encoder are in section 4.3."""
NOTE_2_11 = """The decoder of the recipe `paper-m2`. The paper prints shapes here; the last
activation of ours is {output}, for the reason given under section 4.3."""
NOTE_4_3 = """The recipe `paper-m2` with this decoder (`--set network=paper-cnn-4.3`). Each layer
with output padding 1 doubles the side: the paper's three turn the 7 pixels of section 2.10 into
56, and 4 pixels into 32; no side becomes 28. The output paddings of ours are {paddings}, and they
end at {shape}. The paper prints ReLU on the output layer too, where a mean could not be negative
and its gradient would vanish wherever it is held at 0; the last activation of ours is {output}."""
NOTE_4_4 = """"Paper settings" is the paper's account of Kingma's M2, "ours" the recipe `paper-m2`.
A batch of 128 is read as 128 labeled and 128 unlabeled rows, an epoch as a pass over the unlabeled
rows."""
NOTE_SYMBOLS = """The paper leaves these open, so the values are choices of ours (a dash: not in
the objective). It does not print the number of labels either."""
NOTE_COST = """The encoder includes its heads. Multiply-adds are per example, those of one forward
pass in matrix products and convolutions."""

# What counts as one layer: the last two are one matrix product, written as a sum over its inputs.
