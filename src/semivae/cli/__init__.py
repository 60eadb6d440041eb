"""The command line: parse, call, print.

Exit code 0 is success, 2 wrong use or bad input, 1 anything else. What takes long to import
(torch, NumPy, scikit-learn) is imported inside the commands that need it: `--help` is instant.
"""

import os
import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from semivae.cli.console import StoppedError, complain, refuse, show
from semivae.cli.evaluate import evaluate
from semivae.cli.fit import fit
from semivae.cli.predict import predict
from semivae.cli.recipes import recipes
from semivae.cli.reproduce import reproduce
from semivae.cli.sample import sample
from semivae.errors import InputError

__all__ = ["app", "main"]

app = typer.Typer(
    help="Many examples, few labels: train, predict, generate, and repeat the paper.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command()(fit)
app.command()(predict)
app.command()(evaluate)
app.command()(sample)
app.command()(recipes)
app.command()(reproduce)


def _show_version(wanted: bool) -> bool:
    if wanted:
        from semivae import __version__

        show(f"semivae {__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """What holds for every command."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs one command and exits; `arguments` are those of the process unless given."""
    try:
        app(sys.argv[1:] if arguments is None else list(arguments), prog_name="semivae")
    except InputError as error:
        refuse(str(error))
        sys.exit(2)
    except StoppedError as error:
        complain(str(error))
    except Exception as error:  # the last door: nobody should read a traceback unasked
        if os.environ.get("SEMIVAE_DEBUG"):
            raise
        complain(f"{type(error).__name__}: {error} (SEMIVAE_DEBUG=1 shows the traceback)")
    sys.exit(1)
