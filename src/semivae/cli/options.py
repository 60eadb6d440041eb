"""Options that several commands have, declared once so that they read the same everywhere."""

from pathlib import Path
from typing import Annotated

import typer

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
