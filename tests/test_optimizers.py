"""optimizers.py: Adam by hand, decoupled decay, and the shape of the learning rate."""

import math
from itertools import pairwise

import pytest
import torch
from torch import nn

from semivae.optimizers import Adam, AdamW, Constant, LearningRate, OneCycle, Optimizer


def steps(optimizer: Optimizer, gradients: list[float], start: float = 2.0) -> list[float]:
    """The weight after each of these gradients."""
    weight = nn.Parameter(torch.tensor([start], dtype=torch.float64))
    built = optimizer.build([weight])
    path = []
    for gradient in gradients:
        weight.grad = torch.tensor([gradient], dtype=torch.float64)
        built.step()
        path.append(weight.item())
    return path


def test_section_2_8_adam_by_hand() -> None:
    """m, v with 0.9 and 0.999, both corrected for their start, a step of lr m / (sqrt v +
    1e-8)."""
    gradients, w, m, v, expected = [0.3, -2.0, 0.7, 0.0], 2.0, 0.0, 0.0, []
    for t, g in enumerate(gradients, 1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        w -= 0.01 * (m / (1 - 0.9**t)) / (math.sqrt(v / (1 - 0.999**t)) + 1e-8)
        expected.append(w)
    assert steps(Adam(0.01), gradients) == pytest.approx(expected, rel=1e-9)
    assert Adam().peak == 1e-3


def test_adamw_decays_the_weight_and_not_the_gradient() -> None:
    """A step of Adam after a shrink by lr times decay; with no gradient the shrink alone."""
    assert steps(AdamW(0.1, decay=0.5), [0.0, 0.0]) == pytest.approx([1.9, 1.805])
    assert steps(AdamW(0.1, decay=0.0), [1.0, 1.0]) == pytest.approx(steps(Adam(0.1), [1.0, 1.0]))
    assert steps(AdamW(0.1, decay=0.5), [3.0]) == pytest.approx([1.9 - 0.1], rel=1e-6)


def test_build_takes_any_iterable_of_parameters() -> None:
    """`model.parameters()` is a generator."""
    model = nn.Linear(2, 3)
    for optimizer in (Adam(), AdamW()):
        built = optimizer.build(model.parameters())
        assert len(built.param_groups[0]["params"]) == 2
        assert built.param_groups[0]["lr"] == optimizer.peak


@pytest.mark.parametrize(
    "schedule", [Constant(), OneCycle(), OneCycle(rise=0.1, start=0.5)], ids=str
)
def test_a_learning_rate_is_a_factor_between_0_and_1(schedule: LearningRate) -> None:
    """At every fraction of training, and 1 somewhere."""
    values = [schedule(i / 1000) for i in range(1001)]
    assert min(values) >= 0 and max(values) == pytest.approx(1.0)


def test_one_cycle_rises_then_falls_without_a_jump() -> None:
    """From `start` to 1 at `rise`, then down to 0, along half cosines."""
    cycle = OneCycle(rise=0.25, start=0.1)
    values = [cycle(i / 1000) for i in range(1001)]
    assert values[0] == pytest.approx(0.1) and values[250] == pytest.approx(1.0)
    assert values[1000] == pytest.approx(0.0, abs=1e-12)
    assert all(a < b for a, b in pairwise(values[:251]))
    assert all(a > b for a, b in pairwise(values[250:]))
    assert max(abs(a - b) for a, b in pairwise(values)) < 0.01
    assert cycle(0.125) == pytest.approx(0.55) and cycle(0.625) == pytest.approx(0.5)


def test_optimizers_and_learning_rates_are_values() -> None:
    """Equal and hashable, as everything that configures a run."""
    assert Adam() == Adam(1e-3) and hash(AdamW(decay=0.1)) == hash(AdamW(decay=0.1))
    assert OneCycle() != OneCycle(rise=0.2) and Constant() == Constant()
