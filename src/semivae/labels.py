"""The rules for y: what stands for it in a bound, exactly, by a sample or relaxed.

A rule turns q(y|x), and the observed label where there is one, into `LabelDraws`. The bound does
not know which rule it is given (sections 2.3, 2.4, 2.7.2 and 3.3.2 differ only in this value).
"""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from semivae.label_draws import (
    LabelDraws,
    LabelRule,
    every_pair,
    observed_label,
    one_pair_each,
    smooth,
)
from semivae.noise import Noise


@dataclass(frozen=True)
class Observed(LabelRule):
    """pi = the observed label: B(x; pi) is the labeled ELBO (section 2.4, Eq 6). M = B."""

    def __call__(
        self, log_q: Float[Tensor, "B K"], y: Float[Tensor, "B K"] | None, noise: Noise
    ) -> LabelDraws:
        label = observed_label(y)
        return one_pair_each(label.log(), label)


@dataclass(frozen=True)
class Enumerated(LabelRule):
    """pi = q(y|x), summed exactly: the unlabeled ELBO (section 2.3, Eq 5; 3.1, Eq 14). M = K B."""

    def __call__(
        self, log_q: Float[Tensor, "B K"], y: Float[Tensor, "B K"] | None, noise: Noise
    ) -> LabelDraws:
        return every_pair(log_q)


@dataclass(frozen=True)
class Relaxed(LabelRule):
    """Gumbel-Softmax: the decoder sees softmax((log pi + g) / tau) (section 2.7.2). M = B.

    Value and gradient are biased for Eq 5; the bias falls and the variance grows as tau falls.
    """

    tau: float = 2 / 3

    def __post_init__(self) -> None:
        _check_temperature(self.tau)

    def __call__(
        self, log_q: Float[Tensor, "B K"], y: Float[Tensor, "B K"] | None, noise: Noise
    ) -> LabelDraws:
        return one_pair_each(log_q, _gumbel_softmax(log_q, self.tau, noise))


@dataclass(frozen=True)
class StraightThrough(LabelRule):
    """The decoder sees the one-hot of the Gumbel maximum; the gradient is `Relaxed`'s. M = B.

    The value is unbiased for Eq 5 at any tau, the gradient is not.
    """

    tau: float = 2 / 3

    def __post_init__(self) -> None:
        _check_temperature(self.tau)

    def __call__(
        self, log_q: Float[Tensor, "B K"], y: Float[Tensor, "B K"] | None, noise: Noise
    ) -> LabelDraws:
        soft = _gumbel_softmax(log_q, self.tau, noise)
        hard = torch.nn.functional.one_hot(soft.argmax(1), soft.shape[1]).to(soft.dtype)
        return one_pair_each(log_q, hard + soft - soft.detach())


@dataclass(frozen=True)
class Sampled(LabelRule):
    """pi = q(y|x): one class k drawn from it, with the score function's gradient (Eq 5). M = B.

    The weight q_k / sg(q_k) is 1 and its gradient that of log q_k, so that value and gradient are
    those of the exact sum in expectation. What centres the sum is a running mean of its value over
    earlier steps, c <- rho c + (1 - rho) mean, and at the first step the mean of the other
    examples: either is independent of an example's own draw.
    """

    rho: float = 0.9

    def __post_init__(self) -> None:
        if not 0 <= self.rho < 1:
            raise ValueError(f"rho={self.rho:g} keeps no running mean: give a number in [0, 1)")

    @property
    def memory(self) -> float:
        return self.rho

    def __call__(
        self, log_q: Float[Tensor, "B K"], y: Float[Tensor, "B K"] | None, noise: Noise
    ) -> LabelDraws:
        gumbel = noise.gumbel("y", log_q.shape[1]).to(log_q.dtype)
        k = (log_q.detach() + gumbel).argmax(1)  # the Gumbel maximum is a draw from q
        one_hot = torch.nn.functional.one_hot(k, log_q.shape[1]).to(log_q.dtype)
        log_q_k = log_q.gather(1, k[:, None])[:, 0]
        weight = (log_q_k - log_q_k.detach()).exp()
        return one_pair_each(log_q, one_hot)._replace(weight=weight, drawn=True)


def follow(baseline: Float[Tensor, ""], mean: Float[Tensor, ""], rho: float) -> Float[Tensor, ""]:
    """The running baseline after one more step; nan, where there was none, becomes the mean."""
    return torch.where(baseline.isnan(), mean, rho * baseline + (1 - rho) * mean)


@dataclass(frozen=True)
class Pruned(LabelRule):
    """pi = q(y|x): the likeliest classes exactly, the others by one unbiased draw (Eq 5; 3.1, Eq
    14).

    Exact are the likeliest class and those of the `exact` likeliest whose q is at least
    `roulette`. The rest, of mass r, is one class k drawn with probability q_k / r, and decoded
    with probability min(1, r / roulette) only (Russian roulette), so that M falls to about B where
    the classifier is sure. A pair weighs q_k over the probability, detached, that it is decoded:
    value and gradient are those of the exact sum in expectation, and the centre, the likeliest
    class, is independent of the draw.
    """

    exact: int = 2
    roulette: float = 0.05

    def __post_init__(self) -> None:
        if self.exact < 1:
            raise ValueError(f"exact={self.exact}: at least the likeliest class is decoded")
        if not 0 < self.roulette <= 1:
            raise ValueError(f"roulette={self.roulette:g} is not a probability above 0")

    def __call__(
        self, log_q: Float[Tensor, "B K"], y: Float[Tensor, "B K"] | None, noise: Noise
    ) -> LabelDraws:
        q, classes = log_q.exp(), log_q.shape[1]
        with torch.no_grad():
            top, likeliest = q.topk(min(self.exact, classes), 1)
            kept = top >= self.roulette
            kept[:, 0] = True
            summed = torch.zeros_like(q, dtype=torch.bool).scatter(1, likeliest, kept)
            rest = q.masked_fill(summed, 0.0)  # (B, K)
            below = rest.cumsum(1)
            mass = below[:, -1]  # r (B,)
            # Rounded up to r, as it is where r is tiny, a point would lie beyond every class.
            point = (noise.uniform("y").to(log_q.dtype) * mass).minimum(mass.nextafter(0 * mass))
            drawn = torch.searchsorted(below, point[:, None], right=True)[:, 0]
            drawn = drawn.clamp(max=classes - 1)  # where r is 0, and nothing is decoded
            chance = (mass / self.roulette).clamp(max=1.0)
            decoded = noise.uniform("roulette").to(log_q.dtype) < chance
            drawn_row = decoded.nonzero()[:, 0]
            drawn_class = drawn[drawn_row]
            row, chosen = summed.nonzero().t()  # row by row, so that the centres are in order
            centre = (chosen == likeliest[row, 0]).nonzero()[:, 0]
            probability = q.new_ones(len(row))
            drawn_probability = (chance / mass)[drawn_row] * rest[drawn_row, drawn_class]
            row, chosen = torch.cat([row, drawn_row]), torch.cat([chosen, drawn_class])
            probability = torch.cat([probability, drawn_probability])
        one_hot = torch.nn.functional.one_hot(chosen, classes).to(q.dtype)
        return LabelDraws(log_q, row, one_hot, q[row, chosen] / probability, centre)


@dataclass(frozen=True)
class Smoothed(LabelRule):
    """pi = the smoothed label p_hat (section 3.3.2): the first half of Optimized-ELBO.

    `decode` says which pairs the decoder sees: `Observed()` the label alone (M = B; exceeds the
    bound by at most H(p_hat)), `Enumerated()` every class with weight p_hat (M = K B; a bound on
    log p(x)).
    """

    epsilon: float
    decode: LabelRule = field(default_factory=Observed)

    def __call__(
        self, log_q: Float[Tensor, "B K"], y: Float[Tensor, "B K"] | None, noise: Noise
    ) -> LabelDraws:
        log_p_hat = smooth(observed_label(y), self.epsilon)
        return self.decode(log_p_hat, y, noise)._replace(log_pi=log_p_hat)


def _check_temperature(tau: float) -> None:
    if not tau > 0:
        raise ValueError(f"tau={tau:g} is no temperature: give a number above 0, such as 0.5")


def _gumbel_softmax(log_q: Tensor, tau: float, noise: Noise) -> Tensor:
    gumbel = noise.gumbel("y", log_q.shape[1]).to(log_q.dtype)
    return torch.softmax((log_q + gumbel) / tau, 1)
