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


def by_row(ended: Sequence[Ended]) -> dict[tuple[str, int, int], list[Told]]:
    """The seeds of each row, in order, by data set, labels and place in `ORDER`."""
    rows: dict[tuple[str, int, int], list[Told]] = {}
    for line in told(ended):
        rows.setdefault((line.data, line.labels, ORDER.index(line.method)), []).append(line)
    data = list(dict.fromkeys(place[0] for place in rows))
    places = sorted(rows, key=lambda place: (data.index(place[0]), *place[1:]))
    return {place: rows[place] for place in places}


def counts(ended: Sequence[Ended]) -> list[Count]:
    """In the order of the table."""
    return list(dict.fromkeys(place[:2] for place in by_row(ended)))


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
    rows = by_row(ended)
    found = {}
    for count in counts(ended):
        method, *others = (
            {run.seed: run.accuracy for run in rows.get((*count, ORDER.index(name)), [])}
            for name in (of.method, *of.others)
        )
        difference = gain(method, next(filter(None, others), {}))
        if difference is not None:
            found[count] = difference
    return found
