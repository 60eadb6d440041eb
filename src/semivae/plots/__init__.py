"""Arrays in, matplotlib figures out: the pictures of a report; no file and no window is opened.

Nothing here touches pyplot or its global list of figures, and matplotlib (half a second) is only
imported when something is drawn. `to_png` turns a figure into bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from math import ceil, floor, isfinite, nan, sqrt
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Integer

from semivae.errors import InputError
from semivae.plots.frame import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    PALE,
    RULE,
    new_figure,
    short,
    tidy,
)
from semivae.plots.frame import to_png as to_png  # for those who draw

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure
    from matplotlib.figure import Figure as Figure  # for those who annotate with it

_STREAM_COLOR = {"labeled": BLUE, "unlabeled": ORANGE}
# What an epoch's record says besides the terms of the objective.
_NOT_TERMS = frozenset({"epoch", "step", "seconds", "learning_rate", "probe_seconds"})
_PROBE = "probe/"  # what an epoch's record was measured on the probe starts with
_MOST_NUMBERED = 20  # classes: more cells than 20 x 20 leave no room for a legible number
_MOST_TICKS = 50
_PAPER, _OURS, _SEED = "paper", "ours, mean ± s.e.", "one seed"


@dataclass(frozen=True)
class ResultRow:
    """One row of the paper's results table: one model on one data set, over seeds.

    A baseline of ours, such as the supervised-only network, is a row whose `paper` is None.
    """

    dataset: str
    model: str
    paper: float | None
    """The number printed in the paper, in percent; None where it prints none."""
    accuracies: tuple[float, ...]
    """Test accuracy of each seed, in percent; empty if the row was not run."""
    n_labeled: int
    n_labels_used_to_choose: int
    epochs: int
    minutes_per_run: float
    note: str = ""

    @property
    def mean(self) -> float:
        """Mean over seeds, in percent; nan if nothing was run."""
        return sum(self.accuracies) / len(self.accuracies) if self.accuracies else nan

    @property
    def standard_error(self) -> float:
        """Standard deviation (n - 1) over sqrt(n), in points; nan for fewer than two seeds."""
        n = len(self.accuracies)
        if n < 2:
            return nan
        return sqrt(sum((a - self.mean) ** 2 for a in self.accuracies) / (n - 1)) / sqrt(n)


@dataclass(frozen=True)
class EstimatorPoint:
    """An estimator of a gradient in one panel: bias and standard deviation relative to the exact
    gradient, and the bias that its draws could resolve; the label tells those of a kind apart."""

    panel: str
    kind: str
    label: str
    bias: float
    resolution: float
    sd: float


@runtime_checkable
class ReliabilityBins(Protocol):
    """What `reliability_diagram` reads: `evaluation.Reliability` is one."""

    @property
    def rows(self) -> Integer[np.ndarray, " M"]: ...
    @property
    def confidence(self) -> Float[np.ndarray, " M"]: ...
    @property
    def accuracy(self) -> Float[np.ndarray, " M"]: ...


def _check_classes(classes: Sequence[str], n: int) -> None:
    if len(classes) != n:
        raise InputError(f"{len(classes)} class names for {n} classes: give one name per class")


def term_names(history: Sequence[Mapping[str, object]]) -> list[str]:
    """The terms that some epoch logged a number for, in the order of first appearance."""
    logged = [name for record in history for name in record if _number(record, name) is not None]
    names = [name for name in dict.fromkeys(logged) if name not in _NOT_TERMS]
    return [name for name in names if not name.startswith(_PROBE)]


def probe_names(history: Sequence[Mapping[str, object]]) -> list[str]:
    """What was measured on the probe in some epoch; empty if there was none."""
    return [
        n for n in dict.fromkeys(n for record in history for n in record) if n.startswith(_PROBE)
    ]


def _number(record: Mapping[str, object], name: str) -> float | None:
    value = record.get(name)
    return None if isinstance(value, bool) or not isinstance(value, int | float) else float(value)


def curves(history: Sequence[Mapping[str, object]]) -> "matplotlib.figure.Figure":
    """Small multiples: one panel per logged term, its value in each epoch.

    history: one record per epoch, the lines of metrics.jsonl. A line joins the epochs that logged
    its term; nan and infinity leave a gap. Blue reads labeled rows, orange unlabeled ones.
    """
    title = "What was logged per epoch of training; terms in nats per example"
    return _panels(history, term_names(history), title)


def probe_curves(history: Sequence[Mapping[str, object]]) -> "matplotlib.figure.Figure":
    """The same for what was measured on the probe after each epoch."""
    return _panels(history, probe_names(history), "On the probe's rows, after each epoch")


def _panels(
    history: Sequence[Mapping[str, object]], names: Sequence[str], title: str
) -> "matplotlib.figure.Figure":
    from matplotlib.ticker import MaxNLocator

    if not names or any(_number(record, "epoch") is None for record in history):
        raise InputError("a history without terms or epoch numbers: give lines of metrics.jsonl")
    columns = min(3, len(names))
    lines = ceil(len(names) / columns)
    figure = new_figure(2.6 * columns if columns > 1 else 4.2, 1.75 * lines + 0.6, title)
    axes = list(figure.subplots(lines, columns, squeeze=False, sharex=True).flat)
    for ax, name in zip(axes, names, strict=False):
        logged = [record for record in history if _number(record, name) is not None]
        epochs = [_number(record, "epoch") for record in logged]
        values = np.array([_number(record, name) for record in logged])
        values[~np.isfinite(values)] = nan
        color = _STREAM_COLOR.get(name.split("/")[0], GREEN if "/" in name else INK)
        tidy(ax)
        ax.grid(axis="y", color=RULE, linewidth=0.6)
        # A value between two gaps is a line of no length: while they are few, points show.
        marker = "." if np.isfinite(values).sum() <= 30 else ""
        ax.plot(epochs, values, color=color, linewidth=1.5, marker=marker, markersize=4)
        ax.set_title(short(name, 34), loc="left", size=8, color=color, pad=13, parse_math=False)
        seen = values[np.isfinite(values)]
        last = f"last {seen[-1]:.4g}" if seen.size else "never finite"
        ax.text(0, 1.04, last, transform=ax.transAxes, size=7.5, color=MUTED)
        ax.yaxis.set_major_locator(MaxNLocator(4))
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1, steps=[1, 2, 5]))
        ax.xaxis.set_tick_params(labelbottom=True)
    for ax in axes[len(names) :]:
        ax.remove()
    figure.supxlabel("epoch", size=8.5, color=MUTED)
    return figure


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


@dataclass(frozen=True)
class Dots:
    """One measure of several things, a value per seed, and what it is compared with if it is."""

    title: str
    values: Mapping[str, Sequence[float]]
    reference: float | None


def dots(title: str, panels: Sequence[Dots]) -> "matplotlib.figure.Figure":
    """A panel per measure: each seed, the mean with its standard error, the reference dashed."""
    if not panels:
        raise InputError("no measures: give at least one")
    figure = new_figure(2.8 * len(panels) + 0.8, 2.9, title)
    (axes,) = figure.subplots(1, len(panels), squeeze=False)
    for ax, panel in zip(axes, panels, strict=True):
        tidy(ax)
        ax.set_title(panel.title, loc="left", size=8.5, color=INK, parse_math=False, wrap=True)
        if panel.reference is not None:
            ax.axhline(panel.reference, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        for place, (color, found) in enumerate(
            zip(cycle((BLUE, ORANGE, GREEN)), panel.values.values(), strict=False)
        ):
            ax.scatter([place] * len(found), found, 16, color, alpha=0.5, linewidths=0)
            if len(found) > 1:
                mean, error = np.mean(found), np.std(found, ddof=1) / sqrt(len(found))
                ax.errorbar(place + 0.15, mean, error, fmt="_", color=color, capsize=3)
        names = [short(name) for name in panel.values]
        ax.set_xticks(range(len(names)), names, size=7.5, parse_math=False)
        ax.set_xlim(-0.5, len(names) - 0.5)
    return figure


@dataclass(frozen=True, eq=False)  # eq: comparing arrays has no single truth value
class Sheet:
    """Images in named rows under a title; C = 1 is grey, C = 3 colour.

    Values are in [0, 1]; a decoder that is free to leave that range is shown clipped to it.
    `columns` are names above the images, or none.
    """

    title: str
    images: Float[np.ndarray, "R n C H W"]
    rows: Sequence[str]
    columns: Sequence[str] = ()

    def __post_init__(self) -> None:
        rows, columns, channels = self.images.shape[:3]
        if channels not in (1, 3):
            raise InputError(f"images of {channels} channels: give 1 (grey) or 3 (colour)")
        if not self.images.size or not np.isfinite(self.images).all():
            raise InputError(
                f"images of shape {self.images.shape}, empty or not finite: give numbers"
            )
        if len(self.rows) != rows or len(self.columns) not in (0, columns):
            raise InputError(
                f"{len(self.rows)} names of rows and {len(self.columns)} of columns for "
                f"{rows} x {columns} images: give one name each"
            )


def tiles(images: Float[np.ndarray, "R n C H W"], gap: int) -> Float[np.ndarray, "h w C"]:
    """All images as one, `gap` white pixels between them."""
    rows, n, channels, height, width = images.shape
    cells = np.ones((rows, height + gap, n, width + gap, channels))
    cells[:, :height, :, :width] = images.clip(0, 1).transpose(0, 3, 1, 4, 2)
    sheet = cells.reshape(rows * (height + gap), n * (width + gap), channels)
    return sheet[: sheet.shape[0] - gap, : sheet.shape[1] - gap]


def image_sheet(sheet: Sheet) -> "matplotlib.figure.Figure":
    """The sheet as a figure of its own."""
    return image_sheets(sheet.title, [replace(sheet, title="")])


def image_sheets(title: str, sheets: Sequence[Sheet]) -> "matplotlib.figure.Figure":
    """Sheets side by side, each under its own title."""
    # A tile's height: a sheet is no wider than a page.
    inches = [min(0.62, 7.2 / len(s.images[0]), 40 / len(s.images)) for s in sheets]
    widths = [
        max(
            high * sheet.images.shape[1] * sheet.images.shape[4] / sheet.images.shape[3]
            + 0.095 * max(len(short(name)) for name in sheet.rows)
            + 0.4,
            4.2,
        )
        for high, sheet in zip(inches, sheets, strict=True)
    ]
    height = max(high * len(sheet.images) for high, sheet in zip(inches, sheets, strict=True))
    figure = new_figure(sum(widths), height + 0.5, title)
    (axes,) = figure.subplots(1, len(sheets), squeeze=False, width_ratios=widths)
    for ax, high, sheet in zip(axes, inches, sheets, strict=True):
        _sheet(ax, sheet, size=min(9.0, 60 * high))
    return figure


def _sheet(ax: "matplotlib.axes.Axes", sheet: Sheet, size: float) -> None:
    rows, columns, channels, height, width = sheet.images.shape
    gap = max(1, height // 14)
    image = tiles(sheet.images, gap).repeat(3 // channels, axis=2)
    ax.imshow(image, interpolation="nearest")
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    ax.xaxis.tick_top()
    ax.set_xticks([])
    if sheet.columns:
        across = np.arange(columns) * (width + gap) + (width - 1) / 2
        ax.set_xticks(
            across, [short(name, 8) for name in sheet.columns], size=size, parse_math=False
        )
    down = np.arange(rows) * (height + gap) + (height - 1) / 2
    names = [short(name) for name in sheet.rows]
    ax.set_yticks(down, names, size=size, color=INK, parse_math=False)
    ax.set_title(sheet.title, loc="left", size=9, weight="bold", color=INK, parse_math=False)


def estimator_planes(points: Sequence[EstimatorPoint]) -> "matplotlib.figure.Figure":
    """Small multiples, two a line: the bias of each estimator against its standard deviation.

    A line joins the estimators of one kind. Where no bias is seen, an open mark stands at the
    smallest one that would be, with an arrow to the left.
    """
    from matplotlib.ticker import LogLocator, NullLocator

    if not points:
        raise InputError("no estimators: give at least one")
    panels = {point.panel: [p for p in points if p.panel == point.panel] for point in points}
    kinds = list(dict.fromkeys(point.kind for point in points))
    lines = ceil(len(panels) / 2)
    title = "Estimators of a gradient: bias against noise, relative to the exact gradient"
    figure = new_figure(7.6, 3.1 * lines + 0.8, title)
    axes = list(figure.subplots(lines, 2, squeeze=False).flat)
    for ax, (name, panel) in zip(axes, panels.items(), strict=False):
        tidy(ax, "bias of the mean gradient", "standard deviation of one draw")
        ax.set(xscale="log", yscale="log")
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=12))
            axis.set_major_formatter("{x:g}")
            axis.set_minor_locator(NullLocator())
        ax.grid(color=RULE, linewidth=0.6)
        ax.set_title(name, loc="left", size=9, weight="bold", color=INK, parse_math=False)
        for kind, color in zip(kinds, cycle((INK, GREEN, BLUE, ORANGE, MUTED)), strict=False):
            _estimators(ax, [point for point in panel if point.kind == kind], color)
    for ax in axes[len(panels) :]:
        ax.remove()
    found = [ax.get_legend_handles_labels() for ax in axes[: len(panels)]]
    parts = {label: part for f in found for part, label in zip(*f, strict=True)}
    figure.legend(
        parts.values(), parts, loc="outside lower left", ncols=4, frameon=False, fontsize=8
    )
    return figure


def _estimators(ax: "matplotlib.axes.Axes", points: Sequence[EstimatorPoint], color: str) -> None:
    """The estimators of one kind in one panel; the labels of those at one place are joined."""
    if not points:
        return
    x = [max(point.bias, point.resolution, SMALLEST_SHOWN) for point in points]
    y = [max(point.sd, SMALLEST_SHOWN) for point in points]
    ax.plot(x, y, color=color, linewidth=1.2, label=points[0].kind)
    texts: dict[tuple[str, str], tuple[tuple[float, float], list[str]]] = {}
    for point, left, up in zip(points, x, y, strict=True):
        seen = point.bias >= point.resolution
        ax.scatter(left, up, 26, color if seen else "white", edgecolors=color, zorder=3)
        if not seen:
            arrow = {"arrowstyle": "<-", "color": color, "linewidth": 1.0}
            ax.annotate("", (left, up), (-16, 0), textcoords="offset points", arrowprops=arrow)
        here = (f"{left:.2g}", f"{up:.2g}")
        texts.setdefault(here, ((left, up), []))[1].append(point.label)
    for place, labels in texts.values():
        text = ", ".join(labels)
        ax.annotate(text, place, (5, 4), textcoords="offset points", size=7, color=color)


SMALLEST_SHOWN = 1e-4  # on logarithmic axes, where 0 has no place


def results_bars(rows: Sequence[ResultRow]) -> "matplotlib.figure.Figure":
    """The paper's number beside ours: mean, standard error and each seed, a panel per data set."""
    if not rows:
        raise InputError("no result rows: give at least one")
    panels = {row.dataset: [r for r in rows if r.dataset == row.dataset] for row in rows}
    pairs = [row for row in rows if row.paper is not None and row.accuracies]
    reached = sum(row.mean >= row.paper for row in pairs if row.paper is not None)
    title = "Test accuracy, ours beside the paper's"
    if pairs:
        title += f": our mean reaches the printed number in {reached} of {len(pairs)} rows"
    heights = [len(panel) + 0.9 for panel in panels.values()]  # 0.9: title and axis
    figure = new_figure(7.6, 0.55 * sum(heights) + 0.8, title)
    axes = list(figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights).flat)
    for ax, (dataset, panel) in zip(axes, panels.items(), strict=True):
        _bar_panel(ax, dataset, panel)
    found = [ax.get_legend_handles_labels() for ax in axes]
    parts = {label: part for f in found for part, label in zip(*f, strict=True)}
    labels = [label for label in (_PAPER, _OURS, _SEED) if label in parts]
    handles = [parts[label] for label in labels]
    figure.legend(handles, labels, loc="outside lower right", ncols=3, frameon=False, fontsize=8)
    return figure


def _bar_panel(ax: "matplotlib.axes.Axes", dataset: str, rows: Sequence[ResultRow]) -> None:
    """Horizontal bars of one data set, one pair per model, values written at the right."""
    values = [a for row in rows for a in row.accuracies]
    values += [row.paper for row in rows if row.paper is not None]
    lowest = min(values, default=0.0)
    # The shortest bar takes about half the width: 97.0 beside 98.3 is invisible on 0 to 100.
    start = max(0, 5 * floor((2 * lowest - 100) / 5))
    tidy(ax, "test accuracy, %" + (f" (the axis starts at {start})" if start else ""))
    for i, row in enumerate(rows):
        if row.paper is not None:
            ax.barh(i - 0.19, row.paper - start, 0.34, start, color=PALE, label=_PAPER)
            _value(ax, i - 0.19, f"{row.paper:.1f}", MUTED)
        y = i + 0.19 if row.paper is not None else float(i)
        if not row.accuracies:
            _value(ax, y, "not run", MUTED)
            continue
        ax.barh(y, row.mean - start, 0.34, start, color=BLUE, label=_OURS)
        error = row.standard_error
        if isfinite(error):
            ax.errorbar(row.mean, y, xerr=error, color=INK, linewidth=1.1, capsize=4)
        seeds = [y] * len(row.accuracies)
        ax.scatter(row.accuracies, seeds, 13, "white", edgecolors=INK, linewidths=0.6, label=_SEED)
        spread = f" ± {error:.2f}" if isfinite(error) else ""
        _value(ax, y, f"{row.mean:.2f}{spread}  (n = {len(row.accuracies)})", BLUE)
    names = [short(row.model, 34) for row in rows]
    ax.set_yticks(range(len(rows)), names, size=8.5, color=INK, parse_math=False)
    ax.set(xlim=(start, 100), ylim=(len(rows) - 0.5, -0.5))
    ax.set_title(dataset, loc="left", size=9, weight="bold", color=INK, parse_math=False)


def _value(ax: "matplotlib.axes.Axes", y: float, text: str, color: str) -> None:
    """A number in the margin at the right of its bar."""
    margin = ax.get_yaxis_transform()  # x as a share of the axes, y in data
    ax.text(1.015, y, text, transform=margin, va="center", size=8, color=color)
