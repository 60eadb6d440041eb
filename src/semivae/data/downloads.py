"""Files as a mirror serves them: where they are, how they are verified and unpacked."""

import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pooch
from jaxtyping import UInt8

from semivae.data.idx import content_sha256, read_idx
from semivae.errors import InputError


class DownloadError(Exception):
    """Why a file could not be had from its mirror; `sources.locate` makes the sentence of it."""


@dataclass(frozen=True)
class Md5:
    """The MD5 of a file as its mirror serves it; it says nothing about an unpacked copy."""

    digest: str

    def verify(self, path: Path) -> None:
        _compare("MD5", pooch.file_hash(str(path), alg="md5"), self.digest)

    def knows(self, array: UInt8[np.ndarray, "..."]) -> bool:
        """Whether the array is the original, as far as this checksum can tell."""
        return True


@dataclass(frozen=True)
class ContentSha256:
    """The SHA-256 of an uncompressed IDX file: the same for every mirror and way to pack it."""

    digest: str

    def verify(self, path: Path) -> None:
        try:
            found = content_sha256(read_idx(path))
        except InputError as error:
            raise DownloadError("what arrived is not a whole IDX file") from error
        _compare("SHA-256", found, self.digest)

    def knows(self, array: UInt8[np.ndarray, "..."]) -> bool:
        """Whether the array is the original."""
        return content_sha256(array) == self.digest


@dataclass(frozen=True)
class GzipFile:
    """One file that a mirror serves compressed, as `url`/`name`.gz; kept as it is served."""

    url: str
    name: str
    checksum: Md5 | ContentSha256

    @property
    def provides(self) -> tuple[str, ...]:
        return (self.name,)

    @property
    def address(self) -> str:
        return f"{self.url}{self.name}.gz"

    def unpack(self, download: Path, into: Path) -> None:
        download.replace(into / f"{self.name}.gz")


@dataclass(frozen=True)
class TarArchive:
    """An archive with one folder; of it only the files named in `provides` are unpacked."""

    address: str
    folder: str
    provides: tuple[str, ...]
    checksum: Md5

    def unpack(self, download: Path, into: Path) -> None:
        beside = download.parent
        try:
            with tarfile.open(download) as archive:
                members = [archive.getmember(f"{self.folder}/{name}") for name in self.provides]
                archive.extractall(beside, members=members, filter="data")
        except (tarfile.TarError, KeyError, EOFError, zlib.error) as error:
            raise DownloadError(f"the archive cannot be unpacked: {error}") from error
        for name in self.provides:
            (beside / self.folder / name).replace(into / name)


def _compare(kind: str, found: str, expected: str) -> None:
    if found != expected:
        raise DownloadError(
            f"what arrived is not the original and was not kept: its {kind} is {found}, "
            f"not {expected}"
        )
