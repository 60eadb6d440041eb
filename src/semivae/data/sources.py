"""Finds the files of a published data set, and downloads those that no folder of this machine has.

Files are looked up in the layouts of the originals (`MNIST/raw/...`), in this order: the folder
given (`--data-dir`), the folder that `$SEMIVAE_DATA` names, the user cache. What is missing is
downloaded into the user cache, under a temporary name until its checksum is verified.
"""

import os
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pooch
from jaxtyping import UInt8

from semivae.data.cifar import META_FILE, TEST_FILE, TRAIN_FILES
from semivae.data.downloads import (
    ContentSha256,
    DownloadError,
    GzipFile,
    Md5,
    TarArchive,
)
from semivae.data.idx import read_idx
from semivae.errors import InputError

TIMEOUT = 30  # seconds without an answer of the mirror
CHUNK = 1 << 20  # bytes


@dataclass(frozen=True)
class Source:
    """A published data set: the folder that holds its files, and what to download for them."""

    title: str
    folder: str
    downloads: tuple[GzipFile | TarArchive, ...]

    @property
    def files(self) -> tuple[str, ...]:
        return tuple(name for download in self.downloads for name in download.provides)


def locate(source: Source, data_dir: Path | None = None) -> dict[str, Path]:
    """Where each file of the source lies: all in the first place that has every one of them.

    If there is no such place, the files that the user cache lacks are downloaded into it. Raises
    InputError with the files, every place looked at, the address and the remedy if that fails.
    """
    places = _places(data_dir)
    for place in places:
        found = _find(source, place)
        if len(found) == len(source.files):
            return found
    cache = places[-1]
    for download in source.downloads:
        if set(download.provides) <= _find(source, cache).keys():
            continue
        try:
            _fetch(download, cache / source.folder)
        except (DownloadError, OSError) as error:
            looked = ", ".join(_describe(source, place) for place in places)
            raise InputError(
                f"{source.title} is missing: the files {', '.join(source.files)} are not together "
                f"in any of {looked}, and the download of {download.address} failed "
                f"({_reason(error)}); put the files into a folder {source.folder} and name the "
                "folder that holds it with --data-dir or $SEMIVAE_DATA"
            ) from error
    return _find(source, cache)


def read_idx_files(
    source: Source, data_dir: Path | None = None
) -> dict[str, UInt8[np.ndarray, "..."]]:
    """The arrays of a source of IDX files, by the names of the files.

    A copy that differs from the original is used, with a UserWarning. Raises InputError.
    """
    paths = locate(source, data_dir)
    arrays = {name: read_idx(path) for name, path in paths.items()}
    for download in source.downloads:
        for name in download.provides:
            if not download.checksum.knows(arrays[name]):
                warnings.warn(
                    f"{paths[name]} differs from the original {source.title}: it is used, but "
                    "results on it do not compare with published ones",
                    UserWarning,
                    stacklevel=2,
                )
    return arrays


def _places(data_dir: Path | None) -> list[Path]:
    """The folders to look in, the user cache last."""
    named = os.environ.get("SEMIVAE_DATA")
    places = [data_dir, Path(named) if named else None, Path(pooch.os_cache("semivae"))]
    return [place for place in places if place is not None]


def _find(source: Source, place: Path) -> dict[str, Path]:
    """The files of the source that a place has, unzipped ones first, by name."""
    folder = place / source.folder
    candidates = ((name, folder / f"{name}{end}") for name in source.files for end in (".gz", ""))
    return {name: path for name, path in candidates if path.is_file()}


def _describe(source: Source, place: Path) -> str:
    found = _find(source, place)
    lacks = [name for name in source.files if name not in found]
    partly = f" (lacks {', '.join(lacks)})" if found and lacks else ""
    return f"{place / source.folder}{partly}"


def _fetch(download: GzipFile | TarArchive, folder: Path) -> None:
    """Downloads beside the target, so that a verified file is moved into place in one step."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".download-", dir=folder) as beside:
        path = Path(beside) / "download"
        # The downloader alone: pooch.retrieve also logs to the user's terminal.
        get = pooch.HTTPDownloader(progressbar=False, chunk_size=CHUNK, timeout=TIMEOUT)
        get(download.address, str(path), None)
        download.checksum.verify(path)
        download.unpack(path, folder)


def _reason(error: Exception) -> str:
    """One short clause. Without a connection, requests prints the inside of its objects."""
    if isinstance(error, OSError) and error.errno is None:  # of requests, not the file system
        response = getattr(error, "response", None)
        return type(error).__name__ if response is None else f"HTTP status {response.status_code}"
    return str(error)


TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"

_MNIST_URL = "https://ossci-datasets.s3.amazonaws.com/mnist/"
_MNIST_SHA256 = {
    TRAIN_IMAGES: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    TRAIN_LABELS: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    TEST_IMAGES: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    TEST_LABELS: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
MNIST = Source(
    title="MNIST",
    folder="MNIST/raw",
    downloads=tuple(
        GzipFile(_MNIST_URL, name, ContentSha256(digest)) for name, digest in _MNIST_SHA256.items()
    ),
)

_FASHION_URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
_FASHION_MD5 = {
    TRAIN_IMAGES: "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    TRAIN_LABELS: "25c81989df183df01b3e8a0aad5dffbe",
    TEST_IMAGES: "bef4ecab320f06d8554ea6380940ec79",
    TEST_LABELS: "bb300cfdad3c16e7a12a480ee83cd310",
}
FASHION_MNIST = Source(
    title="Fashion-MNIST",
    folder="FashionMNIST/raw",
    downloads=tuple(
        GzipFile(_FASHION_URL, name, Md5(digest)) for name, digest in _FASHION_MD5.items()
    ),
)

CIFAR10 = Source(
    title="CIFAR-10",
    folder="cifar-10-batches-py",
    downloads=(
        TarArchive(
            address="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
            folder="cifar-10-batches-py",
            provides=(*TRAIN_FILES, TEST_FILE, META_FILE),
            checksum=Md5("c58f30108f718f92721af3b95e74349a"),
        ),
    ),
)
