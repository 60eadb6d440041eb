"""Accuracy over label counts as table, figure and data; nothing here trains."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from semivae.markdown import bullets, listed, table
from semivae.paper.label_counts import NAME, NAMES, Ended
from semivae.paper.label_counts_rows import (
    COMPARED,
    IN_VIEWS,
    ORDER,
    Count,
    Line,
    by_row,
    gains,
    lines_of,
)
from semivae.paper.results import RunResult
from semivae.paper.spreads import LESS, MORE, Gain
from semivae.plots.panels import Reading, panels
from semivae.spread import spread

if TYPE_CHECKING:
    from semivae.plots import Figure

TITLE = "Test accuracy over the number of labels"
ACCURACY, MINUTES = "test accuracy, %", "minutes of training"


def readings(ended: Sequence[Ended]) -> list[Reading]:
    """Accuracy and minutes of every run, by data set, method and number of labels."""
    return [
        Reading(NAMES[line.data], line.method, float(line.labels), measure, line.seed, value)
        for line in lines_of(ended)
        for measure, value in ((ACCURACY, line.accuracy), (MINUTES, line.minutes))
        if not math.isnan(value)
    ]


def figure(ended: Sequence[Ended]) -> "Figure":
    """Accuracy against the number of labels, a panel per data set."""
    shown = [reading for reading in readings(ended) if reading.measure == ACCURACY]
    return panels(shown, TITLE, "labels", share_y=False)


def page(ended: Sequence[Ended], command: str) -> str:
    """The table and what it depends on, in Markdown."""
    rows = [_row(runs) for of_count in by_row(ended).values() for runs in of_count.values()]
    facts = protocol([result for _, result in ended], command)
    figure = f"![Accuracy by labels]({NAME}.png)"
    return (
        f"# {TITLE}\n\n{overview(ended)}\n{figure}\n\n{DIFFERENCES}\n\n{differences(ended)}\n"
        f"{table(HEADER, rows)}\n{bullets(facts)}"
    )


def overview(ended: Sequence[Ended]) -> str:
    """The table turned: a method a line, a number of labels a column; accuracy in percent."""
    rows = by_row(ended)
    lines = {
        method: {
            count: _accuracy(of_count[method])
            for count, of_count in rows.items()
            if method in of_count
        }
        for method in ORDER
    }
    return _by_count(list(rows), lines)


DIFFERENCES = (
    "Differences in points, mean ± standard error over paired seeds, in bold where the 95 % "
    "interval of Student's t leaves out 0:"
)


def differences(ended: Sequence[Ended]) -> str:
    """What the paper's objective gains over M2, and it and our defaults over the network without
    unlabeled rows."""
    lines = {
        of.title: {count: _points(found) for count, found in gains(ended, of).items()}
        for of in COMPARED
    }
    return _by_count(list(by_row(ended)), lines)


def _points(found: Gain) -> str:
    text = found.text(2)
    return f"**{text}**" if found.verdict in (MORE, LESS) else text


def _by_count(columns: Sequence[Count], lines: Mapping[str, Mapping[Count, str]]) -> str:
    """A table of the lines that have anything, a number of labels a column."""
    header = ("", *(f"{NAMES[data]}, {labels:,}" for data, labels in columns))
    rows = [
        (name, *(cells.get(count, "–") for count in columns))
        for name, cells in lines.items()
        if cells
    ]
    return table(header, rows, right=range(1, len(header)))


HEADER = (
    "Data set", "Labels", "Method", "Test accuracy, %", "Seeds", "Labels used to choose", "Epochs",
    "Minutes per run",
)  # fmt: skip


def _accuracy(runs: Sequence[Line]) -> str:
    return spread([run.accuracy for run in runs]).text(2)


def _row(runs: Sequence[Line]) -> tuple[str, ...]:
    first = runs[0]
    minutes = statistics.fmean(run.minutes for run in runs)
    return (
        NAMES[first.data],
        f"{first.labels:,}",
        first.method,
        _accuracy(runs),
        str(len(runs)),
        f"{first.labels_used:,}",
        first.epochs,
        "–" if math.isnan(minutes) else f"{minutes:.1f}",
    )


def protocol(results: Sequence[RunResult], command: str) -> dict[str, str]:
    """What the numbers depend on, in words."""
    return {
        "labels": "balanced over classes, drawn by seed, nested: more labels keep those of fewer; "
        "all other training rows are unlabeled",
        "mean ± standard error": "over seeds, of split, initial weights and noise alike",
        "M2, Optimized-ELBO": "our defaults (recipe auto) without smoothness, as the results "
        "table calls them, on the paper's "
        "convolutional network, one-cycle, chosen at 1,000 and 100 labels of MNIST; M2 has a "
        "learning rate of its own on CIFAR-10, chosen at 1,000 labels there; the sum over y by "
        "its unbiased estimate (labels=pruned) where there are many rows, since the exact sum "
        "takes over twice the time",
        "smooth": "our defaults as they are, in fewer passes: less the divergence of q(y|x) from "
        "itself at the step near x that changes it most (smoothness.LocalSmoothness), which is "
        "not the paper's; beside bounds that count 1/300, and q(y|x) sharpened little by "
        "little, chosen on splits 100 to 106, at 50 to 1,000 labels",
        "M1, M1+M2": "Kingma's perceptrons, 784-600-600-50 below; M1 reads no label and is "
        "trained once per data set and seed: its minutes and epochs count in every row that uses "
        "it; exact sum over y; on photographs a learned sigma in place of binarized pixels",
        "supervised only": "the network of M2 and Optimized-ELBO; epochs are passes over its "
        "labels, chosen at 1,000 labels, as was noise of 0.3 on what it reads of MNIST",
        IN_VIEWS: "the same network, as the smooth row has its images; passes chosen at 1,000 "
        "labels",
        "label spreading": "scikit-learn's LabelSpreading, 7 nearest neighbours on 50 principal "
        "components, its other settings as they come; test rows by their neighbours",
        "augmentation": "of the smooth row on CIFAR-10 and of the row in views: mirrored at "
        "random and moved by up to 4 pixels (data.views); else none",
        "test set": "read once a run, after training, with the weights the recipe keeps; earlier "
        "choices that read it too, and what was known by them, are in benchmarks/results",
        "threads": listed(sorted(f"{result.machine['threads']}" for result in results)),
        "command": command,
        "commits": listed(sorted(f"{result.commit}" for result in results)),
    }
