"""Section 3.3.2's limit: D_KL(p̂ || q) + D_KL(q || p) -> D_KL(p̂ || p) as q -> p̂. It holds at the
point; is it where the sum draws q?"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from semivae.information import kl
from semivae.label_draws import smooth
from semivae.paper.sides import CLASSES
from semivae.plots.panels import Reading

EPSILON = 1e-3  # the paper's example
STEPS = 100_001


class Limit(NamedTuple):
    """The sum of 3.3.2 as a function of q(y|x) of the label, in nats.

    `point`: its value at q = p̂; `limit`: D_KL(p̂ || p); `best`: q(y|x) of the label where it is
    least; `least`: its value there.
    """

    point: float
    limit: float
    best: float
    least: float


def limit() -> Limit:
    """For ten classes, uniform p(y) and the paper's epsilon.

    The sum is convex in q and treats all wrong classes alike, so that it is least where they are
    equally likely: a search in one number.
    """
    truth, prior = _truth(), _prior()
    probs = torch.sigmoid(torch.linspace(-12, 12, STEPS, dtype=torch.float64))
    sums = divergences(_log_q(probs))
    best = int(sums.argmin())
    return Limit(
        point=float(divergences(truth[None])[0]),
        limit=float(kl(truth, prior)),
        best=float(probs[best]),
        least=float(sums[best]),
    )


def divergences(log_q: Float[Tensor, "B K"]) -> Float[Tensor, "B"]:
    """D_KL(p̂ || q) + D_KL(q || p) of each q."""
    truth = _truth().expand_as(log_q)
    return kl(truth, log_q) + kl(log_q, _prior().expand_as(log_q))


def curve() -> list[Reading]:
    """The sum against q(y|x) of the label, beside its limit."""
    levels = [0.1, 0.2, 0.3, 0.4, limit().best, 0.6, 0.7, 0.8, 0.9, 0.99, 1 - EPSILON]
    sums = divergences(_log_q(torch.tensor(levels, dtype=torch.float64)))
    lines = {
        "KL(smoothed label || q) + KL(q || p)": sums.tolist(),
        "KL(smoothed label || p)": [limit().limit] * len(levels),
    }
    return [
        Reading("one labeled row", line, x, "nats", 0, value)
        for line, values in lines.items()
        for x, value in zip(levels, values, strict=True)
    ]


def _truth() -> Float[Tensor, "K"]:
    return smooth(torch.eye(CLASSES, dtype=torch.float64)[:1], EPSILON)[0]


def _prior() -> Float[Tensor, "K"]:
    return torch.full((CLASSES,), 1 / CLASSES, dtype=torch.float64).log()


def _log_q(probs: Float[Tensor, "B"]) -> Float[Tensor, "B K"]:
    """q with this probability of the first class, the label, and the others alike."""
    wrong = ((1 - probs) / (CLASSES - 1))[:, None].expand(-1, CLASSES - 1)
    return torch.cat([probs[:, None], wrong], 1).log()
