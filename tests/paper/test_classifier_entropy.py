"""The plan of 5.5 and what its page says of rising and falling entropies."""

import dataclasses
from collections.abc import Sequence

import pytest

from semivae.labels import Enumerated, Relaxed, StraightThrough
from semivae.paper.classifier_entropy import (
    ENTROPY,
    INFORMATION,
    MARGINAL,
    MODEL_ENTROPY,
    NAME,
    figures,
    findings,
    plan,
    read,
)
from semivae.paper.experiments import TEST_ACCURACY, Run, quick_look
from semivae.paper.results import RunResult
from semivae.paper.sides import M2, OPTIMIZED
from semivae.plots.panels import Reading
from semivae.request import Request, prepare

pytestmark = pytest.mark.usefixtures("unchecked")


def test_one_seed_of_everything_comes_first_and_the_exact_sum_has_two() -> None:
    full = plan(None, quick=False)
    assert len({run.request for run in full}) == len(full) == 4 * (2 + 3 + 3) + 3
    assert [run.request.seed for run in full] == sorted(run.request.seed for run in full)
    first = [run for run in full if run.request.seed == 0]
    assert len({(run.panel, run.line) for run in first}) == 13
    exact = [run.request.seed for run in full if run.panel == "exact sum"]
    assert sorted(set(exact)) == [0, 1]
    assert {run.request.seed for run in plan(1, quick=False)} == {0}
    assert {run.request.seed for run in plan(None, quick=True)} == {0}


def test_the_exact_sum_has_as_many_seeds_as_are_asked_for() -> None:
    asked = plan(4, quick=False)
    assert len({run.request for run in asked}) == len(asked) == 4 * 3 * 4 + 4
    assert {run.request.seed for run in asked if run.panel == "exact sum"} == {0, 1, 2, 3}


def test_every_run_has_a_thousand_labels_and_fifteen_thousand_rows_without() -> None:
    for run in plan(3, quick=False):
        assert (run.request.data, run.request.labels, run.request.rows) == ("mnist", 1000, 16_000)
        assert (run.request.epochs, run.request.baseline) == (50, False)


def test_settings_of_one_panel_differ_in_the_objective_or_in_alpha_alone() -> None:
    """Prepared on digits, as the quick look has them."""
    rules = {"exact sum": Enumerated(), "Gumbel-Softmax": Relaxed(2 / 3),
             "straight-through": StraightThrough(2 / 3)}  # fmt: skip
    recipes = {(run.panel, run.line): prepare(run.request).recipe for run in plan(1, quick=True)}
    for panel, rule in rules.items():
        for suffix, alpha in (("", 30.0), (", alpha = 0", 0.0)):
            m2, optimized = (recipes[panel, model + suffix] for model in (M2, OPTIMIZED))
            assert m2.labels == rule
            assert m2.objective.alpha == optimized.objective.alpha == alpha
            assert (optimized.objective.beta, optimized.objective.gamma) == (10.0, 10.0)
            assert dataclasses.replace(optimized, objective=m2.objective) == m2
        with_alpha, without = (recipes[panel, OPTIMIZED + s] for s in ("", ", alpha = 0"))
        changed = dataclasses.replace(without.objective, alpha=30.0)
        assert dataclasses.replace(without, objective=changed) == with_alpha
    weak, without = (
        recipes["Gumbel-Softmax", f"{M2}, alpha = 0{rest}"] for rest in (", sigma = 4", "")
    )
    assert (weak.likelihood.sigma, without.likelihood.sigma) == (4.0, 0.5)
    assert dataclasses.replace(weak, likelihood=without.likelihood) == without


def test_a_quick_look_differs_in_size_alone() -> None:
    for full, quick in zip(plan(1, quick=False), plan(1, quick=True), strict=True):
        small = quick_look(full.request, quick.request.epochs or 0)
        settings = tuple(text.replace("=1000", "=100") for text in small.settings)
        assert quick.request == dataclasses.replace(small, settings=settings)
        assert (quick.panel, quick.line) == (full.panel, full.line)


def test_a_result_is_read_by_epoch() -> None:
    record = {
        "epoch": 7,
        "probe/classifier_entropy": 0.3,
        "probe/model_entropy": 0.25,
        "probe/mutual_information": 1.5,
        "probe/marginal_label_kl": 0.5,
    }
    trained = RunResult(
        "x", {"epochs": 7}, {"accuracy": 0.75, "recall": [1.0] * 10}, {}, {}, 1, None, {}, [record]
    )
    run = Run("exact sum", M2, Request("mnist", seed=2))
    found = {
        (reading.measure, reading.x, reading.seed): reading.value for reading in read(run, trained)
    }
    assert found == {
        (ENTROPY, 7, 2): 0.3,
        (MODEL_ENTROPY, 7, 2): 0.25,
        (INFORMATION, 7, 2): 1.5,
        (MARGINAL, 7, 2): 0.5,
        (TEST_ACCURACY, 7, 2): 75.0,
    }


def curve(line: str, *seeds: Sequence[float]) -> list[Reading]:
    """The entropies of each seed by epoch, and an accuracy."""
    return [
        *(
            Reading("exact sum", line, epoch, ENTROPY, seed, value)
            for seed, values in enumerate(seeds)
            for epoch, value in enumerate(values, start=1)
        ),
        *(
            Reading("exact sum", line, len(values), TEST_ACCURACY, seed, 90.0 + seed)
            for seed, values in enumerate(seeds)
        ),
    ]


def test_a_page_tells_rising_from_falling() -> None:
    """M2 falls and rises again, Optimized-ELBO falls throughout."""
    readings = [
        *curve(M2, (2.0, 0.5, 0.1, 0.3), (2.01, 0.51, 0.11, 0.31)),
        *curve(f"{M2}, alpha = 0", (1.0, 1.5, 2.0, 2.1), (1.0, 1.5, 2.0, 2.1)),
        *curve(OPTIMIZED, (2.0, 0.5, 0.2, 0.1), (2.0, 0.5, 0.2, 0.1)),
    ]
    page = findings(readings)
    assert "of M2's 2 settings, its entropy rises to the end in 1 from the first epoch" in page
    assert "on, and in 2 from half-way." in page
    lines = [line for line in page.splitlines() if line.startswith("| exact sum")]
    assert lines[0] == (
        "| exact sum | M2 (Eq 8) | 2.0050 ± 0.0050 | 0.1050 ± 0.0050 (3) | 0.3050 ± 0.0050 "
        "| falls | rises | 0.200 ± 0.000 | 90.50 ± 0.50 | 2 |"
    )
    assert "| rises | rises | 1.100 ±" in lines[1]
    assert "| falls | falls | -0.100 ±" in lines[2], "it never rises"
    assert f"({NAME}.png)" in page and list(figures(readings)) == [NAME]
