"""A model as a frozen plain value: network, family and likelihood; `build` makes the module of
it."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from semivae.likelihoods import (
    BinarizedBernoulli,
    FixedGaussian,
    GreyBernoulli,
    LearnedGaussian,
    Likelihood,
    RectifiedGaussian,
)
from semivae.models.adgm import ADGM
from semivae.models.base import DeepGenerativeModel
from semivae.models.deep_networks import M1MLP, AuxiliaryMLP, StackedMLP
from semivae.models.m1 import M1
from semivae.models.m1m2 import M1M2, CodeLikelihood
from semivae.models.m2 import M2
from semivae.models.networks import Network, Parts
from semivae.models.sdgm import SDGM
from semivae.nets import Shape
from semivae.noise import key


class LikelihoodSpec(ABC):
    """Which p(x|z, y); `normalized`: whether it integrates to 1 over x, as a density does."""

    normalized: ClassVar[bool] = True

    @abstractmethod
    def build(self) -> Likelihood:
        """The likelihood as a module."""


@dataclass(frozen=True)
class Bernoulli(LikelihoodSpec):
    """Bernoulli at grey pixels."""

    normalized: ClassVar[bool] = False

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
class Rectified(LikelihoodSpec):
    """Gaussian with a fixed sigma whose mean is rectified (section 4.3, literally)."""

    sigma: float = 0.5

    def build(self) -> Likelihood:
        return RectifiedGaussian(self.sigma)


@dataclass(frozen=True)
class LearnedSigma(LikelihoodSpec):
    """Gaussian with one learned sigma."""

    initial: float = 0.5

    def build(self) -> Likelihood:
        return LearnedGaussian(self.initial)


@contextmanager
def _initial_weights(seed: int) -> Iterator[None]:
    """Initial weights inside are a function of `seed`; torch's global generator is left as it
    was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(key(seed, "init"))
        yield


class ModelSpec(ABC):
    """A model before the data are known."""

    @abstractmethod
    def build(self, event: Shape, log_prior: Tensor, seed: int) -> DeepGenerativeModel:
        """The model for examples of shape `event`, classes with log-probabilities `log_prior`
        (K,) up to a constant, and initial weights that are a function of `seed`."""


@dataclass(frozen=True)
class M1Spec:
    """An M1 before the data are known."""

    network: M1MLP
    likelihood: LikelihoodSpec

    def build(self, event: Shape, seed: int) -> M1:
        """M1 for examples of shape `event`; initial weights are a function of `seed`."""
        with _initial_weights(seed):
            return M1(*self.network.parts(event), likelihood=self.likelihood.build())


@dataclass(frozen=True)
class M2Spec(ModelSpec):
    """An M2 before the data are known."""

    network: Network
    family: "Factorized | Conditional"
    likelihood: LikelihoodSpec

    def build(self, event: Shape, log_prior: Tensor, seed: int) -> M2:
        with _initial_weights(seed):
            parts = self.family.parts(self.network, event, len(log_prior))
            return M2(*parts, likelihood=self.likelihood.build(), log_prior=log_prior)


@dataclass(frozen=True)
class M1M2Spec(ModelSpec):
    """An M1+M2 before the data are known; `likelihood` is that of x, p(x|z1)."""

    network: StackedMLP
    likelihood: LikelihoodSpec

    def build(self, event: Shape, log_prior: Tensor, seed: int) -> M1M2:
        with _initial_weights(seed):  # M1 first: its weights do not depend on the classes
            m1 = M1(*self.network.m1.parts(event), likelihood=self.likelihood.build())
            above = self.network.m2(len(log_prior))
            return M1M2(m1, M2(*above, CodeLikelihood(self.network.code), log_prior))


@dataclass(frozen=True)
class ADGMSpec(ModelSpec):
    """An ADGM before the data are known."""

    network: AuxiliaryMLP
    likelihood: LikelihoodSpec

    def build(self, event: Shape, log_prior: Tensor, seed: int) -> ADGM:
        with _initial_weights(seed):
            parts = self.network.adgm(event, len(log_prior))
            return ADGM(*parts, likelihood=self.likelihood.build(), log_prior=log_prior)


@dataclass(frozen=True)
class SDGMSpec(ModelSpec):
    """An SDGM before the data are known."""

    network: AuxiliaryMLP
    likelihood: LikelihoodSpec

    def build(self, event: Shape, log_prior: Tensor, seed: int) -> SDGM:
        with _initial_weights(seed):
            parts = self.network.sdgm(event, len(log_prior))
            return SDGM(*parts, likelihood=self.likelihood.build(), log_prior=log_prior)


AnyNetwork = Network | StackedMLP | AuxiliaryMLP


class Family(ABC):
    """Which model, and how its q factorizes: it makes a specification of network and likelihood,
    and a `ValueError` of a network that has no parts for it."""

    @abstractmethod
    def spec(self, network: AnyNetwork, likelihood: LikelihoodSpec) -> ModelSpec:
        """The specification."""


@dataclass(frozen=True)
class Factorized(Family):
    """M2 with q(y|x) q(z|x): the paper's (section 2.2, Eq 4)."""

    def spec(self, network: AnyNetwork, likelihood: LikelihoodSpec) -> M2Spec:
        if isinstance(network, Network):
            return M2Spec(network, self, likelihood)
        raise _no_parts(self, network)

    def parts(self, network: Network, event: Shape, classes: int) -> Parts:
        """The parts of M2."""
        return network.factorized(event, classes)


@dataclass(frozen=True)
class Conditional(Family):
    """M2 with q(y|x) q(z|x, y): Kingma's."""

    def spec(self, network: AnyNetwork, likelihood: LikelihoodSpec) -> M2Spec:
        if isinstance(network, Network):
            return M2Spec(network, self, likelihood)
        raise _no_parts(self, network)

    def parts(self, network: Network, event: Shape, classes: int) -> Parts:
        """The parts of M2."""
        return network.conditional(event, classes)


@dataclass(frozen=True)
class Stacked(Family):
    """M1+M2, with q(z1|x) q(y|z1) q(z2|z1, y)."""

    def spec(self, network: AnyNetwork, likelihood: LikelihoodSpec) -> M1M2Spec:
        if isinstance(network, StackedMLP):
            return M1M2Spec(network, likelihood)
        raise _no_parts(self, network)


@dataclass(frozen=True)
class Auxiliary(Family):
    """ADGM, with q(a|x) q(y|a, x) q(z|a, x, y)."""

    def spec(self, network: AnyNetwork, likelihood: LikelihoodSpec) -> ADGMSpec:
        if isinstance(network, AuxiliaryMLP):
            return ADGMSpec(network, likelihood)
        raise _no_parts(self, network)


@dataclass(frozen=True)
class SkipAuxiliary(Family):
    """SDGM, with q(a|x) q(y|a, x) q(z|a, x, y)."""

    def spec(self, network: AnyNetwork, likelihood: LikelihoodSpec) -> SDGMSpec:
        if isinstance(network, AuxiliaryMLP):
            return SDGMSpec(network, likelihood)
        raise _no_parts(self, network)


def _no_parts(family: Family, network: AnyNetwork) -> ValueError:
    return ValueError(f"{network} has no parts for {family}: choose the two together")
