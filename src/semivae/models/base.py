"""What training, prediction and generation ask of a model, beyond what a bound may know of it."""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution

from semivae.distributions import DiagonalGaussian, StandardGaussian, categorical
from semivae.label_draws import LabelDraws
from semivae.models.densities import Encoded
from semivae.noise import Noise


class DeepGenerativeModel(nn.Module, ABC):
    """A member of the family: a `densities.DensityModel` that is a module and can be looked at.

    `log_prior` (K,) = log p(y). Between x and the heads, and between z and x, a member may have
    variables of its own (a of ADGM and SDGM, z1 of M1+M2): `encode` draws those of the inference,
    `redraw` draws them again, `features` takes them at their mean and `predictive` may average
    over them; `generate` draws those of the generative model and `decode` takes them at their
    mean.
    """

    log_prior: Tensor

    def __init__(self, log_prior: Float[Tensor, "K"]) -> None:
        super().__init__()
        self.register_buffer("log_prior", log_prior.log_softmax(0))

    @property
    @abstractmethod
    def q_z_sees_y(self) -> bool:
        """False for q(z|x) with a row per example, True for q(z|x, y) with a row per pair."""

    @property
    @abstractmethod
    def latent_size(self) -> int:
        """D, the size of z."""

    @property
    def classes(self) -> int:
        """K, the number of classes."""
        return self.log_prior.shape[0]

    @abstractmethod
    def encode(self, x: Float[Tensor, "B *X"], noise: Noise) -> Encoded:
        """One pass, with a draw of what the model samples once per example; q reads
        `noise.seen(x)`."""

    def classify(self, x: Float[Tensor, "B *X"], noise: Noise) -> Categorical:
        """`encode(x, noise).q_y`; overridden where the rest of `encode` is much work."""
        return self.encode(x, noise).q_y

    def redraw(self, encoded: Encoded, noise: Noise, number: int) -> Encoded:
        """The same examples and target with draw `number` of what the model samples once per
        example; `encode` makes draw 0. Nothing to draw: the same."""
        return encoded

    @abstractmethod
    def features(self, x: Float[Tensor, "B *X"]) -> Float[Tensor, "B F"]:
        """`Encoded.h` with what the model samples once per example at its mean."""

    @abstractmethod
    def q_y(self, h: Float[Tensor, "B F"]) -> Categorical:
        """q(y|.), batch (B,)."""

    @abstractmethod
    def q_z(self, h: Float[Tensor, "B F"], draws: LabelDraws) -> DiagonalGaussian:
        """q(z|.), batch (B,), or (M,) if it sees y; event (D,)."""

    def p_y(self) -> Categorical:
        """p(y), batch ()."""
        return categorical(self.log_prior)

    def p_z(self, y: Float[Tensor, "N K"]) -> Distribution:
        """p(z) = N(0, I), the same for every y (Eq 4); batch (N,), event (D,)."""
        return StandardGaussian(y.shape[0], self.latent_size, y.device, y.dtype)

    @abstractmethod
    def log_likelihood(
        self, encoded: Encoded, z: Float[Tensor, "N D"], draws: LabelDraws
    ) -> Float[Tensor, "M"]:
        """The log density of each pair given z and y, in nats; see `densities.DensityModel`."""

    def predictive(self, h: Float[Tensor, "B F"]) -> Categorical:
        """q(y|x) as it is predicted and diagnosed, batch (B,), for h as `features` gives it."""
        return self.q_y(h)

    def predict_proba(self, x: Float[Tensor, "B *X"]) -> Float[Tensor, "B K"]:
        """q(y|x) as probabilities."""
        return self.predictive(self.features(x)).probs

    @abstractmethod
    def decode(self, z: Float[Tensor, "N D"], y: Float[Tensor, "N K"]) -> Float[Tensor, "N *X"]:
        """The mean of p(x|.), one image per row, with what lies between z and x at its mean."""

    def generate(
        self, z: Float[Tensor, "N D"], y: Float[Tensor, "N K"], source: torch.Generator
    ) -> Float[Tensor, "N *X"]:
        """The mean of p(x|.), one image per row, with what lies between z and x drawn."""
        return self.decode(z, y)
