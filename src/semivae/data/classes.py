"""Labels as a user gives them, and as class numbers from 0; -1 is no label."""

import numbers
import re

import numpy as np
from jaxtyping import Bool, Int64, Shaped

from semivae.errors import InputError

UNLABELED = -1


def encode_labels(y: object) -> tuple[Int64[np.ndarray, " N"], Shaped[np.ndarray, " K"]]:
    """The labels as codes from 0 to K-1, with -1 for none, and the K sorted classes behind them.

    Unlabeled is what `known_labels` says is unlabeled. Zero unlabeled rows are fine. Labels of
    whole floats become integers.

    Raises InputError as `known_labels` does, if fewer than two classes are there, and if -1 looks
    like a class of the user's ({-1, 1}).

    >>> encode_labels(["cat", None, "dog", -1])
    (array([ 0, -1,  1, -1]), array(['cat', 'dog'], dtype='<U3'))
    """
    array, known = known_labels(y)
    classes, codes = np.unique(array[known], return_inverse=True)
    if len(classes) < 2:
        advice = (
            "; -1 means unlabeled here, so if -1 is a class of yours, recode the two classes, "
            "for example as 0 and 1"
        )
        raise InputError(
            f"y has one class only, {classes[0]}: need at least two classes"
            + (advice if classes.dtype.kind in "iu" and classes[0] == 1 else "")
        )
    encoded = np.full(len(array), UNLABELED, dtype=np.int64)
    encoded[known] = codes
    return encoded, classes


def known_labels(y: object) -> tuple[Shaped[np.ndarray, " N"], Bool[np.ndarray, " N"]]:
    """The labels, and which of them are labels; elsewhere the first array has no meaning.

    Unlabeled is -1 in numbers, a blank text among texts, and -1, None, NaN, pandas.NA or a blank
    beside texts or in an object array.

    Raises InputError if y is not one label per row, has no labeled row, holds NaN or infinity
    among numbers, numbers that are not whole, text beside numbers, or values that are neither.
    """
    # numpy would turn the -1 of a list of texts into one more text, so each value is kept.
    texts = isinstance(y, list | tuple) and any(isinstance(label, str) for label in y)
    try:
        array = np.asarray(y, dtype=object if texts else None)
    except ValueError as error:
        raise InputError(f"y cannot be read as one label per row: {error}") from error
    if array.ndim != 1:
        raise InputError(
            f"y should be a 1d array, one label per row, but has shape {array.shape}; "
            "of a column, give y.ravel()"
        )
    if array.dtype.kind == "O":
        array, known = _split_objects(array)
    elif array.dtype.kind == "U":
        _refuse_numbers_as_text(array)
        known = np.char.strip(array) != ""
    else:
        array = _whole_numbers(array)
        known = array != UNLABELED
    if not known.any():
        raise InputError("y has no labeled row: give at least one label of each class")
    return array, known


def labels_named(names: tuple[str, ...]) -> list[int] | list[str]:
    """The labels behind the names of classes: a run of the command line knows only the names."""
    whole = [int(name) for name in names if re.fullmatch(r"-?\d+", name)]
    return whole if [str(number) for number in whole] == list(names) else list(names)


def _split_objects(
    y: Shaped[np.ndarray, " N"],
) -> tuple[Shaped[np.ndarray, " N"], Bool[np.ndarray, " N"]]:
    """The labels of an object array in a dtype of their own, and which of them are labels."""
    known = np.array([not _is_missing(label) for label in y], dtype=bool)
    labels = y[known].tolist()
    if all(isinstance(label, str) for label in labels):
        array = np.full(len(y), "", dtype=np.array(labels, dtype=np.str_).dtype)
        array[known] = labels
        _refuse_numbers_as_text(array)
        return array, known
    if all(isinstance(label, numbers.Real) for label in labels):
        values = np.array(labels)
        array = np.full(len(y), values[0])  # any label will do where there is none
        array[known] = values
        return _whole_numbers(array), known
    kinds = sorted({type(label).__name__ for label in labels})
    raise InputError(
        f"y holds values of the types {', '.join(kinds)}: give all labels as text or all as whole "
        "numbers, and -1 or None for an unlabeled row"
    )


def _is_missing(label: object) -> bool:
    # pandas.NA is equal to nothing, and pandas need not be there.
    if label is None or type(label).__name__ == "NAType":
        return True
    if isinstance(label, str):
        return not label.strip()
    return isinstance(label, numbers.Real) and bool(label == UNLABELED or label != label)


def _refuse_numbers_as_text(y: Shaped[np.ndarray, " N"]) -> None:
    """numpy makes texts of np.array(["cat", -1]): the unlabeled row would become a class."""
    for text in ("-1", "nan"):
        if (y == text).any():
            raise InputError(
                f'y holds the text "{text}", which NumPy makes of a missing label among texts: '
                "leave the text of an unlabeled row blank, or give y as a list or with "
                "dtype=object, and -1 or None there"
            )


def _whole_numbers(y: Shaped[np.ndarray, " N"]) -> Shaped[np.ndarray, " N"]:
    """Numeric labels as given, floats as int64."""
    if y.dtype.kind in "bui":
        return y
    if y.dtype.kind != "f":
        raise InputError(f"y has dtype {y.dtype}: give labels as text or as whole numbers")
    # The first words are those that scikit-learn's checks look for.
    if np.isnan(y).any():
        raise InputError(
            f"Input y contains NaN, the first in row {int(np.isnan(y).argmax())}: "
            "give -1 for an unlabeled row"
        )
    if np.isinf(y).any():
        raise InputError(
            f"Input y contains infinity, the first in row {int(np.isinf(y).argmax())}: "
            "give -1 for an unlabeled row"
        )
    whole = (y == np.floor(y)) & (np.abs(y) < 2.0**53)
    if not whole.all():
        row = int((~whole).argmax())
        raise InputError(
            f"Unknown label type: y is {y[row]} in row {row}, which is not a whole number: "
            "give classes, not measurements"
        )
    return y.astype(np.int64)
