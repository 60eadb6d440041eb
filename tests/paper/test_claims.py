"""The eleven claims: what is open without measurements, and the page with them."""

from pathlib import Path

import pytest

from semivae.paper import claims
from semivae.paper.claims import CLAIMS, LIMIT, PARTS, Measured, judged, page
from semivae.paper.verdicts import HOLDS, OPEN, PARTLY, Finding


def test_every_claim_is_there_once() -> None:
    assert [claim.key for claim in CLAIMS] == [f"C{n}" for n in range(1, 12)]


def test_without_measurements_only_mathematics_is_judged(tmp_path: Path) -> None:
    found = judged(Measured(tmp_path, quick=False))
    assert {claim.key: of.verdict for claim, of in found if of.verdict != OPEN} == {"C10": PARTLY}
    text = page(found, Measured(tmp_path, quick=False))
    assert "1 holds in part, 10 not decided." in text
    assert "Not measured yet: `semivae reproduce ablation`" in text
    assert text.count("![") == 1 and f"../claims/{LIMIT}.png" in text
    assert list(claims.figures(Measured(tmp_path, quick=False))) == [LIMIT]


@pytest.mark.parametrize("quick", [False, True])
def test_figures_are_linked_where_they_lie(tmp_path: Path, quick: bool) -> None:
    measured = Measured(tmp_path, quick)
    end = "-quick" if quick else ""
    found = [claims.Judged(claim, Finding(HOLDS, "so")) for claim in CLAIMS]
    text = page(found, measured)
    assert text.startswith("# What") and "11 holds." in text
    for path in (
        f"../results-table{end}.png",
        f"../claims{end}/{PARTS}.png",
        f"../claims{end}/{LIMIT}.png",
        f"../generation{end}/generation.png",
        f"../classifier-entropy{end}/classifier-entropy.png",
    ):
        assert f"]({path})" in text


def test_an_experiment_that_has_not_ended_is_not_measured(tmp_path: Path) -> None:
    (tmp_path / "domains" / "runs").mkdir(parents=True)
    found = {claim.key: of for claim, of in judged(Measured(tmp_path, quick=False))}
    assert found["C11"].verdict == OPEN and "domains" in found["C11"].words
