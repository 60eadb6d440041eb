"""The paper's numbers beside ours, as bars."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, isfinite, nan
from typing import TYPE_CHECKING

from semivae.errors import InputError
from semivae.plots.frame import BLUE, INK, MUTED, PALE, new_figure, short, tidy
from semivae.spread import spread

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

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
    improvement: str = "–"
    """Over M2 on the same seeds, in points, and what the paper prints of it."""

    @property
    def mean(self) -> float:
        """Mean over seeds, in percent; nan if nothing was run."""
        return spread(self.accuracies).mean if self.accuracies else nan

    @property
    def standard_error(self) -> float:
        """Standard deviation (n - 1) over sqrt(n), in points; nan for fewer than two seeds."""
        return spread(self.accuracies).error if self.accuracies else nan


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
