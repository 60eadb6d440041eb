"""The data sets that have a name, and `.npz` files, with labels and a test set."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Int64, Num

from semivae.data import carried
from semivae.data.cifar import read_cifar10
from semivae.data.npz import labeled_rows, load_npz, rows_of
from semivae.data.published import Arrays
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
        return rows_of(path)
    return load(name, data_dir).test[0]


def load_labeled(
    name: str, classes: tuple[str, ...], data_dir: Path | None = None
) -> tuple[Num[np.ndarray, "M *X"], Int64[np.ndarray, " M"]]:
    """Rows and their positions in `classes`, to evaluate on: the test rows of the data set of that
    name; of the `.npz` file at that path X_test with y_test, or else the rows of X that have a
    label in y. Raises InputError, as of a label that is no class."""
    path = Path(name)
    if name not in DATASETS and path.is_file():
        return labeled_rows(path, classes)
    arrays = load(name, data_dir)
    if arrays.classes != classes:
        raise InputError(
            f"{name} has the classes {', '.join(arrays.classes)}, and those here are "
            f"{', '.join(classes)}: give data of the same classes"
        )
    return arrays.test


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
