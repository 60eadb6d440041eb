"""CIFAR-10 files as Python 2 and Python 3 write them, damaged ones, and pickles that attack."""

import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

from semivae.data.cifar import read_batch, read_cifar10, read_class_names
from semivae.errors import InputError

NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def images(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 3072)).astype(np.uint8)


def py2_text(text: bytes) -> bytes:
    """A Python 2 str: SHORT_BINSTRING up to 255 bytes, BINSTRING above. Never unicode."""
    if len(text) < 256:
        return b"U" + struct.pack("<B", len(text)) + text
    return b"T" + struct.pack("<i", len(text)) + text


def py2_int(value: int) -> bytes:
    return b"K" + struct.pack("<B", value) if value < 256 else b"M" + struct.pack("<H", value)


def py2_array(data: np.ndarray) -> bytes:
    """An array as Python 2 and numpy 1.6 wrote it in protocol 2."""
    return b"".join(
        [
            b"cnumpy.core.multiarray\n_reconstruct\n",  # GLOBAL
            b"cnumpy\nndarray\n",
            py2_int(0) + b"\x85",  # (0,)
            py2_text(b"b") + b"\x87R",  # TUPLE3, REDUCE: an empty array
            b"(" + py2_int(1),  # the state: version,
            py2_int(data.shape[0]) + py2_int(data.shape[1]) + b"\x86",  # shape,
            b"cnumpy\ndtype\n" + py2_text(b"u1") + py2_int(0) + py2_int(1) + b"\x87R",  # dtype
            b"(" + py2_int(3) + py2_text(b"|") + b"NNN",  # and its state
            b"J\xff\xff\xff\xffJ\xff\xff\xff\xff" + py2_int(0) + b"tb",  # -1, -1, 0; BUILD
            b"\x89" + py2_text(data.tobytes()) + b"tb",  # not Fortran order, bytes; BUILD
        ]
    )


def py2_dict(items: list[tuple[bytes, bytes]]) -> bytes:
    return b"\x80\x02}(" + b"".join(py2_text(key) + value for key, value in items) + b"u."


def py2_batch(data: np.ndarray, labels: list[int]) -> bytes:
    return py2_dict(
        [
            (b"batch_label", py2_text(b"training batch 1 of 5")),
            (b"labels", b"](" + b"".join(map(py2_int, labels)) + b"e"),
            (b"data", py2_array(data)),
            (b"filenames", b"](" + py2_text(b"a.png") + py2_text(b"b.png") + b"e"),
        ]
    )


def py2_meta() -> bytes:
    names = b"".join(py2_text(name.encode()) for name in NAMES)
    return py2_dict(
        [(b"num_cases_per_batch", py2_int(10000)), (b"label_names", b"](" + names + b"e")]
    )


def written(folder: Path, content: bytes, name: str = "data_batch_1") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_the_fixture_is_what_python_2_writes():
    """Plain pickle reads it as numpy documents for such files: bytes keys, and the array."""
    data = images(2)
    record = pickle.loads(py2_batch(data, [3, 9]), encoding="bytes")
    assert record[b"labels"] == [3, 9]
    np.testing.assert_array_equal(record[b"data"], data)


def test_python_2_files(tmp_path):
    data = images(2)
    x, y = read_batch(written(tmp_path, py2_batch(data, [3, 9])))
    np.testing.assert_array_equal(x, data.reshape(2, 3, 32, 32))
    np.testing.assert_array_equal(y, [3, 9])
    assert y.dtype == np.int64
    assert read_class_names(written(tmp_path, py2_meta(), "batches.meta")) == tuple(NAMES)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("key", [str, str.encode])
def test_python_3_files(tmp_path, protocol, key):
    data = images(3)
    record = {key("data"): data, key("labels"): [0, 5, 9], key("batch_label"): key("test")}
    x, y = read_batch(written(tmp_path, pickle.dumps(record, protocol)))
    np.testing.assert_array_equal(x.reshape(3, 3072), data)
    np.testing.assert_array_equal(y, [0, 5, 9])
    meta = pickle.dumps({key("label_names"): [key(name) for name in NAMES]}, protocol)
    assert read_class_names(written(tmp_path, meta, "batches.meta")) == tuple(NAMES)


def test_numpy_1_module_name_in_protocol_4(tmp_path):
    content = pickle.dumps({"data": images(1), "labels": [1]}, 4)
    old = content.replace(b"\x8c\x16numpy._core.multiarray", b"\x8c\x15numpy.core.multiarray")
    if old != content:  # the frame is one byte shorter
        length = struct.unpack("<Q", content[3:11])[0]
        old = old[:3] + struct.pack("<Q", length - 1) + old[11:]
    x, _ = read_batch(written(tmp_path, old))
    np.testing.assert_array_equal(x.reshape(1, 3072), images(1))


def test_the_whole_folder_in_order(tmp_path):
    for i in range(1, 6):
        content = py2_batch(images(2, seed=i), [i, i + 1])
        written(tmp_path, content, f"data_batch_{i}")
    written(tmp_path, py2_batch(images(1, seed=9), [0]), "test_batch")
    written(tmp_path, py2_meta(), "batches.meta")
    cifar = read_cifar10(tmp_path)
    assert cifar.x.shape == (10, 3, 32, 32)
    np.testing.assert_array_equal(cifar.y, [1, 2, 2, 3, 3, 4, 4, 5, 5, 6])
    np.testing.assert_array_equal(cifar.x[8:].reshape(2, -1), images(2, seed=5))
    np.testing.assert_array_equal(cifar.x_test.reshape(1, -1), images(1, seed=9))
    assert cifar.classes == tuple(NAMES)


class Attack:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_malicious_pickle_does_not_run(tmp_path, protocol):
    trace = tmp_path / "trace"
    content = pickle.dumps({"data": Attack(os.system, f"touch {trace}")}, protocol)
    path = written(tmp_path, content)
    with pytest.raises(
        InputError, match=r"asks to run \w+\.system.*nothing of it was run"
    ) as raised:
        read_batch(path)
    assert str(path) in str(raised.value)
    assert not trace.exists()


@pytest.mark.parametrize(
    ("forbidden", "argument"), [(eval, "1"), (getattr, "x"), (np.load, "x"), (np.save, "x")]
)
def test_every_other_name_is_refused(tmp_path, forbidden, argument):
    path = written(tmp_path, pickle.dumps(Attack(forbidden, argument)))
    with pytest.raises(InputError, match=f"asks to run .*{forbidden.__name__}"):
        read_batch(path)


@pytest.mark.parametrize("name", ["numpy.core.multiarray scalar", "numpy dtype.newbyteorder"])
def test_neighbours_of_admitted_names_are_refused(tmp_path, name):
    content = b"\x80\x02c" + name.replace(" ", "\n").encode() + b"\n."
    with pytest.raises(InputError, match="asks to run numpy"):
        read_batch(written(tmp_path, content))


GOOD = py2_batch(images(2), [3, 9])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>not found</html>",
        bytes(100),
        GOOD[: len(GOOD) // 2],
        GOOD[:-1],
        GOOD[:5],
        b"\x80\x02cnumpy\nndarray\n)R.",  # an array of no shape
        b"\x80\x02cnumpy\nndarray\nK\x05b.",  # the state of a class
    ],
)
def test_damaged_files(tmp_path, content):
    path = written(tmp_path, content)
    with pytest.raises(InputError, match="damaged or not a pickle") as raised:
        read_batch(path)
    assert str(path) in str(raised.value)


def test_every_truncation_is_an_input_error(tmp_path):
    head = GOOD[:600] + GOOD[-120:]
    for end in range(len(head)):
        with pytest.raises(InputError):
            read_batch(written(tmp_path, head[:end]))


@pytest.mark.parametrize(
    ("record", "complaint"),
    [
        ([1, 2], "holds a list, not the dictionary"),
        ({"labels": [1]}, "lacks 'data'"),
        ({3: 4}, "lacks 'data', 'labels'"),
        ({"data": images(1), "fine_labels": [1]}, "lacks 'labels'"),
        ({"data": [1, 2], "labels": [1]}, "'data' is list"),
        ({"data": np.zeros((1, 3072)), "labels": [1]}, "'data' is float64"),
        (
            {"data": np.zeros((1, 784), np.uint8), "labels": [1]},
            r"shape \(1, 784\), not \(n, 3072",
        ),
        ({"data": np.zeros(3072, np.uint8), "labels": [1]}, r"shape \(3072,\)"),
        ({"data": images(2), "labels": [1]}, "2 images and 1 labels"),
        ({"data": images(2), "labels": [1, 10]}, "the label 10 is not from 0 to 9"),
        ({"data": images(2), "labels": [-1, 1]}, "the label -1 is not"),
        ({"data": images(2), "labels": [1, 2.0]}, "'labels' is not a list of whole numbers"),
        ({"data": images(2), "labels": [1, True]}, "'labels' is not a list of whole numbers"),
        ({"data": images(2), "labels": "12"}, "'labels' is not a list"),
    ],
)
def test_records_that_are_not_cifar_10(tmp_path, record, complaint):
    path = written(tmp_path, pickle.dumps(record, 4))
    with pytest.raises(InputError, match=complaint) as raised:
        read_batch(path)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        (["a", "b"], "names 2 classes"),
        ("airplane", "not a list"),
        ([1] * 10, "not a list of names"),
    ],
)
def test_class_names_that_are_not_cifar_10(tmp_path, names, complaint):
    path = written(tmp_path, pickle.dumps({"label_names": names}), "batches.meta")
    with pytest.raises(InputError, match=complaint):
        read_class_names(path)


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="data_batch_1 cannot be read: No such file"):
        read_cifar10(tmp_path)
