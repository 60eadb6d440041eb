"""Tables: the plan carries our defaults over as they are, and the page pairs seeds."""

import dataclasses

import pytest

from semivae.objective_specs import Equation8, OptimizedELBO
from semivae.paper.domains import (
    CANCER,
    NAME,
    NLL,
    TITLES,
    WINE,
    figures,
    findings,
    over,
    plan,
    read,
)
from semivae.paper.experiments import TEST_ACCURACY, Run
from semivae.paper.results import RunResult
from semivae.paper.sides import M2, OPTIMIZED, SUPERVISED
from semivae.plots.panels import Reading
from semivae.request import prepare

pytestmark = pytest.mark.usefixtures("unchecked")


def test_symbols_are_those_of_our_default_recipe() -> None:
    for run in plan(1, quick=False)[:12]:
        recipe = prepare(run.request).recipe
        kind = {M2: Equation8, OPTIMIZED: OptimizedELBO}[run.line]
        assert isinstance(recipe.objective, kind) and recipe.objective.alpha == 10
        assert run.request.baseline is (run.line == M2)
    m2, ours = (prepare(run.request).recipe for run in plan(1, quick=False)[:2])
    assert dataclasses.replace(m2, objective=ours.objective) == ours


def test_every_table_takes_more_splits_than_images() -> None:
    full = plan(3, quick=False)
    assert len(full) == 15 * (3 + 2) * 2 and len({run.request for run in full}) == len(full)
    assert {run.request.seed for run in plan(2, quick=True)} == {0, 1}


def test_read_has_supervised_only_once_per_seed() -> None:
    m2, ours = plan(1, quick=True)[:2]
    made = RunResult(
        "x", {"n_labeled": 10, "supervised_only_accuracy": 0.8}, {"accuracy": 0.9, "nll": 0.5},
        {}, dataclasses.asdict(m2.request), 1, None, {},
    )  # fmt: skip
    assert [(r.line, r.measure, r.x, r.value) for r in read(m2, made)] == [
        (M2, TEST_ACCURACY, 10, 90), (M2, NLL, 10, 0.5), (SUPERVISED, TEST_ACCURACY, 10, 80),
    ]  # fmt: skip
    alone = dataclasses.replace(made, summary={"n_labeled": 10, "supervised_only_accuracy": None})
    assert len(list(read(Run(ours.panel, OPTIMIZED, ours.request), alone))) == 2


def test_the_page_has_gains_over_paired_seeds() -> None:
    values = {SUPERVISED: (80.0, 82.0), M2: (90.0, 91.0), OPTIMIZED: (93.0, 94.5)}
    readings = [
        Reading(TITLES[data], line, float(x), TEST_ACCURACY, seed, value - (data == WINE))
        for data, x in ((WINE, 9), (CANCER, 20), (CANCER, 10))
        for line, both in values.items()
        for seed, value in enumerate(both)
    ]
    found = over(readings, TITLES[CANCER], 10, M2)
    assert tuple(found) == pytest.approx((3.25, 0.25, 2))
    lines = findings(readings).splitlines()
    assert [line.split(" | ")[1] for line in lines[2:5]] == ["10", "20", "9"]
    assert "| 81.00 ± 1.00 | 90.50 ± 0.50 | 93.75 ± 0.75 | +3.25 ± 0.25 (more) |" in lines[2]
    assert list(figures(readings)) == [NAME]
