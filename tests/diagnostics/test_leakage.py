"""The linear probe on codes whose class is known: closed forms of accuracy and information."""

import math

import numpy as np
import pytest

from semivae.diagnostics.leakage import linear_probe
from semivae.errors import InputError

ROWS = 20_000


def two_classes(distance: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """z ~ N(+-distance, 1) by class in the first of three columns, and y."""
    source = np.random.default_rng(seed)
    y = np.arange(ROWS) % 2
    z = source.normal(size=(ROWS, 3)).astype(np.float32)
    z[:, 0] += distance * (2 * y - 1)
    return z, y


def information(distance: float) -> float:
    """I(y; z) = log 2 - E H(y|z) by quadrature, z ~ N(distance, 1) of one of two alike classes."""
    z = np.linspace(-12, 12, 20_001)
    density = np.exp(-0.5 * (z - distance) ** 2) / math.sqrt(2 * math.pi)
    surprise = np.logaddexp(0, -2 * distance * z)  # -log p(y = 1|z)
    return math.log(2) - float(np.trapezoid(density * surprise, z))


@pytest.mark.parametrize("distance", [0.3, 1.0, 2.0])
def test_probe_reaches_the_bayes_accuracy_and_the_information(distance: float) -> None:
    """p(y|z) of two Gaussians is a logistic regression, so that the bound on I(y; z) is tight."""
    z, y = two_classes(distance)
    far, _ = two_classes(5.0, seed=1)
    nothing, _ = two_classes(0.0, seed=2)
    found = linear_probe(far, z, nothing, y, seed=0)
    bayes = 0.5 * (1 + math.erf(distance / math.sqrt(2)))
    error = 4 * math.sqrt(0.25 / (ROWS // 2))
    assert found.accuracy_from_z == pytest.approx(bayes, abs=error)
    assert found.accuracy_from_means > 0.999
    assert found.accuracy_from_x == pytest.approx(0.5, abs=error)
    assert found.chance == pytest.approx(0.5, abs=1e-3)
    assert found.information_from_z == pytest.approx(information(distance), abs=0.01)
    assert (found.fitted, found.scored) == (ROWS // 2, ROWS // 2)


def test_information_of_codes_that_tell_nothing_is_0_and_accuracy_is_chance() -> None:
    source = np.random.default_rng(0)
    z, y = source.normal(size=(200, 20)), np.where(np.arange(200) < 140, 2, 7)
    found = linear_probe(z, z, z, y, seed=0)
    assert found.information_from_z == 0
    assert found.chance == pytest.approx(0.7)
    assert found.accuracy_from_z < 0.8


def test_halves_are_drawn_by_seed_alone() -> None:
    z, y = two_classes(1.0)
    z, y = z[:300], y[:300]
    assert linear_probe(z, z, z, y, 0) == linear_probe(z, z, z, y, 0)
    assert linear_probe(z, z, z, y, 0) != linear_probe(z, z, z, y, 1)


@pytest.mark.parametrize("y", [[0, 0, 0, 0], [0, 0, 0, 1]])
def test_classes_that_cannot_be_halved_are_refused(y: list[int]) -> None:
    z = np.zeros((4, 1))
    with pytest.raises(InputError, match="2 rows of each"):
        linear_probe(z, z, z, np.array(y), seed=0)
