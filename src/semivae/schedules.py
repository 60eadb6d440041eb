"""Weights that change while training runs: plain values, a function of the fraction of training
done."""

from dataclasses import dataclass
from math import isfinite


@dataclass(frozen=True)
class Ramp:
    """A straight line from `start` to `end` over the first `until` of training (a fraction), then
    `end`.

    >>> [Ramp(0.0, 10.0, until=0.5)(f) for f in (0.0, 0.25, 0.5, 1.0)]
    [0.0, 5.0, 10.0, 10.0]
    """

    start: float
    end: float
    until: float

    def __post_init__(self) -> None:
        if not (isfinite(self.start) and isfinite(self.end)):
            raise ValueError(f"a ramp from {self.start} to {self.end}: both must be finite")
        if not 0 < self.until <= 1:
            raise ValueError(f"until={self.until} is not a fraction of training in (0, 1]")

    def __str__(self) -> str:
        """As `--set` reads it."""
        return f"ramp({self.start:g}, {self.end:g}, {self.until:g})"

    def __call__(self, fraction: float) -> float:
        return self.start + (self.end - self.start) * min(1.0, fraction / self.until)


Weight = float | Ramp


def weight_at(weight: Weight, fraction: float) -> float:
    """The weight when `fraction` of training is done (0 to 1)."""
    return weight(fraction) if isinstance(weight, Ramp) else weight
