"""`semivae reproduce`: the paper's tables and figures, its numbers beside ours."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, cast

import typer

from semivae.cli import conclusions, pieces
from semivae.cli.console import StoppedError, show, show_json, told_warnings
from semivae.cli.options import DataDir, Json
from semivae.cli.wishes import Wish
from semivae.errors import InputError
from semivae.processes import launched

PIECES: Mapping[str, Callable[[Wish], dict[str, object]]] = {
    "architecture": pieces.architecture,
    "results-table": pieces.results_table,
    "label-counts": pieces.label_counts,
    "gradient-estimators": pieces.gradient_estimators,
    "classifier-entropy": pieces.classifier_entropy,
    "learning-from-labels": pieces.learning_from_labels,
    "ablation": pieces.ablation,
    "generation": pieces.generation,
    "disentanglement": pieces.disentanglement,
    "domains": pieces.domains,
    "claims": conclusions.claims,
    "report": conclusions.report,
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
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            show_default=False,
            help="How many seeds of every row, from 0 on (default: each piece's own, mostly 3; "
            "1 with --quick); of domains five splits each.",
        ),
    ] = None,
    jobs: Annotated[
        int, typer.Option(min=1, metavar="N", help="How many runs at a time share the cores.")
    ] = 1,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where tables and pictures are written.")
    ] = Path("runs/reproduce"),
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Repeat the paper, its numbers beside ours."""
    if launched() > 1:
        raise InputError("reproduce is one process: start it without a launcher, with --jobs N")
    wanted = _expanded(names or [])
    wish = Wish(out, data_dir, seeds, quick, jobs)
    _make_sure_of(out)
    results: dict[str, object] = {}
    with _alone_in(out):
        for name in wanted:
            try:
                with told_warnings():
                    result = PIECES[name](wish)
            except KeyboardInterrupt:
                raise StoppedError("stopped: the same command goes on where it was") from None
            text = result.pop("text")
            results[name] = result
            if not as_json:
                show(f"{text}\nwritten: {', '.join(cast(list[str], result['written']))}")
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


def _make_sure_of(folder: Path) -> None:
    """Makes the output folder, which may hold earlier results, before anything takes long."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"--out {folder} cannot be written ({error.strerror})") from error


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keeps a second `reproduce` out, which would train the same runs in the same files."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise InputError(
            f"--out {folder}: another `semivae reproduce` is at work there; let it end, or give "
            "another folder"
        ) from None
    try:
        yield
    finally:
        lock.release()
