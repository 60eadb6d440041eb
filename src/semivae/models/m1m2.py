"""M1+M2 (Kingma 2014): p(y) p(z2) p(z1|y, z2) p(x|z1), with q(z1|x) q(y|z1) q(z2|z1, y)."""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Categorical

from semivae.distributions import DiagonalGaussian, full_precision
from semivae.errors import InputError
from semivae.label_draws import LabelDraws, one_pair_each
from semivae.likelihoods import Likelihood
from semivae.models.base import DeepGenerativeModel
from semivae.models.densities import Encoded
from semivae.models.m2 import M2
from semivae.noise import Noise

SMALLEST_DEVIATION = 0.1  # over rows, of the mean of q(z1_d|x), for dimension d to be kept


class CodeLikelihood(Likelihood):
    """p(z1|y, z2): a Gaussian whose mean and log variance, (M, 2, D1), are the decoder's output.

    Dimensions that are not `kept` (1 or 0 each) are N(0, 1) whatever y and z2: M1 left them at its
    prior, and nothing is to be learned from them.
    """

    kept: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("kept", torch.ones(size))

    def forward(self, output: Float[Tensor, "M 2 D"]) -> DiagonalGaussian:
        mean, log_variance = (full_precision(output) * self.kept).unbind(1)
        return DiagonalGaussian(mean, log_variance)


@runtime_checkable
class CodeModel(Protocol):
    """What lies below the code z1: an M1, or the codes that a frozen one gave."""

    @property
    def latent_size(self) -> int:
        """D1, the size of z1."""

    def codes(self, x: Float[Tensor, "B *X"]) -> Float[Tensor, "B 2 D"]:
        """Mean and log variance of q(z1|x)."""

    def target(self, x: Float[Tensor, "B *X"], noise: Noise) -> Float[Tensor, "B *X"]:
        """What of x is explained."""

    def log_ratio(
        self, target: Float[Tensor, "B *X"], z1: Float[Tensor, "B D"], q_z1: DiagonalGaussian
    ) -> Float[Tensor, "B"]:
        """log p(x|z1) - log q(z1|x), in nats."""

    def decode_code(self, z1: Float[Tensor, "N D"]) -> Float[Tensor, "N *X"]:
        """The mean of p(x|z1)."""


class FrozenCodes(nn.Module):
    """Stands for a frozen M1: its x is q(z1|x), mean and log variance (B, 2, D1), computed once.

    log p(x|z1) - log q(z1|x) has no gradient for what is above, and counts as 0: the bound is then
    that of M2 on log p(z1), with z1 drawn anew at each step.
    """

    def __init__(self, latent_size: int) -> None:
        super().__init__()
        self.latent_size = latent_size

    def codes(self, x: Float[Tensor, "B 2 D"]) -> Float[Tensor, "B 2 D"]:
        """x itself."""
        return x

    def target(self, x: Float[Tensor, "B 2 D"], noise: Noise) -> Float[Tensor, "B 2 D"]:
        """x itself."""
        return x

    def log_ratio(
        self, target: Float[Tensor, "B 2 D"], z1: Float[Tensor, "B D"], q_z1: DiagonalGaussian
    ) -> Float[Tensor, "B"]:
        """0: see above."""
        return z1.new_zeros(z1.shape[0])

    def decode_code(self, z1: Float[Tensor, "N D"]) -> Float[Tensor, "N D"]:
        """z1: there is nothing below."""
        return z1


class M1M2(DeepGenerativeModel):
    """M1 below, M2 above, whose data are the codes z1; its `likelihood` is a `CodeLikelihood`.

    B(x; pi) is the joint bound of the stack, E_q(z1|x)[log p(x|z1) - log q(z1|x) + B_M2(z1; pi)]
    with one draw of z1; trained so, both halves learn together. Kingma trains M1 first and then
    M2 on what `on_codes` returns. Prediction takes z1 at its mean, as Kingma's does.

    References: Kingma et al. 2014, Semi-supervised Learning with Deep Generative Models.
    """

    def __init__(self, m1: CodeModel, m2: M2) -> None:
        super().__init__(m2.log_prior)
        self.m1 = m1
        self.m2 = m2

    @property
    def q_z_sees_y(self) -> bool:
        """Whether the upper M2 has q(z2|z1, y)."""
        return self.m2.q_z_sees_y

    @property
    def latent_size(self) -> int:
        """The size of z2, the z of the bound."""
        return self.m2.latent_size

    @property
    def kept(self) -> Float[Tensor, "D1"]:
        """1 for each dimension of z1 that M2 reads and explains, 0 for the others."""
        assert isinstance(self.m2.likelihood, CodeLikelihood)
        return self.m2.likelihood.kept

    def keep_used(self, means: Float[Tensor, "N D1"]) -> None:
        """Keeps the dimensions of z1 whose mean deviates over rows by more than 0.1.

        Raises `InputError` where there is none.
        """
        used = means.std(0) > SMALLEST_DEVIATION
        if not used.any():
            raise InputError(
                "M1 has learned nothing: no dimension of z1 deviates by more than "
                f"{SMALLEST_DEVIATION} over the rows; train it longer (pretraining.epochs)"
            )
        self.kept.copy_(used)

    def on_codes(self) -> "M1M2":
        """The same M2 over `FrozenCodes`, to be trained on the codes (N, 2, D1) of all rows."""
        return M1M2(FrozenCodes(self.m1.latent_size), self.m2)

    def encode(self, x: Float[Tensor, "B *X"], noise: Noise) -> Encoded:
        """One pass through both trunks, with a draw of z1."""
        codes = self.m1.codes(noise.seen(x))
        return self._drawn(self.m1.target(x, noise), codes, noise, 0)

    def classify(self, x: Float[Tensor, "B *X"], noise: Noise) -> Categorical:
        """q(y|z1) at the draw of z1 that `encode` makes, nothing decoded."""
        codes = self.m1.codes(noise.seen(x))
        return self.q_y(self._joined(codes, self._z1(codes, noise, 0)))

    def redraw(self, encoded: Encoded, noise: Noise, number: int) -> Encoded:
        """Another draw of z1, and M2's trunk on it."""
        codes = encoded.h[:, : 2 * self.m1.latent_size].unflatten(1, (2, -1))
        return self._drawn(encoded.x, codes, noise, number)

    def _drawn(
        self,
        target: Float[Tensor, "B *X"],
        codes: Float[Tensor, "B 2 D"],
        noise: Noise,
        number: int,
    ) -> Encoded:
        z1 = self._z1(codes, noise, number)
        h = self._joined(codes, z1)
        log_ratio = self.m1.log_ratio(target, z1, DiagonalGaussian(*codes.unbind(1)))
        return Encoded(target, h, self.q_y(h), None, log_ratio)

    def _z1(
        self, codes: Float[Tensor, "B 2 D"], noise: Noise, number: int
    ) -> Float[Tensor, "B D"]:
        q_z1 = DiagonalGaussian(*codes.unbind(1))
        return q_z1.at(noise.normal(f"z1 {number}", self.m1.latent_size).to(codes))

    def _joined(
        self, codes: Float[Tensor, "B 2 D"], z1: Float[Tensor, "B D"]
    ) -> Float[Tensor, "B F"]:
        """h: the codes, z1, and what M2's trunk makes of z1."""
        return torch.cat([codes.flatten(1), z1, self.m2.features(z1 * self.kept)], 1)

    def features(self, x: Float[Tensor, "B *X"]) -> Float[Tensor, "B F"]:
        """The features with z1 at its mean."""
        codes = self.m1.codes(x)
        return self._joined(codes, codes[:, 0])

    def q_y(self, h: Float[Tensor, "B F"]) -> Categorical:
        """q(y|z1), batch (B,)."""
        return self.m2.q_y(self._above(h))

    def q_z(self, h: Float[Tensor, "B F"], draws: LabelDraws) -> DiagonalGaussian:
        """q(z2|z1, y), batch (M,), or q(z2|z1), batch (B,)."""
        return self.m2.q_z(self._above(h), draws)

    def _above(self, h: Float[Tensor, "B F"]) -> Float[Tensor, "B G"]:
        return h[:, 3 * self.m1.latent_size :]

    def p_z1(self, z: Float[Tensor, "N D"], draws: LabelDraws) -> DiagonalGaussian:
        """p(z1|y, z2), batch (M,), event (D1,)."""
        distribution = self.m2.p_x(z, draws)
        assert isinstance(distribution, DiagonalGaussian)
        return distribution

    def log_likelihood(
        self, encoded: Encoded, z: Float[Tensor, "N D"], draws: LabelDraws
    ) -> Float[Tensor, "M"]:
        """log p(z1|y, z2) of each pair, in nats."""
        size = self.m1.latent_size
        z1 = encoded.h[:, 2 * size : 3 * size]
        p_z1 = self.p_z1(z, draws)
        log_p: Tensor = p_z1.log_prob(z1[draws.row])  # type: ignore[no-untyped-call]
        return log_p

    def decode(self, z: Float[Tensor, "N D"], y: Float[Tensor, "N K"]) -> Float[Tensor, "N *X"]:
        """The mean of p(x|z1) at the mean of p(z1|y, z2)."""
        return self.m1.decode_code(self.m2.decode(z, y))

    def generate(
        self, z: Float[Tensor, "N D"], y: Float[Tensor, "N K"], source: torch.Generator
    ) -> Float[Tensor, "N *X"]:
        """The mean of p(x|z1) at a draw of p(z1|y, z2)."""
        p_z1 = self.p_z1(z, one_pair_each(y.log(), y))
        noise = torch.randn(p_z1.mean.shape, generator=source, device=source.device)
        return self.m1.decode_code(p_z1.at(noise.to(p_z1.mean)))
