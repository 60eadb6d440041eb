"""The plan of Equation 4's experiment, what its probe reads, and its page."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from semivae import assessment
from semivae.diagnostics.encodings import Encodings
from semivae.fitting import Hooks
from semivae.models.specs import Conditional, Factorized
from semivae.paper.disentanglement import (
    BY_EPOCH,
    CHANCE,
    CONDITIONAL,
    FACTORIZED,
    FROM_Z,
    IN_Z,
    LEAKAGE,
    NAME,
    ReadFromZ,
    figures,
    findings,
    left_in_z,
    plan,
    read,
)
from semivae.paper.experiments import TEST_ACCURACY, Run
from semivae.paper.results import RunResult
from semivae.paper.runs import execute
from semivae.paper.sides import M2, OPTIMIZED
from semivae.plots.panels import Reading
from semivae.request import Request, prepare

pytestmark = pytest.mark.usefixtures("unchecked")


def test_only_the_posterior_differs() -> None:
    prepared = [prepare(run.request).recipe for run in plan(1, quick=True)]
    lines = [(run.panel, run.line) for run in plan(1, quick=True)]
    assert lines == [
        (model, line) for model in (M2, OPTIMIZED) for line in (FACTORIZED, CONDITIONAL)
    ]
    for factorized, conditional in (prepared[:2], prepared[2:]):
        assert factorized.family == Factorized() and conditional.family == Conditional()
        assert dataclasses.replace(conditional, family=Factorized()) == factorized
        assert factorized.probe == 100
    full = plan(2, quick=False)
    assert len(full) == 8 and full[4].request.seed == 1
    assert "probe=1000" in full[0].request.settings and full[0].request.rows == 11_000


@pytest.mark.parametrize(("tells", "low", "high"), [(True, 0.99, 1.0), (False, 0.3, 0.7)])
def test_the_probe_reads_a_class_that_is_in_z(
    tells: bool, low: float, high: float, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An encoder that hands the class on, and one whose z is N(0, 1) for every x."""
    y = np.arange(200) % 2
    x = y[:, None].astype(np.float64)

    class Predictor:
        classes = ("0", "1")
        model = None

        def chunks(self, rows: np.ndarray) -> list[torch.Tensor]:
            return [torch.from_numpy(rows)]

    def encoded(_: object, chunks: list[torch.Tensor]) -> Encodings:
        (rows,) = chunks
        mean = 9 * rows[:, None] * tells
        variance = torch.full_like(mean, -4.0 if tells else 0.0)
        return Encodings(torch.zeros(len(rows), 2), mean, variance)

    monkeypatch.setattr(assessment, "encode_set", encoded)
    arrays = type("Arrays", (), {"test": (x, y)})
    finished: Any = type(
        "Finished",
        (),
        {
            "prepared": type("Prepared", (), {"arrays": arrays}),
            "trained": type("Trained", (), {"predictor": Predictor()}),
        },
    )
    found = ReadFromZ()(finished, tmp_path)
    assert low <= found["accuracy_from_z"] <= high and found["accuracy_from_x"] == 1
    assert ReadFromZ().done(found) and not ReadFromZ().done({})
    assert not ReadFromZ(rows=7).done(found)


def test_a_run_keeps_what_is_read_of_it(tmp_path: Path) -> None:
    """End to end on a few digits."""
    settings = ("network=mlp", "network.hidden=16", "probe=60")
    request = Request("digits", 20, rows=200, settings=settings, epochs=2, baseline=False)
    result = execute(request, tmp_path, None, Hooks(), ReadFromZ())
    readings = list(read(Run(M2, FACTORIZED, request), result))
    by = {reading.measure: reading for reading in readings}
    assert by[FROM_Z].value == pytest.approx(100 * result.examined["accuracy_from_z"])
    assert by[TEST_ACCURACY].x == by[FROM_Z].x == 2
    assert [r.x for r in readings if r.measure == LEAKAGE] == [1, 2]


def by_hand(read_from_z: dict[tuple[str, str], list[float]]) -> list[Reading]:
    measures = dict.fromkeys((LEAKAGE, "active units of z", TEST_ACCURACY, CHANCE), 1.0)
    made = []
    for (panel, line), values in read_from_z.items():
        for seed, value in enumerate(values):
            every = measures | {
                FROM_Z: value,
                "class read from the mean of q(z|x), %": 50.0,
                "I(y; z) read by the probe, nats": 0.2,
            }
            made += [Reading(panel, line, 8.0, name, seed, v) for name, v in every.items()]
    return made


def test_the_page_compares_posteriors_over_paired_seeds() -> None:
    readings = by_hand(
        {
            (M2, FACTORIZED): [20.0, 22.0],
            (M2, CONDITIONAL): [30.0, 33.0],
            (OPTIMIZED, FACTORIZED): [20.0, 22.0],
            (OPTIMIZED, CONDITIONAL): [10.0, 30.0],
        }
    )
    found = left_in_z(readings)
    assert tuple(found[M2, FROM_Z]) == pytest.approx((-10.5, 0.5, 2))
    assert set(found) == {(model, measure) for model in (M2, OPTIMIZED) for measure in IN_Z}
    text = findings(readings)
    assert f"| {M2}, class read from z, points | -10.50 ± 0.50 | less | 2 |" in text
    unclear = "| no clear difference | 2 |"
    assert f"| {OPTIMIZED}, class read from z, points | +1.00 ± 9.00 {unclear}" in text
    assert f"| {M2}, I(y; z) read by the probe, nats | +0.00 ± 0.00 {unclear}" in text
    assert "| 21.00 ± 1.00 |" in text and f"({NAME}.png)" in text and f"({BY_EPOCH}.png)" in text
    assert list(figures(readings)) == [NAME, BY_EPOCH]


def test_a_result_without_a_probe_is_no_reading() -> None:
    result = RunResult("x", {"epochs": 1}, {"accuracy": 0.5}, {}, {}, 1, None, {})
    with pytest.raises(KeyError, match="accuracy_from_z"):
        list(read(plan(1, quick=True)[0], result))
