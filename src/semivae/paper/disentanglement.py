"""Section 2.3, Equation 4: does q(y, z|x) = q(y|x) q(z|x) keep the class out of z? It beside
q(y|x) q(z|x, y), for M2 and for Optimized-ELBO."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from semivae.assessment import Effort, probe_of_z
from semivae.errors import InputError
from semivae.markdown import table
from semivae.paper.asking import seeds_of
from semivae.paper.evidence import Evidence, differences
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
)
from semivae.paper.results import RunResult
from semivae.paper.sides import LABELS, M2, OPTIMIZED, literal
from semivae.paper.spreads import Gain, gain
from semivae.plots import Dots, dots
from semivae.plots.panels import Reading, panels
from semivae.request import Request
from semivae.runs import Finished
from semivae.spread import Spread, spread

if TYPE_CHECKING:
    from semivae.plots import Figure

NAME = "disentanglement"
BY_EPOCH = f"{NAME}-by-epoch"
CLAIM = (
    '"To enforce disentanglement, we use the conditional independence assumption" q(z, y|x) = '
    "q(z|x) q(y|x) (Eq 4). It prints no measure of it."
)
ROWS, EPOCHS = LABELS + 10_000, 8
FACTORIZED, CONDITIONAL = "q(z|x)", "q(z|x, y)"
FAMILIES: Mapping[str, str] = {
    FACTORIZED: "family=factorized",
    CONDITIONAL: "family=conditional",
}
LEAKAGE = "I(y; z), nats"
FROM_Z, FROM_MEANS = "class read from z, %", "class read from the mean of q(z|x), %"
INFORMATION = "I(y; z) read by the probe, nats"
CHANCE = "class guessed, %"
ACTIVE = "active units of z"


@dataclass(frozen=True)
class ReadFromZ:
    """The examination of a run: what a linear probe reads of the class from z, on test rows."""

    rows: int = Effort().linear_rows

    def done(self, examined: Mapping[str, Any]) -> bool:
        """Whether this is a probe of as many rows."""
        return bool(examined.get("rows") == self.rows)

    def __call__(self, finished: Finished, folder: Path) -> dict[str, Any]:
        """Fits and scores the probe."""
        x, y = finished.prepared.arrays.test
        found = probe_of_z(finished.trained.predictor, x, y, self.rows, seed=0)
        if found is None:
            raise InputError("a class has fewer than 2 test rows: a probe cannot be scored")
        return {"rows": self.rows, **found._asdict()}


def plan(seeds: int | None, quick: bool) -> list[Run]:
    """Both objectives under both posteriors, seed by seed."""
    return [
        Run(model, family, _request(model, setting, seed, quick))
        for seed in seeds_of(seeds, quick)
        for model in (M2, OPTIMIZED)
        for family, setting in FAMILIES.items()
    ]


def _request(model: str, family: str, seed: int, quick: bool) -> Request:
    request = literal("mnist", model, family, probe_of(quick))
    full = replace(request, rows=ROWS, epochs=EPOCHS, seed=seed)
    return quick_look(full, epochs=4) if quick else full


def read(run: Run, result: RunResult) -> Iterator[Reading]:
    """I(y; z) of the probe's rows and the active units after each epoch; at the end what the
    linear probe reads, and test accuracy."""
    measures = {
        LEAKAGE: lambda record: float(record["probe/leakage"]),
        ACTIVE: lambda record: float(record["probe/active_units"]),
    }
    yield from per_epoch(run, result, measures)
    at_end = accuracy_at_end(run, result)
    yield at_end
    found = result.examined
    for measure, value in (
        (FROM_Z, 100 * found["accuracy_from_z"]),
        (FROM_MEANS, 100 * found["accuracy_from_means"]),
        (INFORMATION, found["information_from_z"]),
        (CHANCE, 100 * found["chance"]),
    ):
        yield replace(at_end, measure=measure, value=float(value))


# What says how much of the class is in z, and the unit of a difference: z drawn, as the decoder
# gets it; its mean, as who uses codes has it; the information, by the probe and of the aggregate.
IN_Z: Mapping[str, str] = {
    FROM_Z: "points", FROM_MEANS: "points", INFORMATION: "nats", LEAKAGE: "nats"
}  # fmt: skip
JUDGED = (FROM_Z, FROM_MEANS, INFORMATION)  # of the true label; the last has the classifier's y
MEASURES = (*IN_Z, ACTIVE, TEST_ACCURACY)


def findings(readings: Sequence[Reading]) -> str:
    """A line per objective and posterior, and what the factorized one changes."""
    lines = []
    for panel, line in places(readings):
        ends = [by_seed(readings, panel=panel, line=line, measure=m) for m in MEASURES]
        cells = (spread(list(end.values())).text(2) for end in ends)
        lines.append((panel, line, *cells, str(len(ends[0]))))
    header = ("Objective", "Posterior", *MEASURES, "Seeds")
    chance = spread([reading.value for reading in readings if reading.measure == CHANCE]).mean
    return (
        f"{changes(readings).markdown}\n{table(header, lines)}\n![Read from z]({NAME}.png)\n\n"
        f"![Information by epoch]({BY_EPOCH}.png)\n\n"
        "Means over seeds ± standard error at the end. Read by a linear probe: logistic "
        f"regression fitted on half of {Effort().linear_rows:,} test rows and scored on the "
        "other half, from a draw of z or from the mean of q(z|x); guessing the most frequent "
        f"class reads {chance:.1f} %. I(y; z) is that of the aggregate posterior of the probe's "
        "fixed training rows, y as the classifier "
        "has it: once z tells so few rows apart it is near I(y; x), whatever more would show.\n"
    )


def changes(readings: Sequence[Reading]) -> Evidence:
    """What is found of the class in z under the factorized posterior over the conditional one."""
    gains = {
        f"{model}, {measure.rpartition(', ')[0]}, {IN_Z[measure]}": of
        for (model, measure), of in left_in_z(readings).items()
    }
    return differences("In z, factorized over conditional", gains, 2)


def left_in_z(readings: Sequence[Reading]) -> dict[tuple[str, str], Gain]:
    """By how much more of the class is in z under the factorized posterior than under the
    conditional one, by objective and measure; below 0, the factorized one keeps more out."""
    found = {}
    for model in dict.fromkeys(panel for panel, _ in places(readings)):
        for measure in IN_Z:
            sides = [
                by_seed(readings, panel=model, line=family, measure=measure) for family in FAMILIES
            ]
            if (of := gain(*sides)) is not None:
                found[model, measure] = of
    return found


class ReadUnderBoth(NamedTuple):
    """What the probe reads of the class from a draw of z, and by guessing, in percent."""

    factorized: Spread
    conditional: Spread
    chance: float


def read_from_z(readings: Sequence[Reading], model: str) -> ReadUnderBoth:
    """Means over seeds for one objective."""
    return ReadUnderBoth(
        spread(_values(readings, model, FACTORIZED, FROM_Z)),
        spread(_values(readings, model, CONDITIONAL, FROM_Z)),
        spread(_values(readings, model, FACTORIZED, CHANCE)).mean,
    )


def _values(readings: Sequence[Reading], model: str, family: str, measure: str) -> list[float]:
    return list(by_seed(readings, panel=model, line=family, measure=measure).values())


def figures(readings: Sequence[Reading]) -> dict[str, "Figure"]:
    """What the probe reads under both posteriors, beside guessing; and I(y; z) by epoch."""
    models = list(dict.fromkeys(panel for panel, _ in places(readings)))
    probed = [
        Dots(
            f"{model}: {measure}",
            {family: _values(readings, model, family, measure) for family in FAMILIES},
            read_from_z(readings, model).chance,
        )
        for measure in (FROM_Z, FROM_MEANS)
        for model in models
    ]
    shown = [reading for reading in readings if reading.measure in (LEAKAGE, ACTIVE)]
    return {
        NAME: dots("Class left in z under two posteriors (Eq 4), guessing dashed", probed),
        BY_EPOCH: panels(shown, "I(y; z) of the aggregate posterior, by epoch", "epoch"),
    }


EXPERIMENT = Experiment(
    NAME,
    "Does factorizing keep the class out of z? (Eq 4)",
    CLAIM,
    plan,
    read,
    findings,
    figures,
    ReadFromZ(),
    {"test set": "read after training, for accuracy, and for the probe, which half of it fits"},
)
