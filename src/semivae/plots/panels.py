"""Readings of experiments as figures: curves over seeds, and maps of two symbols."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import cycle
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from semivae.errors import InputError
from semivae.plots.frame import BLUE, GREEN, INK, MUTED, ORANGE, RULE, new_figure, tidy

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

_MOST_TICKS = 6
_LEGEND_INCHES = 2.3  # across, for the name of a line
_STYLES = ("-", "--")  # a sixth line has the colour of the first


@dataclass(frozen=True)
class Reading:
    """One number read off one run: a line of the data, a point of the figure.

    `measure` says what the value is, in which unit; `panel`, `line` and `x` where it stands.
    """

    panel: str
    line: str
    x: float
    measure: str
    seed: int
    value: float


def _levels(readings: Sequence[Reading]) -> list[float]:
    if not readings:
        raise InputError("no readings: give at least one")
    return sorted({reading.x for reading in readings})


def _rows(readings: Sequence[Reading], levels: Sequence[float]) -> Float[np.ndarray, "S L"]:
    """One row of values per seed over the levels of x; nan where there is none."""
    seeds = sorted({reading.seed for reading in readings})
    values = np.full((len(seeds), len(levels)), np.nan)
    for reading in readings:
        values[seeds.index(reading.seed), levels.index(reading.x)] = reading.value
    return values


def _means(rows: Float[np.ndarray, "S L"]) -> Float[np.ndarray, " L"]:
    """Means over the seeds that are there; nan where there is none."""
    there = ~np.isnan(rows)
    counts = there.sum(0)
    sums = np.where(there, rows, 0.0).sum(0)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def panels(
    readings: Sequence[Reading],
    title: str,
    xlabel: str,
    logarithmic: Collection[str] = (),
    share_y: bool = True,
) -> "matplotlib.figure.Figure":
    """A row of panels per measure, a column per panel: each line's mean over seeds, seeds pale.

    An axis shows its levels of x evenly spaced, whatever lies between them; `logarithmic` measures
    leave out what is not above 0. The panels of a row have one axis of y if they `share_y`.
    """
    measures = list(dict.fromkeys(reading.measure for reading in readings))
    columns = list(dict.fromkeys(reading.panel for reading in readings))
    if not readings:
        raise InputError("no readings: give at least one")
    names = list(dict.fromkeys(reading.line for reading in readings))
    styles = [(color, style) for style in _STYLES for color in (BLUE, ORANGE, GREEN, INK, MUTED)]
    looks = dict(zip(names, cycle(styles), strict=False))
    width = 2.9 if len(columns) <= 3 else 2.1
    figure = new_figure(width * len(columns) + 1.0, 2.2 * len(measures) + 1.0, title)
    grid = figure.subplots(
        len(measures), len(columns), squeeze=False, sharey="row" if share_y else "none"
    )
    for (i, j), ax in np.ndenumerate(grid):
        measure, panel = measures[i], columns[j]
        tidy(ax, xlabel if measure == measures[-1] else "", "" if j else measure)
        ax.grid(axis="y", color=RULE, linewidth=0.6)
        if not i:
            ax.set_title(panel, loc="left", size=9, weight="bold", color=INK, parse_math=False)
        if measure in logarithmic:
            _logarithmic(ax)
        else:
            ax.ticklabel_format(useOffset=False, axis="y")
        here = [r for r in readings if (r.measure, r.panel) == (measure, panel)]
        if here:
            _curves(ax, here, looks)
    found = [ax.get_legend_handles_labels() for ax in grid.flat]
    parts = {label: part for f in found for part, label in zip(*f, strict=True)}
    if len(parts) > 1:
        ncols = min(3, int(figure.get_figwidth() // _LEGEND_INCHES))
        figure.legend(
            parts.values(), parts, loc="outside lower left", ncols=ncols, frameon=False, fontsize=8
        )
    return figure


def _logarithmic(ax: "matplotlib.axes.Axes") -> None:
    from matplotlib.ticker import LogLocator, NullLocator

    ax.set_yscale("log", nonpositive="mask")
    ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=8))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_locator(NullLocator())


def _curves(
    ax: "matplotlib.axes.Axes", readings: Sequence[Reading], looks: dict[str, tuple[str, str]]
) -> None:
    levels = _levels(readings)
    ticks = range(0, len(levels), ceil(len(levels) / _MOST_TICKS))
    ax.set_xticks(ticks, [_tick(levels[tick]) for tick in ticks])
    for name in dict.fromkeys(reading.line for reading in readings):
        color, style = looks[name]
        rows = _rows([reading for reading in readings if reading.line == name], levels)
        places = np.arange(len(levels))
        if len(rows) > 1:
            ax.plot(places, rows.T, style, color=color, linewidth=0.6, alpha=0.35)
        marker = "." if len(levels) <= 10 else ""
        ax.plot(places, _means(rows), style, color=color, linewidth=1.5, marker=marker, label=name)


def _tick(level: float) -> str:
    return f"{level:,.0f}" if level >= 1000 else f"{level:.3g}"


def maps(readings: Sequence[Reading], title: str, xlabel: str) -> "matplotlib.figure.Figure":
    """One panel's lines as a map per measure, one under the other: x across, a line per row, means
    over seeds."""
    levels = _levels(readings)
    measures = list(dict.fromkeys(reading.measure for reading in readings))
    names = list(dict.fromkeys(reading.line for reading in readings))
    height = 0.34 * len(names) + 0.8
    figure = new_figure(0.62 * len(levels) + 2.2, height * len(measures) + 0.7, title)
    axes = figure.subplots(len(measures), 1, squeeze=False)[:, 0]
    for ax, measure in zip(axes, measures, strict=True):
        here = [reading for reading in readings if reading.measure == measure]
        values = np.stack(
            [_means(_rows([r for r in here if r.line == name], levels)) for name in names]
        )
        image = ax.imshow(values, cmap="Blues", aspect="auto")
        middle = (np.nanmin(values) + np.nanmax(values)) / 2
        for (i, j), value in np.ndenumerate(values):
            if not np.isnan(value):
                color = "white" if value > middle else INK
                ax.text(j, i, f"{value:.3g}", ha="center", va="center", size=7.5, color=color)
        tidy(ax, xlabel if ax is axes[-1] else "")
        ax.spines[:].set_visible(False)
        ax.set_xticks(range(len(levels)), [f"{level:g}" for level in levels])
        ax.set_yticks(range(len(names)), names, color=INK, parse_math=False)
        ax.set_title(measure, loc="left", size=9, weight="bold", color=INK, parse_math=False)
        bar = figure.colorbar(image, ax=ax, pad=0.02, format="{x:.4g}")
        bar.ax.tick_params(colors=MUTED, labelsize=7)
        bar.outline.set_visible(False)
    return figure
