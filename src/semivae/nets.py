"""Networks, tensors to tensors: heads, layers that see y, and Kingma's MLP (2.9.1)."""

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from semivae.distributions import full_precision

Shape = tuple[int, ...]


class FullPrecisionLinear(nn.Linear):
    """A linear layer outside autocast: the heads whose outputs enter exp, log-softmax and KL."""

    def forward(self, input: Float[Tensor, "B F"]) -> Float[Tensor, "B G"]:
        with torch.autocast(input.device.type, enabled=False):
            return super().forward(full_precision(input))


class SplitLinear(nn.Module):
    """W [a; y] + b as (W_a a + b)[row] + W_y y: what does not see y is computed once per example.

    `row` (M,) says which example each pair belongs to; None: `a` already has a row per pair.
    """

    def __init__(self, inputs: int, classes: int, outputs: int) -> None:
        super().__init__()
        self.of_a = nn.Linear(inputs, outputs)
        self.of_y = nn.Linear(classes, outputs, bias=False)

    def forward(
        self, a: Float[Tensor, "N A"], y: Float[Tensor, "M K"], row: Int[Tensor, "M"] | None
    ) -> Float[Tensor, "M F"]:
        bracket = self.of_a(a)
        pairs: Tensor = (bracket if row is None else bracket[row]) + self.of_y(y)
        return pairs


class Columns(nn.Module):
    """Columns `start` to `stop` of the features: two heads on one matrix product."""

    def __init__(self, start: int, stop: int) -> None:
        super().__init__()
        self.start, self.stop, self.size = start, stop, stop - start

    def forward(self, h: Float[Tensor, "B F"]) -> Float[Tensor, "B G"]:
        return h[:, self.start : self.stop]


class AddColumns(nn.Module):
    """columns(h) + W_a other(h): the first layer of a network on (x, a), for features h that hold
    W_x x + b of several networks, and a."""

    def __init__(self, columns: Columns, other: Columns) -> None:
        super().__init__()
        self.columns, self.other, self.size = columns, other, columns.size
        self.of_other = nn.Linear(other.size, columns.size, bias=False)

    def forward(self, h: Float[Tensor, "B F"]) -> Float[Tensor, "B G"]:
        total: Tensor = self.columns(h) + self.of_other(self.other(h))
        return total


class AddLabel(nn.Module):
    """a[row] + W_y y for features a that are already W_x x + b (Kingma's first layer of q(z|x,
    y))."""

    def __init__(self, columns: Columns | AddColumns, classes: int) -> None:
        super().__init__()
        self.columns = columns
        self.of_y = nn.Linear(classes, columns.size, bias=False)

    def forward(
        self, h: Float[Tensor, "B F"], y: Float[Tensor, "M K"], row: Int[Tensor, "M"] | None
    ) -> Float[Tensor, "M G"]:
        a = self.columns(h)
        pairs: Tensor = (a if row is None else a[row]) + self.of_y(y)
        return pairs


class LabelBlind(nn.Module):
    """Heads of q(z|x): mean and log variance, one row per example (section 2.2, Eq 2)."""

    sees_y = False

    def __init__(self, hidden: nn.Module, features: int, latent: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.mean = FullPrecisionLinear(features, latent)
        self.log_variance = FullPrecisionLinear(features, latent)

    def forward(
        self, h: Float[Tensor, "B F"], y: Float[Tensor, "M K"], row: Int[Tensor, "M"]
    ) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B D"]]:
        hidden = self.hidden(h)
        return self.mean(hidden), self.log_variance(hidden)


class LabelAware(nn.Module):
    """Heads of Kingma's q(z|x, y): both mean and log variance see y, one row per pair."""

    sees_y = True

    def __init__(
        self, first: SplitLinear | AddLabel, activation: nn.Module, features: int, latent: int
    ) -> None:
        super().__init__()
        self.first, self.activation = first, activation
        self.mean = FullPrecisionLinear(features, latent)
        self.log_variance = FullPrecisionLinear(features, latent)

    def forward(
        self, h: Float[Tensor, "B F"], y: Float[Tensor, "M K"], row: Int[Tensor, "M"]
    ) -> tuple[Float[Tensor, "M D"], Float[Tensor, "M D"]]:
        hidden = self.activation(self.first(h, y, row))
        return self.mean(hidden), self.log_variance(hidden)


class GaussianHeads(nn.Module):
    """Mean and log variance of a diagonal Gaussian, as functions of one input."""

    def __init__(self, hidden: nn.Module, features: int, size: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.mean = FullPrecisionLinear(features, size)
        self.log_variance = FullPrecisionLinear(features, size)

    def forward(
        self, h: Float[Tensor, "N F"]
    ) -> tuple[Float[Tensor, "N D"], Float[Tensor, "N D"]]:
        hidden = self.hidden(h)
        return self.mean(hidden), self.log_variance(hidden)


class Decoder(nn.Module):
    """f(z, y): a first layer that combines z and y, split, then `rest` (section 2.11)."""

    def __init__(self, first: SplitLinear, activation: nn.Module, rest: nn.Module) -> None:
        super().__init__()
        self.first, self.activation, self.rest = first, activation, rest

    def forward(
        self, z: Float[Tensor, "N D"], y: Float[Tensor, "M K"], row: Int[Tensor, "M"] | None
    ) -> Float[Tensor, "M *X"]:
        output: Tensor = self.rest(self.activation(self.first(z, y, row)))
        return output


def mlp(
    inputs: int, hidden: tuple[int, ...], activation: Callable[[], nn.Module]
) -> nn.Sequential:
    """Flattens, then one linear layer and activation per hidden size."""
    layers: list[nn.Module] = [nn.Flatten()]
    for before, after in zip((inputs, *hidden), hidden, strict=False):
        layers += [nn.Linear(before, after), activation()]
    return nn.Sequential(*layers)


def after_first(hidden: tuple[int, ...], activation: Callable[[], nn.Module]) -> nn.Sequential:
    """What follows a first linear layer to `hidden[0]` units: its activation, then the further
    hidden layers with theirs."""
    layers: list[nn.Module] = [activation()]
    for before, after in pairwise(hidden):
        layers += [nn.Linear(before, after), activation()]
    return nn.Sequential(*layers)


def to_event(
    hidden: tuple[int, ...], event: Shape, activation: Callable[[], nn.Module]
) -> nn.Sequential:
    """From an activated first hidden layer through the further ones to *X."""
    _, *further = after_first(hidden, activation)
    return nn.Sequential(*further, nn.Linear(hidden[-1], math.prod(event)), nn.Unflatten(1, event))


def mlp_decoder(
    event: Shape,
    classes: int,
    latent: int,
    hidden: tuple[int, ...],
    activation: Callable[[], nn.Module],
) -> Decoder:
    """[z; y] to hidden layers to *X (section 2.9.1: one of them)."""
    first = SplitLinear(latent, classes, hidden[0])
    return Decoder(first, activation(), to_event(hidden, event, activation))


def learned_values(*modules: nn.Module) -> int:
    """How many values the modules learn."""
    return sum(weight.numel() for module in modules for weight in module.parameters())
