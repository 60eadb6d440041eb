"""Several processes train as one: the same weights, one writer, one voice, and resumption on
another number of them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from semivae import runs
from semivae.fitting import Hooks
from semivae.models.m2 import M2
from semivae.request import Request, prepare
from semivae.stages import new_model
from semivae.training import EpochLog, Snapshot

# 21 labeled and up to 101 unlabeled rows a step: the shares of two processes differ. In bfloat16
# a sum in another order would be another number.
SETTINGS = (
    "training.unlabeled_rows=101",
    "training.bfloat16=false",
    "training.average=0.5",
    "objective.information=batch",
    "baseline.epochs=2",
    "baseline.bfloat16=false",
)
REQUEST = Request("digits", labels=21, epochs=2, settings=SETTINGS)
ARGUMENTS = ("digits", "--labels", "21", "--epochs", "2", *(f"--set={s}" for s in SETTINGS))


class KillError(Exception):
    """Stands for a kill."""


class KilledAfterOne(Hooks):
    """Stops the run when its first epoch is checkpointed."""

    def on_epoch(self, model: M2, log: EpochLog, snapshot: Snapshot) -> None:
        raise KillError


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, runs.Finished]:
    """What one process makes of REQUEST."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    prepared = runs.start(prepare(REQUEST), folder)
    with threads(1):
        return folder, runs.run(prepared, folder, Hooks(), Hooks())


@contextmanager
def threads(number: int) -> Iterator[None]:
    """As many as the launched processes have: another number adds up in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def fit_on_two_processes(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    launcher = ("torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    return subprocess.run(
        [sys.executable, "-m", *launcher, "-m", "semivae", "fit", *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def assert_same_training(folder: Path, expected: Path) -> None:
    ours, theirs = (load_file(each / "model.safetensors") for each in (folder, expected))
    assert ours.keys() == theirs.keys()
    prepared = prepare(REQUEST)
    start = new_model(prepared.training_set.facts, prepared.recipe, REQUEST.seed)
    for name, parameter in start.named_parameters():
        weight = parameter.detach()
        ended, reference = ours[f"model.{name}"], theirs[f"model.{name}"]
        # Of the way the whole tensor went: Adam makes a step of any gradient, also of rounding.
        assert torch.dist(ended, reference) <= 1e-3 * torch.dist(reference, weight), name
    texts = [(each / "metrics.jsonl").read_text().splitlines() for each in (folder, expected)]
    assert [len(lines) for lines in texts] == [2, 2]
    for pair in zip(*texts, strict=True):
        line, reference = (
            {name: value for name, value in json.loads(text).items() if name != "seconds"}
            for text in pair
        )
        assert line == pytest.approx(reference, rel=1e-4, abs=1e-5)


def test_two_processes_train_what_one_does(
    tmp_path: Path, alone: tuple[Path, runs.Finished]
) -> None:
    """Noise, order of rows and uneven shares included, and I(y; x) of the whole batch; files are
    written by one of them, which alone prints."""
    expected, finished = alone
    ended = fit_on_two_processes(tmp_path, *ARGUMENTS, "--out", "run", "--json")
    assert ended.returncode == 0, ended.stderr
    assert_same_training(tmp_path / "run", expected)
    summary = json.loads(ended.stdout)
    assert summary["supervised_only_accuracy"] == finished.supervised_only_accuracy
    assert ended.stderr.count("10 classes; recipe auto") == 1
    written = {path.name for path in (tmp_path / "run").iterdir()}
    assert written == {path.name for path in expected.iterdir()} | {"report.html"}


def test_a_run_resumes_on_another_number_of_processes(
    tmp_path: Path, alone: tuple[Path, runs.Finished]
) -> None:
    folder = tmp_path / "run"
    prepared = runs.start(prepare(REQUEST), folder)
    with threads(1), pytest.raises(KillError):
        runs.run(prepared, folder, KilledAfterOne(), Hooks())
    ended = fit_on_two_processes(tmp_path, "--resume", str(folder))
    assert ended.returncode == 0, ended.stderr
    assert_same_training(folder, alone[0])


def test_wrong_use_stops_all_processes_with_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine").write_text("mine")
    ended = fit_on_two_processes(tmp_path, *ARGUMENTS, "--out", "run")
    assert ended.returncode != 0
    assert ended.stderr.count("run exists and is not an empty folder") == 1
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["mine"]


def test_bad_input_is_told_once(tmp_path: Path) -> None:
    """All processes see it; one speaks on each machine."""
    for arguments, words in (
        (("nosuch",), "there is no data set and no file 'nosuch'"),
        (("digits", "--labels=10", "--set=training.labeled_rows=1"), "a step has 1 rows"),
    ):
        ended = fit_on_two_processes(tmp_path, *arguments, "--out", "run")
        assert ended.returncode != 0
        assert ended.stderr.count(words) == 1
        assert not (tmp_path / "run").exists()
