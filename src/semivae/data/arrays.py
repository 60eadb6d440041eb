"""Checks features at the door: what is returned can be batched, and nothing was silently repaired.

The data keep their dtype and their place: they are neither copied nor converted, so an array that
is memory-mapped stays so, and uint8 images stay uint8 until a batch of them reaches the device. An
array of objects alone is copied, as float64.
"""

import numbers
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float64, Num, Shaped

from semivae.errors import InputError

BLOCK_BYTES = 1 << 24
CHANNELS = (1, 3)  # the numbers of channels that say by themselves which axis they are on


def check_features(
    X: object, *, channels_last: bool | None = None
) -> Num[np.ndarray, "N D"] | Num[np.ndarray, "N C H W"]:
    """The features as rows (N, D) or images (N, C, H, W), in the dtype given.

    Accepts rows (N, D), grey images (N, H, W), and images (N, C, H, W) or (N, H, W, C); of the
    last two, the one with 1 or 3 channels. `channels_last` says which where both or neither have,
    and has no meaning for other shapes. Booleans are seen as uint8. Arrays come back as views.

    Raises InputError if X is not a dense numeric array, has another number of axes, has no rows or
    no features, holds NaN or infinity, or could be read as either order of the axes.

    >>> check_features(np.zeros((5, 28, 28), np.uint8)).shape
    (5, 1, 28, 28)
    >>> check_features(np.zeros((5, 32, 32, 3), np.uint8)).shape
    (5, 3, 32, 32)
    """
    array = _numeric(X)
    if array.ndim not in (2, 3, 4):
        raise InputError(
            f"X has shape {array.shape}: give rows (N, D) or images (N, H, W), (N, C, H, W) or "
            "(N, H, W, C). Reshape your data either using X.reshape(-1, 1) if it has a single "
            "feature or X.reshape(1, -1) if it is a single row"
        )
    if array.shape[0] == 0:
        raise InputError(f"X has no rows: 0 sample(s) (shape={array.shape}); at least 1 is needed")
    if array.size == 0:
        raise InputError(
            f"X has 0 feature(s) (shape={array.shape}) while a minimum of 1 is required."
        )
    _check_finite(array)
    if array.ndim == 2:
        return array
    if array.ndim == 3:
        return array[:, np.newaxis]
    return np.moveaxis(array, 3, 1) if _is_channels_last(array.shape, channels_last) else array


def row_blocks(array: Num[np.ndarray, "N ..."]) -> Iterator[tuple[int, Num[np.ndarray, "M ..."]]]:
    """Blocks of rows with the number of their first row: what is computed on one at a time needs
    no memory for the rest of an array that is memory-mapped."""
    step = max(1, BLOCK_BYTES // (8 * max(1, array[:1].size)))  # as wide as they may become
    for start in range(0, len(array), step):
        yield start, array[start : start + step]


def _numeric(X: object) -> Num[np.ndarray, "..."]:
    """X as a dense array of numbers; a view of it if it is an array."""
    if hasattr(X, "toarray"):
        raise InputError(
            f"X is a sparse {type(X).__name__}: sparse data are not supported, use X.toarray()"
        )
    if isinstance(X, np.ma.MaskedArray):
        raise InputError("X is a masked array: fill or drop the masked rows first")
    try:
        # asarray would strip a memory map of its type, though not copy it.
        array = X if isinstance(X, np.memmap) else np.asarray(X)
    except (ValueError, TypeError, RuntimeError) as error:  # ragged rows; another library's tensor
        raise InputError(f"X cannot be read as one array of numbers: {error}") from error
    if array.dtype.kind == "b":
        return array.view(np.uint8)
    if array.dtype.kind == "c":
        raise InputError(
            f"X is {array.dtype}: Complex data not supported, give real and imaginary part as "
            "two features"
        )
    if array.dtype.kind == "O" and array.ndim > 1:  # a frame of columns of several types
        return _from_objects(array)
    if array.dtype.kind not in "uif":
        raise InputError(f"X has dtype {array.dtype}: {_ENCODE}")
    if not array.dtype.isnative or array.dtype.itemsize > 8:
        raise InputError(
            f"X has dtype {array.dtype}, which PyTorch does not read: give X.astype(numpy.float64)"
        )
    return array


_ENCODE = (
    "features must be numbers, encode texts and categories first and convert with "
    "X.astype(numpy.float32)"
)


def _from_objects(array: Shaped[np.ndarray, "N *X"]) -> Float64[np.ndarray, "N *X"]:
    """Numbers and booleans as float64, and NaN for None and pandas.NA."""
    numbers_of = np.empty(array.shape)
    for at, value in np.ndenumerate(array):
        if isinstance(value, numbers.Real | np.bool_):
            numbers_of[at] = value
        elif value is None or type(value).__name__ == "NAType":
            numbers_of[at] = np.nan
        else:
            where = f"row {at[0]}, column {', '.join(map(str, at[1:]))}"
            raise InputError(f"X has dtype object and {value!r} in {where}: {_ENCODE}")
    return numbers_of


def _check_finite(array: Num[np.ndarray, "N ..."]) -> None:
    if array.dtype.kind != "f":
        return
    n_nan = n_infinite = 0
    first: tuple[int, ...] | None = None
    for start, block in row_blocks(array):
        finite = np.isfinite(block)
        if finite.all():
            continue
        if first is None:
            row, *column = np.argwhere(~finite)[0].tolist()
            first = (start + row, *column)
        nan = int(np.isnan(block).sum())
        n_nan += nan
        n_infinite += int((~finite).sum()) - nan
    if first is not None:
        column = f", column {first[1]}" if array.ndim == 2 else ""
        raise InputError(
            f"X contains {n_nan} NaN and {n_infinite} infinite values, the first in row "
            f"{first[0]}{column}: fill them or drop those rows"
        )


def _is_channels_last(shape: tuple[int, ...], stated: bool | None) -> bool:
    if stated is not None:
        if not isinstance(stated, bool | np.bool_):
            raise InputError(f"channels_last={stated!r}: give True, False or None")
        return bool(stated)
    first, last = shape[1] in CHANNELS, shape[3] in CHANNELS
    if first == last:
        could_be = "either" if first else "neither, as no axis has 1 or 3 channels,"
        raise InputError(
            f"X of shape {shape} could be {could_be} (N, C, H, W) or (N, H, W, C): say which with "
            "channels_last=False for the first or channels_last=True for the second"
        )
    return last
