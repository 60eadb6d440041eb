"""`.npz` files of users: rows, labels, and a test set if there is one; pickle is never loaded."""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int64, Num, Shaped

from semivae.data.arrays import check_features
from semivae.data.classes import UNLABELED, encode_labels, known_labels
from semivae.data.published import Arrays
from semivae.data.scaling import pixels, warn_of_other_units, white
from semivae.errors import InputError

_KEYS = ("X", "y", "X_test", "y_test")


def load_npz(path: Path) -> Arrays:
    """Rows and labels from an `.npz` file; pickled objects in it are never loaded.

    X: images, (N, H, W), (N, C, H, W) or (N, H, W, C) with 1 or 3 channels, uint8 or from 0 up;
    or the rows of a table, (N, D). y: (N,), whole numbers with -1 for no label, or texts that are
    blank there. Optionally X_test and y_test, every row labeled with a class that y has. Raises
    InputError, naming the file, for anything else.
    """
    arrays = _labeled(path, ("X", "y"))
    x = _rows(path, "X", arrays["X"])
    try:
        y, classes = encode_labels(arrays["y"])
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    _check_lengths(path, x, y)
    names = tuple(str(name) for name in classes)
    x_test = y_test = None
    if "X_test" in arrays:
        x_test = _rows(path, "X_test", arrays["X_test"])
        y_test = _codes(path, "y_test", arrays["y_test"], names)
        _check_lengths(path, x_test, y_test)
        if (y_test == UNLABELED).any():
            row = int((y_test == UNLABELED).argmax())
            raise InputError(f"{path}: y_test has no label in row {row}: give every test row one")
        if x_test.shape[1:] != x.shape[1:]:
            raise InputError(
                f"{path}: the rows of X are {x.shape[1:]} and those of X_test "
                f"{x_test.shape[1:]}: give both in one shape"
            )
    pixel_max = None
    if x.ndim > 2:
        try:
            pixel_max = white(x)
            if x_test is not None:
                white(x_test)
                warn_of_other_units(x_test, pixels(pixel_max))
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
    return Arrays(x, y, x_test, y_test, names, pixel_max, name=path.name)


def rows_of(path: Path) -> Num[np.ndarray, "N *X"]:
    """X of the file, which needs no y. Raises InputError."""
    arrays = _arrays_of(path, [("X",)], "save it with numpy.savez(file, X=x)")
    return _rows(path, "X", arrays["X"])


def labeled_rows(
    path: Path, classes: tuple[str, ...]
) -> tuple[Num[np.ndarray, "M *X"], Int64[np.ndarray, " M"]]:
    """X_test with y_test, or else the rows of X that have a label in y, as positions in `classes`.
    Raises InputError, as of a label that is no class."""
    arrays = _labeled(path, ("X_test", "y_test"), ("X", "y"))
    x_key, y_key = ("X_test", "y_test") if "X_test" in arrays else ("X", "y")
    x, codes = _rows(path, x_key, arrays[x_key]), _codes(path, y_key, arrays[y_key], classes)
    _check_lengths(path, x, codes)
    known = codes != UNLABELED
    return x[known], codes[known]


def _labeled(path: Path, *needed: tuple[str, str]) -> dict[str, Shaped[np.ndarray, "..."]]:
    """X and y, and X_test and y_test, as far as there are any; never a half of a test set."""
    arrays = _arrays_of(path, needed, "save it with numpy.savez(file, X=images, y=labels)")
    if ("X_test" in arrays) != ("y_test" in arrays):
        raise InputError(f"{path} has only one of X_test and y_test: give both or neither")
    return arrays


def _arrays_of(
    path: Path, needed: Sequence[tuple[str, ...]], advice: str
) -> dict[str, Shaped[np.ndarray, "..."]]:
    """The arrays of the file, with all of one of the tuples of names that are `needed`."""
    try:
        with path.open("rb") as file:
            if not zipfile.is_zipfile(file):
                raise InputError(f"{path} is not an .npz file, or only a part of one: {advice}")
        with np.load(path, allow_pickle=False) as archive:
            missing = [[key for key in keys if key not in archive] for keys in needed]
            if all(missing):
                found = ", ".join(archive) or "nothing"
                raise InputError(
                    f"{path} lacks {' and '.join(missing[-1])} (it has {found}): {advice}"
                )
            arrays = {key: archive[key] for key in _KEYS if key in archive}
            for key, array in arrays.items():
                if not isinstance(array, np.ndarray):  # numpy gives what it does not know as bytes
                    raise InputError(f"{path} cannot be used ({key} is not an array): {advice}")
            return arrays
    except InputError:  # a ValueError, which the next line catches
        raise
    except (ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(
            f"{path} cannot be used ({error}): save it again with numpy.savez, "
            "from arrays of numbers or texts and not of objects"
        ) from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


def _rows(path: Path, key: str, array: Shaped[np.ndarray, "..."]) -> Num[np.ndarray, "N *X"]:
    try:
        return np.ascontiguousarray(check_features(array))
    except InputError as error:
        raise InputError(f"{path}: in {key}, {error}") from error


def _codes(
    path: Path, key: str, y: Shaped[np.ndarray, "..."], classes: Sequence[str]
) -> Int64[np.ndarray, " M"]:
    """Positions of the labels among the names of classes, -1 for none; InputError of a label that
    is no class."""
    try:
        labels, known = known_labels(y)
    except InputError as error:
        raise InputError(f"{path}: in {key}, {error}") from error
    codes = np.full(len(labels), UNLABELED, dtype=np.int64)
    for code, name in enumerate(classes):
        codes[known & (labels.astype(str) == name)] = code
    if (foreign := known & (codes == UNLABELED)).any():
        row = int(foreign.argmax())
        raise InputError(
            f"{path}: {key} is {labels[row]} in row {row}, which is no class: there are "
            f"{', '.join(classes)}"
        )
    return codes


def _check_lengths(path: Path, x: Num[np.ndarray, "N *X"], y: Shaped[np.ndarray, " M"]) -> None:
    if len(x) != len(y):
        raise InputError(f"{path} has {len(x)} rows with {len(y)} labels: give as many of each")
