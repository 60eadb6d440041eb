"""What a bound may know of a model: its densities, and one stream after one pass through the
trunk."""

from typing import NamedTuple, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor
from torch.distributions import Categorical, Distribution

from semivae.distributions import DiagonalGaussian
from semivae.label_draws import LabelDraws
from semivae.noise import Noise


class Encoded(NamedTuple):
    """B examples after one pass through the trunk.

    `x` is the decoder's target, `h` the features, `q_y` the classifier with batch (B,), `y` the
    observed label as one-hot or None, and `per_example` (B,) what the model adds to its
    log-likelihood once per example (a log ratio of variables drawn in `encode`; 0 for M2), in
    nats.
    """

    x: Float[Tensor, "B *X"]
    h: Float[Tensor, "B F"]
    q_y: Categorical
    y: Float[Tensor, "B K"] | None
    per_example: Float[Tensor, "B"]


@runtime_checkable
class DensityModel(Protocol):
    """A member of the family: densities that return `torch.distributions`, and the two hooks of a
    bound."""

    @property
    def q_z_sees_y(self) -> bool:
        """Whether q(z|.) has a row per pair (M,) (Kingma) or per example (B,) (the paper)."""

    def encode(self, x: Float[Tensor, "B *X"], noise: Noise) -> Encoded:
        """One pass through the trunk, with whatever the model samples once per example; q reads
        `noise.seen(x)`."""

    def classify(self, x: Float[Tensor, "B *X"], noise: Noise) -> Categorical:
        """`encode(x, noise).q_y`, of which nothing else is asked."""

    def redraw(self, encoded: Encoded, noise: Noise, number: int) -> Encoded:
        """The same examples and target with draw `number` of what the model samples once per
        example; `encode` makes draw 0."""

    def q_z(self, h: Float[Tensor, "B F"], draws: LabelDraws) -> DiagonalGaussian:
        """q(z|x) with batch (B,), or q(z|x, y) with batch (M,); event (D,)."""

    def p_y(self) -> Categorical:
        """The prior p(y), batch ()."""

    def p_z(self, y: Float[Tensor, "N K"]) -> Distribution:
        """The prior p(z|y), batch (N,), event (D,); free of y where q(z|x) does not see it."""

    def log_likelihood(
        self, encoded: Encoded, z: Float[Tensor, "N D"], draws: LabelDraws
    ) -> Float[Tensor, "M"]:
        """log p(x|z, y) of each pair, z with the rows of q_z; or the log density, given z and y,
        of whatever the model has in its place (p(z1|z, y) of M1+M2, p(x|a, z, y) p(a|z, y) of
        SDGM), which `per_example` completes."""
