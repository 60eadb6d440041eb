"""The objectives of the paper, one function per displayed equation, with the paper's symbols.

Each is a value: a sum of terms to be maximised, in nats per example, the mean taken over the batch
of each stream separately. `Objective.__call__` holds the one minus sign of the package.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from semivae.capacities import BinaryLabelLogLikelihood, LabelCapacity, LatentCapacity
from semivae.labels import Enumerated, LabelRule, Observed, Relaxed, Smoothed
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
    ReverseLabelKL,
    RunningMutualInformation,
    SmoothedPriorKL,
    Sum,
    Term,
    evaluate,
)

LabelDivergence = Callable[[float], Sum]
"""epsilon -> all that Optimized-ELBO subtracts for the label."""
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


def labeled_elbo() -> Objective:
    """Eq 6 on labeled rows alone (section 5.6): no gradient reaches q(y|x)."""
    return Objective(ELBO(LABELED, Observed()), unlabeled=None)


def kingma_j(
    n_labeled: int,
    n_unlabeled: int,
    labels: LabelRule = Enumerated(),  # noqa: B008  (a frozen value)
) -> Objective:
    """J / N (section 2.5, the second Eq 6; Kingma 2014, Eq 8): both ELBOs over all N examples.

    Without log q(y|x) no label has a gradient in the classifier but through a shared trunk.
    """
    weights = dataset(n_labeled, n_unlabeled)
    labeled, unlabeled = ELBO(LABELED, Observed()), ELBO(UNLABELED, labels)
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


def forward_divergence(epsilon: float) -> Sum:
    """Sections 3.3.2 and 3.5: KL(q || p(y)) + KL(p_hat || q), the only one whose gradient is what
    the text claims. K = 10, epsilon = 1e-3: the best q gives the label 0.475."""
    return PriorKL() + ForwardLabelKL(epsilon)


def smoothed_prior_divergence(epsilon: float) -> Sum:
    """Section 3.4: KL(q || p(y)) + KL(p_hat || p(y)): no label has a gradient; the best q is
    p(y)."""
    return PriorKL() + SmoothedPriorKL(epsilon)


def reverse_divergence(epsilon: float) -> Sum:
    """Section 3.6: KL(q || p(y)) + KL(q || p_hat). K = 10, epsilon = 1e-3: the best q gives the
    label 0.913; the gradient vanishes where q is sure and wrong. An error at epsilon = 0."""
    return PriorKL() + ReverseLabelKL(epsilon)


def tight_divergence(epsilon: float) -> Sum:
    """KL(p_hat || p(y)) + KL(p_hat || q), ours: the best q is p_hat, and what is left of a bound
    stays one (at epsilon > 0 up to H(p_hat))."""
    return SmoothedPriorKL(epsilon) + ForwardLabelKL(epsilon)


def optimized_labeled(
    epsilon: float, label_divergence: LabelDivergence = forward_divergence
) -> Objective:
    """Sections 3.4 and 3.5: E[log p(x|z, y)] - KL(q(z|x)||p(z)) - the divergences of the label.

    These are printed in three forms, see the four functions above. Not a bound, but for
    `tight_divergence`.
    """
    return Objective(_optimized_labeled(epsilon, label_divergence), unlabeled=None)


def _optimized_labeled(
    epsilon: float,
    label_divergence: LabelDivergence,
    decode: LabelRule = Observed(),  # noqa: B008  (a frozen value)
) -> Sum:
    reconstruction, latent = Reconstruction(LABELED, decode), LatentKL(LABELED, decode)
    return reconstruction - latent - label_divergence(epsilon)


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
    label_divergence: LabelDivergence = forward_divergence,
    information: Information = RunningMutualInformation,
    weights: StreamWeights = BALANCED,
) -> Objective:
    """Section 3.6, the unified objective, with the signs resolved.

    labeled: Optimized-ELBO(x, y) + alpha log q(y|x); unlabeled: M(x) = U(x) + gamma I(y; x) - beta
    H. H counts with 1 - beta - gamma in all, so that only beta + gamma and gamma are identifiable;
    beyond beta + gamma = 1 an uninformative decoder still ends in hard assignments.
    """
    labeled = _optimized_labeled(epsilon, label_divergence) + alpha * LabelLogLikelihood()
    unlabeled = _regularized(beta, gamma, labels, information)
    return Objective(weights.labeled * labeled, weights.unlabeled * unlabeled)


def _regularized(beta: Weight, gamma: Weight, labels: LabelRule, information: Information) -> Sum:
    """M(x) = U(x) + gamma I(y; x) - beta H(q(y|x)) (sections 3.1, 3.2 and 3.6; 8.11, Eq 5)."""
    return ELBO(UNLABELED, labels) + gamma * information() - beta * ClassifierEntropy()


def optimized_elbo_literal(
    alpha: Weight,
    beta: Weight,
    gamma: Weight,
    epsilon: float,
    n_labeled: int,
    n_unlabeled: int,
    labels: LabelRule = Enumerated(),  # noqa: B008  (a frozen value)
    information: Information = RunningMutualInformation,
) -> Objective:
    """Section 3.6 letter by letter: sum_L Optimized-ELBO + sum_U M(x) + alpha E_L[- log q(y|x)].

    For the record, not for use. As printed: J is maximised, so alpha > 0 unlearns the labels and
    has no maximum; the label's divergences are `reverse_divergence`; every class is decoded with
    its weight in p_hat; I(y; x) stands inside a sum and counts N_u times; alpha stands on a mean
    beside sums. `optimized_elbo` is our reading.
    """
    weights = sums(n_labeled, n_unlabeled)
    decode = Smoothed(epsilon, decode=Enumerated())
    optimized = _optimized_labeled(epsilon, reverse_divergence, decode)
    labeled = weights.labeled * optimized - alpha * LabelLogLikelihood()
    unlabeled = _regularized(beta, gamma, labels, information)
    return Objective(labeled, weights.unlabeled * unlabeled)


# The objectives of the paper's survey (section 8), and what SHOT-VAE's published code minimises.


def modified_elbo(
    alpha: Weight,
    epsilon: float,
    labels: LabelRule = Enumerated(),  # noqa: B008  (a frozen value)
    weights: StreamWeights = BALANCED,
) -> Objective:
    """Section 8.6: ELBO(x, y) - alpha KL(p_hat || q(y|x)), beside the unlabeled ELBO.

    At epsilon = 0 it is Eq 8.
    """
    labeled = ELBO(LABELED, Observed()) - alpha * ForwardLabelKL(epsilon)
    return Objective(weights.labeled * labeled, weights.unlabeled * ELBO(UNLABELED, labels))


def survey3_j(
    beta: Weight,
    gamma: Weight,
    labels: LabelRule = Enumerated(),  # noqa: B008  (a frozen value)
    information: Information = RunningMutualInformation,
    weights: StreamWeights = BALANCED,
) -> Objective:
    """Section 8.11, Eq 5: ELBO(x, y) on labels, U(x) + gamma I(y; x) - beta H without.

    No term teaches the classifier a label. Printed as sums: `sums`, or `dataset` for these over N.
    """
    labeled = ELBO(LABELED, Observed())
    unlabeled = _regularized(beta, gamma, labels, information)
    return Objective(weights.labeled * labeled, weights.unlabeled * unlabeled)


def shot_mnist(
    alpha: Weight,
    capacity_z: Weight,
    capacity_y: Weight,
    weight: Weight,
    labels: LabelRule = Relaxed(),  # noqa: B008  (a frozen value)
) -> Objective:
    """SHOT-VAE's script for MNIST (Feng et al. 2021), on each of the two streams alike:

    log p(x|z, y) - weight |C_z - KL_z| - weight |C_y - KL_y|; on labels minus alpha times the
    binary cross-entropy as well. Its squared error of pixels in [-1, 1] is a Gaussian log p with
    sigma = 8^-1/2 where pixels are in [0, 1]. No bound, and no smoothing either.
    """

    def held(stream: str, rule: LabelRule) -> Sum:
        gaps = LatentCapacity(stream, rule, capacity_z) + LabelCapacity(stream, capacity_y)
        return Reconstruction(stream, rule) - weight * gaps

    labeled = held(LABELED, Observed()) + alpha * BinaryLabelLogLikelihood()
    return Objective(labeled, held(UNLABELED, labels))
