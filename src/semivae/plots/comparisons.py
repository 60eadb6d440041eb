"""Several things side by side: measures over seeds, and estimators by bias and noise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from math import ceil
from typing import TYPE_CHECKING

from semivae.errors import InputError
from semivae.plots.frame import BLUE, GREEN, INK, MUTED, ORANGE, RULE, new_figure, short, tidy
from semivae.spread import spread

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure


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
                mean, error = spread(found)
                ax.errorbar(place + 0.15, mean, error, fmt="_", color=color, capsize=3)
        names = [short(name) for name in panel.values]
        ax.set_xticks(range(len(names)), names, size=7.5, parse_math=False)
        ax.set_xlim(-0.5, len(names) - 0.5)
    return figure


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


SMALLEST_SHOWN = 1e-4  # on logarithmic axes, where 0 has no place


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
