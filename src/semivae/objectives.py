"""The objectives of the paper, one function per displayed equation, with the paper's symbols.

Each is a value: a sum of terms to be maximised, in nats per example, the mean taken over the batch
of each stream separately. `Objective.__call__` holds the one minus sign of the package.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from semivae.labels import Enumerated, LabelRule, Observed, Smoothed
from semivae.models.densities import DensityModel
from semivae.schedules import Weight
from semivae.streams import LABELED, UNLABELED, StepState, Streams
from semivae.terms import (
    ELBO,
    ClassifierEntropy,
    ForwardLabelKL,
    LabelLogLikelihood,
    LatentKL,
    PriorKL,
    Reconstruction,
    RunningMutualInformation,
    Sum,
    Term,
    evaluate,
)

LabelDivergence = Callable[[float], Term]
Information = Callable[[], Term]


class Loss(NamedTuple):
    """What a step gives back: the loss () to minimise, every term by name, the changed buffers."""

    loss: Float[Tensor, ""]
    terms: dict[str, Float[Tensor, ""]]
    updates: dict[str, Tensor]


@dataclass(frozen=True)
class Objective:
    """J = labeled + unlabeled, to be maximised; a stream whose sum is None is not made."""

    labeled: Sum | None
    unlabeled: Sum | None

    def __post_init__(self) -> None:
        keys = [part.term.key for total in self.sums for part in total.parts]
        repeated = sorted({key for key in keys if keys.count(key) > 1})
        if repeated:
            raise ValueError(f"terms that appear in both sums: {', '.join(repeated)}")

    @property
    def sums(self) -> tuple[Sum, ...]:
        """The sums that are there."""
        return tuple(part for part in (self.labeled, self.unlabeled) if part is not None)

    @property
    def streams(self) -> tuple[str, ...]:
        """The names of the streams that the terms read."""
        read = {part.term.stream for total in self.sums for part in total.parts}
        return tuple(name for name in (LABELED, UNLABELED) if name in read)

    def initial_buffers(self, model: DensityModel) -> dict[str, Tensor]:
        """What the terms remember, before the first step."""
        buffers: dict[str, Tensor] = {}
        for total in self.sums:
            for part in total.parts:
                buffers |= part.term.initial_buffers(model)
        return buffers

    def __call__(self, model: DensityModel, streams: Streams, state: StepState) -> Loss:
        """loss = -J and every term by name; each computed ELBO is logged beside its parts."""
        values = [evaluate(total, model, streams, state) for total in self.sums]
        terms = {name: term for value in values for name, term in value.terms.items()}
        updates = {name: new for value in values for name, new in value.updates.items()}
        for (stream, _), bound in streams.bounds.items():
            terms[f"{stream}/elbo"] = streams.part_of_mean(stream, bound.value.detach())
        loss = -sum(value.value for value in values)
        assert not isinstance(loss, int)
        return Loss(loss, terms, updates)


class StreamWeights(NamedTuple):
    """w_L and w_U of `J = w_L mean_L[...] + w_U mean_U[...]`."""

    labeled: float
    unlabeled: float


def balanced(n_labeled: int, n_unlabeled: int) -> StreamWeights:
    """Expectations over each set, as Eq 8 is written: 1 and 1, whatever N_l and N_u."""
    return StreamWeights(1.0, 1.0)


def dataset(n_labeled: int, n_unlabeled: int) -> StreamWeights:
    """The mean over all N examples, as in Kingma's code: N_l / N and N_u / N."""
    total = n_labeled + n_unlabeled
    return StreamWeights(n_labeled / total, n_unlabeled / total)


def sums(n_labeled: int, n_unlabeled: int) -> StreamWeights:
    """Sums over both sets, as section 3.6 is printed: N_l and N_u.

    alpha stands inside the labeled sum here; 3.6 prints it on an expectation, so that the literal
    reading takes alpha / N_l.
    """
    return StreamWeights(float(n_labeled), float(n_unlabeled))


def kingma_alpha(n_labeled: int, n_unlabeled: int) -> float:
    """alpha = 0.1 N / N_l per labeled example: the meaning of "alpha = 0.1 N" in Kingma's code."""
    return 0.1 * (n_labeled + n_unlabeled) / n_labeled


BALANCED = StreamWeights(1.0, 1.0)


def supervised() -> Objective:
    """log q(y|x) on labeled rows alone: the baseline that every report shows."""
    return Objective(labeled=1.0 * LabelLogLikelihood(), unlabeled=None)


def m1() -> Objective:
    """E[log p(x|z)] - KL(q(z|x) || p(z)) of M1: the bound of one class, whose label costs
    nothing, on rows without labels."""
    return Objective(labeled=None, unlabeled=ELBO(UNLABELED, Enumerated()))


def equation_8(
    alpha: Weight,
    labels: LabelRule = Enumerated(),  # noqa: B008  (a frozen value)
    weights: StreamWeights = BALANCED,
) -> Objective:
    """Eq 8: E_U[ELBO(x)] + E_L[ELBO(x, y) + alpha log q(y|x)], the paper's M2."""
    labeled = ELBO(LABELED, Observed()) + alpha * LabelLogLikelihood()
    unlabeled = ELBO(UNLABELED, labels)
    return Objective(weights.labeled * labeled, weights.unlabeled * unlabeled)


def kingma_2014(
    n_labeled: int,
    n_unlabeled: int,
    labels: LabelRule = Enumerated(),  # noqa: B008  (a frozen value)
) -> Objective:
    """J^alpha / N (Kingma 2014, Eq 9) as its code weighs it: N_l/N, N_u/N, 0.1 on log q(y|x)."""
    return equation_8(
        kingma_alpha(n_labeled, n_unlabeled), labels, dataset(n_labeled, n_unlabeled)
    )


def optimized_labeled(
    epsilon: float, label_divergence: LabelDivergence = ForwardLabelKL
) -> Objective:
    """Sections 3.4 and 3.5: E[log p(x|z, y)] - KL(q(z|x)||p(z)) - KL(q(y|x)||p(y)) - divergence.

    The last divergence is printed in three forms: `SmoothedPriorKL` (3.4), `ForwardLabelKL` (3.5,
    the default: the only one with the gradient the text claims), `ReverseLabelKL` (3.6). Not a
    bound.
    """
    return Objective(_optimized_labeled(epsilon, label_divergence), unlabeled=None)


def _optimized_labeled(epsilon: float, label_divergence: LabelDivergence) -> Sum:
    return (
        Reconstruction(LABELED, Observed())
        - LatentKL(LABELED, Observed())
        - PriorKL()
        - label_divergence(epsilon)
    )


def tight_labeled(epsilon: float, weight: float) -> Objective:
    """ELBO(x; p_hat) - weight KL(p_hat || q): the variant of 3.4 that stays a bound."""
    rule = Smoothed(epsilon, decode=Enumerated())
    return Objective(ELBO(LABELED, rule) - weight * ForwardLabelKL(epsilon), unlabeled=None)


def optimized_elbo(
    alpha: Weight,
    beta: Weight,
    gamma: Weight,
    epsilon: float,
    labels: LabelRule = Enumerated(),  # noqa: B008  (a frozen value)
    label_divergence: LabelDivergence = ForwardLabelKL,
    information: Information = RunningMutualInformation,
    weights: StreamWeights = BALANCED,
) -> Objective:
    """Section 3.6, the unified objective, with the signs resolved.

    labeled: Optimized-ELBO(x, y) + alpha log q(y|x); unlabeled: M(x) = U(x) + gamma I(y; x) - beta
    H. H counts with 1 - beta - gamma in all, so that only beta + gamma and gamma are identifiable;
    beyond beta + gamma = 1 an uninformative decoder still ends in hard assignments.
    """
    labeled = _optimized_labeled(epsilon, label_divergence) + alpha * LabelLogLikelihood()
    unlabeled = ELBO(UNLABELED, labels) + gamma * information() - beta * ClassifierEntropy()
    return Objective(weights.labeled * labeled, weights.unlabeled * unlabeled)
