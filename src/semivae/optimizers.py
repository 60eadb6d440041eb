"""Optimizers and learning rates as plain values."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn


class Optimizer(ABC):
    """A frozen value that builds a torch optimizer; `peak` is the learning rate a schedule
    scales."""

    peak: float

    @abstractmethod
    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """The torch optimizer of these parameters."""


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam (section 2.8; the paper: 1e-3)."""

    peak: float = 1e-3

    def __post_init__(self) -> None:
        _check_peak(self.peak)

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.Adam(list(parameters), lr=self.peak, fused=True)


@dataclass(frozen=True)
class AdamW(Optimizer):
    """Adam with decoupled weight decay, of every parameter alike. It is no prior on the weights:
    their gradient, as that of Kingma's N(0, 1), would be scaled with the rest of it."""

    peak: float = 1e-3
    decay: float = 1e-2

    def __post_init__(self) -> None:
        _check_peak(self.peak)
        if self.decay < 0:
            raise ValueError(f"decay={self.decay:g} would make weights grow: give 0 or more")

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.AdamW(
            list(parameters), lr=self.peak, weight_decay=self.decay, fused=True
        )


class LearningRate(ABC):
    """A factor on the peak learning rate, as a function of the fraction of training done."""

    @abstractmethod
    def __call__(self, fraction: float) -> float:
        """The factor, 0 to 1."""


@dataclass(frozen=True)
class Constant(LearningRate):
    """The peak, throughout."""

    def __call__(self, fraction: float) -> float:
        return 1.0


@dataclass(frozen=True)
class OneCycle(LearningRate):
    """Up from `start` to 1 over the first `rise` of training, then down to about 0, along cosines.

    >>> [round(OneCycle()(f), 3) for f in (0.0, 0.15, 0.3, 0.65, 1.0)]
    [0.04, 0.52, 1.0, 0.5, 0.0]
    """

    rise: float = 0.3
    start: float = 0.04

    def __post_init__(self) -> None:
        if not (0 < self.rise < 1 and 0 <= self.start <= 1):
            raise ValueError(f"{self} is no cycle: give 0 < rise < 1 and 0 <= start <= 1")

    def __call__(self, fraction: float) -> float:
        if fraction < self.rise:
            return self.start + (1 - self.start) * _half_cosine(fraction / self.rise)
        return 1.0 - _half_cosine((fraction - self.rise) / (1 - self.rise))


def _check_peak(peak: float) -> None:
    if not peak > 0:
        raise ValueError(f"peak={peak:g} is no learning rate: give a number above 0")


def _half_cosine(x: float) -> float:
    """0 at x = 0, 1 at x = 1, flat at both ends."""
    return 0.5 - 0.5 * math.cos(math.pi * min(1.0, x))
