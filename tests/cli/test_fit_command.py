"""`semivae fit`: what it prints and writes, how it resumes, and how it refuses."""

import errno
import json
import re
import shutil
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from running import Cli

from semivae import request as asking
from semivae import rundir, runs
from semivae.cli import page
from semivae.data.splits import LabelSplit
from semivae.measures import MEANINGS
from semivae.request import Prepared, Request, prepare

QUICK = ("fit", "digits", "--labels", 20, "--epochs", 1, "--no-baseline")
CONTRACT = {
    "test_accuracy",
    "supervised_only_accuracy",
    "n_labeled",
    "n_unlabeled",
    "n_labels_used_to_choose",
    "train_seconds",
    "examples_per_second",
    "seed",
    "recipe",
    "objective",
    "run",
}
FILES = {"model.safetensors", "config.json", "metrics.jsonl", "split.json", "report.html"}


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_run_prints_a_summary_and_writes_its_files(cli: Cli) -> None:
    ended = cli("fit", "digits", "--labels", 20, "--epochs", 2, "--set", "baseline.epochs=3")
    assert ended.code == 0
    lines = ended.out.splitlines()
    names = ["test accuracy", "supervised only", "labels", "recipe"]
    names += ["unlabeled rows", "training", "report"]
    assert [line[:17].rstrip() for line in lines] == names
    assert "95 % interval" in lines[0]
    assert "450 rows" in lines[0]
    assert "epoch 2/2  loss" in ended.err
    run = Path("runs/digits-auto-0")
    assert lines[-1].endswith(str(run / "report.html"))
    assert files(run) == FILES
    logged = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in logged] == [1, 2]
    split = LabelSplit.from_json(json.loads((run / "split.json").read_text()))
    assert len(split.labeled) == 20
    report = (run / "report.html").read_text()
    assert "semivae fit digits --labels 20 --set baseline.epochs=3 --seed 0 --epochs 2" in report
    assert "What the model thinks each class looks like" in report


def test_json_is_one_object_with_every_promised_key(cli: Cli) -> None:
    ended = cli(*QUICK, "--validation", 10, "--seed", 3, "--out", "a", "--json")
    assert ended.code == 0
    summary = ended.json
    assert set(summary) >= CONTRACT
    assert summary["supervised_only_accuracy"] is None
    assert 0 <= summary["test_accuracy"] <= 1
    assert (summary["n_labeled"], summary["n_unlabeled"]) == (20, 1327)
    assert summary["n_labels_used_to_choose"] == 10
    assert (summary["seed"], summary["recipe"], summary["run"]) == (3, "auto", "a")


def test_the_folder_of_a_run_is_never_one_that_exists(cli: Cli) -> None:
    for expected in ("digits-kingma-m2-0", "digits-kingma-m2-0-2", "digits-kingma-m2-0-3"):
        ended = cli(*QUICK, "--recipe", "kingma-m2", "--json")
        assert ended.json["run"] == f"runs/{expected}"


def test_options_reach_the_recipe(cli: Cli) -> None:
    ended = cli(
        *(*QUICK, "--out", "a", "--objective", "equation_8", "--json"),
        *("--set", "objective.alpha=7", "--set", "labels=relaxed", "--set", "labels.tau=0.4"),
    )
    assert ended.json["objective"] == "equation_8"
    recipe = json.loads(Path("a/config.json").read_text())["recipe"]
    assert recipe["objective"]["alpha"] == 7
    assert recipe["labels"] == {"kind": "relaxed", "tau": 0.4}


def test_every_stage_of_a_recipe_is_told(cli: Cli) -> None:
    stages = ("--recipe", "m1m2-refined", "--set", "pretraining.epochs=20")
    ended = cli(*QUICK, *stages, "--set", "refining.epochs=1", "--out", "a")
    assert "m1m2-refined, objective optimized_elbo, 20 + 1 + 1 epochs; into a" in ended.err
    assert ", 20 + 1 + 1 epochs, " in ended.out
    assert re.search(r"training: epoch 22/22  loss .* rows/s\n", ended.err)
    lines = Path("a/metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == list(range(1, 23))


def test_the_report_has_every_diagnostic_and_the_probe_if_asked(cli: Cli) -> None:
    plain = cli(*QUICK, "--out", "plain", "--json").json
    probed = cli(*QUICK, "--set", "probe=200", "--out", "probed")
    assert "; the probe took " in probed.out
    assert plain["probe_seconds"] == 0
    pages = [Path(name, "report.html").read_text() for name in ("plain", "probed")]
    for page_of_run in pages:
        assert all(f"<code>{name}</code>" in page_of_run for name in MEANINGS)
        assert "with 20 importance samples, a loose bound" in page_of_run
    assert ["The probe, after each epoch" in found for found in pages] == [False, True]
    names = [json.loads(Path(name, "metrics.jsonl").read_text()) for name in ("plain", "probed")]
    assert names[1]["probe/inference_gap"] >= 0
    assert {name for name in names[1] if not name.startswith("probe")} == set(names[0])
    weights = [Path(name, "model.safetensors").read_bytes() for name in ("plain", "probed")]
    assert weights[0] == weights[1]


def test_max_minutes_fixes_the_number_of_epochs_and_records_it(cli: Cli) -> None:
    ended = cli(*QUICK[:4], "--no-baseline", "--max-minutes", 0.01, "--out", "a", "--json")
    epochs = json.loads(Path("a/config.json").read_text())["recipe"]["training"]["epochs"]
    assert ended.code == 0
    assert 1 <= epochs == ended.json["epochs"] < 200


def test_without_hidden_labels_every_row_is_labeled(cli: Cli) -> None:
    ended = cli("fit", "digits", "--epochs", 1, "--no-baseline", "--json")
    assert ended.code == 0
    assert (ended.json["n_labeled"], ended.json["n_unlabeled"]) == (1347, 0)


def test_data_without_a_test_set_have_no_accuracy(cli: Cli, tmp_path: Path) -> None:
    save(tmp_path / "mine.npz")
    ended = cli("fit", "mine.npz", "--epochs", 1, "--no-baseline", "--json")
    assert ended.code == 0
    assert ended.json["test_accuracy"] is None
    assert ended.json["run"] == "runs/mine-auto-0"
    # The path is kept in full, so that another folder can evaluate and resume.
    settings = json.loads(Path("runs/mine-auto-0/config.json").read_text())["settings"]
    assert settings["data"] == str(tmp_path / "mine.npz")
    report = Path("runs/mine-auto-0/report.html").read_text()
    assert "training rows, their labels unread" in report
    assert "semivae evaluate takes" not in report, "it has nothing to evaluate on"
    config, predictor = rundir.load(Path("runs/mine-auto-0"))
    assert config.preprocessing == predictor.scaling.to_json() == {"shift": 0.0, "scale": 255.0}
    assert "<code>classifier_entropy</code>" in report
    assert "<code>accuracy_from_z</code>" not in report
    for own in ((), ("mine.npz",)):
        ended = cli("evaluate", "runs/mine-auto-0", *own)
        assert ended.code == 2, "its labeled rows are those of training"
        assert "no test set; name labeled rows, as in semivae evaluate" in ended.err


def test_a_run_that_learned_nothing_raises_the_alarm(cli: Cli) -> None:
    ended = cli(*QUICK, "--set", "training.optimizer.peak=1e-9", "--out", "a")
    assert ended.code == 0
    assert "warning: the classifier is sure of nothing" in ended.err
    assert "the classifier is sure of nothing" in Path("a/report.html").read_text()


def test_warnings_are_told_once_and_reach_the_report(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def warning(request: Request, data_dir: Path | None = None) -> Prepared:
        for _ in range(2):
            warnings.warn("these are not the\noriginal digits", UserWarning, stacklevel=1)
        warnings.warn("for developers", DeprecationWarning, stacklevel=1)
        return prepare(request, data_dir)

    monkeypatch.setattr(asking, "prepare", warning)
    ended = cli(*QUICK, "--out", "a")
    assert ended.err.count("warning: these are not the original digits\n") == 1
    assert "these are not the original digits" in Path("a/report.html").read_text()
    assert "developers" not in ended.err


# Going on with a run.


def interrupted(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, folder: str, at_checkpoint: int, saved: bool
) -> None:
    """A run of three epochs that is stopped at a checkpoint, before or after it is written."""
    save_checkpoint, calls = rundir.save_checkpoint, 0

    def stopping(*arguments: object) -> None:
        nonlocal calls
        calls += 1
        if calls < at_checkpoint or saved:
            save_checkpoint(*arguments)  # type: ignore[arg-type]
        if calls == at_checkpoint:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(rundir, "save_checkpoint", stopping)
        ended = cli(*QUICK[:4], "--epochs", 3, "--no-baseline", "--out", folder)
    assert ended.code == 1
    assert (
        ended.err.splitlines()[-1]
        == f"semivae: stopped: go on with `semivae fit --resume {folder}`"
    )
    assert ended.out == ""


def test_an_interrupted_run_resumes_bit_for_bit(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped after the first epoch, or in the second between its log and its checkpoint."""
    cli(*QUICK[:4], "--epochs", 3, "--no-baseline", "--out", "whole")
    for folder, at_checkpoint, saved in (("logged", 2, False), ("saved", 1, True)):
        interrupted(cli, monkeypatch, folder, at_checkpoint, saved)
        ended = cli("fit", "--resume", folder, "--json")
        assert ended.code == 0
        assert ended.json["epochs"] == 3
        assert files(Path(folder)) == FILES
        same_run(Path("whole"), Path(folder))


def same_run(whole: Path, cut: Path) -> None:
    """The same weights to the last bit, and the same log but for the time it took."""
    assert (whole / "model.safetensors").read_bytes() == (cut / "model.safetensors").read_bytes()
    logs = [
        [json.loads(line) | {"seconds": 0} for line in text.splitlines()]
        for text in ((folder / "metrics.jsonl").read_text() for folder in (whole, cut))
    ]
    assert logs[0] == logs[1]


@pytest.mark.slow
def test_a_killed_run_resumes_bit_for_bit(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "semivae", "fit"]
    options = ["digits", "--labels", "20", "--epochs", "5", "--no-baseline", "--out"]
    subprocess.run([*command, *options, "whole"], cwd=tmp_path, check=True, capture_output=True)
    process = subprocess.Popen([*command, *options, "cut"], cwd=tmp_path)
    metrics = tmp_path / "cut" / "metrics.jsonl"
    while process.poll() is None and not (metrics.exists() and metrics.read_text().count("\n")):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "cut" / "model.safetensors").exists()
    resumed = [*command, "--resume", "cut"]
    subprocess.run(resumed, cwd=tmp_path, check=True, capture_output=True)
    same_run(tmp_path / "whole", tmp_path / "cut")


def test_a_finished_run_is_not_resumed(cli: Cli, trained: Path) -> None:
    ended = cli("fit", "--resume", trained)
    assert ended.code == 2
    assert "is finished" in ended.err


@pytest.mark.parametrize(
    ("options", "named"),
    [(("digits",), "DATA"), (("--seed", 0), "--seed"), (("--set", "labels=relaxed"), "--set")],
)
def test_a_resumed_run_takes_nothing_new(
    cli: Cli, trained: Path, options: tuple[object, ...], named: str
) -> None:
    ended = cli("fit", "--resume", trained, *options)
    assert ended.code == 2
    assert f"leave out {named}," in ended.err


def test_a_resumed_run_can_leave_out_the_labels_alone(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was stopped while it trained on them has its model after all."""

    def stopping(*arguments: object, **named: object) -> NoReturn:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(runs, "train_supervised", stopping)
        ended = cli(*QUICK[:-1], "--out", "a")
    assert ended.code == 1 and "`semivae fit --resume a`" in ended.err
    assert "1 epochs, then " in ended.err and "on the labels alone" in ended.err
    resumed = cli("fit", "--resume", "a", "--no-baseline", "--json")
    assert resumed.code == 0 and resumed.json["supervised_only_accuracy"] is None
    assert files(Path("a")) == FILES
    assert cli("predict", "a", "digits", "--out", "a.csv").code == 0


# What ends a training early.


def test_a_full_disk_is_one_sentence_and_the_run_goes_on_later(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(rundir, "write_bytes", full)
        ended = cli(*QUICK, "--out", "a")
    assert ended.code == 1
    assert ended.err.splitlines()[-1] == (
        "semivae: writing to a failed (No space left on device): make room; "
        "go on with `semivae fit --resume a`"
    )
    assert cli("fit", "--resume", "a").code == 0


def test_a_full_disk_at_the_report_loses_nothing(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model, whose file ends a run, is saved after the report: the run resumes and has
    both."""

    def full(*arguments: object) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(page, "render", full)
        ended = cli(*QUICK, "--out", "a")
    assert ended.code == 1
    assert "go on with `semivae fit --resume a`" in ended.err
    resumed = cli("fit", "--resume", "a", "--json")
    assert resumed.code == 0
    assert json.loads(resumed.out)["examples_per_second"] > 0
    assert files(Path("a")) == FILES


def test_a_term_that_is_no_number_is_named_with_its_step(cli: Cli) -> None:
    ended = cli(*QUICK, "--set", "training.optimizer.peak=1e20", "--out", "a")
    assert ended.code == 1
    last = ended.err.splitlines()[-1]
    assert last.startswith("semivae: not finite at step 1: ")
    assert "--set training.clip_norm=1" in last
    assert not Path("a/model.safetensors").exists()


# Bad input: one sentence, exit code 2, nothing half-written.


def save(path: Path, **changes: object) -> None:
    """A small data set of two classes as an .npz file, with arrays changed or added."""
    rng = np.random.default_rng(0)
    arrays: dict[str, object] = {
        "X": rng.integers(0, 256, (40, 8, 8), dtype=np.uint8),
        "y": np.tile([0, 1, -1, -1], 10),
    }
    np.savez(path, **{name: np.asarray(value) for name, value in (arrays | changes).items()})


def refused(cli: Cli, *arguments: object) -> str:
    """The one sentence with which a command refuses before it writes anything."""
    before = sorted(Path().rglob("*"))
    ended = cli(*arguments)
    assert ended.code == 2
    assert ended.out == ""
    assert sorted(Path().rglob("*")) == before
    sentence = ended.err.splitlines()
    assert len(sentence) == 1
    assert sentence[0].startswith("semivae: ")
    return sentence[0].removeprefix("semivae: ")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", "nothing to train on: name the data"),
        ("tigers", "there is no data set and no file 'tigers': give one of digits, mnist"),
        ("digits --labels 7", "7 is fewer labels than classes: give at least 10"),
        ("digits --labels 5000", "are needed for 5000 labels"),
        ("digits --labels 20 --validation 5000", "and 5000 validation labels"),
        ("digits --recipe best", "recipe=best: choose one of auto, paper-m2"),
        ("digits --objective best", "objective=best: choose one of equation_8"),
        ("digits --set objective.beta", "objective.beta: write KEY=VALUE"),
        ("digits --set objective.size=3", "there is no 'size' here, only alpha, beta"),
        ("digits --set objective.beta=much", "objective.beta=much: not a value like"),
        ("digits --labels 20 --set labels.tau=1", "there is no 'tau' here"),
        ("digits --recipe m1m2 --set refining=5", "refining=5: this recipe has no refining"),
        ("digits --max-minutes 0", "--max-minutes 0: give a number above 0"),
        ("--resume .", ". is not a run: config.json cannot be read"),
    ],
)
def test_wrong_use_is_one_sentence(cli: Cli, options: str, expected: str) -> None:
    assert expected in refused(cli, "fit", *options.split())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"y": np.full(40, -1)}, "y has no labeled row"),
        ({"y": np.tile([1, -1], 20)}, "if -1 is a class of yours, recode"),
        ({"y": np.tile([0, 1, 2, -1], 10), "n": 2}, "2 is fewer labels than classes"),
        ({"y": np.tile([0, 1, np.nan, -1], 10)}, "contains NaN, the first in row 2"),
        ({"y": np.zeros(39, int)}, "one class only"),
        ({"y": np.tile([0, 1, -1], 13)}, "has 40 rows with 39 labels"),
        ({"X_test": np.zeros((2, 8, 8), np.uint8), "y_test": [0, 7]}, "y_test is 7 in row 1"),
        ({"X_test": np.zeros((2, 8, 8), np.uint8)}, "only one of X_test and y_test"),
        ({"X": np.full((40, 8, 8), np.nan)}, "in X, X contains 2560 NaN and 0 infinite values"),
        ({"X": np.zeros((40, 3, 8, 3), np.uint8)}, "could be either (N, C, H, W) or"),
        ({"X": np.zeros((40, 2, 8, 8), np.uint8)}, "could be neither"),
        ({"X": np.zeros(40, np.uint8)}, "in X, X has shape (40,): give rows (N, D) or images"),
        ({"X": np.zeros((0, 8, 8), np.uint8), "y": []}, "X has no rows"),
    ],
)
def test_bad_data_are_one_sentence(
    cli: Cli, tmp_path: Path, changes: dict[str, object], expected: str
) -> None:
    labels = changes.get("n", 4)
    save(tmp_path / "bad.npz", **{name: a for name, a in changes.items() if name != "n"})
    assert expected in refused(cli, "fit", "bad.npz", "--labels", labels)


@pytest.mark.parametrize("kept", [0, 100, -100])
def test_a_truncated_file_is_one_sentence(cli: Cli, tmp_path: Path, kept: int) -> None:
    save(tmp_path / "whole.npz")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:kept])
    assert "cut.npz is not an .npz file, or only a part" in refused(cli, "fit", "cut.npz")


def test_a_foreign_file_is_one_sentence(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "notes.npz").write_text("not arrays")
    assert "notes.npz is not an .npz file" in refused(cli, "fit", "notes.npz")


def test_an_unknown_data_folder_is_wrong_use(cli: Cli) -> None:
    ended = cli("fit", "mnist", "--data-dir", "nowhere")
    assert ended.code == 2
    assert "nowhere" in ended.err
    assert not Path("runs").exists()


@pytest.mark.parametrize("option", ["--labels", "--epochs", "--seed", "--validation"])
def test_numbers_below_their_range_are_wrong_use(cli: Cli, option: str) -> None:
    ended = cli("fit", "digits", option, -1)
    assert ended.code == 2
    assert f"'{option}'" in ended.err
    assert not Path("runs").exists()


def test_an_output_folder_that_exists_is_refused(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").touch()
    assert "full exists and is not an empty folder" in refused(cli, *QUICK, "--out", "full")
    assert "notes.txt exists" in refused(cli, *QUICK, "--out", "full/notes.txt")


def test_an_output_folder_that_cannot_be_written_is_refused(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "file/run cannot be written" in refused(cli, *QUICK, "--out", "file/run")


@pytest.mark.parametrize("name", ["config.json", "checkpoint.safetensors"])
def test_a_damaged_run_is_not_resumed(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    interrupted(cli, monkeypatch, "cut", 1, saved=True)
    path = Path("cut") / name
    path.write_bytes(path.read_bytes()[:50])
    assert str(path) in refused(cli, "fit", "--resume", "cut")


def test_a_model_saved_from_python_does_not_know_its_data(cli: Cli, trained: Path) -> None:
    shutil.copytree(trained, "mine")
    config = json.loads(Path("mine/config.json").read_text())
    Path("mine/config.json").write_text(json.dumps(config | {"settings": {"estimator": {}}}))
    assert "mine was not made by `semivae fit`" in refused(cli, "evaluate", "mine")
