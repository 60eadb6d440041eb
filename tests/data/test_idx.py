"""IDX files: what is written is read, and every damage is one sentence that names the file."""

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest

from semivae.data.idx import content_sha256, read_idx
from semivae.errors import InputError

ARRAY = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


def idx_bytes(array: np.ndarray, code: int = 0x08) -> bytes:
    header = bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


def written(folder: Path, content: bytes, name: str = "images-idx3-ubyte") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_known_bytes_are_read(tmp_path):
    path = written(tmp_path, bytes.fromhex("00000802 00000002 00000003 010203 0405ff"))
    np.testing.assert_array_equal(read_idx(path), [[1, 2, 3], [4, 5, 255]])


@pytest.mark.parametrize("name", ["a", "a.gz"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_the_magic_bytes_decide_and_not_the_name(tmp_path, name, pack):
    array = read_idx(written(tmp_path, pack(idx_bytes(ARRAY)), name))
    np.testing.assert_array_equal(array, ARRAY)
    assert array.dtype == np.uint8
    assert array.flags.writeable


@pytest.mark.parametrize("shape", [(0,), (5,), (2, 3), (2, 1, 4, 3)])
def test_shapes_survive(tmp_path, shape):
    array = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    np.testing.assert_array_equal(read_idx(written(tmp_path, idx_bytes(array))), array)


def test_content_sha256_is_that_of_the_uncompressed_file(tmp_path):
    content = idx_bytes(ARRAY)
    array = read_idx(written(tmp_path, gzip.compress(content)))
    assert content_sha256(array) == hashlib.sha256(content).hexdigest()
    assert content_sha256(ARRAY[:, :, ::-1]) != content_sha256(ARRAY)
    assert content_sha256(ARRAY.reshape(4, 6)) != content_sha256(ARRAY)
    assert content_sha256(np.asfortranarray(ARRAY)) == content_sha256(ARRAY)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "not an IDX file: it starts with nothing"),
        (b"\0\0", "not an IDX file"),
        (b"<html>404</html>", "not an IDX file: it starts with 3c 68 74 6d"),
        (bytes.fromhex("00000800 05"), "not an IDX file"),
        (idx_bytes(ARRAY, code=0x0D), "holds float32"),
        (idx_bytes(ARRAY, code=0x09), "holds int8"),
        (idx_bytes(ARRAY, code=0x77), r"holds an unknown type \(code 0x77\)"),
        (idx_bytes(ARRAY)[:9], "ends within its header"),
        (idx_bytes(ARRAY)[:-1], "truncated: its header says 2 x 3 x 4 = 24 bytes and 23 follow"),
        (idx_bytes(ARRAY) + b"x", "has bytes after the 2 x 3 x 4 = 24"),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_damage_is_named_with_the_file(tmp_path, content, complaint, pack):
    path = written(tmp_path, pack(content))
    with pytest.raises(InputError, match=complaint) as raised:
        read_idx(path)
    assert str(path) in str(raised.value)


def test_a_header_of_petabytes_is_an_error_and_takes_no_memory(tmp_path):
    path = written(tmp_path, bytes.fromhex("00000802 ffffffff 000fffff 00"))
    with pytest.raises(InputError, match="truncated"):
        read_idx(path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda packed: packed[: len(packed) // 2],
        lambda packed: packed[:-4],  # within the trailing checksum
        lambda packed: packed[:2],
        lambda packed: packed[:10] + b"\xff" * 12 + packed[22:],
        lambda packed: packed[:-8] + bytes(4) + packed[-4:],  # another CRC
    ],
)
def test_damaged_gzip(tmp_path, damage):
    big = np.random.default_rng(0).integers(0, 256, (64, 64)).astype(np.uint8)
    path = written(tmp_path, damage(gzip.compress(idx_bytes(big))))
    with pytest.raises(InputError, match="damaged or incomplete gzip file") as raised:
        read_idx(path)
    assert str(path) in str(raised.value)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(InputError, match="absent cannot be read: No such file"):
        read_idx(tmp_path / "absent")
    with pytest.raises(InputError, match="cannot be read"):
        read_idx(tmp_path)
