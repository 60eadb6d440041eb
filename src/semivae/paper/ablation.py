"""Each symbol of Optimized-ELBO moved alone, and the two that beta and gamma amount to together.

The unlabeled sum is E_q[ELBO(x, y)] + (1 - beta - gamma) E[H(q(y|x))] + gamma H(q(y)): beta and
gamma count only through beta + gamma and gamma (section 3.6; docs/paper.md). Where one of these
moves and the other stays, beta is negative at times.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from semivae.markdown import table
from semivae.paper.ablation_plan import (
    AS_CHOSEN,
    GRIDS,
    PANELS,
    SMOOTHING_ALONE,
    WEAK,
    plan,
)
from semivae.paper.experiments import (
    Experiment,
    Run,
    mean_confidence,
    places,
    select,
)
from semivae.paper.results import RunResult
from semivae.plots.panels import Reading, maps, panels
from semivae.spread import spread

if TYPE_CHECKING:
    from semivae.plots import Figure

NAME = "ablation"
CLAIM = (
    "beta controls the penalty on the classifier's entropy (Eq 15), gamma weighs the mutual "
    "information (3.2), epsilon smooths labels (3.3.2). It prints neither values nor an ablation."
)
ACCURACY = "validation accuracy, %"
ENTROPY = "classifier entropy, nats"
AGGREGATE = "aggregate entropy, nats"
ECE = "test calibration error"
NLL = "test NLL, nats"
OVERCONFIDENCE = "test confidence less accuracy, points"
CALIBRATION = (OVERCONFIDENCE, ECE, NLL)
SMOOTHING = ("epsilon", SMOOTHING_ALONE)
SMOOTHED = f"{NAME}-smoothing"
# File names of the grids' figures.
GRID_FIGURES: Mapping[str, str] = {AS_CHOSEN: f"{NAME}-grid", WEAK: f"{NAME}-grid-weak-decoder"}


def read(run: Run, result: RunResult) -> Iterator[Reading]:
    """Accuracy and calibration at the end, and both entropies on the probe's rows after the last
    epoch, against the panel's symbol; in the grids against beta + gamma."""
    objective, last = result.recipe["objective"], result.history[-1]
    if run.panel in GRIDS:
        x = round(objective["beta"] + objective["gamma"], 6)
    else:
        x = (objective | result.recipe["labels"])[PANELS[run.panel].symbol]
    values = {
        ACCURACY: 100 * result.summary["validation_accuracy"],
        ENTROPY: last["probe/classifier_entropy"],
        AGGREGATE: last["probe/aggregate_entropy"],
        ECE: result.test["ece"],
        NLL: result.test["nll"],
        OVERCONFIDENCE: 100 * (mean_confidence(result) - result.test["accuracy"]),
    }
    for measure, value in values.items():
        yield Reading(run.panel, run.line, float(x), measure, run.request.seed, float(value))


def findings(readings: Sequence[Reading]) -> str:
    """A line per level of each symbol, the grids, and where their entropy falls most steeply."""
    lines = []
    for panel, line in places(readings):
        if panel in PANELS:
            cells = _cells(readings, panel, line)
            lines += [(panel, f"{x:.3g}", *rest) for x, rest in cells.items()]
    text = table(("Symbol", "Value", *HEADER), lines)
    text += (
        f"\n![One symbol at a time]({NAME}.png)\n\n![Calibration by smoothing]({SMOOTHED}.png)\n"
    )
    for grid, figure in GRID_FIGURES.items():
        rows = [
            (line.removeprefix("gamma = "), f"{x:g}", *rest)
            for panel, line in places(readings)
            if panel == grid
            for x, rest in _cells(readings, panel, line).items()
        ]
        text += (
            f"\n## beta + gamma against gamma, {grid}\n\n{steepest(readings, grid)}\n\n"
            f"{table(('gamma', 'beta + gamma', *HEADER), rows)}\n![{grid}]({figure}.png)\n"
        )
    return (
        f"{text}\nMeans over seeds ± standard error. Accuracy is that of the weights kept at the "
        "end; the entropies are those of the weights after the last epoch, on fixed training rows "
        "(log K = 2.303 nats is the aggregate entropy of balanced classes). beta + gamma = 1 is "
        "where the objective turns from rewarding the classifier's entropy to penalising it. With "
        "sigma = 4 a pixel's error weighs 64 times less and the decoder hardly tells classes "
        "apart, so that little but that sign decides; with sigma = 0.5 and alpha = 30 decoder and "
        "labels make the classifier sure by themselves.\n"
    )


HEADER = (
    "Validation accuracy, %", "Classifier entropy", "Aggregate entropy", "Test ECE", "Test NLL",
    "Confidence less accuracy, points", "Seeds",
)  # fmt: skip
DIGITS: Mapping[str, int] = {
    ACCURACY: 2,
    ENTROPY: 3,
    AGGREGATE: 3,
    ECE: 4,
    NLL: 3,
    OVERCONFIDENCE: 2,
}


def _cells(readings: Sequence[Reading], panel: str, line: str) -> dict[float, tuple[str, ...]]:
    """The cells of `HEADER` by x."""
    of = {name: select(readings, panel=panel, line=line, measure=name) for name in DIGITS}
    return {
        x: (
            *(spread(of[name][x]).text(digits) for name, digits in DIGITS.items()),
            str(len(values)),
        )
        for x, values in of[ACCURACY].items()
    }


def steepest(readings: Sequence[Reading], grid: str) -> str:
    """Where along beta + gamma the mean classifier entropy falls most per unit, by gamma."""
    parts = []
    for panel, line in places(readings):
        if panel != grid:
            continue
        by_total = select(readings, panel=panel, line=line, measure=ENTROPY)
        means = {total: spread(values).mean for total, values in by_total.items()}
        totals = list(means)
        falls = {(a, b): (means[a] - means[b]) / (b - a) for a, b in pairwise(totals)}
        a, b = max(falls, key=lambda pair: falls[pair])
        parts.append(
            f"at {line} between {a:g} and {b:g} (from {means[a]:.3f} to {means[b]:.3f} nats)"
        )
    return f"The classifier's entropy falls most steeply {', '.join(parts)}."


DRAWN = (ACCURACY, ENTROPY, AGGREGATE)


def figures(readings: Sequence[Reading]) -> dict[str, "Figure"]:
    """Curves of one symbol at a time, calibration by epsilon, and a map of each grid."""
    alone = [
        reading for reading in readings if reading.panel in PANELS and reading.measure in DRAWN
    ]
    title = "Optimized-ELBO, one symbol at a time"
    smoothed = [r for r in readings if r.panel in SMOOTHING and r.measure in CALIBRATION]
    drawn = {
        NAME: panels(alone, title, "value of the symbol"),
        SMOOTHED: panels(smoothed, "Calibration by label smoothing (3.5)", "epsilon"),
    }
    for grid, name in GRID_FIGURES.items():
        here = [r for r in readings if r.panel == grid and r.measure in DRAWN]
        drawn[name] = maps(here, f"Optimized-ELBO, {grid}", "beta + gamma")
    return drawn


EXPERIMENT = Experiment(
    NAME, "The symbols of Optimized-ELBO", CLAIM, plan, read, findings, figures
)
