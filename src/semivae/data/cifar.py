"""Reads CIFAR-10 as its authors publish it for Python, without trusting the pickles it is made of.

A pickle may name any function and call it. These files need four names, all about numpy arrays;
an unpickler that knows only those turns every other pickle into an error before anything runs.
"""

import codecs
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from jaxtyping import Int64, UInt8

from semivae.errors import InputError

TRAIN_FILES = tuple(f"data_batch_{i}" for i in range(1, 6))
TEST_FILE = "test_batch"
META_FILE = "batches.meta"
N_CLASSES = 10
IMAGE_SHAPE = (3, 32, 32)
ROW_BYTES = 3 * 32 * 32

# numpy's function that makes an empty array for a pickle to fill. It lives in a private module
# whose name differs between numpy 1 and 2, so we ask an array for it.
_RECONSTRUCT = np.empty(0).__reduce__()[0]

# The published files were written by Python 2 and the first numpy; copies saved again by a newer
# Python name the newer modules. All four objects are built-in: a pickle cannot alter them either.
ADMITTED: Mapping[tuple[str, str], object] = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): codecs.encode,  # how Python 3 writes bytes in protocols 0 to 2
}


class Cifar10(NamedTuple):
    """CIFAR-10: uint8 images from 0 to 255, int64 labels from 0 to 9, and the ten class names."""

    x: UInt8[np.ndarray, "N 3 32 32"]
    y: Int64[np.ndarray, " N"]
    x_test: UInt8[np.ndarray, "M 3 32 32"]
    y_test: Int64[np.ndarray, " M"]
    classes: tuple[str, ...]


def read_cifar10(folder: Path) -> Cifar10:
    """The five training batches in order, the test batch and the class names of a folder.

    Raises InputError, naming the file, if one is missing, damaged, not what CIFAR-10 holds, or
    asks for anything that a pickle of arrays does not need.
    """
    batches = [read_batch(folder / name) for name in TRAIN_FILES]
    x_test, y_test = read_batch(folder / TEST_FILE)
    return Cifar10(
        x=np.concatenate([images for images, _ in batches]),
        y=np.concatenate([labels for _, labels in batches]),
        x_test=x_test,
        y_test=y_test,
        classes=read_class_names(folder / META_FILE),
    )


def read_batch(path: Path) -> tuple[UInt8[np.ndarray, "N 3 32 32"], Int64[np.ndarray, " N"]]:
    """Images and labels of one `data_batch_*` or `test_batch`. Raises InputError: see above."""
    record = _read_record(path, ("data", "labels"))
    data, labels = record["data"], record["labels"]

    if not isinstance(data, np.ndarray) or data.dtype != np.uint8:
        found = data.dtype if isinstance(data, np.ndarray) else type(data).__name__
        raise InputError(f"{path}: 'data' is {found}, not an array of uint8: give the original")
    if data.ndim != 2 or data.shape[1] != ROW_BYTES:
        raise InputError(
            f"{path}: 'data' has shape {data.shape}, not (n, {ROW_BYTES}): give the original file"
        )
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise InputError(
            f"{path}: 'labels' is not a list of whole numbers: give the original file"
        )
    if len(labels) != len(data):
        raise InputError(
            f"{path} holds {len(data)} images and {len(labels)} labels: give the original file"
        )
    outside = [label for label in labels if not 0 <= label < N_CLASSES]
    if outside:
        raise InputError(
            f"{path}: the label {outside[0]} is not from 0 to {N_CLASSES - 1}: "
            "give the original file of CIFAR-10"
        )
    return data.reshape(-1, *IMAGE_SHAPE), np.array(labels, dtype=np.int64)


def read_class_names(path: Path) -> tuple[str, ...]:
    """The ten class names of `batches.meta`, in the order of the labels. Raises InputError."""
    names = _read_record(path, ("label_names",))["label_names"]
    if not isinstance(names, list) or not all(isinstance(name, bytes | str) for name in names):
        raise InputError(f"{path}: 'label_names' is not a list of names: give the original file")
    if len(names) != N_CLASSES:
        raise InputError(
            f"{path} names {len(names)} classes, CIFAR-10 has {N_CLASSES}: give the original file"
        )
    return tuple(_text(name) for name in names)


class _ArrayUnpickler(pickle.Unpickler):
    """An unpickler that admits arrays and plain values, and refuses every other name."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        # Python 2 wrote text as bytes; read as bytes, the pixels need no decoding.
        super().__init__(file, encoding="bytes")
        self._path = path

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ADMITTED:
            raise InputError(
                f"{self._path} asks to run {module}.{name}, which no file of CIFAR-10 needs: "
                "nothing of it was run; replace it by the original file"
            )
        return ADMITTED[module, name]


def _read_record(path: Path, keys: tuple[str, ...]) -> dict[str, Any]:
    """The dictionary that a file holds, its keys as text; `keys` are those that it must have."""
    try:
        with path.open("rb") as file:
            record = _ArrayUnpickler(file, path).load()
    except InputError:  # a forbidden name; InputError is a ValueError, which the next line catches
        raise
    except _DAMAGE as error:
        raise InputError(
            f"{path} is damaged or not a pickle ({type(error).__name__}): fetch it again"
        ) from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    if not isinstance(record, dict):
        raise InputError(
            f"{path} holds a {type(record).__name__}, not the dictionary of a CIFAR-10 file: "
            "give the original file"
        )
    record = {_text(key): value for key, value in record.items() if isinstance(key, bytes | str)}
    missing = [repr(key) for key in keys if key not in record]
    if missing:
        raise InputError(f"{path} lacks {', '.join(missing)}: give the original file of CIFAR-10")
    return record


# What unpickling foreign bytes raises, apart from errors of the file system.
_DAMAGE = (
    pickle.UnpicklingError,
    ArithmeticError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)


def _text(name: bytes | str) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else name
