"""Objectives of the classifier alone, without a generative model: what stands beside ours."""

from semivae.objectives import Information
from semivae.schedules import Weight
from semivae.sums import Objective
from semivae.terms import ClassifierEntropy, LabelLogLikelihood, RunningMutualInformation
from semivae.weighting import BALANCED, StreamWeights


def supervised() -> Objective:
    """log q(y|x) on labeled rows alone: the baseline that every report shows."""
    return Objective(labeled=1.0 * LabelLogLikelihood(), unlabeled=None)


def information_maximization(
    alpha: Weight,
    beta: Weight,
    gamma: Weight,
    information: Information = RunningMutualInformation,
    weights: StreamWeights = BALANCED,
) -> Objective:
    """alpha log q(y|x) on labels, gamma I(y; x) - beta H(q(y|x)) without: section 3.6 less its
    bounds and its label's divergences (Krause et al. 2010, Discriminative Clustering by
    Regularized Information Maximization).

    It tells what a bound is worth: nothing but the classifier learns. U(x) holds + H, so that the
    same pressure on H as in `optimized_elbo` needs beta less by 1.
    """
    unlabeled = gamma * information() - beta * ClassifierEntropy()
    return Objective(
        weights.labeled * (alpha * LabelLogLikelihood()), weights.unlabeled * unlabeled
    )
