"""paper/runs.py and paper/results.py: a finished (configuration, seed) is a file that is never
trained again."""

import json
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock, Timeout

from semivae.config import set_value
from semivae.errors import InputError
from semivae.fitting import Hooks
from semivae.models.m2 import M2
from semivae.paper.results import (
    RunResult,
    adopt,
    load_result,
    load_results,
    name_of,
    write_result,
)
from semivae.paper.runs import execute, execute_all, execute_in_parallel, sole
from semivae.request import Request, prepare
from semivae.runs import Finished
from semivae.training import EpochLog, Snapshot

REQUEST = Request(
    "digits",
    labels=20,
    rows=200,
    settings=("network=mlp", "network.hidden=16", "training.unlabeled_rows=90"),
    epochs=3,
    baseline=False,
)


class Counting(Hooks):
    """Counts what is trained; stops after some epochs as a kill would."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.steps, self.epochs, self.stop_after = 0, 0, stop_after

    def on_step(self, step: int, steps: int) -> None:
        if self.epochs == self.stop_after:
            raise KeyboardInterrupt
        self.steps += 1

    def on_epoch(self, model: M2, log: EpochLog, snapshot: Snapshot) -> None:
        self.epochs += 1


def run(request: Request, results: Path, stop_after: int | None = None) -> tuple[RunResult, int]:
    """The result and the number of steps that were trained for it."""
    hooks = Counting(stop_after)
    result = execute(request, results, None, hooks)
    return result, hooks.steps


def name(request: Request) -> str:
    return name_of(request, prepare(request).recipe)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_finished_run_is_read_and_not_trained_again(tmp_path: Path) -> None:
    first, steps = run(REQUEST, tmp_path)
    assert steps == 3 * 2  # 180 unlabeled rows, 90 a step
    content = (tmp_path / f"{first.name}.json").read_bytes()
    second, again = run(REQUEST, tmp_path)
    assert again == 0
    assert json.dumps(asdict(second)) == json.dumps(asdict(first))
    assert files(tmp_path) == [f"{first.name}.json"]
    assert (tmp_path / f"{first.name}.json").read_bytes() == content


def test_a_result_holds_what_traces_it(tmp_path: Path) -> None:
    result, _ = run(REQUEST, tmp_path)
    assert result.name.startswith("digits-20-auto-0-")
    assert tuple(result.request["settings"]) == REQUEST.settings
    assert result.recipe["network"]["kind"] == "mlp"
    model = prepare(REQUEST).recipe.model.build((1, 8, 8), torch.zeros(10), 0)
    assert result.parameters == sum(weight.numel() for weight in model.parameters())
    assert result.machine.keys() == {"processor", "threads", "torch"}
    assert result.summary["n_labeled"] == 20
    assert result.test["n"] == 450
    assert result.accuracy == 100 * result.test["accuracy"]
    assert result.accuracy == 100 * result.summary["test_accuracy"]
    assert result.supervised_only is None
    plain = json.loads((tmp_path / f"{result.name}.json").read_text())
    assert plain["summary"]["test_accuracy"] == result.summary["test_accuracy"]
    assert plain["summary"]["run"] == result.name


def test_a_result_holds_every_epoch_with_every_term(tmp_path: Path) -> None:
    result, _ = run(replace(REQUEST, validation=30), tmp_path)
    assert [line["epoch"] for line in result.history] == [1, 2, 3]
    terms = {"loss", "labeled/elbo", "unlabeled/label_kl", "validation_accuracy"}
    assert all(terms <= line.keys() for line in result.history)
    assert load_result(tmp_path / f"{result.name}.json").history == result.history


def test_a_result_file_without_a_history_is_still_read(tmp_path: Path) -> None:
    result, _ = run(REQUEST, tmp_path)
    path = tmp_path / f"{result.name}.json"
    plain = json.loads(path.read_text())
    del plain["history"]
    path.write_text(json.dumps(plain))
    again, steps = run(REQUEST, tmp_path)
    assert (steps, again.history, again.test) == (0, [], result.test)


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"labels": 30},
        {"rows": 300},
        {"epochs": 4},
        {"recipe": "paper-m2"},
        {"objective": "equation_8"},
        {"settings": (*REQUEST.settings, "objective.beta=2")},
        {"settings": (*REQUEST.settings, "labels=relaxed")},
        {"baseline": True},
        {"validation": 10},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_changes_the_result_changes_the_name(change: dict[str, Any]) -> None:
    names = [name(REQUEST), name(replace(REQUEST, **change))]
    assert len({each.lower() for each in names}) == 2


def test_a_recipe_that_changes_under_the_same_request_has_another_name() -> None:
    """A default that is edited in the source must not be answered by an old file."""
    recipe = prepare(REQUEST).recipe
    names = {name_of(REQUEST, recipe)}
    for key, text in [
        ("objective.alpha", "99"),
        ("objective.weighting", "sums"),
        ("labels", "relaxed"),
        ("training.average", "0.5"),
        ("training.optimizer.peak", "0.01"),
        ("baseline.epochs", "7"),
    ]:
        names.add(name_of(REQUEST, set_value(recipe, key, text)))
    assert len(names) == 7


def test_the_name_is_the_same_on_every_call_and_fit_for_a_file() -> None:
    assert name(REQUEST) == name(replace(REQUEST))
    assert not set(name(REQUEST)) & set('/\\:*?"<>| ')


def test_a_changed_symbol_is_trained_beside_the_old_result(tmp_path: Path) -> None:
    run(REQUEST, tmp_path)
    changed = replace(REQUEST, settings=(*REQUEST.settings, "objective.beta=2"))
    _, steps = run(changed, tmp_path)
    assert steps == 6
    assert len(files(tmp_path)) == 2


def test_an_interrupted_run_goes_on_and_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole, _ = run(REQUEST, tmp_path / "whole")
    folder = tmp_path / "cut"
    folder.mkdir()
    with pytest.raises(KeyboardInterrupt):
        run(REQUEST, folder, stop_after=2)
    assert not list(folder.glob("*.json")), "a partial result must not be read as a result"
    assert list((folder / ".partial").iterdir())
    result, steps = run(REQUEST, folder)
    assert steps == 2, "only the third epoch was missing"
    assert result.test == whole.test
    assert result.name == whole.name
    assert files(folder) == [f"{result.name}.json"]


def test_a_run_that_another_process_trains_is_waited_for_and_read(tmp_path: Path) -> None:
    """As one of several jobs does that outlives its killed parent."""
    folder = tmp_path / "there" / ".partial" / name(REQUEST)
    whole, steps = run(REQUEST, tmp_path)
    assert steps
    found: list[tuple[RunResult, int]] = []
    waiting = threading.Thread(target=lambda: found.append(run(REQUEST, tmp_path / "there")))
    with sole(folder):
        waiting.start()
        waiting.join(timeout=1)
        assert waiting.is_alive() and not folder.exists()
        write_result(tmp_path / "there" / f"{whole.name}.json", whole)
    waiting.join(timeout=60)
    assert [(result.summary, steps) for result, steps in found] == [(whole.summary, 0)]


def test_a_run_is_trained_alone_in_its_folder(tmp_path: Path) -> None:
    lock = tmp_path / ".partial" / f"{name(REQUEST)}.lock"

    class Asking(Hooks):
        asked = False

        def on_step(self, step: int, steps: int) -> None:
            self.asked = True
            with pytest.raises(Timeout):
                FileLock(lock).acquire(timeout=0)

    hooks = Asking()
    execute(REQUEST, tmp_path, None, hooks)
    assert hooks.asked
    assert not lock.exists(), "nothing is left of a run that has ended"


def test_a_folder_without_a_configuration_is_started_anew(tmp_path: Path) -> None:
    """Killed between making the partial folder and writing what resuming needs."""
    partial = tmp_path / ".partial" / name(REQUEST)
    partial.mkdir(parents=True)
    (partial / "split.json").write_text("{}")
    _, steps = run(REQUEST, tmp_path)
    assert steps == 6


def test_a_run_killed_between_its_model_and_its_result_ends(tmp_path: Path) -> None:
    """The partial folder holds a finished model, its result was not written yet."""
    whole, _ = run(REQUEST, tmp_path / "whole")
    folder = tmp_path / "cut"
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("semivae.paper.results.write_text", _kill)
        with pytest.raises(KeyboardInterrupt):
            run(REQUEST, folder)
    result, _ = run(REQUEST, folder)
    assert result.test == whole.test
    assert files(folder) == [f"{result.name}.json"]


def _kill(path: Path, content: str) -> None:
    raise KeyboardInterrupt


def test_data_without_a_test_set_have_nothing_to_report(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (60, 8, 8)).astype(np.uint8)
    np.savez(tmp_path / "a.npz", X=x, y=np.arange(60) % 3)
    request = replace(REQUEST, data=str(tmp_path / "a.npz"), rows=None)
    with pytest.raises(InputError, match="has no test set, so there is nothing to report"):
        run(request, tmp_path / "results")


def test_the_supervised_only_accuracy_is_in_percent() -> None:
    summary = {"supervised_only_accuracy": 0.5}
    result = RunResult("x", summary, {"accuracy": 0.75}, {}, {}, 1, None, {})
    assert (result.accuracy, result.supervised_only) == (75.0, 50.0)


# --- examined ---


@dataclass(frozen=True)
class Noting:
    """Keeps the accuracy of a run, with so many digits, and a file."""

    digits: int

    def done(self, examined: Mapping[str, Any]) -> bool:
        return len(examined.get("accuracy", "")) == 2 + self.digits

    def __call__(self, finished: Finished, folder: Path) -> dict[str, Any]:
        assert finished.test is not None
        folder.mkdir(exist_ok=True)
        (folder / "picture").write_text("drawn")
        return {"accuracy": f"{finished.test.accuracy:.{self.digits}f}"}


class Stopped(Noting):
    """Is stopped before it has kept anything."""

    def __call__(self, finished: Finished, folder: Path) -> dict[str, Any]:
        raise KeyboardInterrupt


def examined(results: Path, examination: Noting | None) -> tuple[RunResult, int]:
    hooks = Counting()
    return execute(REQUEST, results, None, hooks, examination), hooks.steps


def test_an_examination_is_kept_beside_the_result_and_weights_are_not(tmp_path: Path) -> None:
    result, steps = examined(tmp_path, Noting(3))
    assert steps == 6 and result.examined == {"accuracy": f"{result.test['accuracy']:.3f}"}
    assert files(tmp_path) == [f"{result.name}.json", f"{result.name}/picture"]
    assert [examined(tmp_path, of)[1] for of in (Noting(3), None)] == [0, 0]


def test_a_run_is_trained_anew_for_what_was_not_kept_of_it(tmp_path: Path) -> None:
    """A result without its examination, or with that of another effort."""
    result, _ = run(REQUEST, tmp_path)
    for digits in (3, 4):
        again, steps = examined(tmp_path, Noting(digits))
        assert steps == 6 and again.test == result.test
        assert again.examined == {"accuracy": f"{result.test['accuracy']:.{digits}f}"}


def test_there_is_no_result_before_it_is_examined(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        examined(tmp_path, Stopped(3))
    assert not list(tmp_path.glob("*.json"))
    result, steps = examined(tmp_path, Noting(3))
    assert result.accuracy > 0 and steps == 0, "what was trained is not trained again"


def test_two_results_of_one_request_are_for_the_user_to_sort_out(tmp_path: Path) -> None:
    result, _ = run(REQUEST, tmp_path)
    assert [one.name for one in load_results(tmp_path)] == [result.name]
    (tmp_path / "older.json").write_text((tmp_path / f"{result.name}.json").read_text())
    with pytest.raises(InputError, match=r"older\.json are results of one request"):
        load_results(tmp_path)
    assert load_results(tmp_path / "none") == []


def test_a_result_of_another_piece_is_taken_over_if_it_is_what_is_asked(tmp_path: Path) -> None:
    other, mine = tmp_path / "other", tmp_path / "mine"
    other.mkdir(), mine.mkdir()
    result, _ = run(REQUEST, other)
    adopt(mine, other, {replace(REQUEST, seed=1)})
    assert files(mine) == [] and files(tmp_path / "none") == []
    adopt(mine, other, {REQUEST})
    again, steps = run(REQUEST, mine)
    assert steps == 0 and again == load_result(other / f"{result.name}.json")


# --- several ---

TWO = [
    replace(REQUEST, objective="equation_8", epochs=1),
    replace(REQUEST, epochs=1, seed=1),
]


def test_runs_in_parallel_are_those_run_one_after_another(tmp_path: Path) -> None:
    """Each in a process of its own that writes its result file; read again, none is trained."""
    counted: list[tuple[int, int]] = []
    ended = execute_in_parallel(
        TWO, tmp_path, None, 2, lambda done, of: counted.append((done, of))
    )
    parallel = list(ended)
    assert counted == [(1, 2), (2, 2)]
    assert [result.asked for result in parallel] == TWO
    assert files(tmp_path) == sorted(f"{result.name}.json" for result in parallel)
    places: list[int] = []

    def hooks(place: int) -> Hooks:
        places.append(place)
        return Counting(stop_after=0)

    again = list(execute_all(TWO, tmp_path, None, hooks))
    assert places == [0, 1]
    texts = [[json.dumps(asdict(result)) for result in side] for side in (again, parallel)]
    assert texts[0] == texts[1]


def test_jobs_share_the_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    ended = list(execute_in_parallel(TWO, tmp_path, None, 2, lambda done, of: None))
    assert [result.machine["threads"] for result in ended] == [1, 1]
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    more = [replace(request, seed=7) for request in TWO]
    ended = list(execute_in_parallel(more, tmp_path, None, 2, lambda done, of: None))
    assert [result.machine["threads"] for result in ended] == [1, 1]
