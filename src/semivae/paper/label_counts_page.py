"""Accuracy over label counts as table, figure and data; nothing here trains."""

import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING

from semivae.markdown import bullets, listed, table
from semivae.paper.label_counts import METHODS, NAME, NAMES, Ended
from semivae.paper.results import RunResult, epochs_text
from semivae.plots.panels import Reading, panels
from semivae.spread import spread

if TYPE_CHECKING:
    from semivae.plots import Figure

TITLE = "Test accuracy over the number of labels"
ACCURACY, MINUTES = "test accuracy, %", "minutes of training"


def readings(ended: Sequence[Ended]) -> list[Reading]:
    """Accuracy and minutes of every run, by data set, method and number of labels."""
    return [
        Reading(NAMES[cell.request.data], cell.method, float(n), measure, cell.request.seed, value)
        for cell, result in ended
        for n in [result.summary["n_labeled"]]
        for measure, value in (
            (ACCURACY, result.accuracy),
            (MINUTES, result.summary["train_seconds"] / 60),
        )
    ]


def figure(ended: Sequence[Ended]) -> "Figure":
    """Accuracy against the number of labels, a panel per data set."""
    shown = [reading for reading in readings(ended) if reading.measure == ACCURACY]
    return panels(shown, TITLE, "labels", share_y=False)


def page(ended: Sequence[Ended], command: str) -> str:
    """The table and what it depends on, in Markdown."""
    rows = [_row(runs) for runs in _by_row(ended)]
    facts = protocol([result for _, result in ended], command)
    figure = f"![Accuracy by labels]({NAME}.png)"
    return f"# {TITLE}\n\n{table(HEADER, rows)}\n{figure}\n\n{bullets(facts)}"


HEADER = (
    "Data set", "Labels", "Method", "Test accuracy, %", "Seeds", "Labels used to choose", "Epochs",
    "Minutes per run",
)  # fmt: skip


def _by_row(ended: Sequence[Ended]) -> list[list[Ended]]:
    """The seeds of each row; rows by data set, labels and method."""
    order = list(METHODS)
    rows: dict[tuple[str, int, int], list[Ended]] = {}
    for one in ended:
        request = one.cell.request
        place = (request.data, one.result.summary["n_labeled"], order.index(one.cell.method))
        rows.setdefault(place, []).append(one)
    data = list(dict.fromkeys(place[0] for place in rows))
    return [rows[place] for place in sorted(rows, key=lambda p: (data.index(p[0]), *p[1:]))]


def _row(runs: Sequence[Ended]) -> tuple[str, ...]:
    cell, result = runs[0]
    data = cell.request.data
    minutes = [each.result.summary["train_seconds"] / 60 for each in runs]
    return (
        NAMES[data],
        f"{result.summary['n_labeled']:,}",
        cell.method,
        spread([each.result.accuracy for each in runs]).text(2),
        str(len(runs)),
        f"{METHODS[cell.method].labels_used_to_choose.get(data, 0):,}",
        epochs_text(result),
        f"{statistics.fmean(minutes):.1f}",
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
        "not the paper's; on MNIST beside bounds that count 1/300, and q(y|x) sharpened little by "
        "little, chosen on splits 100 to 106, at 50 to 1,000 labels",
        "M1, M1+M2": "Kingma's perceptrons, 784-600-600-50 below; M1 reads no label and is "
        "trained once per data set and seed: its minutes and epochs count in every row that uses "
        "it; exact sum over y; on photographs a learned sigma in place of binarized pixels",
        "supervised only": "the network of M2 and Optimized-ELBO; epochs are passes over its "
        "labels, chosen at 1,000 labels, as was noise of 0.3 on what it reads of MNIST",
        "label spreading": "scikit-learn's LabelSpreading, 7 nearest neighbours on 50 principal "
        "components, its other settings as they come; test rows by their neighbours",
        "augmentation": "of the smooth row on CIFAR-10: mirrored at random and moved by up to 4 "
        "pixels (data.views); else none. What that network reaches on labels alone in the same "
        "views is in the results table",
        "test set": "read once, after training, with the weights the recipe keeps",
        "threads": listed(sorted(f"{result.machine['threads']}" for result in results)),
        "command": command,
        "commits": listed(sorted(f"{result.commit}" for result in results)),
    }
