"""Data by name and by path: what `load` promises of each, on files made here."""

import io
import pickle
import struct
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from semivae.data.datasets import DATASETS, load
from semivae.data.published import Arrays
from semivae.errors import InputError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (6, 8, 8)).astype(np.uint8)
LABELS = np.array([0, 1, -1, 2, -1, 1])


def idx_bytes(array: np.ndarray) -> bytes:
    return (
        bytes([0, 0, 8, array.ndim])
        + struct.pack(f">{array.ndim}I", *array.shape)
        + array.tobytes()
    )


def put_idx(folder: Path, x, y, x_test, y_test) -> None:
    folder.mkdir(parents=True)
    for part, images, labels in (("train", x, y), ("t10k", x_test, y_test)):
        (folder / f"{part}-images-idx3-ubyte").write_bytes(idx_bytes(images))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx_bytes(labels))


def npz(folder: Path, **arrays) -> str:
    path = folder / "data.npz"
    np.savez(path, **arrays)
    return str(path)


def test_names():
    images = ["digits", "mnist", "fashion-mnist", "cifar10"]
    assert list(DATASETS) == [*images, "breast-cancer", "wine"]


@pytest.mark.parametrize("name", ["svhn", "MNIST", "", "absent.npz"])
def test_an_unknown_name_lists_the_known_ones(name):
    with pytest.raises(
        InputError, match=r"digits, mnist, .*, cifar10, breast-cancer, wine, or the path"
    ) as e:
        load(name)
    assert repr(name) in str(e.value)


def test_a_folder_is_no_data(tmp_path):
    with pytest.raises(InputError, match="is a folder: give one of digits"):
        load(str(tmp_path))


def test_digits():
    data = load("digits")
    assert (data.name, data.pixel_max, data.classes) == ("digits", 16.0, tuple("0123456789"))
    assert data.x.shape == (1347, 1, 8, 8)
    assert data.x_test.shape == (450, 1, 8, 8)
    assert data.x.dtype == data.x_test.dtype == np.uint8
    assert data.y.dtype == data.y_test.dtype == np.int64
    assert max(data.x.max(), data.x_test.max()) == 16
    # Stratified: each class has a quarter of its rows in the test set, to the row.
    train, test = np.bincount(data.y), np.bincount(data.y_test)
    assert (np.abs(test - 0.25 * (train + test)) < 1).all()
    again = load("digits")
    np.testing.assert_array_equal(data.x, again.x)
    # No image of the test set is lost or doubled: together they are scikit-learn's.
    from sklearn.datasets import load_digits

    whole = np.concatenate([data.x, data.x_test]).reshape(1797, 64)
    original = load_digits().data
    np.testing.assert_array_equal(np.unique(whole, axis=0), np.unique(original, axis=0))


@pytest.mark.parametrize(
    ("name", "rows", "columns", "classes"),
    [
        ("breast-cancer", (426, 143), 30, ("malignant", "benign")),
        ("wine", (133, 45), 13, ("class_0", "class_1", "class_2")),
    ],
)
def test_tables(name, rows, columns, classes):
    data = load(name)
    assert (data.name, data.pixel_max, data.classes) == (name, None, classes)
    assert data.x.shape == (rows[0], columns) and data.x_test.shape == (rows[1], columns)
    train, test = np.bincount(data.y), np.bincount(data.y_test)
    assert (np.abs(test - 0.25 * (train + test)) < 1).all()
    whole = np.concatenate([data.x, data.x_test])
    assert len(np.unique(whole, axis=0)) == sum(rows)
    # Scaled by the training rows alone.
    scaled = data.scaling.apply(torch.from_numpy(data.x)).double()
    np.testing.assert_allclose(scaled.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(scaled.std(0, correction=0), 1, atol=1e-6)
    assert abs(float(data.scaling.apply(torch.from_numpy(data.x_test)).mean(0)[0])) > 1e-3


def test_mnist_layout_with_a_warning_for_other_content(tmp_path):
    y = np.array([7, 2, 1, 0, 4, 1], np.uint8)
    put_idx(tmp_path / "MNIST" / "raw", IMAGES, y, IMAGES[:2] + 1, y[:2])
    with pytest.warns(UserWarning, match="differs from the original MNIST"):
        data = load("mnist", tmp_path)
    np.testing.assert_array_equal(data.x, IMAGES[:, np.newaxis])
    np.testing.assert_array_equal(data.y, y)
    np.testing.assert_array_equal(data.x_test[:, 0], IMAGES[:2] + 1)
    np.testing.assert_array_equal(data.y_test, [7, 2])
    assert (data.name, data.pixel_max, data.classes) == ("mnist", 255.0, tuple("0123456789"))
    assert data.y.dtype == np.int64


def test_fashion_mnist_layout(tmp_path):
    y = np.array([9, 0, 0, 3, 0, 2], np.uint8)
    put_idx(tmp_path / "FashionMNIST" / "raw", IMAGES, y, IMAGES, y)
    data = load("fashion-mnist", tmp_path)
    assert data.classes[data.y[0]] == "Ankle boot"
    assert data.classes[data.y[1]] == "T-shirt/top"
    assert len(data.classes) == 10


@pytest.mark.parametrize(
    ("x", "y", "x_test", "complaint"),
    [
        (
            IMAGES,
            np.zeros(5, np.uint8),
            IMAGES,
            r"training files .* do not belong together.*\(5,\)",
        ),
        (IMAGES, np.zeros((6, 1), np.uint8), IMAGES, "training files .* do not belong together"),
        (IMAGES[:, 0], np.zeros(6, np.uint8), IMAGES, "do not belong together"),
        (IMAGES[:0], np.zeros(0, np.uint8), IMAGES, "do not belong together"),
        (
            IMAGES,
            np.full(6, 10, np.uint8),
            IMAGES,
            "training labels .* go up to 10, its classes to 9",
        ),
        (IMAGES, np.zeros(6, np.uint8), IMAGES[:, :4], r"\(8, 8\) in training and \(4, 8\)"),
    ],
)
def test_idx_files_that_do_not_fit(tmp_path, x, y, x_test, complaint):
    put_idx(tmp_path / "FashionMNIST" / "raw", x, y, x_test, np.zeros(6, np.uint8))
    with pytest.raises(InputError, match=complaint):
        load("fashion-mnist", tmp_path)


def test_cifar10_layout(tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    pixels = RNG.integers(0, 256, (2, 3072)).astype(np.uint8)
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        (folder / name).write_bytes(pickle.dumps({b"data": pixels, b"labels": [4, 9]}, 4))
    names = [f"class {k}" for k in range(10)]
    (folder / "batches.meta").write_bytes(pickle.dumps({b"label_names": names}, 4))
    data = load("cifar10", tmp_path)
    assert data.x.shape == (10, 3, 32, 32)
    assert data.x_test.shape == (2, 3, 32, 32)
    np.testing.assert_array_equal(data.x_test.reshape(2, 3072), pixels)
    np.testing.assert_array_equal(data.y, [4, 9] * 5)
    assert (data.name, data.pixel_max, data.classes) == ("cifar10", 255.0, tuple(names))


# --- .npz ---


def test_npz_without_a_test_set(tmp_path):
    data = load(npz(tmp_path, X=IMAGES, y=LABELS))
    assert isinstance(data, Arrays)
    np.testing.assert_array_equal(data.x, IMAGES[:, np.newaxis])
    np.testing.assert_array_equal(data.y, LABELS)
    assert (data.x_test, data.y_test) == (None, None)
    assert (data.classes, data.pixel_max, data.name) == (("0", "1", "2"), 255.0, "data.npz")


@pytest.mark.parametrize("layout", [lambda x: x, lambda x: np.moveaxis(x, 1, 3)])
def test_npz_with_a_test_set_and_colours(tmp_path, layout):
    X = RNG.integers(0, 256, (6, 3, 8, 9)).astype(np.uint8)
    path = npz(
        tmp_path, X=layout(X), y=[5, -1, 7, 5, 7, 7], X_test=layout(X[:2]), y_test=[7.0, 5.0]
    )
    data = load(path)
    np.testing.assert_array_equal(data.x, X)
    assert data.x.flags.c_contiguous
    np.testing.assert_array_equal(data.y, [0, -1, 1, 0, 1, 1])
    np.testing.assert_array_equal(data.y_test, [1, 0])
    assert data.classes == ("5", "7")


def test_npz_with_texts_as_labels(tmp_path):
    y = np.array(["cat", "dog", "cat", "dog", "cat", "cat"])
    data = load(npz(tmp_path, X=IMAGES, y=y, X_test=IMAGES[:1], y_test=y[1:2]))
    assert data.classes == ("cat", "dog")
    np.testing.assert_array_equal(data.y, [0, 1, 0, 1, 0, 0])
    np.testing.assert_array_equal(data.y_test, [1])


def test_npz_with_blank_texts_where_there_is_no_label(tmp_path):
    y = np.array(["cat", "", "cat", "dog", " ", "cat"])
    data = load(npz(tmp_path, X=IMAGES, y=y))
    assert data.classes == ("cat", "dog")
    np.testing.assert_array_equal(data.y, [0, -1, 0, 1, -1, 0])


@pytest.mark.parametrize(
    ("x", "white"),
    [
        (IMAGES / 255, 1.0),
        (IMAGES > 99, 1.0),
        (IMAGES // 16, 15.0),
        (IMAGES.astype(np.float32), float(IMAGES.max())),
    ],
    ids=["float", "bool", "to 15", "float to 255"],
)
def test_npz_with_images_of_other_types(tmp_path, x, white):
    data = load(npz(tmp_path, X=x, y=LABELS))
    assert (data.x.shape, data.pixel_max) == ((6, 1, 8, 8), white)


def test_npz_with_a_test_set_in_other_units(tmp_path):
    path = npz(tmp_path, X=IMAGES, y=LABELS, X_test=IMAGES[:1] / 255, y_test=[1])
    with pytest.warns(UserWarning, match="the largest pixel of X is .*, and white was 255"):
        load(path)


def test_npz_with_a_table(tmp_path):
    x = RNG.normal(size=(6, 3))
    data = load(npz(tmp_path, X=x, y=LABELS, X_test=x[:1], y_test=[1]))
    np.testing.assert_array_equal(data.x, x)
    assert data.pixel_max is None
    np.testing.assert_allclose(data.scaling.shift, x.mean(0))


def test_other_arrays_of_an_npz_are_not_read(tmp_path):
    data = load(npz(tmp_path, X=IMAGES, y=LABELS, notes=np.array([{"a": 1}], dtype=object)))
    assert len(data.x) == 6


@pytest.mark.parametrize(
    ("arrays", "complaint"),
    [
        ({"y": LABELS}, r"lacks X \(it has y\): save it with numpy.savez"),
        ({"a": LABELS}, r"lacks X and y \(it has a\)"),
        ({}, r"lacks X and y \(it has nothing\)"),
        ({"X": IMAGES, "y": LABELS, "X_test": IMAGES}, "only one of X_test and y_test"),
        ({"X": IMAGES, "y": LABELS, "y_test": LABELS}, "only one of X_test and y_test"),
        ({"X": IMAGES, "y": LABELS[:4]}, "6 rows with 4 labels"),
        ({"X": IMAGES - 300.0, "y": LABELS}, "images hold -[0-9]+: give pixels from 0 up"),
        (
            {"X": IMAGES, "y": LABELS, "X_test": IMAGES[:1] - 300.0, "y_test": [1]},
            "images hold -[0-9]+: give pixels from 0 up",
        ),
        ({"X": IMAGES[0, 0], "y": LABELS}, r"in X, X has shape \(8,\)"),
        ({"X": IMAGES.astype(str), "y": LABELS}, "in X, X has dtype <U[0-9]+: features must be"),
        (
            {"X": np.zeros((6, 8, 8, 5), np.uint8), "y": LABELS},
            "in X, X of shape .* channels_last",
        ),
        ({"X": IMAGES[:0], "y": LABELS[:0]}, "in X, X has no rows"),
        ({"X": IMAGES, "y": LABELS * 0 - 1}, "no labeled row"),
        ({"X": IMAGES, "y": np.array([-1, 1] * 3)}, "-1 means unlabeled here"),
        ({"X": IMAGES, "y": LABELS[:, None]}, "y should be a 1d array"),
        ({"X": IMAGES, "y": LABELS.astype(object)}, "cannot be used .*Object arrays"),
        (
            {"X": IMAGES, "y": LABELS, "X_test": IMAGES[:, :4], "y_test": abs(LABELS)},
            r"rows of X are \(1, 8, 8\) and those of X_test \(1, 4, 8\)",
        ),
        (
            {"X": IMAGES, "y": LABELS, "X_test": IMAGES, "y_test": LABELS},
            "no label in row 2",
        ),
        ({"X": IMAGES, "y": LABELS, "X_test": IMAGES[:1], "y_test": [9]}, "y_test is 9 in row 0"),
        (
            {"X": IMAGES, "y": LABELS, "X_test": IMAGES[:1], "y_test": ["a"]},
            "y_test is a in row 0",
        ),
        (
            {"X": IMAGES, "y": LABELS, "X_test": IMAGES[:1], "y_test": 1},
            "in y_test, y should be a 1d",
        ),
        (
            {"X": IMAGES, "y": LABELS, "X_test": IMAGES[:1], "y_test": [1, 2]},
            "1 rows with 2 labels",
        ),
    ],
)
def test_npz_files_that_cannot_be_used(tmp_path, arrays, complaint):
    path = npz(tmp_path, **arrays)
    with pytest.raises(InputError, match=complaint) as raised:
        load(path)
    assert path in str(raised.value)


def damaged_member() -> bytes:
    file = io.BytesIO()
    np.savez(file, X=IMAGES, y=LABELS)
    content = file.getvalue()
    start = content.index(IMAGES.tobytes()[:50])
    return content[:start] + b"damage" + content[start + 6 :]


def no_array() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("X.npy", b"not an array")
        archive.writestr("y.npy", b"")
    return file.getvalue()


def one_array() -> bytes:
    file = io.BytesIO()
    np.save(file, IMAGES)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "not an .npz file"),
        (b"a,b\n1,2\n", "not an .npz file"),
        (one_array(), "not an .npz file"),
        (pickle.dumps([1]), "not an .npz file"),
        (damaged_member()[:400], "not an .npz file, or only a part of one"),
        (damaged_member(), "cannot be used .*CRC"),
        (no_array(), "cannot be used"),
    ],
)
def test_files_that_are_no_npz(tmp_path, content, complaint):
    path = tmp_path / "data.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=complaint) as raised:
        load(str(path))
    assert str(path) in str(raised.value)


def test_a_test_set_that_is_not_there_is_an_error_of_the_user() -> None:
    digits = load("digits", None)
    x, y = digits.test
    assert digits.has_test and x is digits.x_test and y is digits.y_test
    for missing in ({"x_test": None}, {"y_test": None}):
        alone = replace(digits, **missing)
        assert not alone.has_test
        with pytest.raises(InputError, match="digits has no test set: give"):
            _ = alone.test
