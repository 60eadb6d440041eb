"""The algebra of terms: they add, subtract and scale to sums, and sums make an objective.

A term is a frozen value. It reads named streams and returns its natural quantity (a KL is at least
0, a bound is to be maximised) in nats, per example (B,) or as a statistic of the batch (); the sum
that holds it says with which sign and weight it counts, and takes the mean over the batch. An
objective is a value to be maximised; `Objective.__call__` holds the one minus sign of the package.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from semivae.models.densities import DensityModel
from semivae.schedules import Ramp, Weight, weight_at
from semivae.streams import LABELED, UNLABELED, StepState, Streams


class TermValue(NamedTuple):
    """What a term returns: its value (B,) or (), in nats, and the buffers it wants changed.

    A value () is a statistic of the batch. With several processes it is this process's part: the
    mean over processes is what counts (`Streams.part_of_mean`, `processes.mean_over_processes`).
    """

    value: Tensor
    updates: dict[str, Tensor]


class Term(ABC):
    """A named quantity of one stream. `a + b`, `a - b` and `weight * a` make a `Sum`."""

    name: ClassVar[str]
    stream: str

    @abstractmethod
    def __call__(self, model: DensityModel, streams: Streams, state: StepState) -> TermValue:
        """The quantity, to be read with its own sign."""

    def initial_buffers(self, model: DensityModel) -> dict[str, Tensor]:
        """The buffers this term remembers, as they are before the first step."""
        return {}

    @property
    def key(self) -> str:
        """The name under which it is logged."""
        return f"{self.stream}/{self.name}"

    def __add__(self, other: "Term | Sum") -> "Sum":
        return _as_sum(self) + other

    def __sub__(self, other: "Term | Sum") -> "Sum":
        return _as_sum(self) - other

    def __rmul__(self, weight: Weight) -> "Sum":
        return weight * _as_sum(self)


class Weighted(NamedTuple):
    """A term and the weight with which it counts in a sum."""

    weight: Weight
    term: Term


@dataclass(frozen=True)
class Sum:
    """A weighted sum of terms, kept flat; two terms of one name are an error."""

    parts: tuple[Weighted, ...]

    def __post_init__(self) -> None:
        keys = [part.term.key for part in self.parts]
        repeated = sorted({key for key in keys if keys.count(key) > 1})
        if repeated:
            raise ValueError(f"terms that appear twice in one sum: {', '.join(repeated)}")

    def __add__(self, other: "Term | Sum") -> "Sum":
        return Sum(self.parts + _as_sum(other).parts)

    def __sub__(self, other: "Term | Sum") -> "Sum":
        return self + -1.0 * _as_sum(other)

    def __rmul__(self, weight: Weight) -> "Sum":
        return Sum(tuple(Weighted(_product(weight, w), term) for w, term in self.parts))


def _as_sum(term: Term | Sum) -> Sum:
    return term if isinstance(term, Sum) else Sum((Weighted(1.0, term),))


def _product(a: Weight, b: Weight) -> Weight:
    if isinstance(a, Ramp) and isinstance(b, Ramp):
        raise ValueError(f"a weight that ramps inside a sum that ramps: {a} times {b}")
    if isinstance(a, Ramp):
        a, b = b, a
    assert not isinstance(a, Ramp)
    return replace(b, start=a * b.start, end=a * b.end) if isinstance(b, Ramp) else a * b


class SumValue(NamedTuple):
    """The value of a sum () and the mean of each of its terms by name."""

    value: Float[Tensor, ""]
    terms: dict[str, Float[Tensor, ""]]
    updates: dict[str, Tensor]


def evaluate(total: Sum, model: DensityModel, streams: Streams, state: StepState) -> SumValue:
    """sum_i weight_i mean_b term_i(b): the mean is over the batch of each term's own stream."""
    value = torch.zeros(())
    terms: dict[str, Tensor] = {}
    updates: dict[str, Tensor] = {}
    for weight, term in total.parts:
        result = term(model, streams, state)
        per_example = result.value.dim() == 1
        mean = streams.part_of_mean(term.stream, result.value) if per_example else result.value
        value = value.to(mean) + weight_at(weight, state.fraction) * mean
        terms[term.key] = mean.detach()
        updates |= result.updates
    return SumValue(value, terms, updates)


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
