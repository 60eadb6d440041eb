"""What the experiments on training runs share: an experiment is a value that says what to run,
what to read off the results, and what to make of it; tables, figures and data never train."""

import csv
import io
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from semivae.markdown import bullets, listed
from semivae.measured import LABELS_USED_TO_CHOOSE
from semivae.paper.results import RunResult, load_results
from semivae.paper.runs import Examination
from semivae.plots.panels import Reading
from semivae.request import Request

if TYPE_CHECKING:
    from semivae.plots import Figure


@dataclass(frozen=True)
class Run:
    """A run before it is run: where it stands in the figure, and what is asked of `execute`.

    One request may stand in several places; it is run once.
    """

    panel: str
    line: str
    request: Request

    @property
    def title(self) -> str:
        """What a progress bar calls it."""
        return f"{self.panel}, {self.line}, seed {self.request.seed}"


class Ended(NamedTuple):
    """A run with its result."""

    run: Run
    result: RunResult


@dataclass(frozen=True)
class Experiment:
    """An experiment of the paper on training runs.

    `claim` is what the paper says of it. `plan(seeds, quick)` gives the runs, one seed of
    everything first, every row with as many seeds as asked for (None: with its own number);
    `quick` ones are on digits. `read` takes the numbers off one result.
    `findings` (Markdown, with links to the figures) and `figures` (by file name) are functions of
    all readings. `examination` is what else is measured of every run, if anything; `facts` stand
    in the protocol in place of those of the same name.
    """

    name: str
    title: str
    claim: str
    plan: Callable[[int | None, bool], list[Run]]
    read: Callable[[Run, RunResult], Iterator[Reading]]
    findings: Callable[[Sequence[Reading]], str]
    figures: Callable[[Sequence[Reading]], Mapping[str, "Figure"]]
    examination: Examination | None = None
    facts: Mapping[str, str] = field(default_factory=dict)

    def readings(self, ended: Iterable[Ended]) -> list[Reading]:
        """Every number read off every run."""
        return [reading for run, result in ended for reading in self.read(run, result)]

    def page(self, ended: Sequence[Ended], command: str) -> str:
        """The page in Markdown: the claim, what was found, what it depends on."""
        facts = protocol([result for _, result in ended], command) | dict(self.facts)
        return (
            f"# {self.title}\n\nThe paper: {self.claim}\n\n{self.findings(self.readings(ended))}\n"
            + bullets(facts)
        )


def quick_look(request: Request, epochs: int) -> Request:
    """The same on digits with 5 labels per class and small batches, in seconds."""
    return replace(
        request,
        data="digits",
        labels=50,
        rows=None,
        validation=min(request.validation, 200),
        settings=(*request.settings, "training.labeled_rows=32", "training.unlabeled_rows=32"),
        epochs=epochs,
    )


def probe_of(quick: bool) -> str:
    """The setting of a probe: 1,000 rows measured after each epoch, 100 in a quick look."""
    return f"probe={100 if quick else 1000}"


def read(experiment: Experiment, results: Path, quick: bool) -> list[Ended]:
    """The runs of the plan whose result files are there, without training."""
    found = {run.asked: run for run in load_results(results)}
    seeds = 1 + max((request.seed for request in found), default=-1)
    plan = experiment.plan(seeds, quick)
    return [Ended(run, found[run.request]) for run in plan if run.request in found]


def per_epoch(
    run: Run, result: RunResult, measures: Mapping[str, Callable[[Mapping[str, Any]], float]]
) -> Iterator[Reading]:
    """The measures of each epoch's record, the epoch as x."""
    for record in result.history:
        for measure, of in measures.items():
            x, seed = float(record["epoch"]), run.request.seed
            yield Reading(run.panel, run.line, x, measure, seed, of(record))


def mean_confidence(result: RunResult) -> float:
    """The mean of the largest q(y|x) over test rows, from 0 to 1."""
    bins = result.test["reliability"]
    sums = (n * mean for n, mean in zip(bins["rows"], bins["confidence"], strict=True) if n)
    return float(sum(sums) / result.test["n"])


TEST_ACCURACY = "test accuracy, %"


def accuracy_at_end(run: Run, result: RunResult) -> Reading:
    """Test accuracy of the weights that the recipe keeps, at the last epoch."""
    epochs = float(result.summary["epochs"])
    return Reading(run.panel, run.line, epochs, TEST_ACCURACY, run.request.seed, result.accuracy)


def select(
    readings: Iterable[Reading], *, panel: str, line: str, measure: str
) -> dict[float, list[float]]:
    """The values of one line by x, in the order of x, over seeds."""
    values: dict[float, list[float]] = {}
    for r in sorted(readings, key=lambda r: (r.x, r.seed)):
        if (r.panel, r.line, r.measure) == (panel, line, measure):
            values.setdefault(r.x, []).append(r.value)
    return values


def by_seed(
    readings: Iterable[Reading], *, panel: str, line: str, measure: str, x: float | None = None
) -> dict[int, float]:
    """The value of one line by seed: at `x`, or at the last x of each seed."""
    found: dict[int, Reading] = {}
    for r in sorted(readings, key=lambda r: (r.seed, r.x)):
        if (r.panel, r.line, r.measure) == (panel, line, measure) and x in (None, r.x):
            found[r.seed] = r
    return {seed: reading.value for seed, reading in found.items()}


def places(readings: Iterable[Reading]) -> list[tuple[str, str]]:
    """Every (panel, line), in the order of first appearance."""
    return list(dict.fromkeys((reading.panel, reading.line) for reading in readings))


def to_csv(rows: Sequence[Any]) -> str:
    """Dataclasses of one kind as lines, under the names of their fields."""
    text = io.StringIO()
    names = [part.name for part in fields(rows[0])]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([getattr(row, name) for name in names] for row in rows)
    return text.getvalue()


def protocol(results: Sequence[RunResult], command: str) -> dict[str, str]:
    """What the numbers depend on, in words."""
    asked = [result.asked for result in results]
    held = sorted({request.validation for request in asked} - {0})
    minutes = [result.summary["train_seconds"] / 60 for result in results]
    threads = listed(f"{result.machine['threads']}" for result in results)
    facts = {
        "data": listed(
            f"{result.summary['n_labeled']:,} labeled and {result.summary['n_unlabeled']:,} "
            f"unlabeled rows of {result.request['data']}"
            for result in results
        ),
        "labels used to choose": (
            f"{LABELS_USED_TO_CHOOSE['mnist']:,} of MNIST for the symbols of the paper's results "
            "table, from which these runs depart as the tables say; none here"
        ),
        "seeds": listed(f"{seed}" for seed in sorted({request.seed for request in asked}))
        + ", of split, initial weights and noise alike",
        "network": (
            "convolutional (sections 2.10 and 2.11), "
            + listed(f"{result.parameters / 1e6:.2f} M parameters" for result in results)
        ),
        "epochs": listed(f"{result.summary['epochs']}" for result in results),
        "augmentation": "none",
        "test set": "read once, after training, with the weights the recipe keeps",
        "minutes per run": (
            f"{statistics.fmean(minutes):.1f} on average over {len(set(asked))} runs, "
            f"{min(minutes):.1f} to {max(minutes):.1f}, threads: {threads}, beside other work"
        ),
        "command": command,
        "commits": listed(f"{result.commit}" for result in results),
    }
    if held:
        facts["validation rows"] = (
            f"{listed(f'{n:,}' for n in held)} training rows without a label in training, whose "
            "labels measure the curves and choose nothing"
        )
    return facts
