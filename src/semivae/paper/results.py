"""The result of a training run as a file: what it reached, with all that produced it."""

import dataclasses
import hashlib
import json
import platform
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from semivae.config import to_plain
from semivae.errors import InputError
from semivae.files import write_text
from semivae.request import Request
from semivae.schedules import Ramp


@dataclass(frozen=True)
class RunResult:
    """What one run reached, with all that produced it; plain values, one JSON file.

    `history` has the epochs as `metrics.jsonl` has them, every term by name; empty in files of
    earlier versions. `examined` is what a `runs.Examination` found, empty without one.
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
    def asked(self) -> Request:
        """The request of the run."""
        return Request.from_json(self.request)

    @property
    def accuracy(self) -> float:
        """Test accuracy in percent."""
        return 100.0 * float(self.test["accuracy"])

    @property
    def supervised_only(self) -> float | None:
        """Test accuracy of the supervised-only network in percent, if it was trained."""
        share = self.summary.get("supervised_only_accuracy")  # a rival has none
        return None if share is None else 100.0 * float(share)


def load_result(path: Path) -> RunResult:
    """The result that `runs.execute` wrote."""
    return RunResult(**json.loads(path.read_text()))


def symbols_of(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The symbols of a recipe's objective, as far as it has them, and of what is beside it."""
    objective = recipe["objective"]
    names = ("alpha", "beta", "gamma", "epsilon")
    return {name: objective[name] for name in names if name in objective} | _smoothness(recipe)


def _smoothness(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Weight and radius of the smoothness beside the objective, if there is any; files of before
    do not know it."""
    smoothness = recipe.get("smoothness", {"weight": 0.0})
    if smoothness["weight"] == 0.0:
        return {}
    return {f"smoothness.{name}": value for name, value in smoothness.items()}


def symbols_text(symbols: Mapping[str, Any]) -> str:
    """Symbols as `--set` would read them."""
    return ", ".join(f"{name} = {_value_text(value)}" for name, value in symbols.items())


def _value_text(value: Any) -> str:
    if isinstance(value, Mapping):
        return str(Ramp(*value["ramp"]))
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
    found: dict[tuple[str, Request], Path] = {}
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


def name_of(request: Request, recipe: Any) -> str:
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


def adopt(results: Path, other: Path, requests: Collection[Request]) -> None:
    """Copies what another piece trained of these requests; `runs.execute` sees whether it is
    still what is asked."""
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
