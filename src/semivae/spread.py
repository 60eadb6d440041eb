"""Means over seeds and their standard errors."""

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple


class Spread(NamedTuple):
    """The mean over seeds and its standard error (nan for one seed)."""

    mean: float
    error: float

    def text(self, digits: int, sign: str = "") -> str:
        """As a cell of a table; `sign` "+" for a difference."""
        mean = f"{self.mean:{sign}.{digits}f}"
        return mean if math.isnan(self.error) else f"{mean} ± {self.error:.{digits}f}"


def spread(values: Sequence[float]) -> Spread:
    """The mean of at least one value and its standard error, s / sqrt(n)."""
    n = len(values)
    error = statistics.stdev(values) / math.sqrt(n) if n > 1 else math.nan
    return Spread(statistics.fmean(values), error)
