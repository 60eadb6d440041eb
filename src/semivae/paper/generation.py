"""Does Optimized-ELBO generate better than M2? Which runs are compared, in which measures, and by
how much they differ."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from semivae.paper import generated, spreads
from semivae.paper.asking import seeds_of
from semivae.paper.generated import Generated, Generation, GenerationEffort
from semivae.paper.results import RunResult, load_results
from semivae.paper.sides import M2, OPTIMIZED, Side, sides
from semivae.paper.spreads import LESS, MORE, Gain
from semivae.request import Request

NAME = "generation"
EFFORT = GenerationEffort(images=500, rows=1000, paths=50, samples=100, judge_epochs=8)
QUICK = GenerationEffort(images=40, rows=100, paths=10, samples=20, judge_epochs=60)


@dataclass(frozen=True)
class Row:
    """What one run generates, with its test accuracy (a share): a line of the data."""

    model: str
    seed: int
    accuracy: float
    generated: Generated


def plan(seeds: int | None, quick: bool) -> list[Side]:
    """M2 and Optimized-ELBO as the paper has them, on MNIST (`quick`: on digits), seed by seed."""
    literal = {side.model: side for side in sides(quick=False) if side.data == "mnist"}
    return [
        side._replace(request=_request(side.request, seed, quick))
        for seed in seeds_of(seeds, quick)
        for side in (literal[M2], literal[OPTIMIZED])
    ]


def _request(of: Request, seed: int, quick: bool) -> Request:
    alone = replace(of, baseline=False, seed=seed)
    return replace(alone, data="digits", labels=50, epochs=30) if quick else alone


def examination(results: Path, quick: bool) -> Generation:
    """What is measured of each run; the judge is kept in a hidden folder beside the results."""
    return Generation(QUICK if quick else EFFORT, results.resolve() / ".judge")


def missing(requests: Sequence[Request], results: Path, of: Generation) -> bool:
    """Whether one of the runs has no result with its examination yet."""
    found = {run.asked for run in load_results(results) if of.done(run.examined)}
    return not found.issuperset(requests)


def read(results: Path, quick: bool) -> tuple[list[Row], list[RunResult]]:
    """The rows and results whose files are there, measured as they are now, seed by seed, without
    training."""
    names = {"paper-m2": M2, "paper-optimized": OPTIMIZED}
    done = examination(results, quick).done
    found = [run for run in load_results(results) if done(run.examined)]
    found.sort(key=lambda result: (result.asked.seed, result.asked.recipe))
    return [row_of(names[result.asked.recipe], result) for result in found], found


def row_of(model: str, result: RunResult) -> Row:
    """The row of a run."""
    return Row(model, result.asked.seed, result.accuracy / 100, generated.read(result))


QUALITY, BOUNDARY = "quality of what is generated", "density at the classifier's boundary"


class Measure(NamedTuple):
    """A column of the table: what it measures, its value and that of as many real images, if they
    have one, how it is printed, and what of it is better."""

    group: str
    title: str
    value: Callable[[Generated], float]
    real: Callable[[Generated], float] | None
    digits: int
    quality: Callable[[float], float]


def measures(rows: Sequence[Row]) -> list[Measure]:
    """Every column. log p(x) has one for each likelihood: under another it is another density."""
    kinds = dict.fromkeys(row.generated.likelihood for row in rows)
    consistency = Measure(
        QUALITY,
        "class consistency, %",
        lambda of: 100 * of.consistency,
        lambda of: 100 * of.real_consistency,
        2,
        _higher,
    )
    return [
        consistency,
        _diversity("diversity in features", lambda of: of.feature_diversity),
        _diversity("diversity in pixels", lambda of: of.pixel_diversity),
        _rarity("rows rarer at the boundary, nats", lambda of: of.boundary.gap, 2),
        _rarity(
            "share of pairs of rows in which it is",
            lambda of: of.boundary.rank,
            3,
        ),
        _rarity("paths rarer at the boundary, nats", lambda of: of.boundary.dip, 2),
        *(
            Measure(QUALITY, f"log p(x), nats: {of}", _log_p_x(of), None, 2, _higher)
            for of in kinds
        ),
    ]


def _diversity(title: str, value: Callable[[Generated], float]) -> Measure:
    return Measure(QUALITY, title, value, lambda of: 1.0, 3, lambda share: -abs(share - 1))


def _rarity(title: str, value: Callable[[Generated], float], digits: int) -> Measure:
    return Measure(BOUNDARY, title, value, None, digits, _higher)


def _log_p_x(likelihood: str) -> Callable[[Generated], float]:
    """log p(x) under this likelihood, nan for models with another."""
    return lambda of: of.log_p_x if of.likelihood == likelihood else math.nan


def _higher(value: float) -> float:
    return value


def values(rows: Sequence[Row], model: str, measure: Measure) -> dict[int, float]:
    """One measure of one model by seed, without those it is not defined for."""
    found = {row.seed: measure.value(row.generated) for row in rows if row.model == model}
    return {seed: value for seed, value in found.items() if not math.isnan(value)}


def gain(rows: Sequence[Row], measure: Measure) -> Gain | None:
    """The gain in quality over M2 on the seeds that both models have, if there are any."""
    qualities = [
        {seed: measure.quality(value) for seed, value in values(rows, model, measure).items()}
        for model in (OPTIMIZED, M2)
    ]
    return spreads.gain(*qualities)


WORDS = {MORE: "better", LESS: "worse"}


def verdict(rows: Sequence[Row]) -> str:
    """A sentence on the claim from paired seeds, every measure named."""
    gains = [(measure, gain(rows, measure)) for measure in measures(rows)]
    parts = [
        f"{measure.title}: {WORDS.get(found.verdict, found.verdict)}"
        for measure, found in gains
        if found
    ]
    return f"Optimized-ELBO against M2: {'; '.join(parts)}." if parts else ""
