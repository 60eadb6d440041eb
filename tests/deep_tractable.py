"""M1, M1+M2, ADGM and SDGM from linear parts: every log p(x, k) has a closed form. All float64.

The classes are those of the package; only their networks are linear, with random weights and
variances that see neither z nor x, so that the evidence is a mixture of Gaussians. q is wider than
the posterior, so that importance weights have a variance.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from semivae.likelihoods import FixedGaussian
from semivae.models.adgm import ADGM
from semivae.models.auxiliary import AuxiliaryEncoder, AuxiliaryPrior, SkipDecoder, SkipPrior
from semivae.models.base import DeepGenerativeModel
from semivae.models.m1 import M1
from semivae.models.m1m2 import M1M2, CodeLikelihood
from semivae.models.m2 import M2
from semivae.models.sdgm import SDGM
from semivae.nets import AddLabel, Columns, Decoder, GaussianHeads, LabelAware, SplitLinear
from semivae.noise import Noise
from tractable import CPU, F64

P, K, SIGMA = 3, 3, 1.0
LOG_PRIOR = torch.tensor([0.4, -0.3, 0.1], dtype=F64)


@dataclass(frozen=True)
class GivenNoise(Noise):
    """Noise of which every N(0, 1) is the given tensor."""

    given: Tensor | None = None

    def normal(self, purpose: str, *event: int) -> Tensor:
        assert self.given is not None and self.given.shape[1:] == event
        return self.given


def given(noise: Tensor) -> GivenNoise:
    """`GivenNoise` of these rows."""
    return GivenNoise(0, 0, (("given", len(noise)),), CPU, given=noise)


def heads(inputs: int, size: int, log_variance: float) -> GaussianHeads:
    """A linear mean and a variance that reads nothing."""
    made = GaussianHeads(nn.Identity(), inputs, size)
    return _constant(made, log_variance)


def _constant(made: nn.Module, log_variance: float) -> nn.Module:
    nn.init.zeros_(made.log_variance.weight)
    nn.init.constant_(made.log_variance.bias, log_variance)
    return made


def latent(inputs: int, size: int) -> LabelAware:
    """q(z|., y) with a linear mean."""
    return _constant(LabelAware(SplitLinear(inputs, K, 2), nn.Identity(), 2, size), 0.3)


def _finished(model: DeepGenerativeModel, scale: float = 0.45) -> DeepGenerativeModel:
    """The model in float64, the weights of every linear layer N(0, scale^2)."""
    model = model.double()
    draw = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "log_variance" not in name:
                weight.copy_(scale * torch.randn(weight.shape, generator=draw, dtype=F64))
    return model


def linear_m1() -> M1:
    """x = W z + b + sigma n."""
    decoder = nn.Linear(2, P)
    return _finished(M1(nn.Identity(), heads(P, 2, 0.3), decoder, FixedGaussian(SIGMA)))


def linear_m1m2(kept: tuple[float, float] = (1.0, 1.0)) -> M1M2:
    """x = W1 z1 + b1 + sigma n, z1 = w2 z2 + V_y + s n; a dimension not kept is N(0, 1)."""
    m1 = M1(nn.Identity(), heads(P, 2, 0.3), nn.Linear(2, P), FixedGaussian(SIGMA))
    decoder = Decoder(SplitLinear(1, K, 4), nn.Identity(), nn.Unflatten(1, (2, 2)))
    likelihood = CodeLikelihood(2)
    likelihood.kept.copy_(torch.tensor(kept))
    m2 = M2(nn.Identity(), nn.Linear(2, K), latent(2, 1), decoder, likelihood, LOG_PRIOR)
    model = _finished(M1M2(m1, m2))
    with torch.no_grad():  # the log variance of z1, the last two of four outputs, reads nothing
        decoder.first.of_a.weight[2:] = 0
        decoder.first.of_y.weight[2:] = 0
        decoder.first.of_a.bias[2:] = -0.5
    return model


def _encoder() -> AuxiliaryEncoder:
    return AuxiliaryEncoder(
        trunk=nn.Identity(),
        auxiliary=heads(P, 1, 0.3),
        classifier=nn.Linear(P + 1, K),
        latent=latent(P + 1, 1),
    )


def linear_adgm() -> ADGM:
    """x = W z + V_y + b + sigma n; a is linear in x, y and z."""
    prior = AuxiliaryPrior(AddLabel(Columns(0, P), K), 1, heads(P, 1, -0.5))
    decoder = Decoder(SplitLinear(1, K, P), nn.Identity(), nn.Identity())
    return _finished(ADGM(_encoder(), prior, decoder, FixedGaussian(SIGMA), LOG_PRIOR))


def linear_sdgm() -> SDGM:
    """a = c z + d_y + s n, x = W z + u a + V_y + b + sigma n."""
    prior = SkipPrior(SplitLinear(1, K, 2), heads(2, 1, -0.5))
    above = Decoder(SplitLinear(1, K, P), nn.Identity(), nn.Identity())
    decoder = SkipDecoder(above, nn.Linear(1, P, bias=False))
    return _finished(SDGM(_encoder(), prior, decoder, FixedGaussian(SIGMA), LOG_PRIOR))


BUILDERS = {
    "m1": linear_m1,
    "m1m2": linear_m1m2,
    "m1m2, one dimension kept": lambda: linear_m1m2((1.0, 0.0)),
    "adgm": linear_adgm,
    "sdgm": linear_sdgm,
}


def some_points(rows: int) -> Tensor:
    """Points (rows, P), the same at every call."""
    return torch.randn(rows, P, generator=torch.Generator().manual_seed(5), dtype=F64)


@torch.no_grad()
def log_joint(model: DeepGenerativeModel, x: Tensor) -> Tensor:
    """log p(x, k) for every class k, (B, K), in closed form."""
    mean, covariance = _evidence(model)
    noise = SIGMA**2 * torch.eye(P, dtype=F64)
    return MultivariateNormal(mean, covariance + noise).log_prob(x[:, None]) + model.log_prior


def _evidence(model: DeepGenerativeModel) -> tuple[Tensor, Tensor]:
    """Mean (K, P) and covariance (P, P), without that of the pixels, of p(x|k)."""
    if isinstance(model, M1):
        W = model.decoder.weight
        return model.decoder.bias[None], W @ W.T
    if isinstance(model, M1M2):
        first, kept = model.m2.decoder.first, model.kept
        mean = (first.of_a.bias[:2] + first.of_y.weight[:2].T) * kept
        w = first.of_a.weight[:2] * kept[:, None]
        of_z1 = w @ w.T + torch.diag((first.of_a.bias[2:] * kept).exp())
        W, b = model.m1.decoder.weight, model.m1.decoder.bias
        return mean @ W.T + b, W @ of_z1 @ W.T
    first = model.decoder.above.first if isinstance(model, SDGM) else model.decoder.first
    W, mean = first.of_a.weight, first.of_a.bias + first.of_y.weight.T
    if not isinstance(model, SDGM):
        return mean, W @ W.T
    u, prior = model.decoder.of_a.weight, model.prior
    into, out = prior.first, prior.heads.mean
    c = out.weight @ into.of_a.weight
    d = (into.of_a.bias + into.of_y.weight.T) @ out.weight.T + out.bias  # (K, 1)
    s2 = prior.heads.log_variance.bias.exp()
    total = W + u @ c
    return mean + d @ u.T, total @ total.T + s2 * u @ u.T


def quadrature(*nodes: int) -> tuple[Tensor, Tensor]:
    """Points (n, D) and weights (n,) of Gauss-Hermite quadrature for N(0, I), so many nodes per
    dimension."""
    rules = [np.polynomial.hermite_e.hermegauss(count) for count in nodes]
    axes = [torch.from_numpy(axis) for axis, _ in rules]
    weights = [torch.from_numpy(weight / weight.sum()) for _, weight in rules]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).flatten(0, -2)
    return points, torch.stack(torch.meshgrid(*weights, indexing="ij")).prod(0).flatten()
