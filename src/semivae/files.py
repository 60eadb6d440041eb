"""Files that are there whole or not at all, and output folders checked before work starts.

Of the processes of a run only the main one writes; elsewhere these functions do nothing.
"""

import os
import tempfile
from pathlib import Path

from semivae.errors import InputError
from semivae.processes import is_main


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file atomically: under a temporary name beside it, then renamed over it.

    A kill or a full disk leaves the old file, if any, and no half of the new one.
    """
    if not is_main():
        return
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_text(path: Path, content: str) -> None:
    """`write_bytes` for text, as UTF-8."""
    write_bytes(path, content.encode())


def append_text(path: Path, content: str) -> None:
    """Adds to the end of a file; a kill may leave a part of `content`."""
    if is_main():
        with path.open("a") as file:
            file.write(content)


def remove(path: Path) -> None:
    """Removes a file, if it is there."""
    if is_main():
        path.unlink(missing_ok=True)


def make_folder(path: Path) -> None:
    """Makes an output folder that must not hold anything yet.

    Raises `InputError` if it exists and is not an empty folder, or cannot be written.
    """
    if not is_main():
        return
    try:
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise InputError(f"{path} exists and is not an empty folder: choose another")
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}): choose another") from error
