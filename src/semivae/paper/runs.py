"""The training runs of an experiment, one after another or in parallel; none is run twice."""

import os
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from filelock import FileLock
from joblib import Parallel, delayed

from semivae import runs
from semivae.config import to_plain
from semivae.errors import InputError
from semivae.fitting import Hooks
from semivae.models.base import DeepGenerativeModel
from semivae.nets import learned_values
from semivae.paper.results import RunResult, machine, name_of, stored, write_result
from semivae.request import Prepared, Request, prepare
from semivae.rundir import (
    CHECKPOINT,
    CHECKPOINT_STATE,
    CONFIG,
    METRICS,
    MODEL,
    RunConfig,
    load_config,
)
from semivae.training import Snapshot

Result = TypeVar("Result")


@runtime_checkable
class Examination(Protocol):
    """What else is measured of a finished run and kept in its result; weights are not.

    A value that processes can send each other.
    """

    def done(self, examined: Mapping[str, Any]) -> bool:
        """Whether a result with this in it was examined as this examination would."""

    def __call__(self, finished: runs.Finished, folder: Path) -> dict[str, Any]:
        """What it finds, as JSON values; pictures go to the folder beside the result, which may
        not be there yet."""


def execute(
    request: Request,
    results: Path,
    data_dir: Path | None,
    hooks: Hooks,
    examination: Examination | None = None,
    first_stage: Callable[[], Path] | None = None,
) -> RunResult:
    """The result of a run: from its file under `results` if it is there, else trained.

    An interrupted run goes on from its last epoch; its partial files lie in a hidden folder beside
    the results until it ends. A run whose result lacks the examination is trained anew.
    `first_stage` gives a folder that `run_first_stage` has filled, for a run that is started to go
    on from.
    """
    commit = runs.commit()  # of what runs now, not of what the tree holds when it ends
    prepared = prepare(request, data_dir)
    name = name_of(request, prepared.recipe)
    path = results / f"{name}.json"
    plain = to_plain(prepared.recipe)
    folder = results / ".partial" / name

    def here() -> RunResult | None:
        found = stored(path, plain)
        whole = found and (examination is None or examination.done(found.examined))
        return found if whole else None

    if (found := here()) is not None:
        return found
    with sole(folder):
        if (found := here()) is not None:  # another process trained it meanwhile
            return found
        prepared, model, snapshot = _begin(prepared, folder, data_dir, first_stage)
        examined: dict[str, Any] = {}

        def examine(finished: runs.Finished) -> None:
            if examination is not None:
                examined.update(examination(finished, results / name))

        # Examined before its model ends the run: one killed meanwhile is not trained again.
        finished = runs.run(prepared, folder, hooks, Hooks(), model, snapshot, examine)
        if finished.test is None:
            raise InputError(f"{request.data} has no test set, so there is nothing to report")
        result = RunResult(
            name=name,
            summary=finished.summary(Path(name)),
            test=finished.test.to_json(),
            recipe=plain,
            request=asdict(request),
            parameters=learned_values(finished.trained.predictor.model),
            commit=commit,
            machine=machine(),
            history=finished.history,
            examined=examined,
        )
        write_result(path, result)
        shutil.rmtree(folder, ignore_errors=True)
    return result


@contextmanager
def sole(folder: Path) -> Iterator[None]:
    """Holds a folder that a run is trained in, and waits for it as long as another process does:
    one of several jobs outlives a killed `reproduce` and would write the same files."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = folder.with_name(f"{folder.name}.lock")
    with FileLock(lock):
        yield
        lock.unlink(missing_ok=True)  # who waits for it finds the result


def _begin(
    prepared: Prepared,
    folder: Path,
    data_dir: Path | None,
    first_stage: Callable[[], Path] | None,
) -> tuple[Prepared, DeepGenerativeModel | None, Snapshot | None]:
    """A run in its folder: where an interrupted one is, where its first stage ended, or new."""
    started = (folder / CONFIG).exists()
    ended = (folder / MODEL).exists()  # killed just before its result was written: do it over
    if started and not ended:
        return runs.resume(folder, data_dir)
    shutil.rmtree(folder, ignore_errors=True)
    begun = None if first_stage is None else first_stage()
    prepared = runs.start(prepared, folder)
    if begun is None:
        return prepared, None, None
    _check_same_first_stage(load_config(begun), prepared)
    for part in (CHECKPOINT, METRICS, CHECKPOINT_STATE):  # the last one: resumable now
        shutil.copyfile(begun / part, folder / part)
    return runs.resume(folder, data_dir)


def _check_same_first_stage(begun: RunConfig, prepared: Prepared) -> None:
    """One that read other rows is not noticed: only the recipe and the seed are in its files."""
    mine, seed = prepared.recipe, prepared.request.seed
    theirs = begun.recipe
    wanted = (mine.network, mine.likelihood, mine.pretraining, seed)
    if (theirs.network, theirs.likelihood, theirs.pretraining, begun.seed) != wanted:
        raise ValueError("the first stage is of another M1, training or seed than the run")


def execute_all(
    requests: Sequence[Request],
    results: Path,
    data_dir: Path | None,
    hooks: Callable[[int], Hooks],
    examination: Examination | None = None,
) -> Iterator[RunResult]:
    """One run after another, each result as it ends; `hooks` is called with a run's place in the
    list before it is trained or read."""
    for place, request in enumerate(requests):
        yield execute(request, results, data_dir, hooks(place), examination)


def execute_in_parallel(
    requests: Sequence[Request],
    results: Path,
    data_dir: Path | None,
    jobs: int,
    on_run: Callable[[int, int], None],
    examination: Examination | None = None,
) -> Iterator[RunResult]:
    """The same results with `jobs` runs at a time, each on its share of the cores; what a run
    would say on the way goes unsaid."""
    folder = results.resolve()
    tasks = [
        partial(execute, request, folder, data_dir, Hooks(), examination) for request in requests
    ]
    return in_parallel(tasks, jobs, on_run)


def in_parallel(
    tasks: Sequence[Callable[[], Result]], jobs: int, on_task: Callable[[int, int], None]
) -> Iterator[Result]:
    """What the tasks return, in their order, `jobs` at a time in processes of their own, each on
    its share of the cores.

    joblib starts them: its Dask backend spreads them over the machines of a cluster.
    `on_task` receives how many have ended, and of how many.
    """
    threads = max(1, (os.cpu_count() or 1) // jobs)
    ended = Parallel(n_jobs=jobs, return_as="generator")(
        delayed(_alone)(task, threads) for task in tasks
    )
    for number in range(1, len(tasks) + 1):
        with warnings.catch_warnings():
            # joblib replaces a process whose memory has grown, as that of one that trains has.
            warnings.filterwarnings("ignore", message="A worker stopped")
            result = next(ended)
        on_task(number, len(tasks))
        yield result


def _alone(task: Callable[[], Result], threads: int) -> Result:
    torch.set_num_threads(threads)
    return task()
