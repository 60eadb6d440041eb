"""Section 5.5: the classifier's entropy by epoch, M2 beside Optimized-ELBO, under three rules for
y, with and without the classifier's own term."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from semivae.paper.experiments import (
    TEST_ACCURACY,
    Experiment,
    Run,
    accuracy_at_end,
    classes_of,
    classifier_entropy,
    per_epoch,
    places,
    probe_of,
    quick_look,
    select,
    table,
)
from semivae.paper.runs import RunResult
from semivae.paper.sides import LABELS, M2, OPTIMIZED, literal
from semivae.paper.spreads import Spread, spread
from semivae.plots.panels import Reading, panels
from semivae.runs import Request

if TYPE_CHECKING:
    from semivae.plots import Figure

NAME = "classifier-entropy"
CLAIM = (
    "the entropy of M2's classifier increases with the number of epochs, against the cluster "
    "assumption, and Optimized-ELBO reduces it (5.5; a figure without numbers)."
)
ROWS, EPOCHS = LABELS + 15_000, 50
EXACT_SUM = "exact sum"
# The exact sum takes over twice the time of the others.
EXACT_SEEDS = 2
ESTIMATORS: Mapping[str, str] = {
    EXACT_SUM: "labels=enumerated",
    "Gumbel-Softmax": "labels=relaxed",
    "straight-through": "labels=straight_through",
}
ALPHAS: Mapping[str, tuple[str, ...]] = {"": (), ", alpha = 0": ("objective.alpha=0",)}
ENTROPY = "classifier entropy, nats"
MODEL_ENTROPY = "model's posterior, nats"
INFORMATION = "I(y; x), nats"
MARGINAL = "KL(q(y) || p(y)), nats"


def plan(seeds: int, quick: bool) -> list[Run]:
    """Both objectives under every rule for y and both alphas, seed by seed."""
    return [
        Run(estimator, model + suffix, _request(model, (rule, *alpha), seed, quick))
        for seed in range(seeds)
        for estimator, rule in ESTIMATORS.items()
        if estimator != EXACT_SUM or seed < EXACT_SEEDS
        for suffix, alpha in ALPHAS.items()
        for model in (M2, OPTIMIZED)
    ]


def _request(model: str, changes: tuple[str, ...], seed: int, quick: bool) -> Request:
    request = literal("mnist", model, probe_of(quick), *changes)
    full = replace(request, rows=ROWS, epochs=EPOCHS, seed=seed)
    return quick_look(full, epochs=4) if quick else full


def read(run: Run, result: RunResult) -> Iterator[Reading]:
    """The entropy over all unlabeled rows while an epoch passes over them; on the probe's rows,
    after it, the entropy of softmax_k ELBO(x, k) and both parts of the mean D_KL(q || p(y))."""
    classes = classes_of(result)
    yield from per_epoch(
        run,
        result,
        {
            ENTROPY: lambda record: classifier_entropy(record, classes),
            MODEL_ENTROPY: lambda record: float(record["probe/model_entropy"]),
            INFORMATION: lambda record: float(record["probe/mutual_information"]),
            MARGINAL: lambda record: float(record["probe/marginal_label_kl"]),
        },
    )
    yield accuracy_at_end(run, result)


def findings(readings: Sequence[Reading]) -> str:
    """A line per curve: where it starts, its least value, where it ends, and whether it rises."""
    lines, rising = [], []
    for panel, line in places(readings):
        of = course(readings, panel, line)
        if line.startswith(M2):
            rising.append(of)
        (accuracies,) = select(readings, panel=panel, line=line, measure=TEST_ACCURACY).values()
        lines.append(
            (
                panel,
                line,
                of.first.text(4),
                f"{of.least.text(4)} ({of.least_at:g})",
                of.last.text(4),
                of.whole,
                of.later,
                spread(accuracies).text(2),
                str(len(accuracies)),
            )
        )
    header = (
        "Sum over y", "Objective", "After epoch 1", "Least (at epoch)", "At the end",
        "From the first epoch", "From half-way", "Test accuracy, %", "Seeds",
    )  # fmt: skip
    return (
        f"Found: of M2's {len(rising)} settings, its entropy rises to the end in "
        f"{sum(of.whole == RISES for of in rising)} from the first epoch on, and in "
        f"{sum(of.later == RISES for of in rising)} from half-way.\n\n{table(header, lines)}\n"
        f"![Entropy by epoch]({NAME}.png)\n\n"
        f"Nats, means over seeds ± standard error; {RISES} or {FALLS} where the mean change is "
        "beyond two standard errors (one seed: its sign). The entropy is the mean over all "
        "unlabeled rows while an epoch passes over them. Below it in the figure, on fixed "
        "training rows after each epoch: the entropy of softmax over k of ELBO(x, k), to which "
        "the unlabeled ELBO draws the classifier.\n"
    )


class Course(NamedTuple):
    """The entropy of one line over the epochs: at the first, where its mean is least, at the last;
    and what its change amounts to, from the first epoch and from half-way to the last."""

    first: Spread
    least: Spread
    least_at: float
    last: Spread
    whole: str
    later: str


def course(readings: Sequence[Reading], panel: str, line: str) -> Course:
    """The course of a line that has the same epochs for every seed."""
    by_epoch = select(readings, panel=panel, line=line, measure=ENTROPY)
    means = {epoch: spread(values) for epoch, values in by_epoch.items()}
    first, last = min(means), max(means)
    half = list(means)[len(means) // 2]
    least = min(means, key=lambda epoch: means[epoch].mean)
    whole, later = (
        judged([b - a for a, b in zip(by_epoch[start], by_epoch[last], strict=True)])
        for start in (first, half)
    )
    return Course(means[first], means[least], least, means[last], whole, later)


RISES, FALLS, STAYS = "rises", "falls", "no clear change"


def judged(changes: Sequence[float]) -> str:
    """What changes of one quantity over seeds amount to."""
    mean, error = spread(changes)
    if mean == 0 or abs(mean) <= 2 * error:
        return STAYS
    return RISES if mean > 0 else FALLS


def figures(readings: Sequence[Reading]) -> dict[str, "Figure"]:
    """Entropy against epoch, a panel per rule for y; below, that of the model's posterior."""
    shown = [reading for reading in readings if reading.measure in (ENTROPY, MODEL_ENTROPY)]
    title = "Entropy of the classifier by epoch (5.5), and of what it is drawn to"
    return {NAME: panels(shown, title, "epoch", logarithmic=(ENTROPY, MODEL_ENTROPY))}


EXPERIMENT = Experiment(
    NAME, "Entropy of the classifier by epoch (5.5)", CLAIM, plan, read, findings, figures
)
