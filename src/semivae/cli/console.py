"""Where text goes: results to stdout, all else to stderr, and never both in one line.

Of the processes of a run only the main one speaks, but for why it ends early.
"""

import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TextIO

import typer

from semivae.processes import is_first_here, is_main


class StoppedError(Exception):
    """A command that could not end, in one sentence that says how to go on: exit code 1."""


def show(text: str) -> None:
    """A result, on stdout."""
    if is_main():
        typer.echo(text)


def show_json(values: Mapping[str, object]) -> None:
    """The one JSON object of `--json`, on stdout; a number that is not finite is an error."""
    show(json.dumps(values, allow_nan=False))


def tell(text: str) -> None:
    """What happens meanwhile, on stderr."""
    if is_main():
        typer.echo(text, err=True)


def refuse(text: str) -> None:
    """What is wrong with the input, on stderr, once on each machine: all processes see it."""
    if is_first_here():
        typer.echo(f"semivae: {text}", err=True)


def complain(text: str) -> None:
    """Why this process ends early, on stderr; it may be the only one that knows."""
    typer.echo(f"semivae: {text}", err=True)


@contextmanager
def told_warnings() -> Iterator[list[str]]:
    """Tells each warning once, as one line, and keeps its text.

    Only what concerns the data and the numbers: a library's notes to its developers stay hidden.
    """
    kept: list[str] = []

    def keep(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        text = " ".join(str(message).split())
        if text not in kept:
            kept.append(text)
            tell(f"warning: {text}")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("default", UserWarning)
        warnings.simplefilter("default", RuntimeWarning)
        warnings.filterwarnings("ignore", module=r"torch\.")
        warnings.showwarning = keep
        yield kept
