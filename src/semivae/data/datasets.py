"""The data sets that have a name, and `.npz` files, with labels and a test set."""

import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Int64, Num, Shaped

from semivae.data import carried
from semivae.data.arrays import check_features
from semivae.data.cifar import read_cifar10
from semivae.data.classes import UNLABELED, encode_labels
from semivae.data.published import Arrays
from semivae.data.scaling import pixels, warn_of_other_units, white
from semivae.data.sources import (
    CIFAR10,
    FASHION_MNIST,
    MNIST,
    TEST_IMAGES,
    TEST_LABELS,
    TRAIN_IMAGES,
    TRAIN_LABELS,
    Source,
    locate,
    read_idx_files,
)
from semivae.errors import InputError


def load(name: str, data_dir: Path | None = None) -> Arrays:
    """The data set of that name (see `DATASETS`), or else the `.npz` file at that path.

    Files are looked up in `data_dir`, in `$SEMIVAE_DATA` and in the user cache, then downloaded.
    Raises InputError for an unknown name, and for files that are missing, damaged or foreign.

    >>> digits = load("digits")
    >>> digits.x.shape, digits.x_test.shape, digits.pixel_max
    ((1347, 1, 8, 8), (450, 1, 8, 8), 16.0)
    """
    if name in DATASETS:
        return DATASETS[name](data_dir)
    path = Path(name)
    if path.is_file():
        return load_npz(path)
    there = (
        f"{name!r} is a folder" if path.is_dir() else f"there is no data set and no file {name!r}"
    )
    raise InputError(
        f"{there}: give one of {', '.join(DATASETS)}, or the path of an .npz file with the arrays "
        "X (images or rows of a table) and y"
    )


def load_rows(name: str, data_dir: Path | None = None) -> Num[np.ndarray, "N *X"]:
    """Rows to be labeled: the test rows of the data set of that name, or X of the `.npz` file at
    that path, which needs no y. Raises InputError."""
    path = Path(name)
    if name not in DATASETS and path.is_file():
        return _rows(
            path, "X", _arrays_of(path, ("X",), "save it with numpy.savez(file, X=x)")["X"]
        )
    return load(name, data_dir).test[0]


def mnist(data_dir: Path | None = None) -> Arrays:
    """MNIST: 60,000 and 10,000 handwritten digits of 28 x 28 pixels from 0 to 255."""
    return _from_idx("mnist", MNIST, _DIGIT_NAMES, data_dir)


def fashion_mnist(data_dir: Path | None = None) -> Arrays:
    """Fashion-MNIST: pictures of clothes, in number and form as MNIST."""
    return _from_idx("fashion-mnist", FASHION_MNIST, _FASHION_NAMES, data_dir)


def cifar10(data_dir: Path | None = None) -> Arrays:
    """CIFAR-10: 50,000 and 10,000 colour pictures of 32 x 32 pixels from 0 to 255."""
    path = next(iter(locate(CIFAR10, data_dir).values()))
    x, y, x_test, y_test, classes = read_cifar10(path.parent)
    return Arrays(x, y, x_test, y_test, classes, pixel_max=255.0, name="cifar10")


def load_npz(path: Path) -> Arrays:
    """Rows and labels from an `.npz` file; pickled objects in it are never loaded.

    X: images, (N, H, W), (N, C, H, W) or (N, H, W, C) with 1 or 3 channels, uint8 or from 0 up;
    or the rows of a table, (N, D). y: (N,), whole numbers with -1 for no label, or texts that are
    blank there. Optionally X_test and y_test, every row labeled with a class that y has. Raises
    InputError, naming the file, for anything else.
    """
    arrays = _read_npz(path)
    if ("X_test" in arrays) != ("y_test" in arrays):
        raise InputError(f"{path} has only one of X_test and y_test: give both or neither")

    x = _rows(path, "X", arrays["X"])
    try:
        y, classes = encode_labels(arrays["y"])
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    _check_lengths(path, x, y)
    x_test = y_test = None
    if "X_test" in arrays:
        x_test = _rows(path, "X_test", arrays["X_test"])
        y_test = _codes(path, arrays["y_test"], classes)
        _check_lengths(path, x_test, y_test)
        if x_test.shape[1:] != x.shape[1:]:
            raise InputError(
                f"{path}: the rows of X are {x.shape[1:]} and those of X_test "
                f"{x_test.shape[1:]}: give both in one shape"
            )
    names = tuple(str(name) for name in classes)
    pixel_max = None
    if x.ndim > 2:
        try:
            pixel_max = white(x)
            if x_test is not None:
                white(x_test)
                warn_of_other_units(x_test, pixels(pixel_max))
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
    return Arrays(x, y, x_test, y_test, names, pixel_max, name=path.name)


def _from_idx(
    name: str, source: Source, classes: tuple[str, ...], data_dir: Path | None
) -> Arrays:
    arrays = read_idx_files(source, data_dir)
    x, x_test = arrays[TRAIN_IMAGES], arrays[TEST_IMAGES]
    y, y_test = arrays[TRAIN_LABELS], arrays[TEST_LABELS]
    for images, labels, part in ((x, y, "training"), (x_test, y_test, "test")):
        if images.ndim != 3 or labels.shape != images.shape[:1] or images.size == 0:
            raise InputError(
                f"the {part} files of {source.title} do not belong together: images of shape "
                f"{images.shape} with labels of shape {labels.shape}; give the original files"
            )
        if labels.max() >= len(classes):
            raise InputError(
                f"the {part} labels of {source.title} go up to {labels.max()}, its classes to "
                f"{len(classes) - 1}; give the original files"
            )
    if x.shape[1:] != x_test.shape[1:]:
        raise InputError(
            f"the images of {source.title} are {x.shape[1:]} in training and {x_test.shape[1:]} "
            "in the test set; give the original files"
        )
    x, x_test = x[:, np.newaxis], x_test[:, np.newaxis]
    y, y_test = y.astype(np.int64), y_test.astype(np.int64)
    return Arrays(x, y, x_test, y_test, classes, pixel_max=255.0, name=name)


def _read_npz(path: Path) -> dict[str, Shaped[np.ndarray, "..."]]:
    """The arrays X and y, and X_test and y_test if there are any. Raises InputError."""
    return _arrays_of(path, ("X", "y"), "save it with numpy.savez(file, X=images, y=labels)")


def _arrays_of(
    path: Path, needed: tuple[str, ...], advice: str
) -> dict[str, Shaped[np.ndarray, "..."]]:
    try:
        with path.open("rb") as file:
            if not zipfile.is_zipfile(file):
                raise InputError(f"{path} is not an .npz file, or only a part of one: {advice}")
        with np.load(path, allow_pickle=False) as archive:
            missing = [key for key in needed if key not in archive]
            if missing:
                found = ", ".join(archive) or "nothing"
                raise InputError(
                    f"{path} lacks {' and '.join(missing)} (it has {found}): {advice}"
                )
            arrays = {key: archive[key] for key in _NPZ_KEYS if key in archive}
            for key, array in arrays.items():
                if not isinstance(array, np.ndarray):  # numpy gives what it does not know as bytes
                    raise InputError(f"{path} cannot be used ({key} is not an array): {advice}")
            return arrays
    except InputError:  # a ValueError, which the next line catches
        raise
    except (ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(
            f"{path} cannot be used ({error}): save it again with numpy.savez, "
            "from arrays of numbers or texts and not of objects"
        ) from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


def _rows(path: Path, key: str, array: Shaped[np.ndarray, "..."]) -> Num[np.ndarray, "N *X"]:
    try:
        return np.ascontiguousarray(check_features(array))
    except InputError as error:
        raise InputError(f"{path}: in {key}, {error}") from error


def _codes(
    path: Path, y: Shaped[np.ndarray, "..."], classes: Shaped[np.ndarray, " K"]
) -> Int64[np.ndarray, " M"]:
    """Positions in `classes` of the test labels, each of which must be one of them."""
    if y.ndim != 1:
        raise InputError(f"{path}: y_test has shape {y.shape}: give one label per row")
    codes = np.full(len(y), UNLABELED, dtype=np.int64)
    for code, label in enumerate(classes):
        codes[y == label] = code
    if (codes == UNLABELED).any():
        row = int((codes == UNLABELED).argmax())
        raise InputError(
            f"{path}: y_test is {y[row]} in row {row}, which no row of y is: every test row needs "
            "a label, and each class a training row"
        )
    return codes


def _check_lengths(path: Path, x: Num[np.ndarray, "N *X"], y: Int64[np.ndarray, " M"]) -> None:
    if len(x) != len(y):
        raise InputError(f"{path} has {len(x)} rows with {len(y)} labels: give as many of each")


_NPZ_KEYS = ("X", "y", "X_test", "y_test")
_DIGIT_NAMES = tuple("0123456789")
_FASHION_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

DATASETS: Mapping[str, Callable[[Path | None], Arrays]] = {
    "digits": lambda _: carried.digits(),
    "mnist": mnist,
    "fashion-mnist": fashion_mnist,
    "cifar10": cifar10,
    "breast-cancer": lambda _: carried.breast_cancer(),
    "wine": lambda _: carried.wine(),
}
