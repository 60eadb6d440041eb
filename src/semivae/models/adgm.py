"""ADGM (Maaløe et al. 2016): M2 with an auxiliary variable a that makes q(y, z|x) a mixture."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution

from semivae.distributions import DiagonalGaussian, categorical
from semivae.label_draws import LabelDraws
from semivae.likelihoods import Likelihood
from semivae.models.auxiliary import AuxiliaryEncoder
from semivae.models.base import DeepGenerativeModel
from semivae.models.densities import Encoded
from semivae.noise import Noise

PREDICTION_DRAWS = 100  # of a, that a prediction averages over, as the published code does


class ADGM(DeepGenerativeModel):
    """p(y) p(z) p(x|z, y) p(a|x, y, z), with q(a|x) q(y|a, x) q(z|a, x, y).

    p(x, y) is M2's: a only enriches q. At the best p(a|x, y, z), which is q(a|x, y, z), the bound
    is that of M2 with the mixture q(y, z|x) = E_q(a|x) q(y|a, x) q(z|a, x, y). One a is drawn per
    example, outside the sum over y, and feeds q(y|a, x), q(z|a, x, y) and log p(a|.) alike.

    Parts: `encoder`; `prior` h, z, draws -> mean and log variance of p(a|x, y, z); `decoder` as
    M2's; `log_prior` (K,) = log p(y).

    References: Maaløe, Sønderby, Sønderby, Winther 2016, Auxiliary Deep Generative Models.
    """

    def __init__(
        self,
        encoder: AuxiliaryEncoder,
        prior: nn.Module,
        decoder: nn.Module,
        likelihood: Likelihood,
        log_prior: Float[Tensor, "K"],
    ) -> None:
        super().__init__(log_prior)
        self.encoder = encoder
        self.prior = prior
        self.decoder = decoder
        self.likelihood = likelihood

    @property
    def q_z_sees_y(self) -> bool:
        """q(z|a, x, y) does."""
        return True

    @property
    def latent_size(self) -> int:
        """D, the size of z."""
        return self.encoder.latent.mean.out_features

    @property
    def auxiliary_size(self) -> int:
        """The size of a."""
        return self.encoder.auxiliary.mean.out_features

    def encode(self, x: Float[Tensor, "B *X"], noise: Noise) -> Encoded:
        """One pass over x with a draw of a; `per_example` is - log q(a|x)."""
        read = self.encoder.trunk(noise.seen(x))
        return self._drawn(self.likelihood.target(x, noise), read, noise, 0)

    def redraw(self, encoded: Encoded, noise: Noise, number: int) -> Encoded:
        """Another draw of a."""
        read = encoded.h[:, : -self.auxiliary_size]
        return self._drawn(encoded.x, read, noise, number)

    def _drawn(
        self, target: Float[Tensor, "B *X"], read: Float[Tensor, "B R"], noise: Noise, number: int
    ) -> Encoded:
        q_a = self.q_a(read)
        a = q_a.at(noise.normal(f"a {number}", self.auxiliary_size).to(q_a.mean))
        h = torch.cat([read, a], 1)
        log_q_a: Tensor = q_a.log_prob(a)  # type: ignore[no-untyped-call]
        return Encoded(target, h, self.q_y(h), None, -log_q_a)

    def features(self, x: Float[Tensor, "B *X"]) -> Float[Tensor, "B F"]:
        """The features with a at the mean of q(a|x)."""
        read = self.encoder.trunk(x)
        return torch.cat([read, self.q_a(read).mean], 1)

    def predictive(self, h: Float[Tensor, "B F"]) -> Categorical:
        """q(y|x) = E_q(a|x) q(y|a, x), batch (B,), as the mean over 100 draws of a whose noise is
        fixed and shared by all rows: what is predicted for a row depends on that row alone."""
        read = h[:, : -self.auxiliary_size]
        q_a = self.q_a(read)
        noise = Noise(0, 0, (("prediction", PREDICTION_DRAWS),), h.device)
        draws = noise.normal("a", self.auxiliary_size).to(q_a.mean)
        # The mean of probabilities, in logs: what underflows at every draw keeps a finite one.
        log_sum = torch.full((), -math.inf, device=h.device)
        for draw in draws:
            h_at = torch.cat([read, q_a.at(draw.expand_as(q_a.mean))], 1)
            log_sum = torch.logaddexp(log_sum, self.q_y(h_at).logits)
        return categorical(log_sum)

    def q_a(self, read: Float[Tensor, "B R"]) -> DiagonalGaussian:
        """q(a|x), batch (B,)."""
        return DiagonalGaussian(*self.encoder.auxiliary(read))

    def q_y(self, h: Float[Tensor, "B F"]) -> Categorical:
        """q(y|a, x), batch (B,)."""
        return categorical(self.encoder.classifier(h))

    def q_z(self, h: Float[Tensor, "B F"], draws: LabelDraws) -> DiagonalGaussian:
        """q(z|a, x, y), batch (M,)."""
        return DiagonalGaussian(*self.encoder.latent(h, draws.y, draws.row))

    def log_likelihood(
        self, encoded: Encoded, z: Float[Tensor, "M D"], draws: LabelDraws
    ) -> Float[Tensor, "M"]:
        """log p(x|.) + log p(a|.) of each pair, in nats."""
        log_p_x: Tensor = self.p_x(encoded.h, z, draws).log_prob(encoded.x[draws.row])
        log_p_a: Tensor = self.p_a(encoded.h, z, draws).log_prob(self._a(encoded.h)[draws.row])
        return log_p_x + log_p_a

    def _a(self, h: Float[Tensor, "B F"]) -> Float[Tensor, "B A"]:
        return h[:, -self.auxiliary_size :]

    # The generative model.

    def p_a(
        self, h: Float[Tensor, "B F"], z: Float[Tensor, "M D"], draws: LabelDraws
    ) -> Distribution:
        """p(a|x, y, z), batch (M,), event (A,)."""
        return DiagonalGaussian(*self.prior(h, z, draws))

    def p_x(
        self, h: Float[Tensor, "B F"], z: Float[Tensor, "M D"], draws: LabelDraws
    ) -> Distribution:
        """p(x|z, y), batch (M,), event *X."""
        distribution: Distribution = self.likelihood(self.decoder(z, draws.y, None))
        return distribution

    def decode(self, z: Float[Tensor, "N D"], y: Float[Tensor, "N K"]) -> Float[Tensor, "N *X"]:
        """The mean of p(x|z, y), one image per row."""
        mean: Tensor = self.likelihood(self.decoder(z, y, None)).mean
        return mean
