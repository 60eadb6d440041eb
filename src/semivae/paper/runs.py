"""The training runs of an experiment, each result a file that is never computed twice."""

import dataclasses
import hashlib
import json
import os
import platform
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from joblib import Parallel, delayed

from semivae import runs
from semivae.config import to_plain
from semivae.errors import InputError
from semivae.files import write_text
from semivae.fitting import Hooks
from semivae.recipes import Recipe
from semivae.rundir import CONFIG, MODEL
from semivae.schedules import Ramp


@dataclass(frozen=True)
class RunResult:
    """What one run reached, with all that produced it; plain values, one JSON file.

    `history` has the epochs as `metrics.jsonl` has them, every term by name; empty in files of
    earlier versions.
    """

    name: str
    summary: dict[str, Any]
    test: dict[str, Any]
    recipe: dict[str, Any]
    request: dict[str, Any]
    parameters: int
    commit: str | None
    machine: dict[str, Any]
    history: list[dict[str, Any]] = field(default_factory=list)

    @property
    def asked(self) -> runs.Request:
        """The request of the run."""
        return runs.Request(**(self.request | {"settings": tuple(self.request["settings"])}))

    @property
    def accuracy(self) -> float:
        """Test accuracy in percent."""
        return 100.0 * float(self.test["accuracy"])

    @property
    def supervised_only(self) -> float | None:
        """Test accuracy of the supervised-only network in percent, if it was trained."""
        share = self.summary["supervised_only_accuracy"]
        return None if share is None else 100.0 * float(share)


def load_result(path: Path) -> RunResult:
    """The result that `execute` wrote."""
    return RunResult(**json.loads(path.read_text()))


def name_of(request: runs.Request, recipe: Recipe) -> str:
    """A readable name that ends in the hash of everything that decides the result.

    What stands at its default is left out, so that a later version with one more option still
    finds the results of this one.
    """
    # What these change is in the recipe; the words they were asked in decide nothing.
    asked = replace(request, recipe="auto", objective=None, settings=(), epochs=None)
    content = json.dumps([_decisive(asked), _decisive(recipe)], sort_keys=True)
    digest = hashlib.sha256(content.encode()).hexdigest()[:8]
    return f"{request.data}-{request.labels}-{request.recipe}-{request.seed}-{digest}"


def _decisive(value: Any, field: str = "") -> Any:
    """A configuration as JSON values without the entries that stand at their default."""
    if not dataclasses.is_dataclass(value) or isinstance(value, Ramp):
        return to_plain(value, field)
    parts = {
        part.name: _decisive(getattr(value, part.name), part.name)
        for part in dataclasses.fields(value)
        if getattr(value, part.name) != part.default
    }
    return {"kind": type(value).__name__, **parts}


def _agrees(stored: Any, now: Any) -> bool:
    """Whether a stored configuration is this one, entries that it did not know yet aside.

    A default that was changed in the source since makes them differ.
    """
    if isinstance(stored, dict) and isinstance(now, dict):
        return all(key in now and _agrees(value, now[key]) for key, value in stored.items())
    return bool(stored == now)


def machine() -> dict[str, Any]:
    """On what a result was computed."""
    return {
        "processor": platform.machine(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


@runtime_checkable
class Examination(Protocol):
    """What else is kept of a finished run, in a folder beside its result; weights are not.

    A value that processes can send each other.
    """

    def done(self, folder: Path) -> bool:
        """Whether the folder holds what this examination would write."""

    def __call__(self, finished: runs.Finished, folder: Path) -> None:
        """Examines the run; the folder is made, and may hold an earlier examination."""


def execute(
    request: runs.Request,
    results: Path,
    data_dir: Path | None,
    hooks: Hooks,
    examination: Examination | None = None,
) -> RunResult:
    """The result of a run: from its file under `results` if it is there, else trained.

    An interrupted run goes on from its last epoch; its partial files lie in a hidden folder beside
    the results until it ends. What an examination keeps lies in a folder with the run's name; a
    run whose result lacks it is trained anew.
    """
    commit = runs.commit()  # of what runs now, not of what the tree holds when it ends
    prepared = runs.prepare(request, data_dir)
    name = name_of(request, prepared.recipe)
    path = results / f"{name}.json"
    plain = to_plain(prepared.recipe)
    examined = examination is None or examination.done(results / name)
    if examined and path.exists() and _agrees((found := load_result(path)).recipe, plain):
        return found
    folder = results / ".partial" / name
    model, snapshot = None, None
    started = (folder / CONFIG).exists()
    ended = (folder / MODEL).exists()  # killed just before its result was written: do it over
    if started and not ended:
        prepared, model, snapshot = runs.resume(folder, data_dir)
    else:
        shutil.rmtree(folder, ignore_errors=True)
        prepared = runs.start(prepared, folder)
    finished = runs.run(prepared, folder, hooks, Hooks(), model, snapshot)
    if finished.test is None:
        raise InputError(f"{request.data} has no test set, so there is nothing to report")
    if examination is not None:
        (results / name).mkdir(exist_ok=True)
        examination(finished, results / name)
    weights = finished.trained.predictor.model.parameters()
    result = RunResult(
        name=name,
        summary=finished.summary(Path(name)),
        test=finished.test.to_json(),
        recipe=plain,
        request=asdict(request),
        parameters=sum(weight.numel() for weight in weights),
        commit=commit,
        machine=machine(),
        history=finished.history,
    )
    write_text(path, json.dumps(asdict(result), indent=1) + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    return result


def execute_all(
    requests: Sequence[runs.Request],
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
    requests: Sequence[runs.Request],
    results: Path,
    data_dir: Path | None,
    jobs: int,
    on_run: Callable[[int, int], None],
    examination: Examination | None = None,
) -> Iterator[RunResult]:
    """The same results with `jobs` runs at a time, each on its share of the cores.

    joblib starts them: its Dask backend spreads them over the machines of a cluster.
    `on_run` receives how many runs have ended, and of how many.
    """
    threads = max(1, (os.cpu_count() or 1) // jobs)
    ended = Parallel(n_jobs=jobs, return_as="generator")(
        delayed(_execute_alone)(request, results.resolve(), data_dir, threads, examination)
        for request in requests
    )
    for number in range(1, len(requests) + 1):
        with warnings.catch_warnings():
            # joblib replaces a process whose memory has grown, as that of one that trains has.
            warnings.filterwarnings("ignore", message="A worker stopped")
            result = next(ended)
        on_run(number, len(requests))
        yield result


def _execute_alone(
    request: runs.Request,
    results: Path,
    data_dir: Path | None,
    threads: int,
    examination: Examination | None,
) -> RunResult:
    """A run in a process of its own; what it would say on the way goes unsaid."""
    torch.set_num_threads(threads)
    return execute(request, results, data_dir, Hooks(), examination)
