"""spread: means over seeds, by hand."""

import math

import pytest

from semivae.spread import Spread, spread


def test_a_spread_is_the_mean_and_its_standard_error() -> None:
    found = spread([95.0, 96.0, 97.0, 98.0])
    assert found.mean == 96.5
    assert found.error == pytest.approx(math.sqrt(5 / 3) / 2)
    assert found.text(2) == "96.50 ± 0.65"
    one = spread([95.0])
    assert one.mean == 95 and math.isnan(one.error) and one.text(1) == "95.0"
    assert Spread(0.5, 0.0).text(3) == "0.500 ± 0.000"
