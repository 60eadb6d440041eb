"""Does it carry over? M2, Optimized-ELBO and the supervised-only network on data of other kinds,
under symbols that were chosen elsewhere."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from semivae.markdown import table
from semivae.paper.asking import seeds_of
from semivae.paper.experiments import (
    TEST_ACCURACY,
    Experiment,
    Run,
    by_seed,
)
from semivae.paper.results import RunResult
from semivae.paper.sides import M2, OPTIMIZED, SUPERVISED, m2_of
from semivae.paper.spreads import Gain, gain
from semivae.plots.panels import Reading, panels
from semivae.request import Request
from semivae.spread import spread

if TYPE_CHECKING:
    from semivae.plots import Figure

NAME = "domains"
CLAIM = (
    'the results on MNIST and CIFAR-10 are "highlighting its generalizability across diverse '
    'domains" (abstract). Both are sets of images, each with symbols of its own.'
)
CANCER, WINE = "breast-cancer", "wine"
TITLES: Mapping[str, str] = {
    CANCER: "Tumours, 30 measures, 2 classes",
    WINE: "Wines, 13 measures, 3 classes",
}
# A few labels, and many for so small a table.
LABELS: Mapping[str, tuple[int, ...]] = {CANCER: (10, 20, 100), WINE: (9, 15)}
LINES = (SUPERVISED, M2, OPTIMIZED)
# Test sets of 143 and 45 rows take more draws of the labels than images do; a run takes seconds.
SPLITS_PER_SEED = 5
NLL = "test NLL, nats"


def plan(seeds: int | None, quick: bool) -> list[Run]:
    """Both objectives on every table; supervised-only is trained beside M2."""
    number = len(seeds_of(seeds, quick))
    splits = range(number if quick else SPLITS_PER_SEED * number)
    return [
        Run(TITLES[data], model, _request(data, labels, model, seed, quick))
        for seed in splits
        for data in TITLES
        for labels in LABELS[data]
        for model in (M2, OPTIMIZED)
    ]


def _request(data: str, labels: int, model: str, seed: int, quick: bool) -> Request:
    ours = Request(data, labels=labels, seed=seed, baseline=False, epochs=10 if quick else None)
    if model == OPTIMIZED:
        return ours
    return replace(m2_of(ours), baseline=True)


def read(run: Run, result: RunResult) -> Iterator[Reading]:
    """Test accuracy and NLL against the number of labels."""
    x, seed = float(result.summary["n_labeled"]), run.request.seed
    yield Reading(run.panel, run.line, x, TEST_ACCURACY, seed, result.accuracy)
    yield Reading(run.panel, run.line, x, NLL, seed, float(result.test["nll"]))
    if result.supervised_only is not None:
        yield Reading(run.panel, SUPERVISED, x, TEST_ACCURACY, seed, result.supervised_only)


def findings(readings: Sequence[Reading]) -> str:
    """A line per table and number of labels: every side, and what Optimized-ELBO gains."""
    lines = []
    for panel, x in cases(readings):
        sides = {line: list(_accuracies(readings, panel, x, line).values()) for line in LINES}
        gains = [over(readings, panel, x, other) for other in (M2, SUPERVISED)]
        lines.append(
            (
                panel,
                f"{x:g}",
                *(spread(sides[line]).text(2) for line in LINES),
                *(f"{found.text(2)} ({found.verdict})" for found in gains),
                str(gains[0].seeds),
            )
        )
    header = (
        "Data", "Labels", *LINES, "Optimized-ELBO over M2", "Over supervised only", "Seeds",
    )  # fmt: skip
    return (
        f"{table(header, lines)}\n![Accuracy by labels]({NAME}.png)\n\n"
        "Test accuracy in percent, means over seeds ± standard error, gains over paired seeds. "
        "A learned sigma, columns scaled by the training rows. The errors are over draws of "
        "labels and weights, not of the test rows, of which there are 143 and 45: one wine is 2.2 "
        "points.\n"
    )


def cases(readings: Sequence[Reading]) -> list[tuple[str, float]]:
    """Every table and number of labels."""
    return sorted(
        {(reading.panel, reading.x) for reading in readings},
        key=lambda case: (list(TITLES.values()).index(case[0]), case[1]),
    )


def over(readings: Sequence[Reading], panel: str, x: float, other: str) -> Gain:
    """What Optimized-ELBO gains over another side, in points over paired seeds."""
    found = gain(*(_accuracies(readings, panel, x, line) for line in (OPTIMIZED, other)))
    assert found is not None, "every seed has every side"
    return found


def _accuracies(readings: Sequence[Reading], panel: str, x: float, line: str) -> dict[int, float]:
    return by_seed(readings, panel=panel, line=line, measure=TEST_ACCURACY, x=x)


def figures(readings: Sequence[Reading]) -> dict[str, "Figure"]:
    """Accuracy and NLL against the number of labels, a panel per table."""
    title = "Tables, under symbols chosen on images"
    return {NAME: panels(readings, title, "labels", share_y=False)}


FACTS = {
    "labels used to choose": "none of these tables: the symbols are those of our default recipe "
    "for few rows, chosen on scikit-learn's digits (benchmarks/results/choice/digits.jsonl)",
    "network": "an MLP, the same for all three",
    "supervised only": "1,500 steps, not tuned, as neither side is on these tables",
    "test set": "a quarter of each table, the same for every seed; read once, after training",
}
EXPERIMENT = Experiment(
    NAME,
    "Does it carry over to tables?",
    CLAIM,
    plan,
    read,
    findings,
    figures,
    facts=FACTS,
)
