"""What the difference of two means over seeds amounts to."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from semivae.spread import Spread, spread

MORE, LESS, SAME = "more", "less", "no clear difference"
ONE_SEED = "one seed allows no verdict"


class Gain(NamedTuple):
    """By how much one side exceeds another: mean and standard error over paired seeds (nan for
    one).

    There is a difference where the two-sided 95 % interval of Student's t leaves out 0: for 3
    seeds beyond 4.3 standard errors, for 15 beyond 2.1.
    """

    mean: float
    error: float
    seeds: int

    @property
    def verdict(self) -> str:
        """`MORE` or `LESS` where there is a difference, else `SAME`; of one seed none."""
        if self.seeds < 2:
            return ONE_SEED
        if abs(self.mean) <= self.half_width:
            return SAME
        return MORE if self.mean > 0 else LESS

    @property
    def half_width(self) -> float:
        """Of the 95 % interval; nan for one seed."""
        from scipy.stats import t  # takes half a second

        return float(t.ppf(0.975, self.seeds - 1)) * self.error if self.seeds > 1 else math.nan

    def text(self, digits: int) -> str:
        """As a cell of a table."""
        return Spread(self.mean, self.error).text(digits, "+")


def gain(side: Mapping[int, float], over: Mapping[int, float]) -> Gain | None:
    """How much `side` exceeds `over`, values by seed, on the seeds of both; None without one.

    >>> gain({0: 3.0, 1: 5.0, 2: 9.0}, {0: 2.0, 1: 2.0})
    Gain(mean=2.0, error=1.0, seeds=2)
    """
    gaps = [side[seed] - over[seed] for seed in sorted(side.keys() & over.keys())]
    return Gain(*spread(gaps), len(gaps)) if gaps else None
