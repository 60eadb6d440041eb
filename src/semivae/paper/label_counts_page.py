"""Accuracy over label counts as table, figure and data; nothing here trains."""

import math
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from semivae.markdown import bullets, listed, table
from semivae.measured import LABELS_USED_TO_CHOOSE
from semivae.paper.label_counts import METHODS, NAME, NAMES, SUPERVISED, Ended
from semivae.paper.results import RunResult, epochs_text
from semivae.plots.panels import Reading, panels
from semivae.spread import spread

if TYPE_CHECKING:
    from semivae.plots import Figure

TITLE = "Test accuracy over the number of labels"
ACCURACY, MINUTES = "test accuracy, %", "minutes of training"
IN_VIEWS = f"{SUPERVISED}, in views"
ORDER = [*METHODS]
ORDER.insert(ORDER.index(SUPERVISED) + 1, IN_VIEWS)


class Told(NamedTuple):
    """What a run says in the table: where it stands there, and accuracy in percent. Minutes are
    nan where they are not measured apart."""

    data: str
    labels: int
    method: str
    seed: int
    accuracy: float
    minutes: float
    epochs: str
    labels_used: int


def told(ended: Sequence[Ended]) -> list[Told]:
    """Every run, and the network without unlabeled rows that was trained beside one, in the same
    views."""
    lines = []
    for cell, result in ended:
        data = cell.request.data
        line = Told(
            data,
            result.summary["n_labeled"],
            cell.method,
            cell.request.seed,
            result.accuracy,
            result.summary["train_seconds"] / 60,
            epochs_text(result),
            METHODS[cell.method].labels_used_to_choose.get(data, 0),
        )
        lines.append(line)
        if cell.request.baseline and result.supervised_only is not None:
            beside = line._replace(
                method=IN_VIEWS,
                accuracy=result.supervised_only,
                minutes=math.nan,
                epochs=str(result.recipe["baseline"]["epochs"]),
                labels_used=LABELS_USED_TO_CHOOSE[data],
            )
            lines.append(beside)
    return lines


def readings(ended: Sequence[Ended]) -> list[Reading]:
    """Accuracy and minutes of every run, by data set, method and number of labels."""
    return [
        Reading(NAMES[line.data], line.method, float(line.labels), measure, line.seed, value)
        for line in told(ended)
        for measure, value in ((ACCURACY, line.accuracy), (MINUTES, line.minutes))
        if not math.isnan(value)
    ]


def figure(ended: Sequence[Ended]) -> "Figure":
    """Accuracy against the number of labels, a panel per data set."""
    shown = [reading for reading in readings(ended) if reading.measure == ACCURACY]
    return panels(shown, TITLE, "labels", share_y=False)


def page(ended: Sequence[Ended], command: str) -> str:
    """The table and what it depends on, in Markdown."""
    rows = [_row(runs) for runs in _by_row(ended).values()]
    facts = protocol([result for _, result in ended], command)
    figure = f"![Accuracy by labels]({NAME}.png)"
    return f"# {TITLE}\n\n{overview(ended)}\n{figure}\n\n{table(HEADER, rows)}\n{bullets(facts)}"


def overview(ended: Sequence[Ended]) -> str:
    """The table turned: a method a line, a number of labels a column; accuracy in percent."""
    rows = _by_row(ended)
    counts = list(dict.fromkeys(place[:2] for place in rows))
    lines = []
    for number, method in enumerate(ORDER):
        cells = [_accuracy(rows.get((*count, number), [])) for count in counts]
        if any(cell != "–" for cell in cells):
            lines.append((method, *cells))
    header = ("", *(f"{NAMES[data]}, {labels:,}" for data, labels in counts))
    return table(header, lines, right=range(1, len(header)))


HEADER = (
    "Data set", "Labels", "Method", "Test accuracy, %", "Seeds", "Labels used to choose", "Epochs",
    "Minutes per run",
)  # fmt: skip


def _by_row(ended: Sequence[Ended]) -> dict[tuple[str, int, int], list[Told]]:
    """The seeds of each row, in order, by data set, labels and place in `ORDER`."""
    rows: dict[tuple[str, int, int], list[Told]] = {}
    for line in told(ended):
        rows.setdefault((line.data, line.labels, ORDER.index(line.method)), []).append(line)
    data = list(dict.fromkeys(place[0] for place in rows))
    places = sorted(rows, key=lambda place: (data.index(place[0]), *place[1:]))
    return {place: rows[place] for place in places}


def _accuracy(runs: Sequence[Told]) -> str:
    return spread([run.accuracy for run in runs]).text(2) if runs else "–"


def _row(runs: Sequence[Told]) -> tuple[str, ...]:
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
        "not the paper's; on MNIST beside bounds that count 1/300, and q(y|x) sharpened little by "
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
        "test set": "read once, after training, with the weights the recipe keeps",
        "threads": listed(sorted(f"{result.machine['threads']}" for result in results)),
        "command": command,
        "commits": listed(sorted(f"{result.commit}" for result in results)),
    }
