"""The results table (5.3) over label counts: accuracy against the number of labels, for the
family, the network without unlabeled rows, and label spreading.

M1 reads no label, so it is trained once per data set and seed; its codes serve M1 with a
classifier and, as its first stage, M1+M2 at every number of labels.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from semivae.fitting import Hooks
from semivae.paper import rivals
from semivae.paper.experiments import table
from semivae.paper.runs import RunResult, execute, load_result
from semivae.paper.sides import (
    LABELS_USED_FOR_DEFAULTS,
    LABELS_USED_TO_CHOOSE,
    M2,
    OPTIMIZED,
    SUPERVISED,
    SUPERVISED_PASSES,
    TITLES,
)
from semivae.paper.spreads import spread
from semivae.plots.panels import Reading, panels
from semivae.runs import Request

if TYPE_CHECKING:
    from semivae.plots import Figure

NAME = "label-counts"
TITLE = "Test accuracy over the number of labels"
M1_LOGISTIC, M1_SVM, M1M2 = "M1 + logistic regression", "M1 + SVM", "M1+M2"
SPREADING = "label spreading on PCA"
# Data set, and of each the numbers of labels and of seeds.
COUNTS: Mapping[str, tuple[int, ...]] = {"mnist": (100, 600, 1000, 3000), "cifar10": (1000, 4000)}
MOST_SEEDS: Mapping[str, int] = {"mnist": 5, "cifar10": 3}
QUICK: Mapping[str, tuple[int, ...]] = {"digits": (20, 50, 200)}
NAMES: Mapping[str, str] = {**TITLES, "digits": "Digits"}
# Binarized colours say little of a photograph.
M1_SETTINGS: Mapping[str, tuple[str, ...]] = {
    "mnist": (),
    "cifar10": ("likelihood=learned-gaussian",),
}
M1M2_EPOCHS, QUICK_EPOCHS = 12, 12
ACCURACY, MINUTES = "test accuracy, %", "minutes of training"
BATCH = 128


@dataclass(frozen=True)
class Cell:
    """A run before it is run: what learns, what is asked, and the M1+M2 whose first stage it takes
    its M1 from."""

    method: str
    request: Request
    first: Request | None = None

    @property
    def title(self) -> str:
        """What a progress bar calls it."""
        asked = self.request
        return f"{NAMES[asked.data]}, {asked.labels} labels, {self.method}, seed {asked.seed}"


def planned(seeds: int, quick: bool) -> list[Cell]:
    """Every run, one seed of everything first; runs that share an M1 follow each other."""
    counts = QUICK if quick else COUNTS
    return [
        cell
        for seed in range(seeds)
        for data, labels in counts.items()
        if seed < MOST_SEEDS.get(data, seeds)
        for cell in (*_with_m1(data, labels, seed, quick), *_without(data, labels, seed, quick))
    ]


def _with_m1(data: str, counts: Sequence[int], seed: int, quick: bool) -> list[Cell]:
    settings = M1_SETTINGS.get(data, ())
    if quick:
        settings = (*settings, "pretraining.epochs=30")
    base = Request(
        data,
        recipe="m1m2",
        settings=settings,
        seed=seed,
        epochs=QUICK_EPOCHS if quick else M1M2_EPOCHS,
        baseline=False,
    )
    first = replace(base, labels=counts[0])
    return [
        Cell(method, replace(base, labels=labels), first)
        for labels in counts
        for method in (M1_LOGISTIC, M1_SVM, M1M2)
    ]


def _without(data: str, counts: Sequence[int], seed: int, quick: bool) -> list[Cell]:
    ours = Request(data, seed=seed, epochs=QUICK_EPOCHS if quick else None, baseline=False)
    cells = []
    for labels in counts:
        asked = replace(ours, labels=labels)
        # As in the results table, so that its runs at 1,000 labels are these.
        m2 = replace(asked, objective="equation_8", settings=("objective.alpha=10",))
        alone = replace(asked, settings=(f"baseline.epochs={_passes(data, labels)}",))
        cells += [
            Cell(SPREADING, asked),
            Cell(SUPERVISED, alone),
            Cell(M2, m2),
            Cell(OPTIMIZED, asked),
        ]
    return cells


def _passes(data: str, labels: int) -> int:
    """What was chosen at 1,000 labels: as many passes, and at least as many steps."""
    chosen = SUPERVISED_PASSES.get(data, 40)
    steps = chosen * -(-1000 // BATCH)
    return max(chosen, -(-steps // -(-labels // BATCH)))


def groups(plan: Sequence[Cell]) -> list[list[Cell]]:
    """The runs that one process takes one after another: those that share an M1, else one each."""
    found: dict[object, list[Cell]] = {}
    for cell in plan:
        found.setdefault(cell.first or cell, []).append(cell)
    return list(found.values())


def execute_group(cells: Sequence[Cell], results: Path, data_dir: Path | None) -> list[RunResult]:
    """The results of a group, with nothing said on the way."""
    return [execute_cell(cell, results, data_dir, Hooks()) for cell in cells]


def execute_cell(cell: Cell, results: Path, data_dir: Path | None, hooks: Hooks) -> RunResult:
    """The result of a run, read from its file if it is there."""
    return METHODS[cell.method].execute(cell, results, data_dir, hooks)


def _first(
    cell: Cell, results: Path, data_dir: Path | None, hooks: Hooks
) -> Callable[[], Path] | None:
    if cell.first is None:
        return None
    return partial(rivals.first_stage, cell.first, results, data_dir, hooks)


def _trained(cell: Cell, results: Path, data_dir: Path | None, hooks: Hooks) -> RunResult:
    first = _first(cell, results, data_dir, hooks)
    return execute(cell.request, results, data_dir, hooks, first_stage=first)


def _on_codes(
    classifier: rivals.Logistic | rivals.SupportVectors,
    cell: Cell,
    results: Path,
    data_dir: Path | None,
    hooks: Hooks,
) -> RunResult:
    first = _first(cell, results, data_dir, hooks)
    assert first is not None
    return rivals.on_codes(cell.method, classifier, cell.request, first, results, data_dir)


def _alone(cell: Cell, results: Path, data_dir: Path | None, hooks: Hooks) -> RunResult:
    return rivals.supervised_only(cell.method, cell.request, results, data_dir, hooks)


def _spreading(cell: Cell, results: Path, data_dir: Path | None, hooks: Hooks) -> RunResult:
    return rivals.label_spreading(cell.method, cell.request, results, data_dir)


class Method(NamedTuple):
    """How a row is run, and how many labels of another split chose its settings, by data set."""

    execute: Callable[[Cell, Path, Path | None, Hooks], RunResult]
    labels_used_to_choose: Mapping[str, int] = {}


METHODS: Mapping[str, Method] = {
    SPREADING: Method(_spreading),
    SUPERVISED: Method(_alone, LABELS_USED_TO_CHOOSE),
    M1_LOGISTIC: Method(partial(_on_codes, rivals.Logistic())),
    M1_SVM: Method(partial(_on_codes, rivals.SupportVectors())),
    M2: Method(_trained, LABELS_USED_FOR_DEFAULTS),
    OPTIMIZED: Method(_trained, LABELS_USED_FOR_DEFAULTS),
    M1M2: Method(_trained),
}
"""In the order of the table."""


class Ended(NamedTuple):
    """A run with its result."""

    cell: Cell
    result: RunResult


def read(results: Path) -> list[Ended]:
    """The runs of the plan whose result files are there, without training or the data."""
    runs = [load_result(path) for path in sorted(results.glob("*.json"))]
    found = {(run.summary["recipe"], run.asked): run for run in runs}
    plan = planned(max(MOST_SEEDS.values()), quick=False)
    keys = [(_kind(cell), cell.request) for cell in plan]
    return [Ended(cell, found[key]) for cell, key in zip(plan, keys, strict=True) if key in found]


def _kind(cell: Cell) -> str:
    """What a result's summary calls the recipe: the method's own name for a rival."""
    return cell.request.recipe if METHODS[cell.method].execute is _trained else cell.method


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


def page(ended: Sequence[Ended], seeds: int, quick: bool) -> str:
    """The table and what it depends on, in Markdown."""
    rows = [_row(runs) for runs in _by_row(ended)]
    command = f"semivae reproduce {NAME} --seeds {seeds}{' --quick' if quick else ''}"
    facts = protocol([result for _, result in ended], command)
    lines = "".join(f"- {name}: {value}\n" for name, value in facts.items())
    return f"# {TITLE}\n\n{table(HEADER, rows)}\n![Accuracy by labels]({NAME}.png)\n\n{lines}"


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
        _epochs(result),
        f"{statistics.fmean(minutes):.1f}",
    )


def _epochs(result: RunResult) -> str:
    first, epochs = result.recipe.get("pretraining"), result.summary["epochs"]
    return f"{first['epochs']} + {epochs}" if first else str(epochs or "–")


def protocol(results: Sequence[RunResult], command: str) -> dict[str, str]:
    """What the numbers depend on, in words."""
    commits = sorted({f"{result.commit}" for result in results})
    threads = sorted({f"{result.machine['threads']}" for result in results})
    return {
        "labels": "balanced over classes, drawn by seed, nested: more labels keep those of fewer; "
        "all other training rows are unlabeled",
        "mean ± standard error": "over seeds, of split, initial weights and noise alike",
        "M2, Optimized-ELBO": "our defaults (recipe auto) on the paper's convolutional network, "
        "one-cycle, their symbols chosen at 1,000 labels of MNIST; the sum over y by its unbiased "
        "estimate (labels=pruned) where there are many rows, since the exact sum takes over "
        "twice the time",
        "M1, M1+M2": "Kingma's perceptrons, 784-600-600-50 below; M1 reads no label and is "
        "trained once per data set and seed: its minutes and epochs count in every row that uses "
        "it; exact sum over y; on photographs a learned sigma in place of binarized pixels",
        "supervised only": "the network of M2 and Optimized-ELBO; epochs are passes over its "
        "labels, chosen at 1,000 labels",
        "label spreading": "scikit-learn's LabelSpreading, 7 nearest neighbours on 50 principal "
        "components, its other settings as they come; test rows by their neighbours",
        "augmentation": "none",
        "test set": "read once, after training, with the weights the recipe keeps",
        "threads": ", ".join(threads),
        "command": command,
        "commits": ", ".join(commits),
    }
