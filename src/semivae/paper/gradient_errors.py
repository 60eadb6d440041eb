"""The gradient of U(x) (Eq 5) at one point under a label rule, and how far draws lie from the
exact one."""

import copy
import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from semivae.bounds import Baselines, bound
from semivae.distributions import categorical
from semivae.label_draws import LabelRule
from semivae.models.densities import Encoded
from semivae.models.m2 import M2
from semivae.noise import Noise
from semivae.streams import UNLABELED

CPU = torch.device("cpu")


LOGITS, DECODER = "logits", "decoder"


class Gradient(NamedTuple):
    """The gradient of the mean bound for each part of the model, as vectors, with what it cost."""

    parts: dict[str, Float[Tensor, "P"]]
    reconstruction: Float[Tensor, ""]
    pairs: float


class Point:
    """A model at fixed weights on one batch, its noise of z fixed too: only y is left to draw."""

    def __init__(self, model: M2, x: Float[Tensor, "B *X"], seed: int) -> None:
        self.model, self.seed, self.rows = copy.deepcopy(model).to(CPU), seed, len(x)
        noise = self.noise(0)
        with torch.no_grad():
            self.encoded: Encoded = self.model.encode(x, noise)
        self.z_noise = noise.normal("z", model.latent_size).to(self.encoded.per_example.dtype)

    def noise(self, draw: int) -> Noise:
        """The random numbers of one draw of y."""
        return Noise(self.seed, draw, ((UNLABELED, self.rows),), CPU)

    def gradient(
        self, rule: LabelRule, draw: int, baseline: Float[Tensor, ""] | None = None
    ) -> Gradient:
        """The gradient of the mean of U(x) over the batch (Eq 5) under a rule, at a draw of y."""
        logits = self.encoded.q_y.logits.detach().requires_grad_()
        encoded = self.encoded._replace(q_y=categorical(logits))
        draws = rule(encoded.q_y.logits, None, self.noise(draw))
        parts = bound(self.model, encoded, draws, self.z_noise, Baselines(baseline))
        wanted = [logits, *self.model.decoder.parameters()]
        of_logits, *of_decoder = torch.autograd.grad(parts.value.mean(), wanted)
        return Gradient(
            {
                LOGITS: of_logits.flatten().double(),
                DECODER: torch.cat([part.flatten() for part in of_decoder]).double(),
            },
            parts.reconstruction.detach().mean(),
            len(draws.row) / self.rows,
        )


class Relative(NamedTuple):
    """What `gradient_estimators.Measured` says of an estimator, relative to the norm of the exact
    gradient."""

    bias: float
    resolution: float
    sd: float
    cosine: float


class Errors:
    """Sums over draws from which bias and variance of a gradient follow; no draw is kept."""

    def __init__(self, exact: Float[Tensor, "P"]) -> None:
        self.exact, self.norm = exact, float(exact.norm())
        self.total = torch.zeros_like(exact)
        self.squares = self.cosines = 0.0
        self.draws = 0

    def add(self, vector: Float[Tensor, "P"]) -> None:
        """One more draw."""
        self.total += vector
        length = float(vector.norm())
        self.squares += length**2
        self.cosines += float(vector @ self.exact) / max(length * self.norm, 1e-300)
        self.draws += 1

    def relative(self) -> Relative:
        """Bias, its resolution, standard deviation and cosine, after at least two draws.

        The squared distance of the mean of R draws from the exact gradient is, in expectation, the
        squared bias plus a part 1 / R of the variance, which is taken off.
        """
        mean = self.total / self.draws
        variance = (self.squares - self.draws * float(mean.square().sum())) / (self.draws - 1)
        variance = max(variance, 0.0)  # rounding, where every draw is the same
        of_mean = variance / self.draws
        bias = math.sqrt(max(float((mean - self.exact).square().sum()) - of_mean, 0.0))
        return Relative(
            bias=bias / self.norm,
            resolution=math.sqrt(of_mean) / self.norm,
            sd=math.sqrt(variance) / self.norm,
            cosine=self.cosines / self.draws,
        )
