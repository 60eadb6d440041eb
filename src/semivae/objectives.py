"""The objectives of the paper, one function per displayed equation, with the paper's symbols.

Each is a value: a sum of terms to be maximised, in nats per example, the mean taken over the batch
of each stream separately (`sums.Objective`).
"""

from collections.abc import Callable

from semivae.capacities import BinaryLabelLogLikelihood, LabelCapacity, LatentCapacity
from semivae.label_draws import LabelRule
from semivae.labels import Enumerated, Observed, Relaxed, Smoothed
from semivae.schedules import Weight
from semivae.streams import LABELED, UNLABELED
from semivae.sums import Objective, Sum, Term
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
)
from semivae.weighting import BALANCED, StreamWeights, dataset, kingma_alpha, sums

LabelDivergence = Callable[[float], Sum]
"""epsilon -> all that Optimized-ELBO subtracts for the label."""
Information = Callable[[], Term]


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
