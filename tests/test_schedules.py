"""schedules.py: a straight line, held at its end."""

import pytest

from semivae.schedules import Ramp, weight_at


def test_a_ramp_is_a_line_and_then_its_end() -> None:
    """Linear in the fraction of training up to `until`, also downwards."""
    up, down = Ramp(1.0, 3.0, until=0.4), Ramp(5.0, -1.0, until=1.0)
    assert [up(f) for f in (0.0, 0.1, 0.2, 0.4, 0.7, 1.0)] == pytest.approx([1, 1.5, 2, 3, 3, 3])
    assert [down(f) for f in (0.0, 0.5, 1.0)] == pytest.approx([5, 2, -1])


def test_a_weight_is_a_number_or_a_ramp() -> None:
    """A number holds throughout."""
    assert [weight_at(0.7, f) for f in (0.0, 1.0)] == [0.7, 0.7]
    assert [weight_at(Ramp(0.0, 2.0, until=0.5), f) for f in (0.0, 0.25, 1.0)] == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("until", [0.0, -0.5, 1.5])
def test_until_is_a_fraction_of_training(until: float) -> None:
    """Anything else is refused with its value."""
    with pytest.raises(ValueError, match=f"until={until}"):
        Ramp(0.0, 1.0, until)


def test_ramps_are_values() -> None:
    """Equal and hashable, as everything that configures a run."""
    assert Ramp(0.0, 1.0, 0.5) == Ramp(0.0, 1.0, 0.5)
    assert len({Ramp(0.0, 1.0, 0.5), Ramp(0.0, 1.0, 0.5), Ramp(0.0, 2.0, 0.5)}) == 2
