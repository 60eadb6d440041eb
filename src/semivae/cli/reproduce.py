"""`semivae reproduce`: the paper's tables and figures, its numbers beside ours."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from semivae.cli.console import show, show_json, tell
from semivae.cli.options import DataDir, Json
from semivae.errors import InputError


@dataclass(frozen=True)
class Wish:
    """How to reproduce, as asked on the command line."""

    out: Path
    data_dir: Path | None
    seeds: int
    quick: bool


def _architecture(wish: Wish) -> dict[str, object]:
    from semivae.paper import architecture

    tables = architecture.tables()
    text = architecture.markdown(tables)
    path = _written(wish.out, "architecture.md", text)
    return {
        "text": text,
        "written": str(path),
        "tables": [
            {"title": t.title, "header": list(t.header), "rows": [list(row) for row in t.rows]}
            for t in tables
        ],
    }


def _results_table(wish: Wish) -> dict[str, object]:
    from semivae.cli.progress import display
    from semivae.paper import results_table

    with display() as shown:
        return results_table.reproduce(
            wish.out, wish.data_dir, wish.seeds, wish.quick, tell, shown
        )


PIECES: Mapping[str, Callable[[Wish], dict[str, object]]] = {
    "architecture": _architecture,
    "results-table": _results_table,
}
"""What can be reproduced, in the order of `all`."""


def reproduce(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME...", show_default=False, help=f"Any of {', '.join(PIECES)}, or all."
        ),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A small version, in minutes.")] = False,
    seeds: Annotated[
        int, typer.Option(min=1, metavar="N", help="How many seeds, from 0 on.")
    ] = 3,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where tables and pictures are written.")
    ] = Path("runs/reproduce"),
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Make the paper's tables and figures again, its numbers beside ours."""
    wanted = _expanded(names or [])
    wish = Wish(out, data_dir, seeds, quick)
    results = {}
    for name in wanted:
        result = PIECES[name](wish)
        text = result.pop("text", None)
        results[name] = result
        if text is not None and not as_json:
            show(str(text))
    if as_json:
        show_json(results)


def _expanded(names: list[str]) -> list[str]:
    """The pieces named, each once, in the order given; `all` stands for every one."""
    choices = f"choose from {', '.join(PIECES)}, or all"
    if not names:
        raise InputError(f"reproduce what? {choices}")
    for name in names:
        if name != "all" and name not in PIECES:
            raise InputError(f"reproduce {name}: there is no such thing; {choices}")
    every = [piece for name in names for piece in (PIECES if name == "all" else [name])]
    return list(dict.fromkeys(every))


def _written(folder: Path, name: str, text: str) -> Path:
    """Writes one file into the output folder, which may exist and hold earlier results."""
    from semivae.files import write_text

    path = folder / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    except OSError as error:
        raise InputError(f"--out {folder} cannot be written ({error.strerror})") from error
    return path
