"""paper.generation and its page: the plan, columns, paired gains and verdicts, from rows made by
hand."""

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from semivae.paper import generation, generation_page
from semivae.paper.boundary import ALONG, Boundary
from semivae.paper.generated import Generated, GenerationEffort
from semivae.paper.generation import Measure, Row, gain, measures, plan, values, verdict
from semivae.paper.results import RunResult
from semivae.paper.sides import M2, OPTIMIZED, sides
from semivae.paper.spreads import SAME

GAUSSIAN = "gaussian, sigma = 0.5"
PROFILE = tuple(-20.0 - 10 * (1 - abs(place)) for place in ALONG)  # -30 at the boundary
BASE = Generated(
    likelihood=GAUSSIAN,
    images=40,
    consistency=0.9,
    real_consistency=0.975,
    feature_distance=1.0,
    real_feature_distance=1.25,
    pixel_distance=2.0,
    real_pixel_distance=4.0,
    log_p_x=-20.0,
    log_p_x_error=0.5,
    judge_accuracy=0.97,
    boundary=Boundary(least=-22.0, rest=-19.5, rank=0.7, path=-28.0, profile=PROFILE),
)


def row(model: str, seed: int, **changed: float | str) -> Row:
    return Row(model, seed, 0.96, replace(BASE, **changed))


def column(rows: list[Row], title: str) -> Measure:
    (found,) = [measure for measure in measures(rows) if measure.title.startswith(title)]
    return found


def test_the_plan_is_both_models_as_the_results_table_has_them() -> None:
    """Literal and on MNIST but for the baseline, which generates nothing; quick on digits."""
    runs = plan(2, quick=False)
    assert [(run.model, run.request.seed) for run in runs] == [
        (M2, 0), (OPTIMIZED, 0), (M2, 1), (OPTIMIZED, 1),
    ]  # fmt: skip
    published = {side.model: side.request for side in sides(False) if side.data == "mnist"}
    for run in runs:
        expected = replace(published[run.model], baseline=False, seed=run.request.seed)
        assert run.request == expected
    quick = plan(1, quick=True)
    assert [run.request.data for run in quick] == ["digits"] * 2
    assert [run.request.settings for run in quick] == [run.request.settings for run in runs[:2]]


def test_densities_under_two_likelihoods_share_no_column() -> None:
    rows = [row(M2, 0), row(OPTIMIZED, 0, likelihood="bernoulli", log_p_x=-90.0)]
    titles = [measure.title for measure in measures(rows)]
    assert titles[6:] == [f"log p(x), nats: {GAUSSIAN}", "log p(x), nats: bernoulli"]
    for measure in measures(rows)[6:]:
        assert gain(rows, measure) is None
    lines = generation_page.table(rows).splitlines()
    assert lines[2].split(" | ")[7:9] == ["-20.00", "–"]
    assert lines[3].split(" | ")[7:9] == ["–", "-90.00"]
    assert "log p(x)" not in verdict(rows)
    assert len(measures([row(M2, 0), row(OPTIMIZED, 0)])) == 7


def test_a_gain_is_over_the_seeds_that_both_models_have() -> None:
    rows = [
        row(M2, 0, consistency=0.90),
        row(OPTIMIZED, 0, consistency=0.92),
        row(M2, 1, consistency=0.90),
        row(OPTIMIZED, 1, consistency=0.96),
        row(M2, 2, consistency=0.10),
    ]
    found = gain(rows, column(rows, "class consistency"))
    assert found is not None and found.verdict == SAME
    assert tuple(found) == pytest.approx((4.0, 2.0, 2))
    assert values(rows, M2, column(rows, "class consistency"))[2] == pytest.approx(10.0)


def test_diversity_is_better_the_nearer_it_is_to_that_of_real_images() -> None:
    """1.3 is further from 1 than 0.8; without the absolute value it would be better."""
    rows = [row(M2, 0), row(OPTIMIZED, 0, feature_distance=1.3 * 1.25, pixel_distance=2.8)]
    in_features = gain(rows, column(rows, "diversity in features"))
    in_pixels = gain(rows, column(rows, "diversity in pixels"))
    assert in_features is not None and in_features.mean == pytest.approx(-0.1)
    assert in_pixels is not None and in_pixels.mean == pytest.approx(0.2)


SEEDS = [
    row(model, seed, log_p_x=-20.0 - seed + (0.5 if model == OPTIMIZED else 0.0))
    for seed in range(3)
    for model in (M2, OPTIMIZED)
]


def test_the_table_has_means_errors_real_images_and_gains() -> None:
    lines = generation_page.table(SEEDS).splitlines()
    assert len(lines) == 6
    assert lines[2] == (
        f"| {M2} | 90.00 ± 0.00 | 0.800 ± 0.000 | 0.500 ± 0.000 | 2.50 ± 0.00 | 0.700 ± 0.000 | "
        "2.00 ± 0.00 | -21.00 ± 0.58 | "
        "96.00 ± 0.00 | 3 |"
    )
    assert lines[4] == "| real test images | 97.50 | 1.000 | 1.000 | – | – | – | – | – | – |"
    assert lines[5].split(" | ")[7] == "+0.50 ± 0.00"
    assert "nats: gaussian, sigma = 0.5: better" in verdict(SEEDS)
    assert "class consistency, %: no clear difference" in verdict(SEEDS)


def test_the_page_has_the_claim_the_judge_and_what_is_measured() -> None:
    summary = {"n_labeled": 50, "epochs": 15, "train_seconds": 90.0}
    result = RunResult("x", summary, {}, {}, {"data": "digits"}, 1, "abc", {})
    effort = GenerationEffort(images=40, rows=1000, paths=9, samples=7, judge_epochs=2)
    page = generation_page.markdown(SEEDS, [result], "semivae reproduce generation", effort)
    assert "neither a number nor a picture" in page and generation_page.table(SEEDS) in page
    assert "97.00 % of all test rows right, 97.50 % of the test images" in page
    assert "7 samples of z, exact in y, on 1,000 test rows" in page
    assert "- minutes per run: 1.5" in page and "- pictures: of the models of seed 2" in page
    assert "\n![" in page and verdict(SEEDS) in page


def test_the_data_have_a_line_per_run() -> None:
    lines = list(csv.DictReader(io.StringIO(generation_page.to_csv(SEEDS))))
    assert [(line["model"], line["seed"]) for line in lines] == [
        (row.model, str(row.seed)) for row in SEEDS
    ]
    assert float(lines[2]["log_p_x"]) == -21.0 and lines[0]["rank"] == "0.7"
    assert lines[2]["accuracy"] == "0.96"
    real = [float(lines[0][f"real_{name}_distance"]) for name in ("feature", "pixel")]
    assert real == [1.25, 4.0] and lines[0]["feature_diversity"] == "0.8"
    assert lines[0]["crossing"] == "-30.0"


def test_log_p_x_along_paths_is_a_curve_of_each_run_that_has_paths() -> None:
    pathless = replace(BASE.boundary, path=None, profile=())
    assert generation_page.paths([Row(M2, 0, 0.9, replace(BASE, boundary=pathless))]) == []
    found = generation_page.paths(SEEDS)
    assert len(found) == len(SEEDS) * len(ALONG)
    assert [reading.x for reading in found[: len(ALONG)]] == list(ALONG)
    (axes,) = generation_page.paths_figure(found).axes
    drawn = {line.get_label(): line.get_ydata() for line in axes.get_lines()}
    np.testing.assert_allclose(drawn[M2], PROFILE)
    assert float(min(drawn[OPTIMIZED])) == -30.0
    assert "0" in [label.get_text() for label in axes.get_xticklabels()]


def test_the_figure_shows_every_seed_beside_real_images() -> None:
    figure = generation_page.figure(SEEDS)
    consistency, *_, log_p_x = figure.axes
    assert consistency.get_title(loc="left") == "class consistency, %"
    reference = [line.get_ydata() for line in consistency.get_lines()]
    assert [97.5, 97.5] in [list(each) for each in reference]
    seeds = [mark.get_offsets()[:, 1] for mark in log_p_x.collections]
    np.testing.assert_allclose(seeds[0], [-20, -21, -22])


def test_nothing_is_missing_where_nothing_was_asked(tmp_path: Path) -> None:
    of = generation.examination(tmp_path, quick=True)
    assert not generation.missing([], tmp_path, of)
    assert generation.missing([plan(1, True)[0].request], tmp_path, of)
