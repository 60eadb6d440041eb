"""paper.spreads: paired differences, by hand."""

import math

import pytest

from semivae.paper.spreads import LESS, MORE, ONE_SEED, SAME, Gain, gain


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Gain(5.0, math.inf, 1), ONE_SEED),
        (Gain(5.0, 1.2, 3), SAME),
        (Gain(5.0, 2.3, 15), MORE),
        (Gain(5.0, 0.4, 2), SAME),
        (Gain(5.0, 1.1, 3), MORE),
        (Gain(-5.0, 1.1, 3), LESS),
        (Gain(0.0, 0.0, 3), SAME),
    ],
)
def test_a_verdict_is_beyond_the_interval_of_student_s_t(found: Gain, words: str) -> None:
    """The quantiles for 1, 2 and 14 degrees of freedom: 12.71, 4.30 and 2.14."""
    assert found.verdict == words


def test_a_gain_is_over_the_seeds_of_both() -> None:
    found = gain({0: 92.0, 1: 96.0}, {1: 90.0, 0: 90.0, 2: 10.0})
    assert found == Gain(4.0, 2.0, 2) and found.text(1) == "+4.0 ± 2.0"
    one = gain({0: 1.0, 5: 3.0}, {5: 4.0})
    assert one is not None and (one.mean, one.seeds) == (-1.0, 1) and math.isnan(one.error)
    assert one.text(2) == "-1.00" and one.verdict == ONE_SEED
    assert gain({0: 1.0}, {1: 1.0}) is None
