"""The plan of the ablation: one symbol at a time around the results table's row, and two grids."""

import dataclasses

import pytest

from semivae.paper.ablation import (
    ACCURACY,
    AGGREGATE,
    DIGITS,
    ECE,
    ENTROPY,
    GRID_FIGURES,
    NAME,
    NLL,
    OVERCONFIDENCE,
    SMOOTHED,
    figures,
    findings,
    read,
    steepest,
)
from semivae.paper.ablation_plan import (
    AS_CHOSEN,
    GAMMAS,
    GRIDS,
    LEVELS,
    QUICK_GAMMAS,
    QUICK_LEVELS,
    QUICK_TOTALS,
    SMOOTHING_ALONE,
    TOTALS,
    WEAK,
    SymbolLevels,
    plan,
)
from semivae.paper.experiments import Run
from semivae.paper.results import RunResult
from semivae.paper.sides import OPTIMIZED, literal
from semivae.plots.panels import Reading
from semivae.request import Request, prepare

pytestmark = pytest.mark.usefixtures("unchecked")


def settings_of(request: Request) -> dict[str, float]:
    pairs = (text.split("=") for text in request.settings)
    return {key: float(value) for key, value in pairs}


def test_the_centre_is_the_row_of_the_results_table() -> None:
    """On digits: the recipe alone matters."""
    size = {"data": "digits", "labels": 20, "rows": None, "validation": 0, "epochs": 1}
    table, centre = (
        prepare(dataclasses.replace(request, **size)).recipe
        for request in (literal("mnist", OPTIMIZED), SymbolLevels().request(0, quick=False))
    )
    assert dataclasses.replace(centre, probe=0) == table


def test_one_symbol_moves_at_a_time() -> None:
    centre = settings_of(SymbolLevels().request(0, quick=False))
    keys = {"alpha": "objective.alpha", "tau": "labels.tau"}
    for run in plan(1, quick=False):
        moved = settings_of(run.request)
        changed = {key for key, value in moved.items() if value != centre[key]}
        if run.panel in LEVELS:
            assert changed <= {keys.get(run.panel, f"objective.{run.panel}")}
        if run.panel == SMOOTHING_ALONE:
            assert "objective.alpha" in changed <= {"objective.alpha", "objective.epsilon"}
            assert moved["objective.alpha"] == 0
    for name, levels in LEVELS.items():
        assert getattr(SymbolLevels(), name) in levels


def test_one_seed_of_everything_comes_first_and_the_centre_is_run_once() -> None:
    full = plan(3, quick=False)
    seeds = [run.request.seed for run in full]
    assert seeds == sorted(seeds) and set(seeds) == {0, 1, 2}
    first = [run for run in full if run.request.seed == 0]
    # The centre stands in five curves and in one grid, beta = -10 in a curve and at a total of 0,
    # alpha = 0 in two curves.
    assert len(first) - len({run.request for run in first}) == 7
    assert len({(run.panel, run.line, run.request) for run in first}) == len(first) == 72
    for run in full:
        assert (run.request.labels, run.request.rows, run.request.epochs) == (1000, 11_000, 8)
        assert run.request.validation == 5000


@pytest.mark.parametrize("grid", [AS_CHOSEN, WEAK])
def test_a_grid_holds_the_total_and_gamma_and_beta_makes_up_for_it(grid: str) -> None:
    """Everything else is what the grid's name says."""
    betas = []
    for run in plan(1, quick=False):
        if run.panel == grid:
            found = settings_of(run.request)
            gamma = float(run.line.removeprefix("gamma = "))
            assert found["objective.gamma"] == gamma
            total = round(found["objective.beta"] + gamma, 6)
            assert total in TOTALS
            alpha, sigma = (found[key] for key in ("objective.alpha", "likelihood.sigma"))
            assert f"alpha = {alpha:g}, sigma = {sigma:g}" == grid
            betas.append(found["objective.beta"])
    assert min(betas) == -10 and len(betas) == 21
    assert set(GRIDS) == set(GRID_FIGURES)


def result(alpha: float, beta: float, gamma: float) -> RunResult:
    recipe = {
        "objective": {"alpha": alpha, "beta": beta, "gamma": gamma, "epsilon": 0.001},
        "labels": {"kind": "relaxed", "tau": 0.3},
    }
    last = {"probe/classifier_entropy": 0.5, "probe/aggregate_entropy": 2.0}
    earlier = {"probe/classifier_entropy": 9.0, "probe/aggregate_entropy": 9.0}
    bins = {"rows": [50, 50], "confidence": [0.9, 0.98]}
    test = {"n": 100, "accuracy": 0.9, "ece": 0.02, "nll": 0.3, "reliability": bins}
    return RunResult(
        "x", {"validation_accuracy": 0.9}, test, recipe, {}, 1, None, {}, [earlier, last]
    )


@pytest.mark.parametrize(
    ("panel", "x"),
    [("alpha", 30.0), ("beta", -0.2), ("tau", 0.3), (WEAK, 0.8), (SMOOTHING_ALONE, 1e-3)],
)
def test_a_result_stands_at_the_level_of_its_panel(panel: str, x: float) -> None:
    """With what was measured at the end."""
    run = Run(panel, "line", Request("mnist", seed=1))
    readings = list(read(run, result(30.0, -0.2, 1.0)))
    assert {(reading.x, reading.seed) for reading in readings} == {(x, 1)}
    assert {reading.measure: reading.value for reading in readings} == {
        ACCURACY: 90.0, ENTROPY: 0.5, AGGREGATE: 2.0, ECE: 0.02, NLL: 0.3,
        OVERCONFIDENCE: pytest.approx(4.0),
    }  # fmt: skip


def grid_of(panel: str, line: str, entropies: dict[float, float]) -> list[Reading]:
    return [
        Reading(panel, line, total, measure, seed, value)
        for total, value in entropies.items()
        for seed in (0, 1)
        for measure in DIGITS
    ]


def test_the_steepest_fall_is_per_unit_of_beta_plus_gamma() -> None:
    """Between 1 and 1.2 it falls by 0.5, between 2 and 20 by 1.2 over a longer way."""
    line = {0.0: 2.3, 1.0: 2.2, 1.2: 1.7, 2.0: 1.3, 20.0: 0.1}
    text = steepest(grid_of(WEAK, "gamma = 0", line) + grid_of("other", "gamma = 1", line), WEAK)
    assert text == (
        "The classifier's entropy falls most steeply at gamma = 0 between 1 and 1.2 (from 2.200 "
        "to 1.700 nats)."
    )


def test_the_page_has_every_level_and_links_every_figure() -> None:
    readings = [
        reading
        for run in plan(2, quick=False)
        for reading in read(run, result(*_symbols(run.request)))
        if run.panel in GRIDS or run.panel in ("alpha", "beta", "gamma", SMOOTHING_ALONE)
    ]
    page = findings(readings)
    assert page.count("\n| alpha | ") == page.count("\n| beta | ") == 5
    cells = "90.00 ± 0.00 | 0.500 ± 0.000 | 2.000 ± 0.000 | 0.0200 ± 0.0000 | 0.300 ± 0.000"
    assert f"| beta | -10 | {cells} | 4.00 ± 0.00 | 2 |" in page
    assert page.count(" | 0.500 ± 0.000 | ") == 16 + 2 * 21
    drawn = figures(readings)
    assert list(drawn) == [NAME, SMOOTHED, *GRID_FIGURES.values()]
    assert all(f"]({name}.png)" in page for name in drawn)


def _symbols(request: Request) -> tuple[float, float, float]:
    found = settings_of(request)
    alpha, beta, gamma = (found[f"objective.{name}"] for name in ("alpha", "beta", "gamma"))
    return alpha, beta, gamma


def test_a_quick_look_takes_what_verdicts_are_taken_at() -> None:
    full, quick = ({(run.panel, run.line) for run in plan(1, q)} for q in (False, True))
    assert {panel for panel, _ in quick} == {panel for panel, _ in full}
    assert {LEVELS["epsilon"][i] for i in QUICK_LEVELS} == {0.0, 0.001, 0.3}
    assert {0.0, 1.0} < set(QUICK_TOTALS) < set(TOTALS) and set(QUICK_GAMMAS) < set(GAMMAS)
    assert {run.request.data for run in plan(1, True)} == {"digits"}
