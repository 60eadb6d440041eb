"""Reads IDX, the format of MNIST and Fashion-MNIST: a small header, then the bytes of one array.

The header is two zero bytes, a type code, the number of axes, and the length of each axis as four
bytes, most significant first. A file may be plain or gzip; its first bytes decide, not its name,
since unzipped copies often keep the ending `.gz`.
"""

import gzip
import hashlib
import math
import struct
import zlib
from io import BufferedIOBase
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from semivae.errors import InputError

GZIP_MAGIC = b"\x1f\x8b"
UINT8_CODE = 0x08
OTHER_TYPES = {0x09: "int8", 0x0B: "int16", 0x0C: "int32", 0x0D: "float32", 0x0E: "float64"}
BLOCK = 1 << 20  # bytes


def read_idx(path: Path) -> UInt8[np.ndarray, "..."]:
    """The array in an IDX file of unsigned bytes, of the shape that its header states.

    Raises InputError, naming the file, if it is missing, is not IDX, holds another type than
    unsigned bytes, or is longer or shorter than its header says.
    """
    try:
        with path.open("rb") as file:
            zipped = file.read(2) == GZIP_MAGIC
            file.seek(0)
            if not zipped:
                return _parse(file, path)
            with gzip.open(file) as unzipped:
                return _parse(unzipped, path)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(
            f"{path} is a damaged or incomplete gzip file ({error}): fetch it again"
        ) from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


def content_sha256(array: UInt8[np.ndarray, "..."]) -> str:
    """SHA-256, in hexadecimal, of the uncompressed IDX file that holds this array.

    `read_idx` admits no byte beside header and array, so this is the checksum of the file's
    content without a second pass over the file, and it does not depend on how gzip packed it.

    >>> file = bytes.fromhex("00000801 00000001 07")
    >>> content_sha256(np.array([7], np.uint8)) == hashlib.sha256(file).hexdigest()
    True
    """
    header = struct.pack(f">HBB{array.ndim}I", 0, UINT8_CODE, array.ndim, *array.shape)
    digest = hashlib.sha256(header)
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _parse(stream: BufferedIOBase, path: Path) -> UInt8[np.ndarray, "..."]:
    start = stream.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[3] == 0:
        raise InputError(
            f"{path} is not an IDX file: it starts with {start.hex(' ') or 'nothing'}, "
            "an IDX file of bytes with 00 00 08 and its number of axes; give the original file"
        )
    code, n_axes = start[2], start[3]
    if code != UINT8_CODE:
        found = OTHER_TYPES.get(code, f"an unknown type (code {code:#04x})")
        raise InputError(f"{path} holds {found}: only IDX files of unsigned bytes can be used")

    lengths = stream.read(4 * n_axes)
    if len(lengths) < 4 * n_axes:
        raise InputError(f"{path} ends within its header: it is truncated, fetch it again")
    shape = struct.unpack(f">{n_axes}I", lengths)

    expected = math.prod(shape)
    # One byte more than stated is asked for, to notice what follows the array.
    payload = _read_up_to(stream, expected + 1)
    if len(payload) < expected:
        raise InputError(
            f"{path} is truncated: its header says {_times(shape)} = {expected} bytes and "
            f"{len(payload)} follow; fetch it again"
        )
    if len(payload) > expected:
        raise InputError(
            f"{path} has bytes after the {_times(shape)} = {expected} that its header says: "
            "it is damaged or not an IDX file, fetch it again"
        )
    return np.frombuffer(payload, np.uint8).reshape(shape)


def _read_up_to(stream: BufferedIOBase, size: int) -> bytearray:
    """At most `size` bytes. In blocks: a damaged header may state more bytes than memory holds."""
    content = bytearray()
    while len(content) < size:
        block = stream.read(min(BLOCK, size - len(content)))
        if not block:
            break
        content += block
    return content


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
