"""The table and the learning curves of benchmarks/family.py as functions of its result files."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.family_rows import ROWS, SMOOTH, Row
from benchmarks.family_trials import Trial, section
from semivae.files import write_bytes, write_text
from semivae.markdown import listed, table
from semivae.paper.experiments import select, to_csv
from semivae.paper.results import RunResult, epochs_text, symbols_of, symbols_text
from semivae.plots import to_png
from semivae.plots.panels import Reading, panels
from semivae.spread import spread

NAME = "family"
VALIDATION_ACCURACY = "validation accuracy, %"
SHARES = (0.1, 0.25, 0.5, 1.0)  # of the epochs after the first stage: where the table looks


@dataclass(frozen=True)
class Told:
    """A row with its results by seed, how many labels of another split chose its settings, and
    the results of its network without unlabeled rows."""

    row: Row
    results: tuple[RunResult, ...]
    labels_used_to_choose: int
    alone: tuple[RunResult, ...] = ()

    @property
    def title(self) -> str:
        """What the figure calls it."""
        return f"{self.row.model}, {self.row.objective}"


HEADER = (
    "Model", "Objective", "Labels", "Target, %", "Published, %", "Test accuracy, %", "Seeds",
    "Supervised only, %", "Verdict", "Validation accuracy after 10, 25, 50, 100 % of the epochs",
    "Labels used to choose", "Epochs", "M parameters", "Minutes", "Symbols",
)  # fmt: skip


def markdown(told: Sequence[Told], tried: Sequence[Trial]) -> str:
    """The page, ending in a newline."""
    every = [result for row in told for result in (*row.results, *row.alone)]
    commits = listed(sorted(f"{result.commit}" for result in every))
    threads = listed(sorted(f"{result.machine['threads']}" for result in every))
    run = {row.row.name for row in told}
    missing = ", ".join(row.name for row in ROWS if row.name not in run)
    return (
        "# The family with few labels: MNIST, perceptrons, no augmentation\n\n"
        "Written by `python -m benchmarks.family table` of the files beside it; not to be edited "
        f"by hand.\n\n{table(HEADER, [_cells(row) for row in told])}\n"
        f"![Validation accuracy by epoch]({NAME}.png)\n\n"
        "- seeds: of split, initial weights and noise alike; mean ± standard error\n"
        "- data: 60,000 training images, all but the labeled ones unlabeled; the test set is read "
        "once, after training, with the weights at the end\n"
        "- curves: on 2,000 training rows without a label in training, whose labels choose "
        "nothing; settings were chosen on split 100 (choice/family.jsonl), counted in the table\n"
        "- augmentation: none. Noise on what q reads while it trains, where the symbols have it, "
        "turns or moves no image, but no publication of the family has it either, and a verdict "
        "may rest on it: the trials below say what it is worth\n"
        f"- {SMOOTH}: less smoothness.weight times the divergence of q(y|x) from itself at the "
        "step near x that changes it most (`smoothness.LocalSmoothness`), which no publication of "
        "the family has either; beside weights of 300 the bound counts 1/300; beside M2 the "
        "classifier alone, under the same terms without a bound, its settings chosen likewise\n"
        "- Kingma's: his objective on networks of his kind, under our batches, learning rate and "
        "initial weights, without his prior on them: no rerun of his code\n"
        "- epochs: passes over the unlabeled rows, M1's before M2's; minutes hold both\n"
        "- supervised only: the same network, initial weights, labels and noise on x, without "
        "unlabeled rows; 1,500 steps, not tuned\n"
        "- sum over y: as the symbols say, exact (enumerated) or its unbiased estimate (pruned)\n"
        f"- threads: {threads}; beside other work\n- commits: {commits}\n"
        + (f"- not run: {missing}\n" if missing else "")
        + f"\n{section(tried)}"
    )


def _cells(told: Told) -> tuple[str, ...]:
    row, results = told.row, told.results
    first, reached = results[0], spread([result.accuracy for result in results])
    curve = select(
        readings([told]), panel=_panel(first), line=told.title, measure=VALIDATION_ACCURACY
    )
    epochs = list(curve)
    shown = [epochs[max(0, round(share * len(epochs)) - 1)] for share in SHARES]
    return (
        row.model,
        row.objective,
        f"{first.summary['n_labeled']:,}",
        "–" if row.target is None else f"{row.target:.1f}",
        row.published,
        reached.text(2),
        str(len(results)),
        spread([one.accuracy for one in told.alone]).text(2) if told.alone else "–",
        verdict(row.target if len(results) > 1 else None, reached.mean),
        ", ".join(f"{fmean(curve[epoch]):.1f}" for epoch in shown),
        f"{told.labels_used_to_choose:,}",
        epochs_text(first),
        f"{first.parameters / 1e6:.2f}",
        f"{fmean(result.summary['train_seconds'] for result in results) / 60:.1f}",
        symbols(first.recipe),
    )


def verdict(target: float | None, mean: float) -> str:
    """Whether the mean over seeds is the target or above; nothing of what has none to be held
    against."""
    if target is None:
        return "–"
    return "reached" if mean >= target else f"missed by {target - mean:.2f}"


def symbols(recipe: Mapping[str, Any]) -> str:
    """What decides a row, in few words; sizes and batches are in the run files."""
    objective, training = recipe["objective"], recipe["training"]
    weights = symbols_text(symbols_of(recipe)) or objective["kind"]
    streams = f", {objective['weighting']} weighting" if "weighting" in objective else ""
    rate, cycle = training["optimizer"]["peak"], training["learning_rate"]["kind"]
    reads_x = recipe.get("refining") or training
    corruption = reads_x.get("corruption", 0.0)  # files of before do not know it
    noise = f"; noise {corruption:g} on what q reads" if corruption else ""
    alone = objective["kind"] == "information_maximization"  # which sums over no y
    kinds = recipe["network"]["kind"] + ("" if alone else f", {recipe['labels']['kind']} y")
    return f"{weights}{streams}; {kinds}; Adam {rate:g} {cycle}{noise}"


def _panel(result: RunResult) -> str:
    return f"{result.summary['n_labeled']:,} labels"


def readings(told: Sequence[Told]) -> list[Reading]:
    """Validation accuracy after every epoch that learns labels, of every seed."""
    return [reading for row in told for result in row.results for reading in _curve(row, result)]


def _curve(told: Told, result: RunResult) -> Iterator[Reading]:
    for record in result.history:
        if "validation_accuracy" in record:
            epoch, value = float(record["epoch"]), 100 * record["validation_accuracy"]
            yield Reading(
                _panel(result), told.title, epoch, VALIDATION_ACCURACY, result.asked.seed, value
            )


def write(told: Sequence[Told], tried: Sequence[Trial], folder: Path) -> None:
    """Page, data and figure, if there is a result."""
    if not told:
        return
    curves = readings(told)
    write_text(folder / f"{NAME}.md", markdown(told, tried))
    write_text(folder / f"{NAME}.csv", to_csv(curves))
    title = "Validation accuracy by epoch, MNIST, perceptrons"
    write_bytes(folder / f"{NAME}.png", to_png(panels(curves, title, "epoch")))
