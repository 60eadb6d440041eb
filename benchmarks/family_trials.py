"""What was tried for the family before its rows were run: by hand, and by the grids of its rows,
as a section of the page."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.family_rows import ROWS
from semivae.markdown import table
from semivae.request import Request

BY_HAND, BY_GRID = "family-tried.jsonl", "family.jsonl"
# In every trial, or of the network alone, whatever the value; and one that most trials have. They
# say nothing of what was tried.
COMMON_NAMES = ("labels", "training.learning_rate", "network", "network.hidden")
COMMON_SETTING = "training.optimizer.peak=0.001"

OWN = "the recipe's"


class Trial(NamedTuple):
    """A training on the labels of split 100, and its accuracy in percent on 2,000 others.

    Epochs are those that were trained and learned labels; of a grid's, those of the stage that
    the row's epochs are of, its settings have the others.
    """

    what: str
    labels: int
    objective: str
    settings: Sequence[str]
    epochs: str
    accuracy: float
    by_hand: bool


def tried(folder: Path) -> list[Trial]:
    """Every trial of both logs that are in the folder, by model, the best first."""
    found = [trial for name in (BY_HAND, BY_GRID) for trial in _read(folder / name)]
    return sorted(found, key=lambda trial: (trial.what.split()[0].strip(",:"), -trial.accuracy))


def _common(setting: str) -> bool:
    return setting == COMMON_SETTING or setting.partition("=")[0] in COMMON_NAMES


def _read(log: Path) -> Iterator[Trial]:
    names = {row.name: row for row in ROWS}
    for line in log.read_text().splitlines() if log.exists() else []:
        record = json.loads(line)
        if "request" in record:
            request, name = Request.from_json(record["request"]), record["row"]
            model = names[name].model if name in names else request.recipe
            last = dict(setting.split("=", 1) for setting in request.settings)
            yield Trial(
                f"{model}, row {name}",
                int(request.labels or 0),
                request.objective or OWN,
                [f"{key}={value}" for key, value in last.items()],
                f"{request.epochs} of training",
                record["validation_accuracy"],
                by_hand=False,
            )
        else:
            joint = [f"joint {setting}" for setting in record.get("joint_settings", [])]
            yield Trial(
                record["what"],
                record["labels"],
                record.get("objective", OWN),
                record["settings"] + joint,
                str(len(record["validation_accuracy"]) * record["validation_accuracy_every"]),
                record["validation_accuracy"][-1],
                by_hand=True,
            )


def section(found: Sequence[Trial]) -> str:
    """The trials as a table; nothing without any."""
    if not found:
        return ""
    rows = [
        (
            trial.what,
            f"{trial.labels:,}",
            trial.objective,
            ", ".join(each for each in trial.settings if not _common(each)) or "–",
            trial.epochs,
            f"{trial.accuracy:.2f}",
            "by hand" if trial.by_hand else "grid",
        )
        for trial in found
    ]
    header = (
        "What", "Labels", "Objective", "Settings", "Epochs", "Validation accuracy, %", "Trial",
    )  # fmt: skip
    return (
        "## What was tried\n\nEach on the labels of split 100 unless it names another, scored on "
        "2,000 further training labels at its end, or where it was stopped; no run has that "
        "split. Those of a grid choose the settings of a row, those by hand decided which grids "
        "there are, and nothing else. A target that is missed "
        f"was missed after these.\n\n{table(header, rows)}"
    )
