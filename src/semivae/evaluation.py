"""How good class probabilities are: accuracy with its interval, F1, nll, Brier, calibration.

Pure functions of probabilities (N, K) and integer labels (N,), column k standing for label k. The
predicted class is the most probable column, the first of them in a tie. Sums run in float64.
"""

from dataclasses import dataclass
from math import sqrt
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Integer
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

from semivae.errors import InputError

_Z_95 = 1.959963984540054  # the 97.5 % quantile of the standard normal
_SMALLEST = float(np.finfo(np.float32).tiny)  # 1.18e-38: a softmax in float32 cannot say less
_SUM_TOLERANCE = 0.02  # a softmax in bfloat16 sums to 1 within about 1e-2, logits do not


class Interval(NamedTuple):
    """Two ends of an interval, both included, in the unit of what it surrounds."""

    low: float
    high: float


class Reliability(NamedTuple):
    """What was promised and what was kept, per bin of the largest probability.

    rows: how many fell in the bin. confidence, accuracy: their means, 0 to 1; nan if empty.
    """

    rows: Integer[np.ndarray, " M"]
    confidence: Float[np.ndarray, " M"]
    accuracy: Float[np.ndarray, " M"]


def _checked(
    probs: Float[np.ndarray, "N K"], y: Integer[np.ndarray, " N"]
) -> Float[np.ndarray, "N K"]:
    """`probs` in float64, or an InputError that names the first thing that is no probability."""
    if probs.ndim != 2 or y.shape != probs.shape[:1]:
        raise InputError(
            f"probabilities {probs.shape} and labels {y.shape}: give shapes (N, K) and (N,)"
        )
    if probs.size == 0:
        raise InputError(f"probabilities of shape {probs.shape}: give at least one row")
    if not np.issubdtype(y.dtype, np.integer):
        raise InputError(f"labels of type {y.dtype}: give integers")
    n_classes = probs.shape[1]
    if y.min() < 0 or y.max() >= n_classes:
        raise InputError(
            f"labels from {y.min()} to {y.max()}, {n_classes} columns: give 0 to {n_classes - 1}"
        )
    p = probs.astype(np.float64)
    if not np.isfinite(p).all() or p.min() < 0:
        raise InputError("probabilities that are negative, nan or infinite: give a softmax")
    sums = p.sum(axis=1)
    worst = sums[np.abs(sums - 1).argmax()]
    if abs(worst - 1) > _SUM_TOLERANCE:
        raise InputError(f"a row of probabilities sums to {worst:.4g}: give rows that sum to 1")
    return p


def accuracy(probs: Float[np.ndarray, "N K"], y: Integer[np.ndarray, " N"]) -> float:
    """Share of rows whose likeliest class is the label, 1/N sum_i [argmax_k p_ik = y_i], 0 to 1.

    >>> accuracy(np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 0]))
    0.5
    """
    return float(accuracy_score(y, _checked(probs, y).argmax(axis=1)))


def accuracy_interval(hits: int, n: int) -> Interval:
    """Wilson's 95 % interval of an accuracy of `hits` in `n` independent rows, 0 to 1.

    With p = hits/n, z = 1.96: (p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n). Unlike
    p +- 1.96 s.e. it stays inside 0 to 1 and keeps a width when every row, or none, is right. It
    covers the draw of the test rows only, not the draw of the labels or the seed of the training.
    """
    if not 0 <= hits <= n or n == 0:
        raise InputError(f"{hits} hits in {n} rows: give 0 <= hits <= n and n of at least 1")
    p, z2 = hits / n, _Z_95**2
    centre = p + z2 / (2 * n)
    half = _Z_95 * sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    # At p = 0 and p = 1 one end is exactly 0 or 1; rounding must not push it past them.
    low, high = (centre - half) / (1 + z2 / n), (centre + half) / (1 + z2 / n)
    return Interval(max(0.0, low), min(1.0, high))


def macro_f1(probs: Float[np.ndarray, "N K"], y: Integer[np.ndarray, " N"]) -> float:
    """Mean over classes of F1_k = 2 TP_k / (2 TP_k + FP_k + FN_k), 0 to 1.

    The mean is over the classes that occur among the labels or the predictions (scikit-learn's
    convention): a class that neither has is no evidence for or against the classifier.
    """
    predicted = _checked(probs, y).argmax(axis=1)
    return float(f1_score(y, predicted, average="macro", zero_division=0))


def nll(probs: Float[np.ndarray, "N K"], y: Integer[np.ndarray, " N"]) -> float:
    """Negative log-likelihood of the labels, -1/N sum_i log p_{i, y_i}, in nats per row, from 0.

    A probability below the smallest normal float32, 1.18e-38, counts as that (87.3 nats): a
    softmax that underflowed to 0 costs much, and not infinitely much.
    """
    p = _checked(probs, y)
    return float(-np.log(np.maximum(p[np.arange(y.size), y], _SMALLEST)).mean())


def brier(probs: Float[np.ndarray, "N K"], y: Integer[np.ndarray, " N"]) -> float:
    """Brier score, 1/N sum_i sum_k (p_ik - [y_i = k])^2, no unit, 0 (perfect) to 2.

    Brier's own sum over classes: for two classes, twice what is often printed.
    """
    p = _checked(probs, y)
    return float(np.square(p - np.eye(p.shape[1])[y]).sum(axis=1).mean())


def reliability(
    probs: Float[np.ndarray, "N K"], y: Integer[np.ndarray, " N"], bins: int = 15
) -> Reliability:
    """Rows, mean confidence and accuracy in `bins` equal bins ((m-1)/M, m/M] of max_k p_k."""
    if bins < 1:
        raise InputError(f"bins={bins}: give at least 1")
    p = _checked(probs, y)
    confidence = p.max(axis=1)
    hit = p.argmax(axis=1) == y
    # The first upper edge that is not below the confidence: bins are open below, closed above.
    upper = np.arange(1, bins + 1) / bins
    # Rounding leaves some float32 rows a hair above 1; they belong to the last bin.
    index = np.minimum(np.searchsorted(upper, confidence, side="left"), bins - 1)
    count = np.bincount(index, minlength=bins)
    empty = np.where(count > 0, count, np.nan)
    return Reliability(
        count,
        np.bincount(index, weights=confidence, minlength=bins) / empty,
        np.bincount(index, weights=hit, minlength=bins) / empty,
    )


def expected_calibration_error(
    probs: Float[np.ndarray, "N K"], y: Integer[np.ndarray, " N"], bins: int = 15
) -> float:
    """ECE = sum_m n_m/N |accuracy_m - confidence_m| over the bins of `reliability`, 0 to 1.

    Biased upward when rows are few: perfectly calibrated ten-class predictions measure about .04
    on 1,000 rows and .004 on 200,000. Compare only numbers from equally many rows.
    """
    return _ece(reliability(probs, y, bins))


def _ece(bins: Reliability) -> float:
    gap = np.nan_to_num(np.abs(bins.accuracy - bins.confidence))  # empty bins weigh nothing
    return float((bins.rows * gap).sum() / bins.rows.sum())


def confusion(
    probs: Float[np.ndarray, "N K"], y: Integer[np.ndarray, " N"]
) -> Integer[np.ndarray, "K K"]:
    """Row counts: entry (i, j) is how many rows of class i were taken for class j."""
    predicted = _checked(probs, y).argmax(axis=1)
    counts: np.ndarray = confusion_matrix(y, predicted, labels=np.arange(probs.shape[1]))
    return counts


@dataclass(frozen=True, eq=False)  # eq: comparing arrays has no single truth value
class ClassificationReport:
    """Everything above for one set of rows; units and ranges are those of the functions.

    `recall` (K,) is the share of each class's rows that were recognised, TP_k / N_k, 0 to 1; nan
    where there are none.
    """

    n: int
    accuracy: float
    accuracy_interval: Interval
    macro_f1: float
    nll: float
    brier: float
    ece: float
    confusion: Integer[np.ndarray, "K K"]
    recall: Float[np.ndarray, " K"]
    reliability: Reliability

    def to_json(self) -> dict[str, object]:
        """Plain values, fit for `json.dumps(..., allow_nan=False)`; None where there is no row."""
        return {
            "n": self.n,
            "accuracy": self.accuracy,
            "accuracy_interval": list(self.accuracy_interval),
            "macro_f1": self.macro_f1,
            "nll": self.nll,
            "brier": self.brier,
            "ece": self.ece,
            "confusion": self.confusion.tolist(),
            "recall": _plain(self.recall),
            "reliability": {
                "rows": self.reliability.rows.tolist(),
                "confidence": _plain(self.reliability.confidence),
                "accuracy": _plain(self.reliability.accuracy),
            },
        }


def _plain(values: Float[np.ndarray, " M"]) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]


def classification_report(
    probs: Float[np.ndarray, "N K"], y: Integer[np.ndarray, " N"]
) -> ClassificationReport:
    """Every measure of this module on the same rows, calibration in 15 bins."""
    counts = confusion(probs, y)
    rows, right = counts.sum(axis=1), np.diag(counts)
    bins = reliability(probs, y)
    return ClassificationReport(
        n=y.size,
        accuracy=accuracy(probs, y),
        accuracy_interval=accuracy_interval(int(right.sum()), y.size),
        macro_f1=macro_f1(probs, y),
        nll=nll(probs, y),
        brier=brier(probs, y),
        ece=_ece(bins),
        confusion=counts,
        recall=right / np.where(rows > 0, rows, np.nan),
        reliability=bins,
    )
