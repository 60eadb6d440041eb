"""Objectives as frozen plain values: the paper's symbols, before the data are known."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from semivae.discriminative import information_maximization
from semivae.label_draws import LabelRule
from semivae.objectives import (
    Information,
    LabelDivergence,
    equation_8,
    forward_divergence,
    kingma_2014,
    kingma_j,
    labeled_elbo,
    modified_elbo,
    optimized_elbo,
    optimized_elbo_literal,
    optimized_labeled,
    shot_mnist,
    survey3_j,
    tight_labeled,
)
from semivae.schedules import Ramp, Weight, weight_at
from semivae.sums import Objective
from semivae.terms import RunningMutualInformation
from semivae.weighting import StreamWeights, balanced, kingma_alpha

Weighting = Callable[[int, int], StreamWeights]


class ObjectiveSpec(ABC):
    """A value that becomes an objective once N_l and N_u are known."""

    @abstractmethod
    def build(self, n_labeled: int, n_unlabeled: int, labels: LabelRule) -> Objective:
        """The objective; `labels` is the rule for y on unlabeled rows."""


@dataclass(frozen=True)
class Equation8(ObjectiveSpec):
    """Section 2.5, Eq 8; alpha None: Kingma's rule 0.1 N / N_l."""

    alpha: Weight | None = None
    weighting: Weighting = balanced

    def build(self, n_labeled: int, n_unlabeled: int, labels: LabelRule) -> Objective:
        return equation_8(
            _alpha(self.alpha, n_labeled, n_unlabeled),
            labels,
            self.weighting(n_labeled, n_unlabeled),
        )


@dataclass(frozen=True)
class LabeledELBO(ObjectiveSpec):
    """Eq 6, the labeled stream alone."""

    def build(self, n_labeled: int, n_unlabeled: int, labels: LabelRule) -> Objective:
        return labeled_elbo()


@dataclass(frozen=True)
class KingmaJ(ObjectiveSpec):
    """Kingma 2014, Eq 8: both ELBOs with his code's weights, and no classifier term.

    His q(z|x, y) is the family `Conditional`, which `--objective kingma_j` chooses with it.
    """

    def build(self, n_labeled: int, n_unlabeled: int, labels: LabelRule) -> Objective:
        return kingma_j(n_labeled, n_unlabeled, labels)


@dataclass(frozen=True)
class Kingma2014(ObjectiveSpec):
    """Kingma 2014, Eq 9, with his code's weights and alpha = 0.1 N / N_l.

    His q(z|x, y) is the family `Conditional`, which `--objective kingma_2014` chooses with it.
    """

    def build(self, n_labeled: int, n_unlabeled: int, labels: LabelRule) -> Objective:
        return kingma_2014(n_labeled, n_unlabeled, labels)


@dataclass(frozen=True)
class OptimizedLabeled(ObjectiveSpec):
    """Sections 3.4 and 3.5, the labeled stream alone."""

    epsilon: float = 1e-3
    label_divergence: LabelDivergence = forward_divergence

    def build(self, n_labeled: int, n_unlabeled: int, labels: LabelRule) -> Objective:
        return optimized_labeled(self.epsilon, self.label_divergence)


@dataclass(frozen=True)
class TightLabeled(ObjectiveSpec):
    """The variant of section 3.4 that stays a bound, on the labeled stream alone."""

    epsilon: float = 1e-3
    weight: float = 1.0

    def build(self, n_labeled: int, n_unlabeled: int, labels: LabelRule) -> Objective:
        return tight_labeled(self.epsilon, self.weight)


@dataclass(frozen=True)
class OptimizedELBO(ObjectiveSpec):
    """Section 3.6, the unified objective; alpha None: Kingma's rule 0.1 N / N_l."""

    alpha: Weight | None = None
    beta: Weight = 1.0
    gamma: Weight = 1.0
    epsilon: float = 1e-3
    label_divergence: LabelDivergence = forward_divergence
    information: Information = RunningMutualInformation
    weighting: Weighting = balanced

    def build(self, n_labeled: int, n_unlabeled: int, labels: LabelRule) -> Objective:
        return optimized_elbo(
            _alpha(self.alpha, n_labeled, n_unlabeled),
            self.beta,
            self.gamma,
            self.epsilon,
            labels,
            self.label_divergence,
            self.information,
            self.weighting(n_labeled, n_unlabeled),
        )


@dataclass(frozen=True)
class OptimizedELBOLiteral(ObjectiveSpec):
    """Section 3.6 letter by letter, for the record: a positive alpha unlearns the labels.

    alpha None: Kingma's 0.1 N, on the mean over the labels that is printed beside the sums.
    """

    alpha: Weight | None = None
    beta: Weight = 1.0
    gamma: Weight = 1.0
    epsilon: float = 1e-3
    information: Information = RunningMutualInformation

    def build(self, n_labeled: int, n_unlabeled: int, labels: LabelRule) -> Objective:
        return optimized_elbo_literal(
            0.1 * (n_labeled + n_unlabeled) if self.alpha is None else self.alpha,
            self.beta,
            self.gamma,
            self.epsilon,
            n_labeled,
            n_unlabeled,
            labels,
            self.information,
        )


@dataclass(frozen=True)
class ModifiedELBO(ObjectiveSpec):
    """Section 8.6; alpha None: Kingma's rule 0.1 N / N_l."""

    alpha: Weight | None = None
    epsilon: float = 1e-3
    weighting: Weighting = balanced

    def build(self, n_labeled: int, n_unlabeled: int, labels: LabelRule) -> Objective:
        return modified_elbo(
            _alpha(self.alpha, n_labeled, n_unlabeled),
            self.epsilon,
            labels,
            self.weighting(n_labeled, n_unlabeled),
        )


@dataclass(frozen=True)
class Survey3J(ObjectiveSpec):
    """Section 8.11, Eq 5: no term for the labels but their ELBO."""

    beta: Weight = 1.0
    gamma: Weight = 1.0
    information: Information = RunningMutualInformation
    weighting: Weighting = balanced

    def build(self, n_labeled: int, n_unlabeled: int, labels: LabelRule) -> Objective:
        return survey3_j(
            self.beta,
            self.gamma,
            labels,
            self.information,
            self.weighting(n_labeled, n_unlabeled),
        )


@dataclass(frozen=True)
class InformationMaximization(ObjectiveSpec):
    """Section 3.6 less its bounds and its label's divergences: the classifier alone; alpha None:
    Kingma's rule 0.1 N / N_l.

    q(z|.) and p(x|z, y) keep their initial weights: samples, log p(x) and z mean nothing.
    """

    alpha: Weight | None = None
    beta: Weight = 0.0
    gamma: Weight = 1.0
    information: Information = RunningMutualInformation
    weighting: Weighting = balanced

    def build(self, n_labeled: int, n_unlabeled: int, labels: LabelRule) -> Objective:
        return information_maximization(
            _alpha(self.alpha, n_labeled, n_unlabeled),
            self.beta,
            self.gamma,
            self.information,
            self.weighting(n_labeled, n_unlabeled),
        )


# SHOT-VAE's script raises its capacities in 25,000 of the 140,700 steps that it takes.
SHOT_RISE = 25_000 / 140_700


@dataclass(frozen=True)
class ShotMNIST(ObjectiveSpec):
    """SHOT-VAE's script for MNIST: capacities C_z and C_y (capped at log K), their weight, alpha.

    Its squared error is `likelihood=gaussian` with `likelihood.sigma=0.35355`, its estimator
    `labels=relaxed`.
    """

    alpha: Weight = 50.0
    capacity_z: Weight = Ramp(0.0, 17.5, SHOT_RISE)  # noqa: RUF009  (a frozen value)
    capacity_y: Weight = Ramp(0.0, 17.0, SHOT_RISE)  # noqa: RUF009  (a frozen value)
    weight: Weight = 30.0

    def build(self, n_labeled: int, n_unlabeled: int, labels: LabelRule) -> Objective:
        alpha = _alpha(self.alpha, n_labeled, n_unlabeled)
        return shot_mnist(alpha, self.capacity_z, self.capacity_y, self.weight, labels)


def _alpha(alpha: Weight | None, n_labeled: int, n_unlabeled: int) -> Weight:
    if alpha is None:
        return kingma_alpha(n_labeled, n_unlabeled)
    if min(weight_at(alpha, 0.0), weight_at(alpha, 1.0)) < 0:
        raise ValueError(f"alpha={alpha} unlearns the labels: give 0 or more")
    return alpha
