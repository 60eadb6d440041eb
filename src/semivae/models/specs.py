"""A model as a frozen plain value: network, inference family and likelihood; `build` makes the M2
of it."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from semivae.likelihoods import (
    BinarizedBernoulli,
    FixedGaussian,
    GreyBernoulli,
    LearnedGaussian,
    Likelihood,
)
from semivae.models.m2 import M2
from semivae.models.networks import Network, Parts
from semivae.nets import Shape
from semivae.noise import key


class Family(ABC):
    """Which inference family: it asks a network for its parts."""

    @abstractmethod
    def parts(self, network: Network, event: Shape, classes: int) -> Parts:
        """The parts of the model."""


@dataclass(frozen=True)
class Factorized(Family):
    """q(y|x) q(z|x): the paper's (section 2.2, Eq 4)."""

    def parts(self, network: Network, event: Shape, classes: int) -> Parts:
        return network.factorized(event, classes)


@dataclass(frozen=True)
class Conditional(Family):
    """q(y|x) q(z|x, y): Kingma's."""

    def parts(self, network: Network, event: Shape, classes: int) -> Parts:
        return network.conditional(event, classes)


class LikelihoodSpec(ABC):
    """Which p(x|z, y)."""

    @abstractmethod
    def build(self) -> Likelihood:
        """The likelihood as a module."""


@dataclass(frozen=True)
class Bernoulli(LikelihoodSpec):
    """Bernoulli at grey pixels."""

    def build(self) -> Likelihood:
        return GreyBernoulli()


@dataclass(frozen=True)
class Binarized(LikelihoodSpec):
    """Bernoulli of pixels drawn anew at each step."""

    def build(self) -> Likelihood:
        return BinarizedBernoulli()


@dataclass(frozen=True)
class Gaussian(LikelihoodSpec):
    """Gaussian with a fixed sigma."""

    sigma: float = 0.5

    def build(self) -> Likelihood:
        return FixedGaussian(self.sigma)


@dataclass(frozen=True)
class LearnedSigma(LikelihoodSpec):
    """Gaussian with one learned sigma."""

    initial: float = 0.5

    def build(self) -> Likelihood:
        return LearnedGaussian(self.initial)


@dataclass(frozen=True)
class M2Spec:
    """An M2 before the data are known."""

    network: Network
    family: Family
    likelihood: LikelihoodSpec

    def build(self, event: Shape, log_prior: Tensor, seed: int) -> M2:
        """M2 for examples of shape `event`, classes with log-probabilities `log_prior` (K,).

        The initial weights are a function of `seed`; torch's global generator is left as it was.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(key(seed, "init"))
            parts = self.family.parts(self.network, event, len(log_prior))
            return M2(*parts, likelihood=self.likelihood.build(), log_prior=log_prior)
