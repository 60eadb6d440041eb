"""Files are whole or not there; an output folder is refused before work starts."""

import os
from pathlib import Path

import pytest

from semivae.errors import InputError
from semivae.files import make_folder, write_bytes, write_text


def test_a_file_is_written_whole_as_utf_8_with_nothing_beside_it(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a.bin", b"\x00\xff")
    write_text(tmp_path / "b.txt", "α\n")
    assert (tmp_path / "a.bin").read_bytes() == b"\x00\xff"
    assert (tmp_path / "b.txt").read_bytes() == b"\xce\xb1\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.bin", "b.txt"]


def test_a_file_that_is_there_is_replaced_and_readable_by_others(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    write_text(path, "a longer text that was there before")
    write_text(path, "new")
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("function", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()], ids=type)
def test_a_write_that_fails_leaves_the_old_file_and_no_temporary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str, error: BaseException
) -> None:
    path = tmp_path / "model.safetensors"
    write_text(path, "old")

    def fail(*arguments: object) -> None:
        raise error

    monkeypatch.setattr(os if function == "fsync" else Path, function, fail)
    with pytest.raises(type(error)):
        write_text(path, "new")
    monkeypatch.undo()
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["model.safetensors"]


def test_a_first_write_that_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write_bytes(tmp_path / "a", b"1")
    assert list(tmp_path.iterdir()) == []


def test_make_folder_makes_parents_and_takes_an_empty_folder(tmp_path: Path) -> None:
    make_folder(tmp_path / "runs" / "first")
    make_folder(tmp_path / "runs" / "first")
    assert list((tmp_path / "runs" / "first").iterdir()) == []


def test_make_folder_refuses_a_folder_that_holds_something(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("mine")
    with pytest.raises(InputError) as caught:
        make_folder(tmp_path)
    expected = f"{tmp_path} exists and is not an empty folder: choose another"
    assert str(caught.value) == expected
    assert (tmp_path / "config.json").read_text() == "mine"


def test_make_folder_refuses_a_file_and_a_path_below_one(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(InputError, match="exists and is not an empty folder"):
        make_folder(file)
    with pytest.raises(InputError, match=r"cannot be written \(Not a directory\)") as caught:
        make_folder(file / "run")
    assert str(file / "run") in str(caught.value)
    assert file.read_text() == "mine"


def test_make_folder_tries_to_write_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**arguments: object) -> None:
        raise PermissionError(13, "Permission denied")

    # Root may write anywhere, so the refusal is staged.
    monkeypatch.setattr("semivae.files.tempfile.TemporaryFile", refuse)
    with pytest.raises(InputError, match=r"cannot be written \(Permission denied\): choose"):
        make_folder(tmp_path)
