"""`semivae reproduce`: the paper's tables and figures, its numbers beside ours."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from semivae.cli.console import StoppedError, show, show_json, told_warnings
from semivae.cli.options import DataDir, Json
from semivae.errors import InputError
from semivae.processes import launched

if TYPE_CHECKING:
    from semivae.paper.experiments import Experiment
    from semivae.paper.runs import Examination, RunResult
    from semivae.runs import Request


@dataclass(frozen=True)
class Wish:
    """How to reproduce, as asked on the command line."""

    out: Path
    data_dir: Path | None
    seeds: int
    quick: bool
    jobs: int

    def named(self, name: str) -> str:
        """What the files of one piece are called: a quick look does not replace the whole."""
        return f"{name}-quick" if self.quick else name

    def command(self, name: str) -> str:
        """The command that makes one piece."""
        quick = " --quick" if self.quick else ""
        return f"semivae reproduce {name} --seeds {self.seeds}{quick}"


def _architecture(wish: Wish) -> dict[str, object]:
    from semivae.paper import architecture

    tables = architecture.tables()
    text = architecture.markdown(tables)
    path = _written(wish.out / "architecture.md", text.encode())
    return {
        "text": text,
        "written": [str(path)],
        "tables": architecture.to_json(tables),
    }


def _executed(
    wish: Wish,
    titles: Mapping["Request", str],
    results: Path,
    examination: "Examination | None" = None,
) -> dict["Request", "RunResult"]:
    """The result of every request, each run once or read from its file under `results`."""
    from semivae.cli.progress import display
    from semivae.paper.runs import execute_all, execute_in_parallel

    requests = list(titles)
    results.mkdir(parents=True, exist_ok=True)
    with display() as shown:
        if wish.jobs == 1:
            ended = execute_all(
                requests,
                results,
                wish.data_dir,
                lambda place: shown.training(titles[requests[place]]),
                examination,
            )
        else:
            ended = execute_in_parallel(
                requests,
                results,
                wish.data_dir,
                wish.jobs,
                shown.counting("runs"),
                examination,
            )
        return dict(zip(requests, ended, strict=True))


def _results_table(wish: Wish) -> dict[str, object]:
    from semivae import runs
    from semivae.paper.results_table import table_of
    from semivae.paper.sides import planned
    from semivae.plots import results_bars, to_png
    from semivae.report import Source, render_results_table, results_markdown

    name = wish.named("results-table")
    plan = planned(wish.seeds, wish.quick)
    results = wish.out / name
    ended = _executed(wish, {side.request: side.title for side in plan}, results)
    found = table_of(plan, ended.values())
    title = "The paper's results table (5.3) beside ours"
    page = render_results_table(
        found.rows,
        title=title,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        verdicts=found.verdicts,
        protocol=found.protocol,
        sources=[Source(wish.command("results-table"), runs.commit(), str(results))],
    )
    verdicts = "".join(f"\n{data}: {words}\n" for data, words in found.verdicts.items())
    text = results_markdown(found.rows) + verdicts
    written = [
        _written(wish.out / f"{name}.html", page.encode()),
        _written(wish.out / f"{name}.md", f"# {title}\n\n{text}".encode()),
        _written(wish.out / f"{name}.png", to_png(results_bars(found.rows))),
    ]
    return {
        "text": text,
        "written": [str(path) for path in written],
        "runs": [asdict(result) for result in found.results],
        "verdicts": found.verdicts,
        "protocol": found.protocol,
    }


def _gradient_estimators(wish: Wish) -> dict[str, object]:
    from semivae.cli.progress import display
    from semivae.paper import gradient_estimators as estimators
    from semivae.paper.experiments import to_csv
    from semivae.plots import estimator_planes, to_png

    folder = wish.out / wish.named("gradient-estimators")
    folder.mkdir(parents=True, exist_ok=True)
    plan = estimators.studies(wish.seeds, wish.quick, wish.data_dir)
    rows: list[estimators.Measured] = []
    with display() as shown:
        for study in plan:
            count = shown.counting(f"gradients, seed {study.seed}")
            rows += estimators.measured(study, folder, wish.data_dir, count)
    text = estimators.markdown(rows, plan)
    figure = to_png(estimator_planes(estimators.points(rows)))
    written = [
        _written(folder / "estimators.png", figure),
        _written(folder / "estimators.csv", to_csv(rows).encode()),
        _written(folder / "estimators.md", text.encode()),
        *(folder / f"seed-{study.seed}.json" for study in plan),
    ]
    return {
        "text": text,
        "written": [str(path) for path in written],
        "studies": [asdict(study) for study in plan],
        "measured": [asdict(row) for row in rows],
    }


def _experiment(wish: Wish, experiment: "Experiment") -> dict[str, object]:
    """Runs an experiment; its page, data and figures beside the folder of its result files."""
    from semivae.paper.experiments import Ended, to_csv
    from semivae.plots import to_png

    folder = wish.out / wish.named(experiment.name)
    plan = experiment.plan(wish.seeds, wish.quick)
    titles = {run.request: run.title for run in plan}
    results = _executed(wish, titles, folder / "runs", experiment.examination)
    ended = [Ended(run, results[run.request]) for run in plan]
    readings = experiment.readings(ended)
    text = experiment.page(ended, wish.quick)
    written = [
        _written(folder / f"{experiment.name}.md", text.encode()),
        _written(folder / f"{experiment.name}.csv", to_csv(readings).encode()),
        *(
            _written(folder / f"{name}.png", to_png(figure))
            for name, figure in experiment.figures(readings).items()
        ),
    ]
    return {
        "text": text,
        "written": [str(path) for path in written],
        "runs": [asdict(result) for result in results.values()],
        "readings": [asdict(reading) for reading in readings],
    }


def _classifier_entropy(wish: Wish) -> dict[str, object]:
    from semivae.paper.classifier_entropy import EXPERIMENT

    return _experiment(wish, EXPERIMENT)


def _learning_from_labels(wish: Wish) -> dict[str, object]:
    from semivae.paper.learning_from_labels import EXPERIMENT

    return _experiment(wish, EXPERIMENT)


def _ablation(wish: Wish) -> dict[str, object]:
    from semivae.paper.ablation import EXPERIMENT

    return _experiment(wish, EXPERIMENT)


def _disentanglement(wish: Wish) -> dict[str, object]:
    from semivae.paper.disentanglement import EXPERIMENT

    return _experiment(wish, EXPERIMENT)


def _domains(wish: Wish) -> dict[str, object]:
    from semivae.paper.domains import EXPERIMENT

    return _experiment(wish, EXPERIMENT)


def _label_counts(wish: Wish) -> dict[str, object]:
    from functools import partial

    from semivae.cli.progress import display
    from semivae.paper import label_counts
    from semivae.paper.experiments import to_csv
    from semivae.paper.runs import in_parallel
    from semivae.plots import to_png

    folder = wish.out / wish.named("label-counts")
    results = folder / "runs"
    results.mkdir(parents=True, exist_ok=True)
    plan = label_counts.planned(wish.seeds, wish.quick)
    execute, execute_group = label_counts.execute_cell, label_counts.execute_group
    with display() as shown:
        if wish.jobs > 1:
            groups = label_counts.groups(plan)
            tasks = [
                partial(execute_group, cells, results.resolve(), wish.data_dir) for cells in groups
            ]
            list(in_parallel(tasks, wish.jobs, shown.counting("groups of runs")))
        ended = [  # with several jobs, all of them are read
            label_counts.Ended(
                cell, execute(cell, results, wish.data_dir, shown.training(cell.title))
            )
            for cell in plan
        ]
    text = label_counts.page(ended, wish.seeds, wish.quick)
    readings = label_counts.readings(ended)
    written = [
        _written(folder / "label-counts.md", text.encode()),
        _written(folder / "label-counts.csv", to_csv(readings).encode()),
        _written(folder / "label-counts.png", to_png(label_counts.figure(ended))),
    ]
    return {
        "text": text,
        "written": [str(path) for path in written],
        "runs": [asdict(result) for _, result in ended],
        "readings": [asdict(reading) for reading in readings],
    }


def _generation(wish: Wish) -> dict[str, object]:
    from semivae.cli.progress import display
    from semivae.data.datasets import load
    from semivae.paper import generation, generation_page
    from semivae.paper.judge import judge
    from semivae.plots import to_png

    folder = wish.out / wish.named("generation")
    results = folder / "runs"
    results.mkdir(parents=True, exist_ok=True)
    plan = generation.plan(wish.seeds, wish.quick)
    titles = {side.request: f"{side.model}, seed {side.request.seed}" for side in plan}
    of = generation.examination(results, wish.quick)
    if generation.missing(list(titles), results, of):  # before parallel runs all need it
        with display() as shown:
            arrays = load(plan[0].request.data, wish.data_dir)
            judge(arrays, of.effort.judge_epochs, of.judge, shown.training("judge"))
    found = list(_executed(wish, titles, results, of).values())
    rows = [generation.row_of(side.model, run) for side, run in zip(plan, found, strict=True)]
    text = generation_page.markdown(rows, found, wish.command("generation"), of.effort)
    pictured = {row.model: run for row, run in zip(rows, found, strict=True)}
    written = [
        _written(folder / "generation.md", text.encode()),
        _written(folder / "generation.csv", generation_page.to_csv(rows).encode()),
        _written(folder / "generation.png", to_png(generation_page.figure(rows))),
        *(
            _written(folder / f"{name}.png", to_png(figure))
            for name, figure in generation_page.pictures(pictured, results).items()
        ),
    ]
    return {
        "text": text,
        "written": [str(path) for path in written],
        "runs": [asdict(result) for result in found],
        "rows": [asdict(row) for row in rows],
        "verdict": generation.verdict(rows),
    }


PIECES: Mapping[str, Callable[[Wish], dict[str, object]]] = {
    "architecture": _architecture,
    "results-table": _results_table,
    "label-counts": _label_counts,
    "gradient-estimators": _gradient_estimators,
    "classifier-entropy": _classifier_entropy,
    "learning-from-labels": _learning_from_labels,
    "ablation": _ablation,
    "generation": _generation,
    "disentanglement": _disentanglement,
    "domains": _domains,
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
            help="How many seeds, from 0 on (default: 3; 1 with --quick).",
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
    wish = Wish(out, data_dir, seeds or (1 if quick else 3), quick, jobs)
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


def _written(path: Path, content: bytes) -> Path:
    from semivae.files import write_bytes

    write_bytes(path, content)
    return path
