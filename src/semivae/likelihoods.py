"""p(x|z, y): from what the decoder puts out to a distribution over x, and what of x is its target.

Bounds under different likelihoods, scalings or binarizations are not comparable: never in one
table.
"""

import math
from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution, Independent, Normal

from semivae.distributions import full_precision
from semivae.noise import Noise

SMALLEST_SIGMA = 1e-3


class Likelihood(nn.Module, ABC):
    """Turns the decoder's output (M, *X) into p(x|z, y) with batch (M,) and event *X."""

    def target(self, x: Float[Tensor, "B *X"], noise: Noise) -> Float[Tensor, "B *X"]:
        """What of x the decoder is to explain; x itself unless the likelihood says otherwise."""
        return x

    @abstractmethod
    def forward(self, output: Float[Tensor, "M *X"]) -> Distribution:
        """p(x|z, y), in full precision; its `.mean` is the image to show."""


class GreyBernoulli(Likelihood):
    """log p = sum_i [x_i log lambda_i + (1 - x_i) log(1 - lambda_i)] at grey x in [0, 1]; output:
    logits.

    Good for accuracy, but not normalised over [0, 1]: its log p(x) compares with nothing else.
    """

    def forward(self, output: Float[Tensor, "M *X"]) -> Distribution:
        return _bernoulli(output)


class BinarizedBernoulli(Likelihood):
    """Bernoulli of a target drawn anew at each step, x ~ Bern(grey): a true likelihood (Kingma
    2014)."""

    def target(self, x: Float[Tensor, "B *X"], noise: Noise) -> Float[Tensor, "B *X"]:
        return (noise.uniform("x", *x.shape[1:]) < x).to(x.dtype)

    def forward(self, output: Float[Tensor, "M *X"]) -> Distribution:
        return _bernoulli(output)


def _bernoulli(logits: Float[Tensor, "M *X"]) -> Distribution:
    """One probability per pixel, batch (M,), event *X."""
    pixels = Bernoulli(logits=full_precision(logits), validate_args=False)
    return Independent(pixels, logits.dim() - 1, validate_args=False)


class SharedScaleGaussian(Independent):  # type: ignore[type-arg]
    """N(x; f, sigma^2 I) with one sigma for all pixels and rows (section 2.1, Eq 1)."""

    def __init__(self, mean: Float[Tensor, "M *X"], sigma: Float[Tensor, ""]) -> None:
        self.sigma = sigma
        normal = Normal(mean, sigma, validate_args=False)
        super().__init__(normal, mean.dim() - 1, validate_args=False)

    def log_prob(self, value: Float[Tensor, "M *X"]) -> Float[Tensor, "M"]:
        """log p = - ||x - f||^2 / (2 sigma^2) - P/2 log(2 pi sigma^2), P = the number of
        pixels."""
        error = (value - self.base_dist.loc).flatten(1)
        log_scale = 0.5 * error.shape[1] * (2 * self.sigma.log() + math.log(2 * math.pi))
        log_p: Tensor = -error.square().sum(1) / (2 * self.sigma.square()) - log_scale
        return log_p


class FixedGaussian(Likelihood):
    """N(x; f(z, y), sigma^2) with a fixed sigma (section 2.1, Eq 1); output: the mean.

    sigma sets the balance of reconstruction against everything else: alpha, beta and gamma do not
    carry over from one sigma to another.
    """

    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.register_buffer("sigma", _fixed(sigma))

    def forward(self, output: Float[Tensor, "M *X"]) -> Distribution:
        mean = full_precision(output)
        return SharedScaleGaussian(mean, self.get_buffer("sigma").to(mean.dtype))


class RectifiedGaussian(Likelihood):
    """N(x; max(f(z, y), 0), sigma^2): the ReLU that section 4.3 prints on the output.

    For x in [0, 1] alone; a pixel whose output is below 0 teaches the decoder nothing.
    """

    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.register_buffer("sigma", _fixed(sigma))

    def forward(self, output: Float[Tensor, "M *X"]) -> Distribution:
        mean = full_precision(output).relu()
        return SharedScaleGaussian(mean, self.get_buffer("sigma").to(mean.dtype))


def _fixed(sigma: float) -> Float[Tensor, ""]:
    if sigma < SMALLEST_SIGMA:
        raise ValueError(f"sigma={sigma} is below {SMALLEST_SIGMA}: pixels are 8-bit")
    return torch.tensor(float(sigma))


class LearnedGaussian(Likelihood):
    """N(x; f(z, y), sigma^2) with one learned sigma, shared by all rows and classes.

    A sigma of its own per class would change the classification. The optimum is sigma^2 = mean
    squared error. Learned as log sigma, with a floor of 0.001 (an 8-bit step is 0.004).
    """

    def __init__(self, initial_sigma: float) -> None:
        super().__init__()
        if initial_sigma <= SMALLEST_SIGMA:
            raise ValueError(f"initial sigma {initial_sigma} is at or below {SMALLEST_SIGMA}")
        self.log_sigma = nn.Parameter(torch.tensor(math.log(initial_sigma)))

    def forward(self, output: Float[Tensor, "M *X"]) -> Distribution:
        sigma = self.log_sigma.exp().clamp_min(SMALLEST_SIGMA)
        return SharedScaleGaussian(full_precision(output), sigma)
