"""Where files are found, and downloads, against a server of this machine: no network is needed."""

import functools
import gzip
import hashlib
import http.server
import io
import logging
import struct
import tarfile
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest

from semivae.data.downloads import ContentSha256, GzipFile, Md5, TarArchive
from semivae.data.idx import content_sha256
from semivae.data.sources import CIFAR10, FASHION_MNIST, MNIST, Source, locate, read_idx_files
from semivae.errors import InputError

ARRAYS = {
    "images": np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
    "labels": np.array([3, 4], np.uint8),
}
FOLDER = "Toy/raw"


def idx_bytes(array: np.ndarray) -> bytes:
    return (
        bytes([0, 0, 8, array.ndim])
        + struct.pack(f">{array.ndim}I", *array.shape)
        + array.tobytes()
    )


def put(place: Path, names=tuple(ARRAYS), end: str = ".gz", add: int = 0) -> None:
    """Writes the files of the toy source below a place, its pixels raised by `add`."""
    folder = place / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        content = idx_bytes(ARRAYS[name] + np.uint8(add))
        (folder / f"{name}{end}").write_bytes(gzip.compress(content) if end else content)


def toy(url: str = "http://127.0.0.1:9/") -> Source:
    """A source with the checksums of ARRAYS; by default its mirror cannot be reached."""
    files = [GzipFile(url, name, ContentSha256(content_sha256(a))) for name, a in ARRAYS.items()]
    return Source("Toy", FOLDER, tuple(files))


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format, *args):
        self.server.requests.append(self.path)


@pytest.fixture
def mirror(tmp_path):
    """A folder that is served over HTTP: (folder, its URL, the list of paths asked for)."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.requests = []
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}/", server.requests
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """The user cache, in a folder of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("SEMIVAE_DATA", raising=False)
    return tmp_path / "xdg" / "semivae"


def test_places_in_order(tmp_path, cache, monkeypatch):
    given, named = tmp_path / "given", tmp_path / "named"
    monkeypatch.setenv("SEMIVAE_DATA", str(named))
    for place in (cache, named, given):  # each is looked at before those already there
        put(place)
        assert set(locate(toy(), given).values()) == {
            place / FOLDER / "images.gz",
            place / FOLDER / "labels.gz",
        }
    assert locate(toy())["images"] == named / FOLDER / "images.gz"
    monkeypatch.setenv("SEMIVAE_DATA", "")
    assert locate(toy())["images"] == cache / FOLDER / "images.gz"


@pytest.mark.parametrize("end", ["", ".gz"])
def test_zipped_and_unzipped_files(tmp_path, end):
    put(tmp_path, end=end)
    arrays = read_idx_files(toy(), tmp_path)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)


def test_a_place_needs_all_files(tmp_path, cache):
    put(tmp_path, names=["images"])
    put(cache)
    assert locate(toy(), tmp_path)["images"] == cache / FOLDER / "images.gz"


def test_a_local_copy_that_differs_is_used_with_a_warning(tmp_path):
    put(tmp_path, add=1)
    with pytest.warns(UserWarning, match="differs from the original Toy") as warned:
        arrays = read_idx_files(toy(), tmp_path)
    assert [
        str(tmp_path / FOLDER / name) in str(w.message)
        for name, w in zip(ARRAYS, warned, strict=True)
    ]
    np.testing.assert_array_equal(arrays["images"], ARRAYS["images"] + 1)


def test_download_is_silent_verified_and_kept(mirror, cache, tmp_path, capfd, caplog):
    folder, url, requests = mirror
    put(folder)
    source = toy(f"{url}{FOLDER}/")
    with caplog.at_level(logging.INFO, logger="pooch"), warnings.catch_warnings():
        warnings.simplefilter("error")
        arrays = read_idx_files(source, tmp_path / "absent")
    np.testing.assert_array_equal(arrays["images"], ARRAYS["images"])
    assert sorted(path.name for path in (cache / FOLDER).iterdir()) == ["images.gz", "labels.gz"]
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.name == "pooch"]
    read_idx_files(source)
    assert len(requests) == 2  # the second time, the cache was enough


def test_only_the_missing_file_is_downloaded(mirror, cache):
    folder, url, requests = mirror
    put(folder)
    put(cache, names=["images"], end="")
    paths = locate(toy(f"{url}{FOLDER}/"))
    assert paths == {"images": cache / FOLDER / "images", "labels": cache / FOLDER / "labels.gz"}
    assert len(requests) == 1


def test_a_download_that_differs_is_an_error_and_not_kept(mirror, cache):
    folder, url, _ = mirror
    put(folder, add=1)
    with pytest.raises(InputError, match=r"not the original and was not kept: its SHA-256 is"):
        locate(toy(f"{url}{FOLDER}/"))
    assert not list((cache / FOLDER).iterdir())


@pytest.mark.parametrize("content", [b"", b"<html>", gzip.compress(b"hello")[:-3]])
def test_a_download_that_is_no_idx_file(mirror, cache, content):
    folder, url, _ = mirror
    (folder / "images.gz").write_bytes(content)
    with pytest.raises(InputError, match="what arrived is not a whole IDX file"):
        locate(toy(url))
    assert not list((cache / FOLDER).iterdir())


def test_md5_of_the_file_as_served(mirror, cache):
    folder, url, _ = mirror
    content = gzip.compress(idx_bytes(ARRAYS["images"]))
    (folder / "images.gz").write_bytes(content)
    good, bad = hashlib.md5(content).hexdigest(), "0" * 32
    with pytest.raises(InputError, match=f"its MD5 is {good}, not {bad}"):
        locate(Source("Toy", FOLDER, (GzipFile(url, "images", Md5(bad)),)))
    assert not list((cache / FOLDER).iterdir())
    source = Source("Toy", FOLDER, (GzipFile(url, "images", Md5(good)),))
    np.testing.assert_array_equal(read_idx_files(source)["images"], ARRAYS["images"])


def test_a_failed_download_names_files_places_address_and_remedy(tmp_path, cache, monkeypatch):
    monkeypatch.setenv("SEMIVAE_DATA", str(tmp_path / "named"))
    put(tmp_path / "given", names=["images"])
    with pytest.raises(InputError) as raised:
        locate(toy(), tmp_path / "given")
    message = str(raised.value)
    for part in (
        "Toy is missing",
        "the files images, labels",
        f"{tmp_path / 'given' / FOLDER} (lacks labels), ",
        f"{tmp_path / 'named' / FOLDER}, ",
        str(cache / FOLDER),
        "http://127.0.0.1:9/images.gz failed (ConnectionError)",
        "--data-dir or $SEMIVAE_DATA",
    ):
        assert part in message
    assert "object at 0x" not in message


def test_a_status_of_the_server_is_named(mirror):
    _, url, _ = mirror
    with pytest.raises(InputError, match=r"images\.gz failed \(HTTP status 404\)"):
        locate(toy(url))


def test_a_cache_that_cannot_be_written(cache):
    cache.parent.mkdir()
    cache.write_text("a file where the folder should be")
    with pytest.raises(InputError, match=r"Toy is missing.*Not a directory"):
        locate(toy())


# --- archives ---


def archive_of(members: dict[str, bytes], **special: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for name, target in special.items():
            info = tarfile.TarInfo(f"toy/{name}")
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    return packed.getvalue()


def archive_source(mirror, content: bytes) -> Source:
    folder, url, _ = mirror
    (folder / "toy.tar.gz").write_bytes(content)
    checksum = Md5(hashlib.md5(content).hexdigest())
    return Source("Toy", "toy", (TarArchive(f"{url}toy.tar.gz", "toy", ("a", "b"), checksum),))


def test_an_archive_is_unpacked_to_the_files_that_are_needed(mirror, cache, tmp_path):
    members = {"toy/a": b"one", "toy/b": b"two", "toy/readme.html": b"x", "../escaped": b"bad"}
    paths = locate(archive_source(mirror, archive_of(members)))
    assert {name: path.read_bytes() for name, path in paths.items()} == {"a": b"one", "b": b"two"}
    assert sorted(path.name for path in (cache / "toy").iterdir()) == ["a", "b"]
    assert not list(tmp_path.rglob("escaped"))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (archive_of({"toy/a": b"one"}), "filename 'toy/b' not found"),
        (archive_of({"toy/a": b"one"}, b="/etc/hostname"), "cannot be unpacked"),
        (archive_of({"toy/a": b"one"}, b="../../outside"), "cannot be unpacked"),
        (archive_of({"toy/a": bytes(5000), "toy/b": b"two"})[:60], "cannot be unpacked"),
        (b"<html>", "cannot be unpacked"),
    ],
)
def test_an_archive_that_cannot_be_used(mirror, cache, content, complaint):
    with pytest.raises(InputError, match=complaint):
        locate(archive_source(mirror, content))
    assert not list((cache / "toy").iterdir())


# --- the published sources ---


def test_layouts_and_addresses_are_those_of_the_originals():
    four = (
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    )
    assert (MNIST.folder, MNIST.files) == ("MNIST/raw", four)
    assert (FASHION_MNIST.folder, FASHION_MNIST.files) == ("FashionMNIST/raw", four)
    assert CIFAR10.folder == "cifar-10-batches-py"
    assert CIFAR10.files == (
        *(f"data_batch_{i}" for i in range(1, 6)),
        "test_batch",
        "batches.meta",
    )
    assert [d.address for d in MNIST.downloads][2] == (
        "https://ossci-datasets.s3.amazonaws.com/mnist/t10k-images-idx3-ubyte.gz"
    )
    for source in (MNIST, FASHION_MNIST, CIFAR10):
        for download in source.downloads:
            length = 64 if isinstance(download.checksum, ContentSha256) else 32
            assert len(bytes.fromhex(download.checksum.digest)) * 2 == length
