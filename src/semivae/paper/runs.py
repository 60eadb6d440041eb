"""The training runs of an experiment, each result a file that is never computed twice."""

import dataclasses
import hashlib
import json
import os
import platform
import shutil
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from joblib import Parallel, delayed

from semivae import runs
from semivae.config import to_plain
from semivae.errors import InputError
from semivae.files import write_text
from semivae.fitting import Hooks
from semivae.rundir import (
    CHECKPOINT,
    CHECKPOINT_STATE,
    CONFIG,
    METRICS,
    MODEL,
    RunConfig,
    load_config,
)
from semivae.schedules import Ramp

Result = TypeVar("Result")


@dataclass(frozen=True)
class RunResult:
    """What one run reached, with all that produced it; plain values, one JSON file.

    `history` has the epochs as `metrics.jsonl` has them, every term by name; empty in files of
    earlier versions. `examined` is what an `Examination` found, empty without one.
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
    examined: dict[str, Any] = field(default_factory=dict)

    @property
    def asked(self) -> runs.Request:
        """The request of the run."""
        return runs.Request.from_json(self.request)

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


def symbols_of(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The symbols of a recipe's objective, as far as it has them."""
    objective = recipe["objective"]
    names = ("alpha", "beta", "gamma", "epsilon")
    return {name: objective[name] for name in names if name in objective}


def symbols_text(symbols: Mapping[str, Any]) -> str:
    """Symbols as `--set` would read them."""
    return ", ".join(f"{name} = {_value_text(value)}" for name, value in symbols.items())


def _value_text(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"ramp({', '.join(f'{part:g}' for part in value['ramp'])})"
    return "0.1 N / N_l" if value is None else f"{value:g}"


def epochs_text(result: RunResult) -> str:
    """Passes over the rows, stage by stage."""
    first, last = (result.recipe.get(stage) for stage in ("pretraining", "refining"))
    stages = [first and first["epochs"], result.summary["epochs"], last and last["epochs"]]
    return " + ".join(str(epochs) for epochs in stages if epochs) or "–"


def load_results(folder: Path) -> list[RunResult]:
    """Every result in a folder, by file name.

    Raises InputError for two results of one request: which of them counts is not for us to say.
    """
    found: dict[tuple[str, runs.Request], Path] = {}
    results = []
    for path in sorted(folder.glob("*.json")):
        result = load_result(path)
        earlier = found.setdefault((result.summary["recipe"], result.asked), path)
        if earlier != path:
            raise InputError(
                f"{earlier} and {path.name} are results of one request, under two versions of a "
                "recipe: move the superseded one out of the folder"
            )
        results.append(result)
    return results


def name_of(request: runs.Request, recipe: Any) -> str:
    """A readable name that ends in the hash of everything that decides the result: the request,
    and a recipe or another configuration of frozen plain values.

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


def stored(path: Path, plain: dict[str, Any]) -> RunResult | None:
    """The result in a file, if it is there and of this configuration."""
    if path.exists() and _agrees((found := load_result(path)).recipe, plain):
        return found
    return None


def write_result(path: Path, result: RunResult) -> RunResult:
    """Writes the file that `load_result` reads."""
    write_text(path, json.dumps(asdict(result), indent=1) + "\n")
    return result


def adopt(results: Path, other: Path, requests: Collection[runs.Request]) -> None:
    """Copies what another piece trained of these requests; `execute` sees whether it is still what
    is asked."""
    for result in load_results(other):
        path = results / f"{result.name}.json"
        if result.asked in requests and not path.exists():
            write_result(path, result)


def machine() -> dict[str, Any]:
    """On what a result was computed."""
    return {
        "processor": platform.machine(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


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
    request: runs.Request,
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
    prepared = runs.prepare(request, data_dir)
    name = name_of(request, prepared.recipe)
    path = results / f"{name}.json"
    plain = to_plain(prepared.recipe)
    found = stored(path, plain)
    if found is not None and (examination is None or examination.done(found.examined)):
        return found
    folder = results / ".partial" / name
    model, snapshot = None, None
    started = (folder / CONFIG).exists()
    ended = (folder / MODEL).exists()  # killed just before its result was written: do it over
    if started and not ended:
        prepared, model, snapshot = runs.resume(folder, data_dir)
    else:
        shutil.rmtree(folder, ignore_errors=True)
        begun = None if first_stage is None else first_stage()
        prepared = runs.start(prepared, folder)
        if begun is not None:
            _check_same_first_stage(load_config(begun), prepared)
            for part in (CHECKPOINT, METRICS, CHECKPOINT_STATE):  # the last one: resumable now
                shutil.copyfile(begun / part, folder / part)
            prepared, model, snapshot = runs.resume(folder, data_dir)
    examined: dict[str, Any] = {}

    def examine(finished: runs.Finished) -> None:
        if examination is not None:
            examined.update(examination(finished, results / name))

    # Examined before its model ends the run: one that is killed meanwhile is not trained again.
    finished = runs.run(prepared, folder, hooks, Hooks(), model, snapshot, examine)
    if finished.test is None:
        raise InputError(f"{request.data} has no test set, so there is nothing to report")
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
        examined=examined,
    )
    write_result(path, result)
    shutil.rmtree(folder, ignore_errors=True)
    return result


def _check_same_first_stage(begun: RunConfig, prepared: runs.Prepared) -> None:
    """One that read other rows is not noticed: only the recipe and the seed are in its files."""
    mine, seed = prepared.recipe, prepared.request.seed
    theirs = begun.recipe
    wanted = (mine.network, mine.likelihood, mine.pretraining, seed)
    if (theirs.network, theirs.likelihood, theirs.pretraining, begun.seed) != wanted:
        raise ValueError("the first stage is of another M1, training or seed than the run")


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
