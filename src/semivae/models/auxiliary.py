"""The parts of ADGM and SDGM; what sees no y is computed once per example."""

from typing import NamedTuple

from jaxtyping import Float, Int
from torch import Tensor, nn

from semivae.label_draws import LabelDraws
from semivae.nets import AddLabel, Decoder, GaussianHeads, LabelAware, SplitLinear


class AuxiliaryEncoder(nn.Module):
    """The networks of q: `trunk` x -> r (B, R), the first layers on x of all of them; `auxiliary`
    r -> q(a|x); `classifier` h -> logits and `latent` h, y -> q(z|a, x, y) on h = [r; a]."""

    def __init__(
        self,
        trunk: nn.Module,
        auxiliary: GaussianHeads,
        classifier: nn.Module,
        latent: LabelAware,
    ) -> None:
        super().__init__()
        self.trunk, self.auxiliary = trunk, auxiliary
        self.classifier, self.latent = classifier, latent


class AuxiliaryPrior(nn.Module):
    """ADGM's p(a|x, y, z): `first` is (W_x x + b)[row] + W_y y, to which W_z z is added."""

    def __init__(self, first: AddLabel, latent: int, heads: GaussianHeads) -> None:
        super().__init__()
        self.first, self.heads = first, heads
        self.of_z = nn.Linear(latent, first.columns.size, bias=False)

    def forward(
        self, h: Float[Tensor, "B F"], z: Float[Tensor, "M D"], draws: LabelDraws
    ) -> tuple[Float[Tensor, "M A"], Float[Tensor, "M A"]]:
        mean_and_log_variance: tuple[Tensor, Tensor] = self.heads(
            self.first(h, draws.y, draws.row) + self.of_z(z)
        )
        return mean_and_log_variance


class SkipPrior(nn.Module):
    """SDGM's p(a|z, y)."""

    def __init__(self, first: SplitLinear, heads: GaussianHeads) -> None:
        super().__init__()
        self.first, self.heads = first, heads

    def forward(
        self, z: Float[Tensor, "M D"], y: Float[Tensor, "M K"]
    ) -> tuple[Float[Tensor, "M A"], Float[Tensor, "M A"]]:
        mean_and_log_variance: tuple[Tensor, Tensor] = self.heads(self.first(z, y, None))
        return mean_and_log_variance


class SkipDecoder(nn.Module):
    """SDGM's f(a, z, y): W_a a is computed once per example and gathered by `row`."""

    def __init__(self, above: Decoder, of_a: nn.Linear) -> None:
        super().__init__()
        self.above, self.of_a = above, of_a

    def forward(
        self,
        a: Float[Tensor, "B A"],
        z: Float[Tensor, "M D"],
        y: Float[Tensor, "M K"],
        row: Int[Tensor, "M"],
    ) -> Float[Tensor, "M *X"]:
        first = self.above.first(z, y, None) + self.of_a(a)[row]
        output: Tensor = self.above.rest(self.above.activation(first))
        return output


class AuxiliaryParts(NamedTuple):
    """What ADGM and SDGM are made of, likelihood and prior of y aside."""

    encoder: AuxiliaryEncoder
    prior: AuxiliaryPrior | SkipPrior
    decoder: Decoder | SkipDecoder
