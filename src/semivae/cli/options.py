"""Options that several commands have, declared once so that they read the same everywhere."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from semivae.errors import InputError

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        exists=True,
        file_okay=False,
        readable=True,
        help="Where data files lie. Looked up before $SEMIVAE_DATA and the user cache.",
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="One JSON object on stdout, all else on stderr.")
]
Run = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.", show_default=False)]
Force = Annotated[bool, typer.Option("--force", help="Overwrite the file.")]


def check_output(out: Path, suffixes: tuple[str, ...], advice: str, force: bool) -> None:
    """Raises InputError before any work if the file cannot be written, or should not be; `advice`
    is what to do about a name that ends in none of `suffixes`."""
    if out.suffix.lower() not in suffixes:
        raise InputError(f"--out {out}: {advice}")
    if out.exists() and not (force and out.is_file()):
        file = out.is_file()
        instead = "choose another name, or --force to overwrite it" if file else "it is a folder"
        raise InputError(f"--out {out} exists: {instead}")
    try:
        with tempfile.TemporaryFile(dir=out.parent):
            pass
    except OSError as error:
        raise InputError(
            f"--out {out}: the folder {out.parent} cannot be written ({error.strerror})"
        ) from error
