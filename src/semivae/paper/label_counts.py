"""The results table (5.3) over label counts: accuracy against the number of labels, for the
family, the network without unlabeled rows, and label spreading.

M1 reads no label, so it is trained once per data set and seed; its codes serve M1 with a
classifier and, as its first stage, M1+M2 at every number of labels.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from semivae.fitting import Hooks
from semivae.measured import LABELS_USED_TO_CHOOSE, LABELS_USED_TO_SMOOTH
from semivae.paper import rivals
from semivae.paper.asking import USUAL_SEEDS, seeds_of
from semivae.paper.results import RunResult, load_results
from semivae.paper.runs import execute
from semivae.paper.sides import (
    M2,
    NO_VIEWS,
    OPTIMIZED,
    SUPERVISED,
    TITLES,
    beside_labels_alone,
    m2_of,
    not_smooth,
    sharp,
)
from semivae.request import Request

NAME = "label-counts"
SMOOTH = f"{OPTIMIZED}, smooth"
M1_LOGISTIC, M1_SVM, M1M2 = "M1 + logistic regression", "M1 + SVM", "M1+M2"
SPREADING = "label spreading on PCA"
# Data set, and of each the numbers of labels; of seeds, unless a number is asked for.
COUNTS: Mapping[str, tuple[int, ...]] = {"mnist": (100, 600, 1000, 3000), "cifar10": (1000, 4000)}
SEEDS: Mapping[str, int] = {"mnist": 5, "cifar10": 3}
QUICK: Mapping[str, tuple[int, ...]] = {"digits": (20, 50, 200)}
NAMES: Mapping[str, str] = {**TITLES, "digits": "Digits"}
# Binarized colours say little of a photograph.
M1_SETTINGS: Mapping[str, tuple[str, ...]] = {
    "mnist": (),
    "cifar10": ("likelihood=learned-gaussian",),
}


class Baseline(NamedTuple):
    """How the network without unlabeled rows is trained: passes over 1,000 labels, and the noise
    on what it reads."""

    passes: int
    noise: float


# The best of `benchmarks/choose.py --supervised`, where more passes than 400 were not tried.
BASELINES: Mapping[str, Baseline] = {
    "mnist": Baseline(400, 0.3),
    "cifar10": Baseline(20, 0.0),
}
UNTRIED = Baseline(40, 0.0)
M1M2_EPOCHS, QUICK_EPOCHS = 12, 12
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


def planned(seeds: int | None, quick: bool) -> list[Cell]:
    """Every run, one seed of everything first; runs that share an M1 follow each other."""
    counts = QUICK if quick else COUNTS
    return [
        cell
        for seed in seeds_of(seeds, quick, max(SEEDS.values()))
        for data, labels in counts.items()
        if seed in seeds_of(seeds, quick, SEEDS.get(data, USUAL_SEEDS))
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
        alone, plain = replace(asked, settings=_alone_settings(data, labels)), not_smooth(asked)
        cells += [
            Cell(SPREADING, asked),
            Cell(SUPERVISED, alone),
            Cell(M2, m2_of(plain)),
            Cell(OPTIMIZED, sharp(plain)),
            Cell(SMOOTH, beside_labels_alone(asked)),
        ]
    return cells


def _alone_settings(data: str, labels: int) -> tuple[str, ...]:
    """What was chosen at 1,000 labels: as many passes, and at least as many steps."""
    chosen = BASELINES.get(data, UNTRIED)
    steps = chosen.passes * -(-1000 // BATCH)
    passes = max(chosen.passes, -(-steps // -(-labels // BATCH)))
    noise = f"baseline.corruption={chosen.noise:g}"
    return (f"baseline.epochs={passes}", noise, *NO_VIEWS.get(data, ()))


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
    M2: Method(_trained, LABELS_USED_TO_CHOOSE),
    OPTIMIZED: Method(_trained, LABELS_USED_TO_CHOOSE),
    SMOOTH: Method(_trained, LABELS_USED_TO_SMOOTH),
    M1M2: Method(_trained),
}
"""In the order of the table."""


class Ended(NamedTuple):
    """A run with its result."""

    cell: Cell
    result: RunResult


def read(results: Path) -> list[Ended]:
    """The runs of the plan whose result files are there, without training or the data."""
    runs = load_results(results)
    found = {(run.summary["recipe"], run.asked): run for run in runs}
    plan = planned(1 + max((run.asked.seed for run in runs), default=-1), quick=False)
    keys = [(_kind(cell), cell.request) for cell in plan]
    return [Ended(cell, found[key]) for cell, key in zip(plan, keys, strict=True) if key in found]


def published(folder: Path) -> list[Ended]:
    """The runs that the page of this piece was made of, without those of seeds that it does not
    have yet; none without a page."""
    page = folder / f"{NAME}.md"
    if not page.exists():
        return []
    text = page.read_text(encoding="utf-8")
    found = re.search(rf"^- command: .*{NAME} --seeds (\d+)$", text, re.MULTILINE)
    plan = planned(int(found[1]) if found else None, quick=False)
    return [one for one in read(folder / "runs") if one.cell in plan]


def _kind(cell: Cell) -> str:
    """What a result's summary calls the recipe: the method's own name for a rival."""
    return cell.request.recipe if METHODS[cell.method].execute is _trained else cell.method
