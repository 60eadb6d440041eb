"""Small models for the tests of diagnostics, one of them linear and Gaussian with closed forms."""

import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from semivae.likelihoods import FixedGaussian
from semivae.models.m2 import M2
from semivae.models.networks import MLP
from semivae.models.specs import Bernoulli, Family, M2Spec
from semivae.nets import Decoder, FullPrecisionLinear, LabelAware, SplitLinear

LOG_PRIOR = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64).log()
SIGMA = 0.5


def seeded(*shape: int, seed: int = 0) -> Tensor:
    """N(0, 1), the same at every call."""
    source = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=source, dtype=torch.float64)


def small_model(family: Family) -> M2:
    """A random M2 of four classes and six pixels."""
    spec = M2Spec(MLP(hidden=16, latent=3), family, Bernoulli())
    return spec.build((6,), torch.tensor([0.0, 0.3, -0.2, 0.1]), seed=1)


def linear_gaussian(mean_factor: float = 1.0, log_variance_shift: float = 0.0) -> M2:
    """M2 whose q(z|x, y) is the exact posterior, or that with its mean and variance moved."""
    W = torch.linalg.qr(seeded(4, 2, seed=11)).Q * torch.tensor([1.5, 0.7])
    V, b = seeded(4, 3, seed=12), seeded(4, seed=13)
    variance = 1 / (1 + W.square().sum(0) / SIGMA**2)
    A = variance[:, None] * W.t() / SIGMA**2  # the posterior mean is A (x - b - V y)
    decoder = Decoder(SplitLinear(2, 3, 4), nn.Identity(), nn.Identity())
    latent = LabelAware(SplitLinear(4, 3, 2), nn.Identity(), features=2, latent=2)
    model = M2(
        nn.Flatten(), FullPrecisionLinear(4, 3), latent, decoder, FixedGaussian(SIGMA), LOG_PRIOR
    ).double()
    values = {
        "decoder.first.of_a.weight": W,
        "decoder.first.of_a.bias": b,
        "decoder.first.of_y.weight": V,
        "latent.first.of_a.weight": A,
        "latent.first.of_a.bias": -A @ b,
        "latent.first.of_y.weight": -A @ V,
        "latent.mean.weight": mean_factor * torch.eye(2),
        "latent.mean.bias": torch.zeros(2),
        "latent.log_variance.weight": torch.zeros(2, 2),
        "latent.log_variance.bias": variance.log() + log_variance_shift,
    }
    model.load_state_dict(values, strict=False)
    return model


def exact_log_joint(model: M2, x: Tensor) -> Tensor:
    """log p(x, k) = log p(k) + log N(x; b + V_k, W W' + sigma^2 I), (N, K)."""
    first = model.decoder.first
    W, b, V = first.of_a.weight.detach(), first.of_a.bias.detach(), first.of_y.weight.detach()
    p_x = MultivariateNormal(b + V.t(), W @ W.t() + SIGMA**2 * torch.eye(4, dtype=b.dtype))
    return p_x.log_prob(x[:, None]) + LOG_PRIOR


def linear_data(model: M2, rows: int) -> Tensor:
    with torch.no_grad():
        y = torch.eye(3, dtype=torch.float64)[torch.arange(rows) % 3]
        return model.decode(seeded(rows, 2, seed=5), y) + SIGMA * seeded(rows, 4, seed=6)
