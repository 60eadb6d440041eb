"""Objectives as frozen plain values: the paper's symbols, before the data are known."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from semivae.labels import LabelRule
from semivae.objectives import (
    Information,
    LabelDivergence,
    Objective,
    StreamWeights,
    balanced,
    equation_8,
    kingma_2014,
    kingma_alpha,
    optimized_elbo,
    optimized_labeled,
    tight_labeled,
)
from semivae.schedules import Weight, weight_at
from semivae.terms import ForwardLabelKL, RunningMutualInformation

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
    label_divergence: LabelDivergence = ForwardLabelKL

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
    label_divergence: LabelDivergence = ForwardLabelKL
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


def _alpha(alpha: Weight | None, n_labeled: int, n_unlabeled: int) -> Weight:
    if alpha is None:
        return kingma_alpha(n_labeled, n_unlabeled)
    if min(weight_at(alpha, 0.0), weight_at(alpha, 1.0)) < 0:
        raise ValueError(f"alpha={alpha} unlearns the labels: give 0 or more")
    return alpha
