"""The curves of a run: every term, and every measure of the probe, against the epoch."""

from collections.abc import Mapping, Sequence
from math import ceil, nan
from typing import TYPE_CHECKING

import numpy as np

from semivae.errors import InputError
from semivae.plots.frame import BLUE, GREEN, INK, MUTED, ORANGE, RULE, new_figure, short, tidy

if TYPE_CHECKING:
    import matplotlib.figure

_STREAM_COLOR = {"labeled": BLUE, "unlabeled": ORANGE}
# What an epoch's record says besides the terms of the objective.
_NOT_TERMS = frozenset({"epoch", "step", "seconds", "learning_rate", "probe_seconds"})
_PROBE = "probe/"  # what an epoch's record was measured on the probe starts with


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
