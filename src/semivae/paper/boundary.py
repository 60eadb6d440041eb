"""Does a classifier's decision boundary lie where data are rare? What the paper's 3.1 and 5.5 say
of it, measured under the model's own density."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from sklearn.metrics import roc_auc_score

from semivae.assessment import log_p_x
from semivae.diagnostics.encodings import encode_set
from semivae.errors import InputError
from semivae.noise import key
from semivae.predictor import Predictor

LEAST_SHARE = 0.05  # of the rows: those next to the boundary
POINTS = 9  # of a path between its ends, for its mean density
FINE = 101  # of a path with its ends, for where the prediction changes
# Of the profile of a path: -1 is its start, 0 where the prediction changes, 1 its end.
ALONG = (-1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Boundary:
    """log p(x) next to a classifier's decision boundary, in nats, beside that elsewhere.

    least, rest: the means over the 5 % of rows with the least margin, the two largest log q(y|x)
    apart, and over the others; rank: the share of pairs of a row of each in which that of the rest
    is the denser one (1/2: no relation), whatever the scale of the density. path: the mean along
    straight paths between images of two predicted classes, None without such paths; profile: the
    means over these paths at each place of `ALONG`, empty without such paths.
    """

    least: float
    rest: float
    rank: float
    path: float | None
    profile: tuple[float, ...]

    @property
    def gap(self) -> float:
        """By how much rows next to the boundary are rarer than the others."""
        return self.rest - self.least

    @property
    def crossing(self) -> float | None:
        """log p(x) where the prediction first changes along a path; None without one."""
        return self.profile[ALONG.index(0)] if self.profile else None

    @property
    def dip(self) -> float:
        """By how much the boundary is rarer than the path through it; nan without one."""
        if self.path is None or self.crossing is None:
            return math.nan
        return self.path - self.crossing


def boundary(
    predictor: Predictor,
    x: np.ndarray,
    log_p: Float[np.ndarray, " N"],
    paths: int,
    samples: int,
    seed: int,
) -> Boundary:
    """The measures on images x (N, C, H, W), in the units of the data, whose log p(x) is known;
    on paths importance-weighted with so many `samples` of z. The paths are those of `seed`."""
    log_q = encode_set(predictor.model, predictor.chunks(x)).log_q.cpu().numpy()
    near = least_margin(log_q)
    ends = pairs(log_q.argmax(1), paths, seed)
    start, end = (x[rows].astype(np.float64) for rows in ends)
    at = first_change(predictor, start, end)
    there = np.isfinite(at)
    path: float | None = None
    profile: tuple[float, ...] = ()
    if there.any():
        start, end, at = start[there], end[there], at[there]
        steps = [*np.linspace(0, 1, POINTS + 2)[1:-1], *(share_of(at, place) for place in ALONG)]
        points = np.concatenate([between(start, end, step) for step in steps])
        values = log_p_x(predictor, points, samples, seed).reshape(len(steps), -1).mean(1)
        path = float(values[:POINTS].mean())
        profile = tuple(map(float, values[POINTS:]))
    return Boundary(
        least=float(log_p[near].mean()),
        rest=float(log_p[~near].mean()),
        rank=float(roc_auc_score(~near, log_p)),
        path=path,
        profile=profile,
    )


def least_margin(log_q: Float[np.ndarray, "N K"]) -> Bool[np.ndarray, " N"]:
    """The 5 % of rows, at least one, whose two largest log q(y|x) are nearest.

    Of logs, in float32: probabilities near 1 have no digits left to tell them apart.

    >>> least_margin(np.log([[0.9, 0.1], [0.4, 0.6], [0.99, 0.01]]))
    array([False,  True, False])
    """
    if len(log_q) < 2:
        raise InputError(f"{len(log_q)} rows: their margins are compared, give at least 2")
    ordered = np.sort(log_q, 1)
    margin = ordered[:, -1] - ordered[:, -2]
    near = np.zeros(len(log_q), bool)
    near[np.argsort(margin, kind="stable")[: max(1, round(LEAST_SHARE * len(log_q)))]] = True
    return near


class Ends(NamedTuple):
    """Numbers of the rows at which paths start and end."""

    start: np.ndarray
    end: np.ndarray


def pairs(predicted: np.ndarray, most: int, seed: int) -> Ends:
    """At most so many pairs of rows of two predicted classes, drawn by seed; a row in one pair."""
    order = np.random.default_rng(key(seed, "paths")).permutation(len(predicted))
    half = len(order) // 2
    start, end = order[:half], order[half : 2 * half]
    kept = np.flatnonzero(predicted[start] != predicted[end])[:most]
    return Ends(start[kept], end[kept])


def between(
    start: Float[np.ndarray, "P *X"], end: Float[np.ndarray, "P *X"], at: float | np.ndarray
) -> Float[np.ndarray, "P *X"]:
    """The points of straight paths at `at`, from 0 (start) to 1: one number, or one a path."""
    share = np.broadcast_to(at, len(start)).reshape(-1, *[1] * (start.ndim - 1))
    points: np.ndarray = (1 - share) * start + share * end
    return points


def share_of(at: Float[np.ndarray, " P"], place: float) -> Float[np.ndarray, " P"]:
    """How far along its path a place of `ALONG` is, of paths whose prediction changes at `at`.

    >>> share_of(np.array([0.4]), -0.5), share_of(np.array([0.4]), 0.5)
    (array([0.2]), array([0.7]))
    """
    return at * (1 + place) if place <= 0 else at + (1 - at) * place


def first_change(
    predictor: Predictor, start: Float[np.ndarray, "P *X"], end: Float[np.ndarray, "P *X"]
) -> Float[np.ndarray, " P"]:
    """Where along each path the prediction first is another than at its start, to 1 in 200; nan
    where it never is, as between rows that only float32 tells apart while images are predicted in
    bfloat16."""
    if not len(start):
        return np.empty(0)
    steps = np.linspace(0, 1, FINE)
    predicted = np.stack(
        [predictor.predict_proba(between(start, end, step)).argmax(1) for step in steps]
    )
    changed = predicted != predicted[0]
    first = changed.argmax(0)
    return np.where(changed.any(0), (steps[first - 1] + steps[first]) / 2, np.nan)
