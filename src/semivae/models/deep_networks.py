"""Network specifications of M1, M1+M2, ADGM and SDGM: multilayer perceptrons as published."""

import math
from dataclasses import dataclass
from typing import NamedTuple

from torch import nn

from semivae.models.auxiliary import (
    AuxiliaryEncoder,
    AuxiliaryParts,
    AuxiliaryPrior,
    SkipDecoder,
    SkipPrior,
)
from semivae.models.networks import KingmaMLP, Parts, check_sizes
from semivae.nets import (
    AddColumns,
    AddLabel,
    Columns,
    Decoder,
    FullPrecisionLinear,
    GaussianHeads,
    LabelAware,
    Shape,
    SplitLinear,
    after_first,
    mlp,
    mlp_decoder,
    to_event,
)


class M1Parts(NamedTuple):
    """What M1 is made of, its likelihood aside."""

    trunk: nn.Module
    posterior: GaussianHeads
    decoder: nn.Module


@dataclass(frozen=True)
class M1MLP:
    """Two hidden layers of 600 units in encoder and decoder (Kingma 2014).

    ReLU units where the publication has softplus: after 1,100 steps on the digits, M1 then tells
    twice as much of x in z (a latent KL of 3.1 against 1.7 nats).
    """

    hidden: int = 600
    latent: int = 50

    def __post_init__(self) -> None:
        check_sizes({"hidden": self.hidden, "latent": self.latent})

    def parts(self, event: Shape) -> M1Parts:
        """Parts of M1 for examples of shape `event`."""
        hidden = (self.hidden, self.hidden)
        return M1Parts(
            trunk=mlp(math.prod(event), hidden, nn.ReLU),
            posterior=GaussianHeads(nn.Identity(), self.hidden, self.latent),
            decoder=nn.Sequential(
                nn.Linear(self.latent, self.hidden),
                nn.ReLU(),
                to_event(hidden, event, nn.ReLU),
            ),
        )


@dataclass(frozen=True)
class StackedMLP:
    """M1+M2 in the published sizes: below `M1MLP` with `hidden` units and a code z1 of size
    `code`, above `KingmaMLP` with `hidden_above` units and z2 of size `latent`."""

    hidden: int = 600
    code: int = 50
    hidden_above: int = 500
    latent: int = 50

    def __post_init__(self) -> None:
        check_sizes(
            {
                "hidden": self.hidden,
                "code": self.code,
                "hidden_above": self.hidden_above,
                "latent": self.latent,
            }
        )

    @property
    def m1(self) -> M1MLP:
        """The network below."""
        return M1MLP(self.hidden, self.code)

    def m2(self, classes: int) -> Parts:
        """Parts of the M2 above, with q(z2|z1, y); its decoder gives the mean and the log variance
        of z1, (M, 2, D1)."""
        parts = KingmaMLP(self.hidden_above, self.latent).conditional((self.code,), classes)
        rest = nn.Sequential(
            FullPrecisionLinear(self.hidden_above, 2 * self.code),
            nn.Unflatten(1, (2, self.code)),
        )
        first = SplitLinear(self.latent, classes, self.hidden_above)
        return parts._replace(decoder=Decoder(first, nn.Softplus(), rest))


@dataclass(frozen=True)
class AuxiliaryMLP:
    """ADGM and SDGM as published: two hidden layers of ReLU units in each of their networks.

    The first layers on x are one matrix product, computed once per example.
    """

    hidden: int = 500
    latent: int = 100
    auxiliary: int = 100

    def __post_init__(self) -> None:
        check_sizes({"hidden": self.hidden, "latent": self.latent, "auxiliary": self.auxiliary})

    def adgm(self, event: Shape, classes: int) -> AuxiliaryParts:
        """Parts with p(a|x, y, z) and p(x|z, y)."""
        columns = Columns(3 * self.hidden, 4 * self.hidden)
        prior = AuxiliaryPrior(
            AddLabel(columns, classes), self.latent, self._heads(self.auxiliary)
        )
        layers = (self.hidden, self.hidden)
        decoder = mlp_decoder(event, classes, self.latent, layers, nn.ReLU)
        return AuxiliaryParts(self._encoder(event, classes, networks=4), prior, decoder)

    def sdgm(self, event: Shape, classes: int) -> AuxiliaryParts:
        """Parts with p(a|z, y) and p(x|a, z, y)."""
        layers = (self.hidden, self.hidden)
        prior = SkipPrior(
            SplitLinear(self.latent, classes, self.hidden), self._heads(self.auxiliary)
        )
        decoder = SkipDecoder(
            mlp_decoder(event, classes, self.latent, layers, nn.ReLU),
            nn.Linear(self.auxiliary, self.hidden, bias=False),
        )
        return AuxiliaryParts(self._encoder(event, classes, networks=3), prior, decoder)

    def _encoder(self, event: Shape, classes: int, networks: int) -> AuxiliaryEncoder:
        """`networks` of the model read x: q(a|x), q(y|a, x), q(z|a, x, y) and ADGM's p(a|.)."""
        size, read = self.hidden, networks * self.hidden
        a = Columns(read, read + self.auxiliary)
        return AuxiliaryEncoder(
            trunk=nn.Sequential(nn.Flatten(), nn.Linear(math.prod(event), read)),
            auxiliary=GaussianHeads(
                nn.Sequential(Columns(0, size), self._hidden()), size, self.auxiliary
            ),
            classifier=nn.Sequential(
                AddColumns(Columns(size, 2 * size), a),
                self._hidden(),
                FullPrecisionLinear(size, classes),
            ),
            latent=LabelAware(
                AddLabel(AddColumns(Columns(2 * size, 3 * size), a), classes),
                self._hidden(),
                size,
                self.latent,
            ),
        )

    def _hidden(self) -> nn.Sequential:
        return after_first((self.hidden, self.hidden), nn.ReLU)

    def _heads(self, size: int) -> GaussianHeads:
        return GaussianHeads(self._hidden(), self.hidden, size)
