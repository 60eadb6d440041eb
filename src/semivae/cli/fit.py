"""`semivae fit`: trains on many rows with few labels, into a run directory with a report."""

import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from semivae.cli.console import StoppedError, show, show_json, tell, told_warnings
from semivae.cli.options import DataDir, Json
from semivae.errors import InputError

if TYPE_CHECKING:
    from semivae.fitting import Hooks
    from semivae.request import Prepared, Request


def fit(
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="DATA",
            show_default=False,
            help="digits, mnist, fashion-mnist, cifar10, the tables breast-cancer and wine, or an "
            ".npz file with X (images or a table) and y (-1: unlabeled), and X_test and "
            "y_test if there is a test set.",
        ),
    ] = None,
    labels: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Keep N labels, balanced over the classes, and hide the others "
            "(default: keep all).",
        ),
    ] = None,
    validation: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="N further training labels, not trained on; their accuracy is reported.",
        ),
    ] = None,
    holdout: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=0.9,
            metavar="SHARE",
            help="Hold out this share of the labeled rows; their accuracy is reported.",
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="How to train; `semivae recipes` lists them (default: auto)."
        ),
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Another objective than the recipe's."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change one value of the recipe, as objective.beta=2. May be repeated.",
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0, metavar="S", help="Decides labels kept, weights, order, noise (default: 0)."
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, metavar="E", help="Passes over the unlabeled rows."),
    ] = None,
    max_minutes: Annotated[
        float | None,
        typer.Option(metavar="M", help="As many epochs as fit into M minutes, baseline aside."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN", help="The run directory to make (default: runs/DATA-RECIPE-SEED)."
        ),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Go on with a run that was cut off."),
    ] = None,
    no_baseline: Annotated[
        bool, typer.Option("--no-baseline", help="Do not train on the labels alone as well.")
    ] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Train on many rows with few labels.

    Writes a run directory with report.html; to compare, trains on the labels alone as well.
    """
    options = {
        "DATA": data,
        "--labels": labels,
        "--validation": validation,
        "--holdout": holdout,
        "--recipe": recipe,
        "--objective": objective,
        "--set": settings or None,
        "--seed": seed,
        "--epochs": epochs,
        "--max-minutes": max_minutes,
        "--out": out,
    }
    if resume is not None:
        _only_resume(options)
    elif data is None:
        raise InputError(
            "nothing to train on: name the data, as in `semivae fit digits --labels 50`, "
            "or a run to go on with, as in `semivae fit --resume RUN`"
        )
    from semivae import rundir, runs
    from semivae.cli import page, summary
    from semivae.files import write_text
    from semivae.request import Request, prepare

    with told_warnings() as warned:
        model = snapshot = None
        if resume is not None:
            folder = resume
            prepared, model, snapshot = runs.resume(folder, data_dir, not no_baseline)
        else:
            assert data is not None
            request = Request(
                data=_absolute_if_file(data),
                labels=labels,
                validation=validation or 0,
                holdout=holdout or 0.0,
                recipe=recipe or "auto",
                objective=objective,
                settings=tuple(settings or ()),
                seed=seed or 0,
                epochs=epochs,
                max_minutes=max_minutes,
                baseline=not no_baseline,
            )
            prepared = prepare(request, data_dir)
            folder = out or _free_folder(request)
        with _says_how_to_go_on(folder):
            if resume is None:
                prepared = runs.start(prepared, folder)
            tell(summary.intention(prepared, folder))
            alarms: list[str] = []

            def write_report(finished: runs.Finished) -> None:
                alarms.extend(page.alarms(finished))
                report = page.render(finished, [*alarms, *warned])
                write_text(folder / rundir.REPORT, report)

            with _hooks(prepared, snapshot.epoch if snapshot else 0) as (hooks, baseline_hooks):
                finished = runs.run(
                    prepared, folder, hooks, baseline_hooks, model, snapshot, write_report
                )
    for alarm in alarms:
        tell(f"warning: {alarm}")
    if as_json:
        show_json(finished.summary(folder))
    else:
        show(summary.reached(finished, folder / rundir.REPORT))


def _only_resume(options: Mapping[str, object]) -> None:
    """Refuses what a resumed run would have to ignore."""
    for name, value in options.items():
        if value is not None:
            raise InputError(
                f"--resume goes on with a run as it was started: leave out {name}, "
                "or start a new run without --resume"
            )


def _absolute_if_file(data: str) -> str:
    """A path in full, so that the run can be resumed from any folder; a name as it is."""
    from semivae.data.datasets import DATASETS

    path = Path(data)
    return str(path.resolve()) if data not in DATASETS and path.is_file() else data


def _free_folder(request: "Request") -> Path:
    """runs/DATA-RECIPE-SEED, with a number after it if that exists."""
    folder = Path("runs") / f"{Path(request.data).stem}-{request.recipe}-{request.seed}"
    tries, free = 1, folder
    while free.exists():
        tries += 1
        free = folder.with_name(f"{folder.name}-{tries}")
    return free


@contextmanager
def _says_how_to_go_on(folder: Path) -> Iterator[None]:
    """What may end a training early, as one sentence."""
    from semivae.finite import NonFiniteError

    try:
        yield
    except InputError:
        raise
    except KeyboardInterrupt:
        raise StoppedError(f"stopped: {_next(folder)}") from None
    except NonFiniteError as error:
        raise StoppedError(
            f"{error}: train anew with --set training.clip_norm=1 or a lower "
            f"--set training.optimizer.peak=RATE"
        ) from error
    except OSError as error:
        raise StoppedError(
            f"writing to {folder} failed ({error.strerror or error}): make room; {_next(folder)}"
        ) from error


def _next(folder: Path) -> str:
    """How to go on, by what is in the run directory."""
    from semivae import rundir

    if (folder / rundir.CONFIG).exists():
        return f"go on with `semivae fit --resume {shlex.quote(str(folder))}`"
    return "nothing is trained yet, so start again"


@contextmanager
def _hooks(prepared: "Prepared", done: int) -> Iterator[tuple["Hooks", "Hooks"]]:
    """What shows the progress of the training and of its supervised-only baseline."""
    from semivae.cli.progress import display
    from semivae.cli.summary import rows_by_epoch

    facts, recipe = prepared.training_set.facts, prepared.recipe
    with display() as shown:
        yield (
            shown.training("training", rows_by_epoch(recipe, facts), done),
            shown.training("labels alone", [facts.n_labeled] * recipe.baseline.epochs),
        )
