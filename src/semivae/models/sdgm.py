"""SDGM, the skip deep generative model (Maaløe et al. 2016): ADGM whose x is made from a too."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution

from semivae.distributions import DiagonalGaussian
from semivae.label_draws import LabelDraws
from semivae.models.adgm import ADGM


class SDGM(ADGM):
    """p(y) p(z) p(a|z, y) p(x|a, z, y), with ADGM's q: a takes part in generating x.

    Parts as ADGM's, but for `prior` z, y -> mean and log variance of p(a|z, y), and `decoder`
    a, z, y, row -> what `likelihood` reads.
    """

    def p_a(
        self, h: Float[Tensor, "B F"], z: Float[Tensor, "M D"], draws: LabelDraws
    ) -> DiagonalGaussian:
        """p(a|z, y), batch (M,), event (A,)."""
        return DiagonalGaussian(*self.prior(z, draws.y))

    def p_x(
        self, h: Float[Tensor, "B F"], z: Float[Tensor, "M D"], draws: LabelDraws
    ) -> Distribution:
        """p(x|a, z, y), batch (M,), event *X."""
        output = self.decoder(self._a(h), z, draws.y, draws.row)
        distribution: Distribution = self.likelihood(output)
        return distribution

    def decode(self, z: Float[Tensor, "N D"], y: Float[Tensor, "N K"]) -> Float[Tensor, "N *X"]:
        """The mean of p(x|a, z, y) at the mean of p(a|z, y)."""
        mean, _ = self.prior(z, y)
        return self._decode_at(mean, z, y)

    def generate(
        self, z: Float[Tensor, "N D"], y: Float[Tensor, "N K"], source: torch.Generator
    ) -> Float[Tensor, "N *X"]:
        """The mean of p(x|a, z, y) at a draw of p(a|z, y)."""
        p_a = DiagonalGaussian(*self.prior(z, y))
        noise = torch.randn(p_a.mean.shape, generator=source, device=source.device)
        return self._decode_at(p_a.at(noise.to(p_a.mean)), z, y)

    def _decode_at(
        self, a: Float[Tensor, "N A"], z: Float[Tensor, "N D"], y: Float[Tensor, "N K"]
    ) -> Float[Tensor, "N *X"]:
        row = torch.arange(z.shape[0], device=z.device)
        mean: Tensor = self.likelihood(self.decoder(a, z, y, row)).mean
        return mean
