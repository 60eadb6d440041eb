"""M2 (Kingma 2014): p(y) p(z) p(x|z, y), with q(y|x) and q(z|x) or q(z|x, y) (sections 2.1 and
2.2)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution

from semivae.distributions import DiagonalGaussian, categorical
from semivae.label_draws import LabelDraws, one_pair_each
from semivae.likelihoods import Likelihood
from semivae.models.base import DeepGenerativeModel
from semivae.models.densities import Encoded
from semivae.nets import Decoder, LabelAware, LabelBlind
from semivae.noise import Noise


class M2(DeepGenerativeModel):
    """The model is its densities; everything else (bounds, terms, objectives) is built on them.

    Parts: `trunk` x -> h (B, F), shared by the heads; `classifier` h -> logits (B, K); `latent`
    the heads of q(z|.), which decide the inference family: `LabelBlind` is the paper's q(z|x)
    q(y|x) (Eq 4), `LabelAware` is Kingma's q(z|x, y) q(y|x); `decoder` (z, y) -> what `likelihood`
    reads; `log_prior` (K,) = log p(y).

    References: Kingma et al. 2014, Semi-supervised Learning with Deep Generative Models.
    """

    def __init__(
        self,
        trunk: nn.Module,
        classifier: nn.Module,
        latent: LabelBlind | LabelAware,
        decoder: Decoder,
        likelihood: Likelihood,
        log_prior: Float[Tensor, "K"],
    ) -> None:
        super().__init__(log_prior)
        self.trunk = trunk
        self.classifier = classifier
        self.latent = latent
        self.decoder = decoder
        self.likelihood = likelihood

    @property
    def q_z_sees_y(self) -> bool:
        """False for the paper's q(z|x), True for Kingma's q(z|x, y)."""
        return self.latent.sees_y

    @property
    def latent_size(self) -> int:
        """D, the size of z."""
        return self.latent.mean.out_features

    def encode(self, x: Float[Tensor, "B *X"], noise: Noise) -> Encoded:
        """One pass through the trunk; the decoder's target may be drawn."""
        h = self.features(noise.seen(x))
        return Encoded(
            x=self.likelihood.target(x, noise),
            h=h,
            q_y=self.q_y(h),
            y=None,
            per_example=torch.zeros(x.shape[0], dtype=self.log_prior.dtype, device=x.device),
        )

    def features(self, x: Float[Tensor, "B *X"]) -> Float[Tensor, "B F"]:
        """What the trunk makes of x."""
        h: Tensor = self.trunk(x)
        return h

    def q_y(self, h: Float[Tensor, "B F"]) -> Categorical:
        """q(y|x) = Cat(y; pi(x)) (Eq 3), batch (B,)."""
        return categorical(self.classifier(h))

    def q_z(self, h: Float[Tensor, "B F"], draws: LabelDraws) -> DiagonalGaussian:
        """q(z|x) = N(z; mu(x), sigma^2(x)) (Eq 2), batch (B,); or q(z|x, y), batch (M,)."""
        return DiagonalGaussian(*self.latent(h, draws.y, draws.row))

    def p_x(self, z: Float[Tensor, "N D"], draws: LabelDraws) -> Distribution:
        """p(x|z, y) (Eq 1), batch (M,); z has a row per pair if q(z|.) sees y, else per
        example."""
        row = None if self.q_z_sees_y else draws.row
        distribution: Distribution = self.likelihood(self.decoder(z, draws.y, row))
        return distribution

    def log_likelihood(
        self, encoded: Encoded, z: Float[Tensor, "N D"], draws: LabelDraws
    ) -> Float[Tensor, "M"]:
        """log p(x|z, y) of each pair, in nats."""
        log_p: Tensor = self.p_x(z, draws).log_prob(encoded.x[draws.row])
        return log_p

    def decode(self, z: Float[Tensor, "N D"], y: Float[Tensor, "N K"]) -> Float[Tensor, "N *X"]:
        """The mean of p(x|z, y), one image per row."""
        mean: Tensor = self.p_x(z, one_pair_each(y.log(), y)).mean
        return mean
