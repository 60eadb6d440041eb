"""The affine map from x as given to x as the model sees it, fitted on training rows and stored."""

import warnings
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from semivae.data.arrays import row_blocks
from semivae.errors import InputError


class Scaling(NamedTuple):
    """(x - shift) / scale; both () for images, or (D,) per column of a table."""

    shift: Float[Tensor, "..."]
    scale: Float[Tensor, "..."]

    def apply(self, x: Tensor) -> Float[Tensor, "B *X"]:
        """x (B, *X) of any type, scaled, as float32 on its own device."""
        # Large values (a time in seconds) are shifted before they lose digits to float32.
        wide = x.float() if x.dtype in (torch.uint8, torch.float16, torch.bfloat16) else x.double()
        return ((wide - self.shift.to(x.device)) / self.scale.to(x.device)).float()

    def to_json(self) -> dict[str, Any]:
        """Both parts as numbers, or lists of them for a table."""
        return {name: part.tolist() for name, part in self._asdict().items()}

    def undo(self, x: Float[Tensor, "B *X"]) -> Float[Tensor, "B *X"]:
        """Back to the units in which x was given."""
        return x * self.scale.to(x.device) + self.shift.to(x.device)


def pixels(largest: float) -> Scaling:
    """Maps pixels from 0 .. `largest` to [0, 1]."""
    return Scaling(torch.tensor(0.0), torch.tensor(float(largest)))


def standardize(x: np.ndarray) -> Scaling:
    """Mean 0 and standard deviation 1 per column of x (N, D), in whatever units; a column that is
    constant up to the rounding of its mean is only shifted.

    Raises `InputError` for a column whose values are too large for their squares.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        mean = sum(block.sum(0, dtype=np.float64) for _, block in row_blocks(x)) / len(x)
        squares = (np.square(block - mean).sum(0) for _, block in row_blocks(x))
        deviation = np.sqrt(sum(squares) / len(x))
    beyond = np.flatnonzero(~np.isfinite(deviation))
    if len(beyond):
        raise InputError(
            f"column {beyond[0]} of X holds values too large to be standardized (beyond 1e150 or "
            "so): divide it by a constant"
        )
    rounding = len(x) * np.finfo(np.float64).eps * np.abs(mean)
    deviation[deviation <= rounding] = 1.0
    return Scaling(torch.tensor(mean), torch.tensor(deviation))


def scaling_of(x: np.ndarray) -> Scaling:
    """Pixels to [0, 1]; columns of a table to mean 0, deviation 1. Raises `InputError` for
    negative pixels."""
    return standardize(x) if x.ndim == 2 else pixels(white(x))


def white(x: np.ndarray) -> float:
    """What is white in images: 255 for uint8 that use more than half of that range, else their
    largest value, at least 1. Raises `InputError` for negative pixels."""
    _refuse_negative(x)
    high = float(x.max())
    # uint8 does not say that 255 is white: masks hold 0 and 1, scikit-learn's digits 0 to 16.
    return 255.0 if x.dtype == np.uint8 and high > 127 else max(high, 1.0)


def _refuse_negative(x: np.ndarray) -> None:
    if (low := float(x.min())) < 0:
        raise InputError(f"images hold {low:g}: give pixels from 0 up (0 to 1, or uint8)")


def warn_of_other_units(x: np.ndarray, scaling: Scaling) -> None:
    """Warns of images whose largest pixel is far from white in training: those from 0 to 1 look
    black to a model of images from 0 to 255, and the other way round. Raises `InputError` for
    negative pixels, as in training."""
    _refuse_negative(x)
    largest, was_white = float(x.max()), float(scaling.scale)
    if largest > 2 * was_white or 0 < largest < was_white / 10:
        warnings.warn(
            f"the largest pixel of X is {largest:g}, and white was {was_white:g} in training: "
            "give images in the same units",
            stacklevel=2,
        )
