"""The affine map of x: known values, its inverse, and columns that do not vary."""

import numpy as np
import pytest
import torch

from semivae.data import arrays
from semivae.data.scaling import Scaling, pixels, standardize
from semivae.errors import InputError


def test_pixels_map_0_to_0_and_the_largest_to_1() -> None:
    scaled = pixels(16.0).apply(torch.tensor([[0, 4, 8, 16]], dtype=torch.uint8))
    assert scaled.dtype == torch.float32
    assert scaled.tolist() == [[0.0, 0.25, 0.5, 1.0]]


def test_a_standardized_table_has_mean_0_and_deviation_1_per_column() -> None:
    x = np.random.default_rng(0).normal([5.0, -300.0], [0.1, 40.0], (500, 2))
    scaled = standardize(x).apply(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(scaled.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(scaled.std(0), 1, rtol=1e-4)


def test_known_values() -> None:
    scaling = standardize(np.array([[1.0, 10.0], [3.0, 30.0]]))
    assert scaling.shift.tolist() == [2.0, 20.0]
    assert scaling.scale.tolist() == [1.0, 10.0]
    assert scaling.apply(torch.tensor([[4.0, 20.0]])).tolist() == [[2.0, 0.0]]


@pytest.mark.parametrize("constant", [0.0, 7.0, 1e6, 0.1])
def test_a_constant_column_is_only_shifted(constant: float) -> None:
    x = np.full((100, 1), constant)
    scaling = standardize(x)
    assert scaling.scale.tolist() == [1.0]
    np.testing.assert_allclose(scaling.apply(torch.from_numpy(x)), 0, atol=1e-3)


@pytest.mark.parametrize(("unit", "origin"), [(1e-9, 0.0), (1e4, 1.7e12)])
def test_a_column_is_scaled_in_whatever_units(unit: float, origin: float) -> None:
    """Nanometres, and times in milliseconds since 1970, whose deviation is small beside them."""
    plain = np.random.default_rng(0).normal(size=(500, 1))
    x = origin + unit * plain
    scaled = standardize(x).apply(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(scaled, (plain - plain.mean()) / plain.std(), atol=1e-3)


def test_integer_columns_do_not_overflow() -> None:
    x = np.array([[250], [255]] * 50, dtype=np.uint8)
    scaling = standardize(x)
    assert (scaling.shift.tolist(), scaling.scale.tolist()) == ([252.5], [2.5])


@pytest.mark.parametrize(
    "scaling",
    [pixels(255.0), Scaling(torch.tensor([2.0, -1.0]), torch.tensor([3.0, 0.5]))],
    ids=["pixels", "columns"],
)
def test_undo_is_the_inverse(scaling: Scaling) -> None:
    x = torch.linspace(0, 255, 20).view(10, 2)
    torch.testing.assert_close(scaling.undo(scaling.apply(x)), x)
    torch.testing.assert_close(scaling.apply(scaling.undo(x)), x)


def test_a_scaling_that_was_fitted_is_applied_unchanged_to_other_rows() -> None:
    scaling = standardize(np.array([[0.0], [2.0]]))
    assert scaling.apply(torch.tensor([[101.0]])).tolist() == [[100.0]]


def test_blocks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    """A memory-mapped table is read a block at a time, twice."""
    x = np.random.default_rng(1).normal([5.0, -300.0], [0.1, 40.0], (501, 2))
    whole = standardize(x)
    monkeypatch.setattr(arrays, "BLOCK_BYTES", 80 * x.shape[1])
    torch.testing.assert_close(standardize(x), whole)
    np.testing.assert_allclose(whole.shift, x.mean(0))
    np.testing.assert_allclose(whole.scale, x.std(0))


def test_values_beyond_squaring_are_refused_by_column() -> None:
    with pytest.raises(InputError, match="column 1 of X holds values too large"):
        standardize(np.array([[1.0, 1e200], [2.0, -1e200]]))
