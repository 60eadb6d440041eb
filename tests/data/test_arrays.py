"""Features at the door: which shapes are seen how, what is refused, and that nothing is copied."""

import numpy as np
import pytest
from scipy import sparse

from semivae.data import arrays
from semivae.data.arrays import check_features
from semivae.errors import InputError


@pytest.mark.parametrize(
    ("shape", "channels_last", "seen"),
    [
        ((5, 7), None, (5, 7)),
        ((5, 1), None, (5, 1)),
        ((5, 28, 28), None, (5, 1, 28, 28)),
        ((5, 28, 28), True, (5, 1, 28, 28)),
        ((5, 3, 28, 20), None, (5, 3, 28, 20)),
        ((5, 1, 28, 20), None, (5, 1, 28, 20)),
        ((5, 28, 20, 3), None, (5, 3, 28, 20)),
        ((5, 28, 20, 1), None, (5, 1, 28, 20)),
        ((5, 3, 8, 3), True, (5, 3, 3, 8)),
        ((5, 3, 8, 3), False, (5, 3, 8, 3)),
        ((5, 8, 8, 4), True, (5, 4, 8, 8)),
        ((5, 8, 8, 4), False, (5, 8, 8, 4)),
    ],
)
def test_shapes(shape, channels_last, seen):
    assert check_features(np.zeros(shape), channels_last=channels_last).shape == seen


def test_pixels_keep_their_place():
    X = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)
    seen = check_features(X)
    for c in range(3):
        np.testing.assert_array_equal(seen[:, c], X[..., c])


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 6), (4, 3, 6, 6), (4, 6, 6, 3)])
def test_dtype_stays_and_nothing_is_copied(shape, dtype):
    X = np.ones(shape, dtype)
    seen = check_features(X)
    assert seen.dtype == dtype
    assert np.shares_memory(seen, X)


def test_memory_mapped_input_stays_memory_mapped(tmp_path):
    for shape in [(4, 6), (4, 6, 6), (4, 6, 6, 3)]:
        np.save(tmp_path / "x.npy", np.ones(shape, np.float32))
        X = np.load(tmp_path / "x.npy", mmap_mode="r")
        seen = check_features(X)
        assert isinstance(seen, np.memmap)
        assert np.shares_memory(seen, X)


def test_booleans_are_seen_as_uint8():
    X = np.array([[True, False], [False, True]])
    seen = check_features(X)
    assert seen.dtype == np.uint8
    assert np.shares_memory(seen, X)
    np.testing.assert_array_equal(seen, [[1, 0], [0, 1]])


def test_nested_lists_are_accepted():
    np.testing.assert_array_equal(check_features([[1.5, 2], [3, 4]]), [[1.5, 2.0], [3.0, 4.0]])


@pytest.mark.parametrize("shape", [(5, 3, 32, 3), (5, 1, 32, 1), (5, 1, 8, 3), (5, 3, 1, 1)])
def test_either_order_of_axes_is_an_error_that_asks(shape):
    with pytest.raises(InputError, match=r"either .*channels_last=False .* channels_last=True"):
        check_features(np.zeros(shape))


def test_neither_order_of_axes_is_an_error_that_asks():
    with pytest.raises(InputError, match=r"no axis has 1 or 3 channels.*channels_last"):
        check_features(np.zeros((5, 32, 32, 4)))


NAType = type("NAType", (), {})  # as pandas calls the type of its missing value


class Refuses:
    """As a tensor on another device does."""

    def __array__(self, dtype=None, copy=None):
        raise TypeError("can't convert device tensor to numpy")


@pytest.mark.parametrize(
    ("X", "complaint"),
    [
        (np.zeros(5), r"shape \(5,\).*Reshape your data"),
        (np.float64(3), r"shape \(\)"),
        (np.zeros((2, 3, 4, 5, 6)), r"shape \(2, 3, 4, 5, 6\)"),
        (np.zeros((0, 3)), r"0 sample\(s\)"),
        (np.zeros((3, 0)), r"0 feature\(s\) \(shape=\(3, 0\)\) while a minimum of 1 is required"),
        (np.zeros((3, 0, 5)), r"0 feature\(s\)"),
        (np.array([["a", "b"]]), "dtype <U1"),
        (np.array([[1, "b"]], dtype=object), "dtype object and 'b' in row 0, column 1: features"),
        (np.array([[1, None]], dtype=object), "1 NaN and 0 infinite .* row 0, column 1"),
        (np.array([[NAType(), 2]], dtype=object), "1 NaN and 0 infinite .* row 0, column 0"),
        (np.array([["2020-01-01"]], dtype="M8[D]"), "must be numbers"),
        (np.ones((2, 2), ">f4"), r"dtype >f4, which PyTorch does not read: give X.astype"),
        (np.ones((2, 2), np.longdouble), "which PyTorch does not read"),
        (np.array([[1 + 2j]]), "Complex data not supported"),
        ([[1, 2], [3]], "one array of numbers"),
        (Refuses(), "can't convert device tensor"),
        (np.ma.masked_equal(np.eye(2), 0), "masked array"),
        (sparse.csr_array(np.eye(3)), "sparse data are not supported"),
        (None, "dtype object|shape"),
    ],
)
def test_what_is_refused(X, complaint):
    with pytest.raises(InputError, match=complaint):
        check_features(X)


@pytest.mark.parametrize("block_bytes", [1, 100, 1 << 24])
@pytest.mark.parametrize("shape", [(50, 4), (50, 2, 2), (50, 1, 2, 2)])
def test_nan_and_infinity_are_counted_and_the_first_row_named(shape, block_bytes, monkeypatch):
    monkeypatch.setattr(arrays, "BLOCK_BYTES", block_bytes)
    X = np.zeros((50, 4), np.float32)
    X[17, 3] = np.nan
    X[18, 0] = np.inf
    X[49] = np.nan
    X[30, 1] = -np.inf
    where = "row 17, column 3" if len(shape) == 2 else "row 17:"
    with pytest.raises(InputError, match=f"5 NaN and 2 infinite values, the first in {where}"):
        check_features(X.reshape(shape))


def test_columns_of_several_types_are_numbers():
    """As a data frame has them, a column of booleans beside one of floats."""
    X = np.array([[True, 1.5, 2], [np.False_, np.float32(0.5), np.int64(3)]], dtype=object)
    seen = check_features(X)
    assert seen.dtype == np.float64
    np.testing.assert_array_equal(seen, [[1, 1.5, 2], [0, 0.5, 3]])


def test_the_search_for_nan_takes_one_block_of_memory(tmp_path, monkeypatch):
    """The largest array that is looked at is a block, whatever the number of rows."""
    monkeypatch.setattr(arrays, "BLOCK_BYTES", 4096)
    seen = []
    isfinite = np.isfinite
    monkeypatch.setattr(np, "isfinite", lambda x: seen.append(x.nbytes) or isfinite(x))
    check_features(np.zeros((1000, 100)))
    assert max(seen) <= 4096
    assert sum(seen) == 1000 * 100 * 8


def test_what_is_refused_says_so_before_the_order_of_axes():
    with pytest.raises(InputError, match="1 NaN and 0 infinite values, the first in row 0"):
        check_features(np.full((1, 1, 1, 1), np.nan))
