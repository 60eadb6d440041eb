"""Arguments of Python calls, checked: each a plain value, or an `InputError` that names it."""

import math
from numbers import Integral, Real
from typing import Any

import numpy as np

from semivae.errors import InputError


def whole_number(name: str, value: Any, least: int) -> int:
    """A parameter as an int, or an `InputError`."""
    if not isinstance(value, Integral) or value < least:
        raise InputError(f"{name}={value!r}: give a whole number from {least}")
    return int(value)


def number(name: str, value: Any) -> float:
    """A parameter as a finite float, or an `InputError`."""
    if not isinstance(value, Real) or not math.isfinite(value):
        raise InputError(f"{name}={value!r}: give a finite number, or None for the recipe's")
    return float(value)


def flag(name: str, value: Any) -> bool:
    """A parameter as a bool, or an `InputError`: of a text that says False, Python says True."""
    if not isinstance(value, bool | np.bool_):
        raise InputError(f"{name}={value!r}: give True, False, or None for the recipe's")
    return bool(value)
