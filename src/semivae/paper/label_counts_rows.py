"""What each run of the table over label counts says there, and the differences between its
methods."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from semivae.measured import LABELS_USED_TO_CHOOSE
from semivae.paper.label_counts import METHODS, SMOOTH, Ended
from semivae.paper.results import epochs_text
from semivae.paper.sides import M2, OPTIMIZED, SUPERVISED
from semivae.paper.spreads import Gain, gain

IN_VIEWS = f"{SUPERVISED}, in views"
# In the order of the table.
ORDER = tuple(
    name
    for method in METHODS
    for name in ((method, IN_VIEWS) if method == SUPERVISED else (method,))
)


class Line(NamedTuple):
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


def lines_of(ended: Sequence[Ended]) -> list[Line]:
    """Every run, and the network without unlabeled rows that was trained beside one, in the same
    views."""
    lines = []
    for cell, result in ended:
        data = cell.request.data
        line = Line(
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
        if result.supervised_only is not None:
            beside = line._replace(
                method=IN_VIEWS,
                accuracy=result.supervised_only,
                minutes=math.nan,
                epochs=str(result.recipe["baseline"]["epochs"]),
                labels_used=LABELS_USED_TO_CHOOSE[data],
            )
            lines.append(beside)
    return lines


Count = tuple[str, int]
"""A data set and a number of labels."""


def by_row(ended: Sequence[Ended]) -> dict[Count, dict[str, list[Line]]]:
    """The seeds of each row, by number of labels and method, in the order of the table."""
    lines = lines_of(ended)
    data = list(dict.fromkeys(line.data for line in lines))
    rows: dict[Count, dict[str, list[Line]]] = {}
    for line in sorted(
        lines, key=lambda line: (data.index(line.data), line.labels, ORDER.index(line.method))
    ):
        of_count = rows.setdefault((line.data, line.labels), {})
        of_count.setdefault(line.method, []).append(line)
    return rows


class Compared(NamedTuple):
    """A method, and those it is held against: of them the first that a number of labels has."""

    method: str
    others: tuple[str, ...]

    @property
    def title(self) -> str:
        """As a line of a table."""
        return f"{self.method} over {' or, where there are views, '.join(self.others[::-1])}"


OVER_M2 = Compared(OPTIMIZED, (M2,))
COMPARED = (
    OVER_M2,
    Compared(OPTIMIZED, (SUPERVISED,)),
    Compared(SMOOTH, (IN_VIEWS, SUPERVISED)),
)


def gains(ended: Sequence[Ended], of: Compared) -> dict[Count, Gain]:
    """By how many points a method exceeds another, over the seeds of both."""
    found = {}
    for count, rows in by_row(ended).items():
        method, *others = (
            {line.seed: line.accuracy for line in rows.get(name, [])}
            for name in (of.method, *of.others)
        )
        difference = gain(method, next(filter(None, others), {}))
        if difference is not None:
            found[count] = difference
    return found
