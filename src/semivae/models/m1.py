"""M1 (Kingma 2014): p(z) p(x|z) with q(z|x), a variational autoencoder that reads no label."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution

from semivae.distributions import DiagonalGaussian, categorical
from semivae.label_draws import LabelDraws
from semivae.likelihoods import Likelihood
from semivae.models.base import DeepGenerativeModel
from semivae.models.densities import Encoded
from semivae.nets import GaussianHeads
from semivae.noise import Noise


class M1(DeepGenerativeModel):
    """The member of the family with one class, whose label costs nothing: B(x; pi) is its ELBO.

    Parts: `trunk` x -> h (B, F); `posterior` h -> mean and log variance of q(z|x); `decoder` z ->
    what `likelihood` reads. As the lower half of `m1m2.M1M2` its z is called z1.

    References: Kingma et al. 2014, Semi-supervised Learning with Deep Generative Models.
    """

    def __init__(
        self,
        trunk: nn.Module,
        posterior: GaussianHeads,
        decoder: nn.Module,
        likelihood: Likelihood,
    ) -> None:
        super().__init__(torch.zeros(1))
        self.trunk = trunk
        self.posterior = posterior
        self.decoder = decoder
        self.likelihood = likelihood

    @property
    def q_z_sees_y(self) -> bool:
        """There is no y to see."""
        return False

    @property
    def latent_size(self) -> int:
        """D, the size of z."""
        return self.posterior.mean.out_features

    def encode(self, x: Float[Tensor, "B *X"], noise: Noise) -> Encoded:
        """One pass through the trunk; the target may be drawn."""
        h = self.features(noise.seen(x))
        nothing = torch.zeros(x.shape[0], dtype=self.log_prior.dtype, device=x.device)
        return Encoded(self.target(x, noise), h, self.q_y(h), None, nothing)

    def features(self, x: Float[Tensor, "B *X"]) -> Float[Tensor, "B F"]:
        """What the trunk makes of x."""
        h: Tensor = self.trunk(x)
        return h

    def q_y(self, h: Float[Tensor, "B F"]) -> Categorical:
        """The one class, with probability 1; batch (B,)."""
        return categorical(h.new_zeros(h.shape[0], 1))

    def q_z(self, h: Float[Tensor, "B F"], draws: LabelDraws) -> DiagonalGaussian:
        """q(z|x), batch (B,), event (D,)."""
        return DiagonalGaussian(*self.posterior(h))

    def p_x(self, z: Float[Tensor, "N D"]) -> Distribution:
        """p(x|z), batch (N,), event *X."""
        distribution: Distribution = self.likelihood(self.decoder(z))
        return distribution

    def log_likelihood(
        self, encoded: Encoded, z: Float[Tensor, "B D"], draws: LabelDraws
    ) -> Float[Tensor, "M"]:
        """log p(x|z), in nats."""
        log_p: Tensor = self.p_x(z[draws.row]).log_prob(encoded.x[draws.row])
        return log_p

    def decode(self, z: Float[Tensor, "N D"], y: Float[Tensor, "N K"]) -> Float[Tensor, "N *X"]:
        """The mean of p(x|z); y is the one class."""
        return self.decode_code(z)

    # What `m1m2.M1M2` asks of its lower half.

    def codes(self, x: Float[Tensor, "B *X"]) -> Float[Tensor, "B 2 D"]:
        """Mean and log variance of q(z1|x)."""
        return torch.stack(self.posterior(self.features(x)), 1)

    def target(self, x: Float[Tensor, "B *X"], noise: Noise) -> Float[Tensor, "B *X"]:
        """What of x the decoder explains."""
        return self.likelihood.target(x, noise)

    def log_ratio(
        self, target: Float[Tensor, "B *X"], z1: Float[Tensor, "B D"], q_z1: DiagonalGaussian
    ) -> Float[Tensor, "B"]:
        """log p(x|z1) - log q(z1|x), in nats."""
        log_p: Tensor = self.p_x(z1).log_prob(target)
        log_q: Tensor = q_z1.log_prob(z1)  # type: ignore[no-untyped-call]
        return log_p - log_q

    def decode_code(self, z1: Float[Tensor, "N D"]) -> Float[Tensor, "N *X"]:
        """The mean of p(x|z1)."""
        mean: Tensor = self.p_x(z1).mean
        return mean
