"""paper.gradient_estimators: the arithmetic of bias and variance, the laws that the estimators
keep on a small model, and the files that are not taken twice."""

import csv
import io
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from semivae.bounds import labeled_elbos
from semivae.errors import InputError
from semivae.labels import Enumerated, Pruned, Relaxed, Sampled, StraightThrough
from semivae.models.networks import MLP
from semivae.models.specs import Factorized, Gaussian, M2Spec
from semivae.paper import gradient_estimators as estimators
from semivae.paper.experiments import to_csv
from semivae.paper.gradient_errors import DECODER, LOGITS, Errors, Point
from semivae.paper.gradient_estimators import (
    ESTIMATORS,
    INITIALIZATION,
    TRAINED,
    Estimator,
    Measured,
    Study,
    Taken,
    compare,
    studies,
)
from semivae.paper.gradient_page import markdown, over_seeds, points

pytestmark = pytest.mark.usefixtures("unchecked")

SMALL = Study("digits", labels=20, epochs=1, rows=5, draws=3, seed=1)


@pytest.fixture(scope="module")
def point() -> Point:
    """Twelve rows of a small model whose decoder tells the three classes apart."""
    model = M2Spec(MLP(8, 2), Factorized(), Gaussian(0.3)).build((6,), torch.zeros(3), 0)
    with torch.no_grad():
        model.decoder.first.of_y.weight.mul_(3.0)
    x = torch.rand(12, 6, generator=torch.Generator().manual_seed(2))
    return Point(model, x, seed=0)


def found(point: Point, chosen: tuple[Estimator, ...], draws: int) -> list[Measured]:
    """What `compare` says of these estimators."""
    steps: list[tuple[int, int]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(estimators, "ESTIMATORS", chosen)
        rows = list(
            compare(point, draws, TRAINED, 5, 100, lambda done, total: steps.append((done, total)))
        )
    assert steps == [(5 + n, 100) for n in range(1, draws * len(chosen) + 1)]
    return rows


def test_errors_are_those_of_vectors_whose_bias_and_variance_are_known() -> None:
    """g = exact + bias + noise, relative to |exact|; the bias without the error of its mean."""
    draw = torch.Generator().manual_seed(0)
    exact = torch.randn(400, generator=draw, dtype=torch.float64)
    bias = torch.randn(400, generator=draw, dtype=torch.float64)
    for size in (0.0, 0.5):
        errors = Errors(exact)
        for _ in range(300):
            noise = torch.randn(400, generator=draw, dtype=torch.float64) * 2 * exact.norm() / 20
            errors.add(exact + size * exact.norm() * bias / bias.norm() + noise)
        seen = errors.relative()
        assert seen.sd == pytest.approx(2.0, rel=0.02)
        assert seen.resolution == pytest.approx(2.0 / math.sqrt(300), rel=0.02)
        assert seen.bias == pytest.approx(size, abs=0.1)
        assert (seen.bias >= seen.resolution) is (size > 0)
    errors = Errors(exact)
    errors.add(-2 * exact), errors.add(-2 * exact)
    assert errors.relative() == pytest.approx((3.0, 0.0, 0.0, -1.0), abs=1e-6)


def test_the_exact_sum_has_no_error(point: Point) -> None:
    """And a pruned sum that leaves nothing out has none either."""
    whole = Pruned(exact=3, roulette=1e-9)
    for row in found(point, (Estimator("exact", Enumerated()), Estimator("whole", whole)), 2):
        assert row.bias < 1e-5 and row.sd < 1e-5 and row.cosine == pytest.approx(1.0)
        assert row.pairs == 3


def test_unbiased_rules_show_no_bias_and_relaxed_ones_do(point: Point) -> None:
    """The score function and the pruned sum in both parts; hard samples in the decoder's alone."""
    chosen = (
        Estimator("pruned", Pruned(1, 0.2)),
        Estimator("score", Sampled()),
        Estimator("soft", Relaxed(2.0), 2.0),
        Estimator("hard", StraightThrough(2.0), 2.0),
    )
    rows = {(row.kind, row.part): row for row in found(point, chosen, 400)}
    for kind, part in rows:
        unbiased = kind in ("pruned", "score") or (kind, part) == ("hard", DECODER)
        row = rows[kind, part]
        assert (row.bias < 2 * row.resolution) is unbiased, row
    assert rows["soft", LOGITS].sd < rows["score", LOGITS].sd
    assert rows["pruned", LOGITS].sd < rows["score", LOGITS].sd
    assert rows["score", DECODER].pairs == 1 < rows["pruned", DECODER].pairs


def test_the_noise_of_z_is_the_same_in_every_draw(point: Point) -> None:
    """Only y is random: the exact sum does not depend on the draw, a sampled one does."""
    first, second = (point.gradient(Enumerated(), draw) for draw in (0, 1))
    assert torch.equal(first.parts[LOGITS], second.parts[LOGITS])
    first, second = (point.gradient(StraightThrough(), draw) for draw in (0, 1))
    assert not torch.equal(first.parts[DECODER], second.parts[DECODER])


def test_the_gradient_is_that_of_training(point: Point) -> None:
    """Of the mean of U(x) with respect to the classifier's logits: section 2.3's formula."""
    q = point.encoded.q_y.probs.detach()
    v = labeled_elbos(point.model, point.encoded, point.z_noise).detach() - q.log()
    expected = q * (v - (q * v).sum(1, keepdim=True)) / len(q)
    ours = point.gradient(Enumerated(), 0).parts[LOGITS]
    torch.testing.assert_close(ours.float(), expected.flatten(), rtol=1e-3, atol=1e-5)


def test_a_measurement_is_taken_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both moments, every estimator, both parts; then read from its file, which is kept."""
    steps: list[tuple[int, int]] = []
    taken = estimators.take(SMALL, tmp_path, None, lambda *at: steps.append(at))
    rows = taken.measured
    total = 2 * len(ESTIMATORS) * SMALL.draws
    assert steps == [(n, total) for n in range(1, total + 1)]
    keys = [(row.moment, row.kind, row.tau, row.part) for row in rows]
    assert keys == [
        (moment, kind, tau, part)
        for moment in (INITIALIZATION, TRAINED)
        for kind, _, tau in ESTIMATORS
        for part in (LOGITS, DECODER)
    ]
    assert all(math.isfinite(value) for row in rows for value in (row.bias, row.sd, row.cosine))
    halves = [[row.sd for row in rows if row.moment == m] for m in (INITIALIZATION, TRAINED)]
    assert halves[0] != halves[1], "training changes them"
    stored = json.loads((tmp_path / "seed-1.json").read_text())
    assert stored["study"]["rows"] == 5 and stored["machine"]["torch"] == torch.__version__

    def refuse(*_: object) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr(estimators, "_take", refuse)
    assert estimators.take(SMALL, tmp_path, None, refuse) == taken
    assert estimators.read(tmp_path) == [taken]
    with pytest.raises(InputError, match=r"seed-1\.json is of another study: move it"):
        estimators.take(replace(SMALL, draws=4), tmp_path, None, refuse)
    assert json.loads((tmp_path / "seed-1.json").read_text()) == stored


def test_the_data_are_mnist_and_digits_for_a_quick_look() -> None:
    assert [(s.data, s.seed) for s in studies(2, quick=False)] == [("mnist", 0), ("mnist", 1)]
    assert studies(1, quick=True)[0].data == "digits"


def a_row(seed: int = 0, **changed: object) -> Measured:
    row = Measured(
        seed, INITIALIZATION, LOGITS, "score function", None, 1.0, 0.02, 0.03, 2.0, 0.25
    )
    return replace(row, **changed)


def test_seeds_are_averaged_as_squares() -> None:
    """Bias, resolution and sd as root mean squares, cosine and pairs as means."""
    rows = [a_row(0, bias=0.3, sd=1.0, cosine=0.2), a_row(1, bias=0.4, sd=7.0, cosine=0.4)]
    (mean,) = over_seeds(rows)
    assert mean.bias == pytest.approx(math.sqrt(0.125)) and mean.sd == 5.0
    assert mean.cosine == pytest.approx(0.3) and mean.resolution == pytest.approx(0.03)
    assert len(over_seeds([*rows, a_row(part=DECODER), a_row(tau=0.5)])) == 3


def taken(rows: list[Measured], seed: int = 0, commit: str | None = "abc") -> Taken:
    """A hand-made study of 90 seconds and a minute more for every seed."""
    study, seconds = replace(SMALL, seed=seed), 90.0 + 60 * seed
    return Taken(study, "paper-m2", seconds, commit, {"threads": 1 + seed}, rows)


def test_the_page_says_what_its_numbers_depend_on() -> None:
    rows = [
        a_row(moment=moment, part=part, kind=kind, tau=tau)
        for moment in (INITIALIZATION, TRAINED)
        for kind, _, tau in ESTIMATORS
        for part in (LOGITS, DECODER)
    ]
    studies = [taken(rows), taken(rows, 1, "def"), taken(rows, 2, None)]
    lines = markdown(studies, "the command").splitlines()
    assert lines[-4:] == [
        "- minutes per seed: 1.5 to 3.5, beside other work",
        "- threads: 1, 2, 3",
        "- command: the command",
        "- commits: None, abc, def",
    ]
    assert "- seeds: 0, 1, 2, of split, initial weights, rows and noise alike" in lines
    assert "- labels: 20, balanced over classes, drawn by seed; the rows have none" in lines


def test_the_table_the_csv_and_the_figure_say_the_same() -> None:
    """A bias within its own error is no number in the table and an open mark in the figure."""
    rows = [
        a_row(moment=moment, part=part, kind=kind, tau=tau)
        for moment in (INITIALIZATION, TRAINED)
        for kind, _, tau in ESTIMATORS
        for part in (LOGITS, DECODER)
    ]
    rows[0] = replace(rows[0], bias=0.456, sd=12.345)
    text = markdown([taken(rows)], "the command")
    assert "digits, 5 rows, 3 draws of y, 1 seed." in text and "training of 1 epoch:" in text
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(lines) == 2 * (len(ESTIMATORS) + 2)
    first = "| pruned sum | – | 1.00 | 0.456 | 12.35 | 0.250 | < 0.030 | 2.00 | 0.250 |"
    assert lines[2] == first
    assert "| Gumbel-Softmax | 0.67 |" in lines[6]
    assert len(list(csv.DictReader(io.StringIO(to_csv(rows))))) == len(rows)
    shown = points(rows)
    assert shown[0].panel == "logits, at initialization" and shown[0].bias == 0.456
    assert {point.label for point in shown} == {"", "2", "1", "0.67", "0.3", "0.1"}
