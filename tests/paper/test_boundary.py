"""paper.boundary against densities and classifiers of one pixel, where everything is known."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from semivae.diagnostics.encodings import Encodings
from semivae.errors import InputError
from semivae.paper import boundary as module
from semivae.paper.boundary import between, boundary, first_change, least_margin, pairs

ROWS = np.linspace(-2, 3, 40).reshape(-1, 1, 1, 1)  # classes change at 0; 0 is not the middle


class Signs:
    """q(y = 1|x) = sigmoid(4 x): the boundary is at x = 0."""

    model = None

    def chunks(self, x: np.ndarray) -> np.ndarray:
        return x

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        p = 1 / (1 + np.exp(-4 * x.reshape(len(x))))
        return np.stack([1 - p, p], 1)


pytestmark = pytest.mark.usefixtures("unchecked")


def measured(
    monkeypatch: pytest.MonkeyPatch, log_p: Callable[[np.ndarray], np.ndarray], paths: int = 10
) -> module.Boundary:
    def encoded(_: object, x: np.ndarray) -> Encodings:
        log_q = torch.from_numpy(np.log(Signs().predict_proba(x)))
        return Encodings(log_q, torch.zeros(len(x), 1, 1), torch.zeros(len(x), 1, 1))

    monkeypatch.setattr(module, "encode_set", encoded)
    monkeypatch.setattr(module, "log_p_x", lambda _, x, *rest: log_p(x.reshape(len(x))))
    return boundary(Signs(), ROWS, log_p(ROWS.reshape(-1)), paths, samples=1, seed=0)


def test_a_boundary_in_the_densest_place_is_seen_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    """log p = -x^2 / 2 is 0 at the boundary and -t^2 / 2 along a path."""
    found = measured(monkeypatch, lambda x: -(x**2) / 2)
    assert found.crossing == pytest.approx(0, abs=1e-3)
    start, end = (ROWS[rows].reshape(-1) for rows in pairs(ROWS.reshape(-1) > 0, 10, 0))
    steps = np.linspace(0.1, 0.9, 9)[:, None]
    path = -(((1 - steps) * start + steps * end) ** 2) / 2
    assert found.path == pytest.approx(path.mean())
    assert found.rank == 0 and found.gap < 0 and found.dip < 0
    nearest = np.sort(np.abs(ROWS.reshape(-1)))[:2]  # 5 % of 40
    assert found.least == pytest.approx(-(nearest**2).mean() / 2)


def test_a_boundary_in_the_rarest_place_is_seen_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    found = measured(monkeypatch, lambda x: np.abs(x))
    assert found.rank == 1 and found.gap > 0 and found.dip > 0


def test_the_profile_of_a_path_has_its_ends_and_the_boundary_in_their_places(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With log p = x, of paths that cross 0 and are straight on either side of it."""
    found = measured(monkeypatch, lambda x: x)
    ends = pairs(ROWS.reshape(-1) > 0, 10, 0)
    start, end = (ROWS[rows].mean() for rows in ends)
    expected = [-place * start if place <= 0 else place * end for place in module.ALONG]
    assert found.profile == pytest.approx(expected, abs=0.02)
    assert found.profile[4] == found.crossing == pytest.approx(0, abs=0.02)
    assert measured(monkeypatch, lambda x: x, paths=0).profile == ()


def test_no_path_is_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    found = measured(monkeypatch, lambda x: x, paths=0)
    assert found.crossing is None and math.isnan(found.dip) and found.gap != 0


def test_paths_go_between_predicted_classes_and_share_no_row() -> None:
    predicted = np.repeat([0, 1, 2], 20)
    ends = pairs(predicted, 12, seed=3)
    assert len(ends.start) == 12 and (predicted[ends.start] != predicted[ends.end]).all()
    assert len(np.unique(np.concatenate(ends))) == 24
    assert not np.array_equal(ends.start, pairs(predicted, 12, seed=4).start)


def test_a_path_has_its_ends_and_one_share_each_if_asked() -> None:
    start, end = np.zeros((2, 1, 2, 2)), np.ones((2, 1, 2, 2))
    assert (between(start, end, 0) == start).all() and (between(start, end, 1) == end).all()
    assert between(start, end, np.array([0.25, 0.5]))[:, 0, 0, 0].tolist() == [0.25, 0.5]


def test_the_prediction_changes_where_it_does() -> None:
    start, end = np.array([-1.0, 3.0]), np.array([3.0, -1.0])
    found = first_change(Signs(), start.reshape(-1, 1), end.reshape(-1, 1))  # type: ignore[arg-type]
    np.testing.assert_allclose(found, [0.25, 0.75], atol=0.005 + 1e-9)


class Single(Signs):
    """One class everywhere, as bfloat16 may have it of rows that float32 tells apart."""

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        return np.tile([0.9, 0.1], (len(x), 1))


def test_a_path_whose_ends_are_predicted_alike_crosses_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = first_change(Single(), ROWS[:2].reshape(-1, 1), ROWS[-2:].reshape(-1, 1))  # type: ignore[arg-type]
    assert np.isnan(found).all()
    monkeypatch.setattr(Signs, "predict_proba", Single.predict_proba)
    ends = module.Ends(np.array([0]), np.array([39]))
    monkeypatch.setattr(module, "pairs", lambda *_: ends)
    found_none = measured(monkeypatch, lambda x: x)
    assert found_none.crossing is None and found_none.profile == ()


def test_margins_are_compared() -> None:
    probs = np.array([[0.5, 0.4, 0.1], [0.34, 0.33, 0.33], [0.6, 0.4, 0.0]])
    probs = np.maximum(probs, 1e-30)
    assert least_margin(np.log(probs)).tolist() == [False, True, False]
    assert least_margin(np.tile(np.log(probs), (20, 1))).sum() == 3
    sure = np.array([[0.0, -60.0], [0.0, -40.0], [0.0, -50.0]], np.float32)
    assert least_margin(sure).tolist() == [False, True, False], "all of them 1.0 in float32"
    with pytest.raises(InputError, match="at least 2"):
        least_margin(probs[:1])
