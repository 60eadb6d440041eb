"""Each symbol of Optimized-ELBO moved alone, and the two that beta and gamma amount to together.

The unlabeled sum is E_q[ELBO(x, y)] + (1 - beta - gamma) E[H(q(y|x))] + gamma H(q(y)): beta and
gamma count only through beta + gamma and gamma (section 3.6; docs/paper.md). Where one of these
moves and the other stays, beta is negative at times.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from semivae.paper.experiments import (
    Experiment,
    Run,
    mean_confidence,
    places,
    probe_of,
    quick_look,
    select,
    table,
)
from semivae.paper.runs import RunResult
from semivae.paper.sides import LABELS, OPTIMIZED, literal
from semivae.paper.spreads import spread
from semivae.plots.panels import Reading, maps, panels
from semivae.runs import Request

if TYPE_CHECKING:
    from semivae.plots import Figure

NAME = "ablation"
CLAIM = (
    "beta controls the penalty on the classifier's entropy (Eq 15), gamma weighs the mutual "
    "information (3.2), epsilon smooths labels (3.3.2). It prints neither values nor an ablation."
)
ROWS, EPOCHS, VALIDATION = LABELS + 10_000, 8, 5000
ACCURACY = "validation accuracy, %"
ENTROPY = "classifier entropy, nats"
AGGREGATE = "aggregate entropy, nats"
ECE = "test calibration error"
NLL = "test NLL, nats"
OVERCONFIDENCE = "test confidence less accuracy, points"


KEYS: Mapping[str, str] = {
    "alpha": "objective.alpha",
    "beta": "objective.beta",
    "gamma": "objective.gamma",
    "epsilon": "objective.epsilon",
    "tau": "labels.tau",
    "sigma": "likelihood.sigma",
}


@dataclass(frozen=True)
class Symbols:
    """The symbols of Optimized-ELBO; the defaults are those of the paper's results table."""

    alpha: float = 30.0
    beta: float = 10.0
    gamma: float = 10.0
    epsilon: float = 1e-3
    tau: float = 2 / 3
    sigma: float = 0.5

    def request(self, seed: int, quick: bool) -> Request:
        """The run; equal symbols make one request, whichever panel asks."""
        changes = [f"{KEYS[name]}={value!r}" for name, value in asdict(self).items()]
        request = literal("mnist", OPTIMIZED, *changes, probe_of(quick))
        full = replace(request, rows=ROWS, validation=VALIDATION, epochs=EPOCHS, seed=seed)
        return quick_look(full, epochs=2) if quick else full


LEVELS: Mapping[str, tuple[float, ...]] = {
    "alpha": (0.0, 3.0, 10.0, 30.0, 100.0),
    "beta": (-10.0, 0.0, 3.0, 10.0, 30.0),
    "gamma": (0.0, 1.0, 3.0, 10.0, 30.0),
    "epsilon": (0.0, 0.001, 0.01, 0.1, 0.3),
    "tau": (0.1, 0.3, 2 / 3, 1.0, 2.0),
}
TOTALS = (0.0, 0.5, 0.8, 1.0, 1.2, 2.0, 20.0)
GAMMAS = (0.0, 1.0, 10.0)
AS_CHOSEN = "alpha = 30, sigma = 0.5"
# At a large sigma log p(x|z, y) hardly depends on y, and without alpha the labels hold back less:
# what is left is the weight of the entropy, whose sign turns at beta + gamma = 1.
WEAK = "alpha = 0, sigma = 4"
GRIDS: Mapping[str, Symbols] = {AS_CHOSEN: Symbols(), WEAK: Symbols(alpha=0.0, sigma=4.0)}
# File names of the grids' figures.
GRID_FIGURES: Mapping[str, str] = {AS_CHOSEN: f"{NAME}-grid", WEAK: f"{NAME}-grid-weak-decoder"}


def plan(seeds: int, quick: bool) -> list[Run]:
    """Every symbol's levels with the others in their place, then both grids, seed by seed; a
    quick look takes every second level."""
    runs, every = [], 2 if quick else 1
    for seed in range(seeds):
        for name, levels in LEVELS.items():
            runs += [
                Run(name, OPTIMIZED, replace(Symbols(), **{name: level}).request(seed, quick))
                for level in levels[::every]
            ]
        for panel, symbols in GRIDS.items():
            for gamma in GAMMAS[::every]:
                totals = TOTALS[::every]
                line = [replace(symbols, beta=total - gamma, gamma=gamma) for total in totals]
                runs += [
                    Run(panel, f"gamma = {gamma:g}", point.request(seed, quick)) for point in line
                ]
    return runs


def read(run: Run, result: RunResult) -> Iterator[Reading]:
    """Accuracy and calibration at the end, and both entropies on the probe's rows after the last
    epoch, against the panel's symbol; in the grids against beta + gamma."""
    objective, last = result.recipe["objective"], result.history[-1]
    if run.panel in GRIDS:
        x = round(objective["beta"] + objective["gamma"], 6)
    else:
        x = (objective | result.recipe["labels"])[run.panel]
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
        if panel in LEVELS:
            cells = _cells(readings, panel, line)
            lines += [(panel, f"{x:.3g}", *rest) for x, rest in cells.items()]
    text = table(("Symbol", "Value", *HEADER), lines)
    text += f"\n![One symbol at a time]({NAME}.png)\n"
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
    "Seeds",
)  # fmt: skip
DIGITS: Mapping[str, int] = {ACCURACY: 2, ENTROPY: 3, AGGREGATE: 3, ECE: 4, NLL: 3}


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
    """Curves of one symbol at a time, and a map of each grid."""
    readings = [reading for reading in readings if reading.measure in DRAWN]
    alone = [reading for reading in readings if reading.panel in LEVELS]
    title = "Optimized-ELBO, one symbol at a time"
    drawn = {NAME: panels(alone, title, "value of the symbol")}
    for grid, name in GRID_FIGURES.items():
        here = [reading for reading in readings if reading.panel == grid]
        drawn[name] = maps(here, f"Optimized-ELBO, {grid}", "beta + gamma")
    return drawn


EXPERIMENT = Experiment(
    NAME, "The symbols of Optimized-ELBO", CLAIM, plan, read, findings, figures
)
