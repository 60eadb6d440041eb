"""A classifier that changes little near each row: no equation of the paper, for any objective.

A generative model says which classes explain x; it does not say that q(y|x) must agree with itself
next to x, and with few labels most of its mistakes lie where it does not. References: Miyato et
al. 2018, Virtual Adversarial Training: A Regularization Method for Supervised and Semi-Supervised
Learning.
"""

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from semivae.errors import InputError
from semivae.information import kl
from semivae.models.densities import DensityModel
from semivae.schedules import Weight, weight_at
from semivae.streams import UNLABELED, StepState, Streams
from semivae.sums import Objective, Term, TermValue


@dataclass(frozen=True)
class LocalSmoothness(Term):
    """LDS(x) = D_KL(q(y|x) || q(y|x + r)) for the r of a given length that changes q most (Miyato
    et al. 2018, Eqs 5 and 6). Value: (B,), >= 0; q(y|x) is held constant.

    0: q does not change near x; the smaller, the smoother. r is an estimate, so that the value is
    one from below: it points where the divergence grows after a random step of r's own length,
    one power iteration of theirs with that step for their xi. `radius` is the root mean square of
    r over pixels or columns, in the units of `training.corruption` (pixels from 0 to 1, columns in
    standard deviations), so that it carries over between sizes; their epsilon, the Euclidean
    length of r, is sqrt(D) times it. What a model draws in `encode` is drawn as for x.
    """

    name: ClassVar[str] = "local_smoothness"
    radius: float
    stream: str = UNLABELED

    def __post_init__(self) -> None:
        if not 0 < self.radius < math.inf:
            raise ValueError(f"radius={self.radius:g}: give a finite number above 0")

    def __call__(self, model: DensityModel, streams: Streams, state: StepState) -> TermValue:
        here = streams[self.stream].q_y.logits.detach()
        x = streams.rows[self.stream].x
        noise = streams.noise.of(self.stream)

        def moved(change: Float[Tensor, "B *X"]) -> Float[Tensor, "B"]:
            return kl(here, model.classify(x + change, noise).logits)

        length = self.radius * math.sqrt(x[0].numel())
        guess = length * _unit(noise.normal("smoothness", *x.shape[1:]).to(x))
        with torch.enable_grad():
            guess.requires_grad_()
            (uphill,) = torch.autograd.grad(moved(guess).sum(), guess)
        return TermValue(moved(length * _unit(uphill)), {})


def _unit(direction: Float[Tensor, "B *X"]) -> Float[Tensor, "B *X"]:
    """Each example's direction at length 1; 0 stays 0."""
    flat = direction.flatten(1)
    # Its largest entry first at 1, as the squares of a small gradient would vanish.
    largest = flat.abs().amax(1, keepdim=True).clamp_min(torch.finfo(flat.dtype).tiny)
    return functional.normalize(flat / largest, dim=1).view_as(direction)


USUAL = 10.0
"""The weight that did well in our trials beside bounds of weight 1 and an alpha of 10 to 50."""


@dataclass(frozen=True)
class Smoothness:
    """How much `LocalSmoothness` of unlabeled rows counts in an objective; weight 0: not at all.

    The weight is one of the mean over these rows, whatever weight their sum has: under `balanced`
    as much as of a bound, under `sums` N_u times less.
    """

    weight: Weight = 0.0
    radius: float = 0.07

    def __post_init__(self) -> None:
        if not all(0 <= weight_at(self.weight, end) < math.inf for end in (0.0, 1.0)):
            raise ValueError(f"weight={self.weight}: give 0 or more, below 0 q(y|x) is made rough")
        LocalSmoothness(self.radius)  # which knows what a radius is

    def beside_another(self) -> "Smoothness":
        """What a recipe takes when its objective is exchanged, whose weights its own went with."""
        return replace(self, weight=USUAL) if self.weight != 0.0 else self

    def added_to(self, objective: Objective) -> Objective:
        """objective - weight LDS; an `InputError` for one that reads no unlabeled row."""
        if self.weight == 0.0:
            return objective
        if objective.unlabeled is None:
            raise InputError(
                f"smoothness.weight={self.weight} is of unlabeled rows, and this objective reads "
                "none: set it to 0, or choose another, such as optimized_elbo"
            )
        less = self.weight * LocalSmoothness(self.radius)
        return replace(objective, unlabeled=objective.unlabeled - less)
