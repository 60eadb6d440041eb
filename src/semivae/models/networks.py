"""Network specifications: frozen plain values that build the parts of M2 for an event shape and K
classes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from torch import nn

from semivae.convolutions import ConvEncoder, conv_decoder, conv_decoder_43
from semivae.nets import (
    Decoder,
    FullPrecisionLinear,
    LabelAware,
    LabelBlind,
    Shape,
    SplitLinear,
    mlp,
    mlp_decoder,
)


class Parts(NamedTuple):
    """What M2 is made of, its likelihood and prior aside."""

    trunk: nn.Module
    classifier: nn.Module
    latent: LabelBlind | LabelAware
    decoder: Decoder


@runtime_checkable
class Network(Protocol):
    """A specification; `event` is (C, H, W) or (D,)."""

    def factorized(self, event: Shape, classes: int) -> Parts:
        """Parts with q(z|x), the paper's family."""

    def conditional(self, event: Shape, classes: int) -> Parts:
        """Parts with q(z|x, y), Kingma's family."""


@runtime_checkable
class DecoderBuilder(Protocol):
    """(event, classes, latent) -> Decoder."""

    def __call__(self, event: Shape, classes: int, latent: int) -> Decoder: ...


@dataclass(frozen=True)
class PaperCNN:
    """The encoder of section 2.10 with the decoder of section 2.11; shapes derived from the
    input."""

    latent: int = 50

    def __post_init__(self) -> None:
        check_sizes({"latent": self.latent})

    def factorized(self, event: Shape, classes: int) -> Parts:
        return _cnn(self.latent, event, classes, conv_decoder)

    def conditional(self, event: Shape, classes: int) -> Parts:
        return _see_y(self.factorized(event, classes), classes, self.latent)


@dataclass(frozen=True)
class PaperCNN43:
    """The encoder of section 2.10 with the decoder of section 4.3, at 28 px with output paddings
    0, 1, 1."""

    latent: int = 50

    def __post_init__(self) -> None:
        check_sizes({"latent": self.latent})

    def factorized(self, event: Shape, classes: int) -> Parts:
        return _cnn(self.latent, event, classes, conv_decoder_43)

    def conditional(self, event: Shape, classes: int) -> Parts:
        return _see_y(self.factorized(event, classes), classes, self.latent)


@dataclass(frozen=True)
class KingmaMLP:
    """One hidden layer of softplus units in each network (section 2.9.1).

    The classifier and q(z|.) share nothing, so that predicting y costs the classifier alone; of
    Kingma's q(z|x, y), x's part is computed once per example and y's is added per pair.
    """

    hidden: int = 500
    latent: int = 50

    def __post_init__(self) -> None:
        check_sizes({"hidden": self.hidden, "latent": self.latent})

    def factorized(self, event: Shape, classes: int) -> Parts:
        hidden = nn.Sequential(nn.Linear(math.prod(event), self.hidden), nn.Softplus())
        return self._parts(event, classes, LabelBlind(hidden, self.hidden, self.latent))

    def conditional(self, event: Shape, classes: int) -> Parts:
        first = SplitLinear(math.prod(event), classes, self.hidden)
        latent = LabelAware(first, nn.Softplus(), self.hidden, self.latent)
        return self._parts(event, classes, latent)

    def _parts(self, event: Shape, classes: int, latent: LabelBlind | LabelAware) -> Parts:
        return Parts(
            trunk=nn.Flatten(),
            classifier=nn.Sequential(
                nn.Linear(math.prod(event), self.hidden),
                nn.Softplus(),
                FullPrecisionLinear(self.hidden, classes),
            ),
            latent=latent,
            decoder=mlp_decoder(event, classes, self.latent, (self.hidden,), nn.Softplus),
        )


@dataclass(frozen=True)
class MLP:
    """Two shared hidden layers of ReLU units, for tables: what `auto` takes when x is not an
    image."""

    hidden: int = 256
    latent: int = 16

    def __post_init__(self) -> None:
        check_sizes({"hidden": self.hidden, "latent": self.latent})

    def factorized(self, event: Shape, classes: int) -> Parts:
        return Parts(
            trunk=mlp(math.prod(event), (self.hidden, self.hidden), nn.ReLU),
            classifier=FullPrecisionLinear(self.hidden, classes),
            latent=LabelBlind(nn.Identity(), self.hidden, self.latent),
            decoder=mlp_decoder(event, classes, self.latent, (self.hidden,), nn.ReLU),
        )

    def conditional(self, event: Shape, classes: int) -> Parts:
        return _see_y(self.factorized(event, classes), classes, self.latent)


def check_sizes(sizes: Mapping[str, int]) -> None:
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name}={size}: a layer has at least 1 unit")


def _cnn(latent: int, event: Shape, classes: int, decoder: DecoderBuilder) -> Parts:
    return Parts(
        trunk=ConvEncoder(event, (32, 64), 512),
        classifier=FullPrecisionLinear(512, classes),
        latent=LabelBlind(nn.Identity(), 512, latent),
        decoder=decoder(event, classes, latent),
    )


def _see_y(parts: Parts, classes: int, latent: int) -> Parts:
    """The same parts with y entering the last hidden layer of q(z|x, y), so that only heads see
    it."""
    features = parts.latent.mean.in_features
    first = SplitLinear(features, classes, features)
    return parts._replace(latent=LabelAware(first, nn.ReLU(), features, latent))
