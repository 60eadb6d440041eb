"""The encodings of a set, q(y, z|x) of every row, and how many dimensions of z they use.

References: Burda et al. 2016, Importance Weighted Autoencoders (active units).
"""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from semivae.distributions import DiagonalGaussian
from semivae.label_draws import every_pair
from semivae.models.evaluating import EvaluatedModel, evaluating

SMALLEST_VARIANCE = 0.01  # of a posterior mean, for its unit to count as active


class Encodings(NamedTuple):
    """q(y, z|x) of every row of a set: the classifier and C Gaussians over z.

    C = 1 is the paper's q(y|x) q(z|x); C = K is Kingma's q(y|x) q(z|x, y), where q(z|x) is the
    mixture sum_k q(k|x) q(z|x, k).
    """

    log_q: Float[Tensor, "N K"]
    mean: Float[Tensor, "N C D"]
    log_variance: Float[Tensor, "N C D"]

    @property
    def posterior_mean(self) -> Float[Tensor, "N D"]:
        """E_q(z|x)[z], for the conditional family sum_k q(k|x) mu(x, k)."""
        if self.mean.shape[1] == 1:
            return self.mean[:, 0]
        return torch.einsum("nk,nkd->nd", self.log_q.exp(), self.mean)

    def draw(self, source: torch.Generator) -> Float[Tensor, "N D"]:
        """z_n ~ q(z|x_n), one for each row; for the conditional family a class is drawn first."""
        rows, components, latent = self.mean.shape
        device, dtype = self.mean.device, self.mean.dtype
        row = torch.arange(rows, device=device)
        noise = torch.randn((rows, latent), generator=source, device=device, dtype=dtype)
        component = torch.zeros_like(row)
        if components > 1:
            component = torch.multinomial(self.log_q.exp(), 1, generator=source)[:, 0]
        q_z = DiagonalGaussian(self.mean[row, component], self.log_variance[row, component])
        return q_z.at(noise)

    def double(self) -> "Encodings":
        """The same in float64, with probabilities that sum to 1 to its precision."""
        log_q = self.log_q.double().log_softmax(1)
        return Encodings(log_q, self.mean.double(), self.log_variance.double())


def encode_set(model: EvaluatedModel, x_chunks: Iterable[Tensor]) -> Encodings:
    """q(y, z|x) of every row of the chunks (B, *X), which are scaled and on the model's device.

    q(y|x) is the one that is predicted. In q(z|x, y), what the model draws once per example is at
    its mean: z1 of M1+M2, as in a prediction, and a of ADGM and SDGM, whose q(z|x, y) is a mixture
    over a, of which this is the component at the mean of q(a|x).
    """
    parts = []
    with evaluating(model):
        for x in x_chunks:
            h = model.features(x)
            log_q = model.predictive(h).logits
            q_z = model.q_z(h, every_pair(log_q))  # the pairs are class-major
            by_class = (
                part.unflatten(0, (-1, x.shape[0])).transpose(0, 1)
                for part in (q_z.mean, q_z.log_variance)
            )
            parts.append(Encodings(log_q, *by_class))
        return Encodings(*(torch.cat(part) for part in zip(*parts, strict=True)))


class ActiveUnits(NamedTuple):
    """How many dimensions of z are used, and the variance over rows of each posterior mean."""

    active: int
    variances: Float[Tensor, "D"]


def active_units(means: Float[Tensor, "N D"]) -> ActiveUnits:
    """The dimensions with Var_x(E_q[z_d|x]) > 0.01, for means as in `Encodings.posterior_mean`.

    >>> active_units(torch.tensor([[1.0, 0.05], [-1.0, -0.05]]))
    ActiveUnits(active=1, variances=tensor([1.0000, 0.0025], dtype=torch.float64))
    """
    variances = means.double().var(0, correction=0)
    return ActiveUnits(int((variances > SMALLEST_VARIANCE).sum()), variances)
