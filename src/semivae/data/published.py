"""A data set in memory, images or a table, with its classes and perhaps a test set."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, Num

from semivae.data.scaling import Scaling, pixels, standardize
from semivae.errors import InputError


@dataclass(frozen=True, eq=False)
class Arrays:
    """Rows and labels as they were published, in memory.

    x, x_test: images from 0 to `pixel_max`, or the rows of a table, for which `pixel_max` is
    None. y, y_test: positions in `classes`, -1 for no label (never in y_test). Both test arrays
    are None if there is no test set.
    """

    x: Num[np.ndarray, "N *X"]
    y: Int64[np.ndarray, " N"]
    x_test: Num[np.ndarray, "M *X"] | None
    y_test: Int64[np.ndarray, " M"] | None
    classes: tuple[str, ...]
    pixel_max: float | None
    name: str

    @property
    def test(self) -> tuple[Num[np.ndarray, "M *X"], Int64[np.ndarray, " M"]]:
        """x_test and y_test; raises InputError without them: see `has_test`."""
        if self.x_test is None or self.y_test is None:
            raise InputError(f"{self.name} has no test set: give data that have one")
        return self.x_test, self.y_test

    @property
    def has_test(self) -> bool:
        """Whether there is a test set."""
        return self.x_test is not None and self.y_test is not None

    @property
    def scaling(self) -> Scaling:
        """Pixels to [0, 1]; columns to mean 0 and standard deviation 1 over x, never x_test."""
        return standardize(self.x) if self.pixel_max is None else pixels(self.pixel_max)
