"""How a classifier errs: which classes it confuses, and whether its confidence is kept."""

from collections.abc import Sequence
from math import ceil
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Integer

from semivae.errors import InputError
from semivae.plots.frame import BLUE, INK, MUTED, ORANGE, PALE, new_figure, short, tidy

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

_MOST_NUMBERED = 20  # classes: more cells than 20 x 20 leave no room for a legible number
_MOST_TICKS = 50


@runtime_checkable
class ReliabilityBins(Protocol):
    """What `reliability_diagram` reads: `evaluation.Reliability` is one."""

    @property
    def rows(self) -> Integer[np.ndarray, " M"]: ...
    @property
    def confidence(self) -> Float[np.ndarray, " M"]: ...
    @property
    def accuracy(self) -> Float[np.ndarray, " M"]: ...


def confusion_matrix(
    matrix: Integer[np.ndarray, "K K"], classes: Sequence[str]
) -> "matplotlib.figure.Figure":
    """Rows are true classes, columns predicted ones; colour is the share of the true class's rows.

    What is right is blue, from 0 to 1; errors are orange, from 0 to the largest of them (or 5 %),
    since on the scale of the diagonal they would look white. Up to 20 classes, counts are printed.
    """
    n_classes = len(matrix)
    _check_classes(classes, n_classes)
    total = int(matrix.sum())
    if total == 0:
        raise InputError("a confusion matrix without rows: give at least one")
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    diagonal = np.eye(n_classes, dtype=bool)
    errors = np.where(diagonal, 0, matrix)
    i, j = (int(k) for k in np.unravel_index(errors.argmax(), errors.shape))
    title = f"{np.trace(matrix) / total:.1%} of {total:,} rows right".replace("%", " %")
    if errors[i, j] > 1:  # a single row is no tendency
        title += (
            f"; the most frequent error takes\n{short(classes[i])} for {short(classes[j])},"
            f" {errors[i, j]:,} of its {matrix[i].sum():,} rows"
        )
    numbered = n_classes <= _MOST_NUMBERED
    side = max(4.4, 0.46 * n_classes + 1.4) if numbered else 8.5
    figure = new_figure(side + (0 if numbered else 0.7), side + 0.3, title)
    ax = figure.subplots()
    ceiling = max(float(share[~diagonal].max(initial=0)), 0.05)
    shown = np.ma.array(share, mask=diagonal | (matrix == 0))
    wrong = ax.imshow(shown, cmap="Oranges", vmin=0, vmax=ceiling)
    # The lower part of the blues is enough: the number on the diagonal stays legible.
    ax.imshow(np.ma.array(share, mask=~diagonal), cmap="Blues", vmin=0, vmax=1.4)
    if numbered:
        size = 8.5 if n_classes <= 12 else 7
        for (row, column), count in np.ndenumerate(matrix):
            if count:
                dark = share[row, column] > (0.7 if row == column else 0.6 * ceiling)
                color = "white" if dark else INK
                ax.text(column, row, f"{count}", ha="center", va="center", size=size, color=color)
    else:
        bar = figure.colorbar(wrong, ax=ax, shrink=0.5, pad=0.02)
        bar.set_label("errors: share of the true class's rows", size=8, color=MUTED)
        bar.ax.tick_params(colors=MUTED, labelsize=8)
        bar.outline.set_visible(False)
    tidy(ax, "predicted class", "true class")
    ax.spines[:].set_visible(False)
    _class_ticks(ax, classes)
    return figure


def _class_ticks(ax: "matplotlib.axes.Axes", classes: Sequence[str]) -> None:
    """Class names on both axes, upright where they fit, every second or third beyond 50."""
    ticks = range(0, len(classes), ceil(len(classes) / _MOST_TICKS))
    names = [short(classes[tick]) for tick in ticks]
    size = 8 if len(classes) <= _MOST_NUMBERED else 6
    ax.set_yticks(ticks, names, size=size, color=INK, parse_math=False)
    ax.set_xticks(ticks, names, size=size, color=INK, parse_math=False)
    if max(map(len, names)) > 3:
        angle, va = (45, "top") if len(classes) <= _MOST_NUMBERED else (90, "center")
        for label in ax.get_xticklabels():
            label.set(rotation=angle, rotation_mode="anchor", ha="right", va=va)


def reliability_diagram(reliability: ReliabilityBins) -> "matplotlib.figure.Figure":
    """Accuracy against confidence per bin, the gap drawn as a line; below, where the rows are."""
    rows = reliability.rows
    if rows.sum() == 0:
        raise InputError("a reliability diagram without rows: give at least one")
    used = rows > 0
    confidence, accuracy = reliability.confidence[used], reliability.accuracy[used]
    weight = rows[used] / rows.sum()
    excess = 100 * float(weight @ (confidence - accuracy))
    ece = float(weight @ np.abs(confidence - accuracy))
    title = (
        f"Confidence is {abs(excess):.1f} points {'above' if excess > 0 else 'below'} accuracy\n"
        f"ECE {ece:.3f} over {rows.sum():,} rows"
    )
    figure = new_figure(4.6, 5.2, title)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    tidy(top, "", "accuracy (share right)")
    tidy(bottom, "confidence (probability of the predicted class)", "share of rows")
    top.plot([0, 1], [0, 1], color=PALE, linewidth=1, linestyle=(0, (4, 3)))
    top.text(0.03, 0.07, "calibrated", size=8, color=MUTED, rotation=45, rotation_mode="anchor")
    top.vlines(confidence, accuracy, confidence, color=ORANGE, linewidth=1.5, alpha=0.7)
    # Area grows with the root of the rows: a bin of 20 stays visible beside one of 9,000.
    top.scatter(confidence, accuracy, s=12 + 90 * np.sqrt(weight), color=BLUE, zorder=3)
    top.set(xlim=(0, 1.02), ylim=(0, 1.03))
    centres = (np.arange(len(rows)) + 0.5) / len(rows)
    bottom.bar(centres, rows / rows.sum(), width=0.9 / len(rows), color=BLUE, alpha=0.55)
    return figure


def _check_classes(classes: Sequence[str], n: int) -> None:
    if len(classes) != n:
        raise InputError(f"{len(classes)} class names for {n} classes: give one name per class")
