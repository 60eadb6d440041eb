"""Section 5.5: the classifier's entropy by epoch, M2 beside Optimized-ELBO, under three rules for
y, with and without the classifier's own term."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from semivae.markdown import table
from semivae.paper.asking import USUAL_SEEDS, seeds_of
from semivae.paper.experiments import (
    TEST_ACCURACY,
    Experiment,
    Run,
    accuracy_at_end,
    by_seed,
    per_epoch,
    places,
    probe_of,
    quick_look,
    select,
)
from semivae.paper.results import RunResult
from semivae.paper.sides import LABELS, M2, OPTIMIZED, literal
from semivae.paper.spreads import LESS, MORE, SAME, Gain, gain
from semivae.plots.panels import Reading, panels
from semivae.request import Request
from semivae.spread import Spread, spread

if TYPE_CHECKING:
    from semivae.plots import Figure

NAME = "classifier-entropy"
CLAIM = (
    "the entropy of M2's classifier increases with the number of epochs, against the cluster "
    "assumption, and Optimized-ELBO reduces it (5.5; a figure without numbers)."
)
ROWS, EPOCHS = LABELS + 15_000, 50
EXACT_SUM, RELAXED = "exact sum", "Gumbel-Softmax"
ESTIMATORS: Mapping[str, str] = {
    EXACT_SUM: "labels=enumerated",
    RELAXED: "labels=relaxed",
    "straight-through": "labels=straight_through",
}
ALPHAS: Mapping[str, tuple[str, ...]] = {"": (), ", alpha = 0": ("objective.alpha=0",)}
# U(x) draws q(y|x) to softmax_k ELBO(x, k), so entropy can only grow where the decoder tells the
# classes poorly apart: at a large sigma, with no term that teaches q(y|x) the labels.
WEAK = ", alpha = 0, sigma = 4"
CONDITIONS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    EXACT_SUM: ALPHAS,
    RELAXED: {**ALPHAS, WEAK: ("objective.alpha=0", "likelihood.sigma=4")},
    "straight-through": ALPHAS,
}
# The exact sum takes over twice the time of the others: fewer seeds, unless a number is asked for.
FEWER_SEEDS: Mapping[str, int] = {EXACT_SUM: 2}
ENTROPY = "classifier entropy, nats"
MODEL_ENTROPY = "model's posterior, nats"
INFORMATION = "I(y; x), nats"
MARGINAL = "KL(q(y) || p(y)), nats"


def plan(seeds: int | None, quick: bool) -> list[Run]:
    """Both objectives under every rule for y and both alphas, and M2 where the decoder is poor,
    seed by seed."""
    return [
        Run(estimator, model + suffix, _request(model, (rule, *changes), seed, quick))
        for seed in seeds_of(seeds, quick)
        for estimator, rule in ESTIMATORS.items()
        for suffix, changes in CONDITIONS[estimator].items()
        if seed in seeds_of(seeds, quick, FEWER_SEEDS.get(estimator, USUAL_SEEDS))
        for model in ((M2,) if suffix == WEAK else (M2, OPTIMIZED))
    ]


def _request(model: str, changes: tuple[str, ...], seed: int, quick: bool) -> Request:
    request = literal("mnist", model, probe_of(quick), *changes)
    full = replace(request, rows=ROWS, epochs=EPOCHS, seed=seed)
    return quick_look(full, epochs=4) if quick else full


def read(run: Run, result: RunResult) -> Iterator[Reading]:
    """On the probe's unlabeled rows after each epoch: the classifier's entropy, that of softmax_k
    ELBO(x, k), and both parts of the mean D_KL(q || p(y))."""
    yield from per_epoch(
        run,
        result,
        {
            ENTROPY: lambda record: float(record["probe/classifier_entropy"]),
            MODEL_ENTROPY: lambda record: float(record["probe/model_entropy"]),
            INFORMATION: lambda record: float(record["probe/mutual_information"]),
            MARGINAL: lambda record: float(record["probe/marginal_label_kl"]),
        },
    )
    yield accuracy_at_end(run, result)


class Course(NamedTuple):
    """The entropy of one line over the epochs: after the first, where its mean is least, after the
    last; by how much the last exceeds the first, and the one half-way; the largest rise within a
    run, from an epoch to a later one; and by how much each run ends above its least."""

    first: Spread
    least: Spread
    least_at: float
    last: Spread
    whole: Gain
    later: Gain
    rise: Spread
    above_least: tuple[float, ...]


def course(readings: Sequence[Reading], panel: str, line: str) -> Course:
    """The course of a line that has the same epochs for every seed."""
    by_epoch = select(readings, panel=panel, line=line, measure=ENTROPY)
    means = {epoch: spread(values) for epoch, values in by_epoch.items()}
    first, last = min(means), max(means)
    half = list(means)[len(means) // 2]
    least = min(means, key=lambda epoch: means[epoch].mean)

    def at(epoch: float) -> dict[int, float]:
        return by_seed(readings, panel=panel, line=line, measure=ENTROPY, x=epoch)

    whole, later = gain(at(last), at(first)), gain(at(last), at(half))
    assert whole is not None and later is not None, "every seed has every epoch"
    runs = list(zip(*(at(epoch).values() for epoch in sorted(means)), strict=True))
    rise = spread([max(b - a for a, b in itertools.combinations(run, 2)) for run in runs])
    above = tuple(run[-1] - min(run) for run in runs)
    return Course(means[first], means[least], least, means[last], whole, later, rise, above)


WORDS = {MORE: "rises", LESS: "falls", SAME: "no clear change"}


def findings(readings: Sequence[Reading]) -> str:
    """A line per curve: where it starts, its least value, where it ends, and whether it rises."""
    lines, of_m2 = [], []
    for panel, line in places(readings):
        of = course(readings, panel, line)
        if line.startswith(M2):
            of_m2.append(of)
        (accuracies,) = select(readings, panel=panel, line=line, measure=TEST_ACCURACY).values()
        lines.append(
            (
                panel,
                line,
                of.first.text(4),
                f"{of.least.text(4)} ({of.least_at:g})",
                of.last.text(4),
                *(WORDS.get(change.verdict, change.verdict) for change in (of.whole, of.later)),
                of.rise.text(3),
                spread(accuracies).text(2),
                str(len(accuracies)),
            )
        )
    header = (
        "Sum over y", "Objective", "After epoch 1", "Least (at epoch)", "At the end",
        "From the first epoch", "From half-way", "Largest rise within a run",
        "Test accuracy, %", "Seeds",
    )  # fmt: skip
    return (
        f"Found: of M2's {len(of_m2)} settings, its entropy rises to the end in "
        f"{sum(of.whole.verdict == MORE for of in of_m2)} from the first epoch on, and in "
        f"{sum(of.later.verdict == MORE for of in of_m2)} from half-way.\n\n"
        f"{table(header, lines)}\n![Entropy by epoch]({NAME}.png)\n\n"
        "Nats, means over seeds ± standard error; a rise or fall is one whose 95 % interval over "
        "paired seeds leaves out 0. The largest rise within a run is from an epoch to a later "
        "one, whatever came before and after. The entropy is that of fixed unlabeled training "
        "rows after each epoch. Below it in the figure, on the same rows: the entropy of softmax "
        "over k of ELBO(x, k), to which the unlabeled ELBO draws the classifier. The one public "
        "log of M2 with the exact sum that we know of (jonemeth/ssl-vae: perceptrons, 100 labels, "
        "Kingma's objective) falls from 2.27 nats after its first epoch to 0.009 after 3,000.\n"
    )


def figures(readings: Sequence[Reading]) -> dict[str, "Figure"]:
    """Entropy against epoch, a panel per rule for y; below, that of the model's posterior."""
    shown = [reading for reading in readings if reading.measure in (ENTROPY, MODEL_ENTROPY)]
    title = "Entropy of the classifier by epoch (5.5), and of what it is drawn to"
    return {NAME: panels(shown, title, "epoch", logarithmic=(ENTROPY, MODEL_ENTROPY))}


EXPERIMENT = Experiment(
    NAME, "Entropy of the classifier by epoch (5.5)", CLAIM, plan, read, findings, figures
)
