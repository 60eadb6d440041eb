"""What stands for y in a bound: pairs (example, label) with weights, so that a step costs M
decoder rows."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from semivae.noise import Noise


class LabelDraws(NamedTuple):
    """M weighted points (row, y) that stand for a distribution pi over K labels of B examples.

    The weights of an example sum to 1 (for an unbiased draw: in expectation). `log_pi` is kept
    because KL(pi || p(y)) is always analytic. `centre` names one pair per example, `drawn` whether
    that pair depends on the draw: see `expectation`.
    """

    log_pi: Float[Tensor, "B K"]
    row: Int[Tensor, "M"]
    y: Float[Tensor, "M K"]
    weight: Float[Tensor, "M"]
    centre: Int[Tensor, "B"]
    drawn: bool = False

    def expectation(
        self, f: Float[Tensor, "M"], baseline: Float[Tensor, ""] | None = None
    ) -> Float[Tensor, "B"]:
        """E_pi f per example, as c + sum_w (f - c) with c detached and independent of the draw.

        c is `baseline`, if there is one and it is a number; else the f of the centre pair or,
        where that pair was drawn, the mean f of the other examples. The values differ from c by
        tens of nats and c is hundreds: without the centre that offset, the same for every label,
        would swamp the gradient with respect to the weights.
        """
        c = _mean_of_others(f.detach()) if self.drawn else f.detach()[self.centre]
        if baseline is not None:
            c = torch.where(baseline.isnan(), c, baseline.to(c))
        return c.index_add(0, self.row, self.weight * (f - c[self.row]))


def _mean_of_others(f: Float[Tensor, "B"]) -> Float[Tensor, "B"]:
    """The mean over the other examples of this process (0 where there is no other)."""
    return (f.sum() - f) / max(len(f) - 1, 1)


class LabelRule(ABC):
    """A rule for y: (q(y|x), the observed y as one-hot or None, noise) -> LabelDraws."""

    @property
    def memory(self) -> float | None:
        """The rho of the running baseline that centres the rule's expectations; None: it needs
        none."""
        return None

    @abstractmethod
    def __call__(
        self, log_q: Float[Tensor, "B K"], y: Float[Tensor, "B K"] | None, noise: Noise
    ) -> LabelDraws:
        """The pairs that stand for y."""


def one_pair_each(log_pi: Float[Tensor, "B K"], y: Float[Tensor, "B K"]) -> LabelDraws:
    """One pair per example, M = B, with weight 1."""
    row = torch.arange(y.shape[0], device=y.device)
    return LabelDraws(log_pi, row, y, torch.ones_like(y[:, 0]), centre=row)


def every_pair(log_pi: Float[Tensor, "B K"]) -> LabelDraws:
    """Every class of every example, M = K B in class-major order, weighted by pi."""
    examples, classes = log_pi.shape
    row = torch.arange(examples, device=log_pi.device)
    one_hot = torch.eye(classes, dtype=log_pi.dtype, device=log_pi.device)
    return LabelDraws(
        log_pi=log_pi,
        row=row.repeat(classes),
        y=one_hot.repeat_interleave(examples, 0),
        weight=log_pi.exp().t().reshape(-1),
        centre=log_pi.argmax(1) * examples + row,
    )


def observed_label(y: Float[Tensor, "B K"] | None) -> Float[Tensor, "B K"]:
    """The one-hot label, or an error where the stream has none."""
    if y is None:
        raise ValueError("this label rule reads observed labels, and the stream has none")
    return y


def smooth(y: Float[Tensor, "B K"], epsilon: float) -> Float[Tensor, "B K"]:
    """log of the smoothed label: 1 - epsilon on the class, epsilon / (K - 1) elsewhere (section
    3.3.2).

    `y` is one-hot. PyTorch's `label_smoothing=e` mixes with the uniform distribution instead: the
    same label has e = epsilon K / (K - 1).

    >>> smooth(torch.tensor([[0.0, 1.0, 0.0]]), 0.1).exp()
    tensor([[0.0500, 0.9000, 0.0500]])
    """
    classes = y.shape[-1]
    if not 0 <= epsilon < (classes - 1) / classes:
        raise ValueError(
            f"epsilon={epsilon} is not in [0, {(classes - 1) / classes:.3g}): "
            "a smoothed label keeps its class the likeliest"
        )
    return (y * (1 - epsilon) + (1 - y) * (epsilon / (classes - 1))).log()
