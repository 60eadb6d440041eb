"""request.py and runs.py, `semivae fit` without the printing: errors before anything is written,
and exact resumption."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from semivae import runs
from semivae.config import CHOICES, to_plain
from semivae.data.datasets import load
from semivae.data.splits import LabelSplit
from semivae.errors import InputError
from semivae.evaluation import brier, classification_report, nll
from semivae.fitting import Hooks
from semivae.labels import Relaxed
from semivae.measured import CHOSE_AUTO
from semivae.models.m2 import M2
from semivae.models.specs import Conditional, Factorized
from semivae.objective_specs import Equation8
from semivae.recipes import MANY_ROWS
from semivae.request import Request, prepare
from semivae.rundir import read_metrics
from semivae.smoothness import USUAL, Smoothness
from semivae.training import EpochLog, Snapshot

pytestmark = pytest.mark.usefixtures("unchecked")

SMALL = Request(
    "digits",
    labels=20,
    rows=300,
    settings=("network.latent=4", "labels=relaxed", "training.unlabeled_rows=100"),
    epochs=4,
    baseline=False,
)


def npz(path: Path, **arrays: Any) -> str:
    np.savez(path, **arrays)
    return str(path)


def images(n: int = 30) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, 8, 8)).astype(np.uint8)


# --- prepare ---


def test_prepare_keeps_so_many_labels_balanced_and_hides_the_rest() -> None:
    prepared = prepare(Request("digits", labels=50, seed=3))
    y, split = prepared.training_set.y, prepared.split
    np.testing.assert_array_equal(np.flatnonzero(y >= 0), split.labeled)
    np.testing.assert_array_equal(np.bincount(y[y >= 0]), np.full(10, 5))
    np.testing.assert_array_equal(y[split.labeled], load("digits").y[split.labeled])
    assert prepared.training_set.facts == ((1, 8, 8), 50, 1297, 10)
    assert prepared.training_set.scaling.scale == 16.0


def test_validation_labels_are_counted_and_never_trained_on() -> None:
    plain = prepare(Request("digits", labels=50, seed=3))
    prepared = prepare(Request("digits", labels=50, seed=3, validation=40))
    assert prepared.split.n_labels_used_to_choose == 40
    np.testing.assert_array_equal(prepared.training_set.y, plain.training_set.y)
    assert (prepared.training_set.y[prepared.split.validation] == -1).all()


def test_rows_takes_a_balanced_part_of_the_training_rows_and_the_whole_test_set() -> None:
    prepared = prepare(Request("digits", labels=20, rows=300))
    assert prepared.training_set.facts == ((1, 8, 8), 20, 280, 10)
    np.testing.assert_array_equal(np.bincount(prepared.arrays.y), np.full(10, 30))
    assert prepared.arrays.x_test is not None
    assert len(prepared.arrays.x_test) == 450
    full = load("digits").x
    assert all((row == full).all((1, 2, 3)).any() for row in prepared.arrays.x[:5])


def test_no_label_count_keeps_every_label_that_is_there(tmp_path: Path) -> None:
    y = np.where(np.arange(30) < 12, np.arange(30) % 3, -1)
    prepared = prepare(Request(npz(tmp_path / "a.npz", X=images(), y=y)))
    np.testing.assert_array_equal(prepared.training_set.y, y)
    np.testing.assert_array_equal(prepared.split.labeled, np.arange(12))


def test_requests_change_the_recipe_in_order() -> None:
    prepared = prepare(
        Request(
            "digits",
            labels=20,
            objective="equation_8",
            settings=("objective.alpha=7", "labels=relaxed", "labels.tau=.3", "objective.alpha=8"),
            epochs=5,
        )
    )
    assert prepared.recipe.objective == Equation8(alpha=8.0)
    assert prepared.recipe.labels == Relaxed(0.3)
    assert prepared.recipe.training.epochs == 5


def test_preparing_trains_nothing_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    prepare(SMALL)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"labels": 9}, "9 is fewer labels than classes: give at least 10"),
        ({"labels": 0}, "fewer labels than classes"),
        ({"labels": 5000}, "labeled rows, and .* are needed for 5000 labels"),
        ({"labels": 20, "rows": 5}, "fewer labels than classes"),
        ({"labels": 20, "validation": 5000}, "5000 validation labels"),
        ({"labels": 20, "validation": -1}, "n_validation=-1"),
        ({"labels": 20, "seed": -1}, "seed=-1"),
        ({"data": "digit"}, "there is no data set and no file 'digit': give one of digits, mnist"),
        ({"recipe": "papr"}, "recipe=papr: choose one of auto, "),
        ({"objective": "vae"}, "objective=vae: choose one of equation_8"),
        ({"settings": ("objective.beta",)}, "objective.beta: write KEY=VALUE"),
        ({"settings": ("objective.delta=1",)}, "there is no 'delta' here, only alpha, beta"),
        ({"settings": ("objective.alpha=x",)}, "not a value like 10.0"),
        ({"epochs": 0}, "--epochs 0: give at least 1"),
        ({"settings": ("training.epochs=-3",)}, "epochs=-3: give at least 1"),
        ({"settings": ("baseline.epochs=0",)}, "epochs=0: give at least 1"),
        ({"settings": ("training=3",)}, "has several values, name one: training.epochs"),
        ({"settings": ("objective.alpha=1e39",)}, "not finite at step 0: loss = inf"),
        ({"settings": ("objective.alpha=ramp(0,nan,1)",)}, "both must be finite"),
        (
            {"settings": ("training.optimizer=adamw", "training.optimizer.decay=-5")},
            "decay=-5 would make weights grow",
        ),
        ({"max_minutes": float("inf")}, "--max-minutes inf: give a number above 0"),
        ({"max_minutes": 0.0}, "--max-minutes 0: give a number above 0"),
        ({"max_minutes": float("nan")}, "--max-minutes nan"),
        (
            {"settings": ("objective.label_divergence=reverse", "objective.epsilon=0")},
            "give epsilon > 0",
        ),
    ],
)
def test_what_cannot_be_used_is_one_sentence(change: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        prepare(replace(Request("digits", labels=20), **change))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "setting",
    [
        "objective.epsilon=0.95",
        "objective.epsilon=-0.1",
        "training.labeled_rows=0",
        "training.unlabeled_rows=0",
        "training.unlabeled_rows=-5",
        "network.latent=0",
        "training.optimizer.peak=-1",
        "training.average=2",
        "training.corruption=-0.1",
        "training.corruption=nan",
        "training.corruption=inf",
    ],
)
def test_a_symbol_out_of_range_fails_before_anything_is_written(setting: str) -> None:
    with pytest.raises(InputError):
        prepare(Request("digits", labels=20, settings=(setting,)))


def test_a_temperature_of_zero_fails_before_anything_is_written() -> None:
    request = Request("digits", labels=20, settings=("labels=relaxed", "labels.tau=0"))
    with pytest.raises(InputError):
        prepare(request)


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (np.full(30, -1), "no labeled row"),
        (np.where(np.arange(30) < 5, 0, -1), "one class only"),
        (np.where(np.arange(30) % 2, 1, -1), "-1 means unlabeled here"),
        (np.zeros(29, int), "one class only|29 labels"),
        (np.arange(30) + 0.5, "not a whole number"),
        (np.full(30, np.nan), "NaN"),
    ],
    ids=["none", "one class", "-1 as a class", "length", "measurements", "nan"],
)
def test_labels_that_cannot_be_used(y: np.ndarray, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        prepare(Request(npz(tmp_path / "a.npz", X=images(), y=y)))


def test_images_that_cannot_be_used(tmp_path: Path) -> None:
    y = np.arange(30) % 3
    for X, words in [
        (images() - 300.0, "give pixels from 0 up"),
        (images().reshape(30, 1, 8, 8)[:, :, :, :3].repeat(3, 1), "channels_last"),
        (images()[:0], "0 sample|no rows|images with"),
    ]:
        with pytest.raises(InputError, match=words):
            prepare(Request(npz(tmp_path / "a.npz", X=X, y=y)))
    (tmp_path / "foreign.npz").write_bytes(b"\x89PNG\r\n\x1a\n" * 10)
    with pytest.raises(InputError, match=r"is not an \.npz file"):
        prepare(Request(str(tmp_path / "foreign.npz")))


# --- a whole run ---


def state_of(folder: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


def without_seconds(folder: Path) -> list[dict[str, Any]]:
    return [{k: v for k, v in line.items() if k != "seconds"} for line in read_metrics(folder)]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class KillError(Exception):
    """Stands for a kill."""


class KilledAfter(Hooks):
    """Stops the run at the first step after so many epochs."""

    def __init__(self, epochs: int) -> None:
        self.left = epochs

    def on_epoch(self, model: M2, log: EpochLog, snapshot: Snapshot) -> None:
        self.left -= 1

    def on_step(self, step: int, steps: int) -> None:
        if self.left == 0:
            raise KillError


def finish(request: Request, folder: Path) -> runs.Finished:
    prepared = runs.start(prepare(request), folder)
    return runs.run(prepared, folder, Hooks(), Hooks())


def cut(request: Request, folder: Path, epochs: int) -> None:
    prepared = runs.start(prepare(request), folder)
    with pytest.raises(KillError):
        runs.run(prepared, folder, KilledAfter(epochs), Hooks())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Request], Path]:
    """The folder of the uninterrupted run of a request, made once."""
    made: dict[Request, Path] = {}

    def folder(request: Request) -> Path:
        if request not in made:
            made[request] = tmp_path_factory.mktemp("whole") / "run"
            finish(request, made[request])
        return made[request]

    return folder


AVERAGED = replace(SMALL, settings=(*SMALL.settings, "training.average=0.5"))


@pytest.mark.parametrize("epochs", [0, 1, 3])
@pytest.mark.parametrize("request_", [SMALL, AVERAGED], ids=["last weights", "average"])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(
    request_: Request, epochs: int, tmp_path: Path, whole: Callable[[Request], Path]
) -> None:
    """With the CNN; the average starts with the third of four epochs, so 1 is before, 3 inside."""
    expected, folder = whole(request_), tmp_path / "run"
    cut(request_, folder, epochs)
    assert "model.safetensors" not in names(folder)
    prepared, model, snapshot = runs.resume(folder)
    assert (snapshot is None) == (epochs == 0)
    finished = runs.run(prepared, folder, Hooks(), Hooks(), model, snapshot)
    ours, theirs = state_of(folder), state_of(expected)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert without_seconds(folder) == without_seconds(expected)
    assert [line["epoch"] for line in finished.history] == [1, 2, 3, 4]
    assert names(folder) == names(expected)
    texts = [(each / "config.json").read_text() for each in (folder, expected)]
    assert texts[0] == texts[1]


def test_validation_accuracy_is_logged_after_each_epoch_and_changes_nothing(
    tmp_path: Path, whole: Callable[[Request], Path]
) -> None:
    """That of the weights at that moment: the last one is that of a predictor without average."""
    finished = finish(replace(SMALL, validation=40), tmp_path / "run")
    logged = [line["validation_accuracy"] for line in finished.history]
    assert len(logged) == 4 and all(0 <= share <= 1 for share in logged)
    assert logged[-1] == finished.validation_accuracy
    rows, arrays = finished.prepared.split.validation, finished.prepared.arrays
    probs = finished.trained.predictor.predict_proba(arrays.x[rows])
    last, y = finished.history[-1], arrays.y[rows]
    assert last["validation_nll"] == nll(probs, y)
    assert last["validation_brier"] == brier(probs, y)
    assert last["validation_ece"] == classification_report(probs, y).ece
    ours, theirs = state_of(tmp_path / "run"), state_of(whole(SMALL))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert not any("validation_accuracy" in line for line in read_metrics(whole(SMALL)))


def test_the_mode_of_training_outlasts_a_look_at_the_validation_rows(tmp_path: Path) -> None:
    seen: list[bool] = []

    class Modes(Hooks):
        def on_epoch(self, model: M2, log: EpochLog, snapshot: Snapshot) -> None:
            seen.append(model.training)

    request = replace(SMALL, validation=40, epochs=2)
    prepared = runs.start(prepare(request), tmp_path / "run")
    runs.run(prepared, tmp_path / "run", Modes(), Hooks())
    assert seen == [True, True]


def test_the_average_changes_the_weights_but_not_the_history(
    whole: Callable[[Request], Path],
) -> None:
    plain, averaged = whole(SMALL), whole(AVERAGED)
    assert without_seconds(plain) == without_seconds(averaged)
    ours, theirs = state_of(plain), state_of(averaged)
    assert any(not torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_run_cut_twice_with_a_metrics_line_cut_short(
    tmp_path: Path, whole: Callable[[Request], Path]
) -> None:
    folder = tmp_path / "run"
    cut(SMALL, folder, 1)
    prepared, model, snapshot = runs.resume(folder)
    with pytest.raises(KillError):
        runs.run(prepared, folder, KilledAfter(1), Hooks(), model, snapshot)
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 3, "st')  # killed while it was writing
    prepared, model, snapshot = runs.resume(folder)
    assert snapshot is not None
    assert snapshot.epoch == 2
    finished = runs.run(prepared, folder, Hooks(), Hooks(), model, snapshot)
    assert without_seconds(folder) == without_seconds(whole(SMALL))
    ours, theirs = state_of(folder), state_of(whole(SMALL))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert finished.summary(folder)["epochs"] == 4
    assert finished.trained.train_seconds > 0


def test_metrics_written_after_the_last_checkpoint_are_trained_again(
    tmp_path: Path, whole: Callable[[Request], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the line of an epoch and its checkpoint."""
    folder = tmp_path / "run"
    prepared = runs.start(prepare(SMALL), folder)
    save = runs.rundir.save_checkpoint

    def killed(to: Path, model: M2, snapshot: Snapshot) -> None:
        if snapshot.epoch == 3:
            raise KillError
        save(to, model, snapshot)

    with monkeypatch.context() as patch:
        patch.setattr(runs.rundir, "save_checkpoint", killed)
        with pytest.raises(KillError):
            runs.run(prepared, folder, Hooks(), Hooks())
    assert len(read_metrics(folder)) == 3
    prepared, model, snapshot = runs.resume(folder)
    runs.run(prepared, folder, Hooks(), Hooks(), model, snapshot)
    assert without_seconds(folder) == without_seconds(whole(SMALL))


def test_a_run_killed_before_its_model_was_saved_only_saves_it(
    tmp_path: Path, whole: Callable[[Request], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All epochs are done and checkpointed, the averaged model is not written yet."""
    folder = tmp_path / "run"
    prepared = runs.start(prepare(AVERAGED), folder)

    def killed(*arguments: object) -> None:
        raise KillError

    with monkeypatch.context() as patch:
        patch.setattr(runs, "test_report", killed)
        with pytest.raises(KillError):
            runs.run(prepared, folder, Hooks(), Hooks())
    prepared, model, snapshot = runs.resume(folder)
    runs.run(prepared, folder, Hooks(), Hooks(), model, snapshot)
    ours, theirs = state_of(folder), state_of(whole(AVERAGED))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert without_seconds(folder) == without_seconds(whole(AVERAGED))


def test_the_run_directory_holds_what_the_design_lists(
    tmp_path: Path, whole: Callable[[Request], Path]
) -> None:
    """The report is the command line's; the checkpoint is there while the run is resumable."""
    folder = tmp_path / "run"
    prepared = runs.start(prepare(SMALL), folder)
    assert names(folder) == ["config.json", "split.json"]
    with pytest.raises(KillError):
        runs.run(prepared, folder, KilledAfter(1), Hooks())
    assert names(folder) == [
        "checkpoint.json",
        "checkpoint.safetensors",
        "config.json",
        "metrics.jsonl",
        "split.json",
    ]
    finished = ["config.json", "metrics.jsonl", "model.safetensors", "split.json"]
    assert names(whole(SMALL)) == finished


def test_the_split_is_recorded(whole: Callable[[Request], Path]) -> None:
    plain = json.loads((whole(SMALL) / "split.json").read_text())
    split, expected = LabelSplit.from_json(plain), prepare(SMALL).split
    for part in ("labeled", "validation", "unlabeled"):
        np.testing.assert_array_equal(getattr(split, part), getattr(expected, part))
    assert plain["n_rows"] == 300
    assert plain["seed"] == 0


def test_a_finished_run_cannot_be_resumed(whole: Callable[[Request], Path]) -> None:
    folder = whole(SMALL)
    with pytest.raises(InputError) as caught:
        runs.resume(folder)
    assert str(caught.value) == f"{folder} is finished: there is nothing to resume"


def test_a_run_whose_data_changed_meanwhile_is_not_resumed(tmp_path: Path) -> None:
    """Its labels are the same, its X is in other units."""
    x, y = np.random.default_rng(0).normal(size=(60, 3)), np.arange(60) % 2
    table = tmp_path / "table.npz"
    np.savez(table, X=x, y=y)
    runs.start(prepare(Request(str(table), labels=10, epochs=1)), tmp_path / "run")
    runs.resume(tmp_path / "run")
    np.savez(table, X=1000 * x, y=y)
    with pytest.raises(InputError, match="its data are no longer those it began on"):
        runs.resume(tmp_path / "run")


def test_a_commit_is_that_of_the_own_source_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not that of a repository in whose environment the package is installed."""
    git = ["git", "-c", "user.name=n", "-c", "user.email=e", "-C", str(tmp_path)]
    (tmp_path / "theirs.py").touch()
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "theirs"]):
        subprocess.run([*git, *command], check=True)
    monkeypatch.setattr(runs, "__file__", str(tmp_path / "theirs.py"))
    assert runs.commit() is not None
    monkeypatch.setattr(runs, "__file__", str(tmp_path / ".venv.py"))
    assert runs.commit() is None


def test_a_share_that_holds_out_no_label_is_refused() -> None:
    for labels, share in ((10, 0.5), (20, 0.01)):
        words = f"--holdout {share:g} holds out none of {labels} labels"
        with pytest.raises(InputError, match=words):
            prepare(Request("digits", labels=labels, holdout=share))


def test_an_objective_is_the_same_however_it_is_asked_for() -> None:
    """With the q(z|x, y) and the smoothness that go with it."""
    by_name = prepare(Request("digits", labels=50, objective="kingma_2014")).recipe
    by_setting = prepare(Request("digits", labels=50, settings=("objective=kingma_2014",))).recipe
    assert by_setting == by_name and isinstance(by_name.family, Conditional)


def test_what_is_no_run_cannot_be_resumed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is not a run: config\.json cannot be read"):
        runs.resume(tmp_path)


def test_a_run_of_the_python_api_does_not_know_its_data(tmp_path: Path) -> None:
    runs.start(prepare(SMALL), tmp_path / "run")
    path = tmp_path / "run" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"settings": {"estimator": {}}}))
    with pytest.raises(InputError, match="was not made by `semivae fit`"):
        runs.resume(tmp_path / "run")


def test_a_folder_that_holds_something_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(InputError, match="exists and is not an empty folder"):
        runs.start(prepare(SMALL), tmp_path)
    assert names(tmp_path) == ["mine"]


def test_the_summary_is_the_json_of_the_contract(tmp_path: Path) -> None:
    request = replace(
        SMALL, epochs=1, baseline=True, settings=(*SMALL.settings, "baseline.epochs=30")
    )
    finished = finish(request, tmp_path / "run")
    summary = finished.summary(tmp_path / "run")
    assert set(summary) == {
        "test_accuracy",
        "supervised_only_accuracy",
        "validation_accuracy",
        "n_labeled",
        "n_unlabeled",
        "n_labels_used_to_choose",
        "n_labels_that_chose_the_recipe",
        "train_seconds",
        "examples_per_second",
        "probe_seconds",
        "epochs",
        "seed",
        "recipe",
        "objective",
        "run",
    }
    assert json.loads(json.dumps(summary)) == summary
    assert (summary["n_labeled"], summary["n_unlabeled"]) == (20, 280)
    assert summary["recipe"] == "auto"
    assert summary["n_labels_that_chose_the_recipe"] == CHOSE_AUTO["digits"]
    assert summary["objective"] == "optimized_elbo"
    assert 0.2 < summary["supervised_only_accuracy"] <= 1
    assert finished.test is not None
    assert finished.test.n == 450
    assert summary["test_accuracy"] == finished.test.accuracy


def test_without_a_test_set_the_accuracies_are_null(tmp_path: Path) -> None:
    y = np.where(np.arange(30) < 12, np.arange(30) % 3, -1)
    data = npz(tmp_path / "a.npz", X=images(), y=y)
    settings = ("network=mlp", "baseline.epochs=2")
    request = Request(data, epochs=1, settings=settings)
    finished = finish(request, tmp_path / "run")
    summary = finished.summary(tmp_path / "run")
    assert finished.test is None
    assert (summary["test_accuracy"], summary["supervised_only_accuracy"]) == (None, None)


def test_max_minutes_fixes_the_epochs_in_the_configuration(tmp_path: Path) -> None:
    request = replace(SMALL, epochs=1000, max_minutes=1e-6)
    prepared = runs.start(prepare(request), tmp_path / "run")
    assert prepared.recipe.training.epochs == 1
    again, _, _ = runs.resume(tmp_path / "run")
    assert again.recipe == prepared.recipe


def test_the_test_set_is_read_only_after_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another test set changes the accuracy and not one bit of the model."""
    accuracies, states = [], []
    for flip in (False, True):
        prepared = prepare(replace(SMALL, epochs=2))
        arrays = prepared.arrays
        assert arrays.x_test is not None
        if flip:
            prepared = replace(prepared, arrays=replace(arrays, x_test=16 - arrays.x_test))
        folder = tmp_path / str(flip)
        finished = runs.run(runs.start(prepared, folder), folder, Hooks(), Hooks())
        assert finished.test is not None
        accuracies.append(finished.test.nll)
        states.append(state_of(folder))
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert accuracies[0] != accuracies[1]


def test_labels_may_be_held_out_for_validation() -> None:
    """They leave the labeled stream, stay among the unlabeled rows and are counted."""
    whole = prepare(Request("digits", labels=100))
    prepared = prepare(Request("digits", labels=100, holdout=0.3))
    held = prepared.split.validation
    assert len(held) == prepared.split.n_labels_used_to_choose == 30
    assert set(held) | set(prepared.split.labeled) == set(whole.split.labeled)
    assert (prepared.training_set.y[held] == -1).all()
    with pytest.raises(InputError, match="give one"):
        prepare(Request("digits", labels=100, holdout=0.3, validation=10))


@pytest.mark.filterwarnings("ignore:this objective trains the classifier alone")
@pytest.mark.parametrize(
    ("objective", "labels"),
    [(name, "sampled") for name in CHOICES["objective"]]
    + [("optimized_elbo", name) for name in CHOICES["labels"]],
)
def test_every_objective_and_every_label_rule_takes_a_step(objective: str, labels: str) -> None:
    settings = (f"labels={labels}", "family=conditional")
    asked = Request("digits", labels=20, objective=objective, settings=settings)
    plain = to_plain(prepare(asked).recipe)
    assert (plain["objective"]["kind"], plain["labels"]["kind"]) == (objective, labels)


def test_the_smoothness_of_a_recipe_goes_with_objectives_that_read_unlabeled_rows() -> None:
    """And one that is asked for is not dropped."""
    asked = Request("digits", labels=20, objective="equation_8")
    assert prepare(asked).recipe.smoothness == prepare(Request("digits", 20)).recipe.smoothness
    assert prepare(asked).recipe.smoothness.weight > 0
    alone = replace(asked, objective="labeled_elbo")
    assert prepare(alone).recipe.smoothness == Smoothness()
    with pytest.raises(InputError, match=r"smoothness\.weight=3"):
        prepare(replace(alone, settings=("smoothness.weight=3",)))


def test_the_smoothness_of_a_recipe_counts_as_usual_beside_another_objective(
    tmp_path: Path,
) -> None:
    """Many images weigh it with the weights of their own objective, which are large."""
    x = np.zeros((MANY_ROWS + 30, 1, 4, 4), np.uint8)
    y = np.full(len(x), -1)
    y[:20] = np.arange(20) % 2
    np.savez(tmp_path / "many.npz", X=x, y=y)
    asked = Request(str(tmp_path / "many.npz"))
    own, other = (prepare(replace(asked, objective=name)).recipe for name in (None, "equation_8"))
    assert own.smoothness.weight == own.objective.alpha > USUAL
    assert other.smoothness == replace(own.smoothness, weight=USUAL)


@pytest.mark.parametrize(
    ("objective", "setting", "words"),
    [
        ("optimized_elbo_literal", "objective.epsilon=0", "give epsilon > 0"),
        ("modified_elbo", "objective.alpha=-1", "unlearns the labels"),
        ("optimized_elbo", "labels.rho=1", "rho=1 keeps no running mean"),
    ],
)
def test_a_symbol_without_sense_is_refused(objective: str, setting: str, words: str) -> None:
    settings = ("labels=sampled", setting)
    with pytest.raises(InputError, match=words):
        prepare(Request("digits", labels=20, objective=objective, settings=settings))


@pytest.mark.parametrize("objective", ["kingma_j", "kingma_2014"])
def test_kingmas_objective_comes_with_his_family_unless_told_otherwise(objective: str) -> None:
    asked = Request("digits", labels=50, objective=objective)
    assert prepare(asked).recipe.family == Conditional()
    told = replace(asked, settings=("family=factorized",))
    assert prepare(told).recipe.family == Factorized()


@pytest.mark.parametrize("name", ["optimized_elbo", "optimized_elbo_literal", "survey3_j"])
def test_the_plug_in_information_needs_five_rows_per_class(name: str) -> None:
    settings = ("objective.information=batch", "training.unlabeled_rows=49")
    with pytest.raises(InputError, match="at least 50 unlabeled rows a step"):
        prepare(Request("digits", labels=50, objective=name, settings=settings))


@pytest.mark.parametrize(("rows", "enough"), [(150, True), (149, False)])
def test_the_rows_of_the_plug_in_are_those_of_the_smallest_step(rows: int, enough: bool) -> None:
    """60 a step were asked for: 100 unlabeled rows are cut into 50 and 50, 99 into 49 and 50."""
    settings = ("objective.information=batch", "training.unlabeled_rows=60")
    request = Request("digits", labels=50, rows=rows, settings=settings)
    if enough:
        assert prepare(request).training_set.facts.n_unlabeled == 100
        return
    with pytest.raises(InputError, match=r"at least 50 unlabeled rows a step .* there are 49"):
        prepare(request)


def test_the_plug_in_of_every_stage_needs_its_rows() -> None:
    """The last stage has the objective of the one before; M1's has no information in it."""
    settings = ("objective.information=batch", "pretraining.unlabeled_rows=20")
    request = Request("digits", labels=50, recipe="m1m2-refined", settings=settings)
    assert prepare(request).recipe.pretraining is not None
    small = replace(request, settings=(*settings, "refining.unlabeled_rows=49"))
    with pytest.raises(InputError, match=r"there are 4[0-9]"):
        prepare(small)


def test_the_plug_in_is_not_asked_for_rows_where_every_row_has_a_label() -> None:
    """Its sum is left out, with a warning."""
    with pytest.warns(UserWarning, match="every row has a label"):
        prepare(Request("digits", settings=("objective.information=batch",)))


@pytest.mark.parametrize(("processes", "fits"), [(2, True), (3, False)])
def test_every_process_has_a_row_of_the_smallest_step(
    monkeypatch: pytest.MonkeyPatch, processes: int, fits: bool
) -> None:
    """5 unlabeled rows, at most 3 a step, are cut into 2 and 3."""
    monkeypatch.setenv("WORLD_SIZE", str(processes))
    request = Request("digits", labels=20, rows=25, settings=("training.unlabeled_rows=3",))
    if fits:
        assert prepare(request).training_set.facts.n_unlabeled == 5
        return
    with pytest.raises(InputError, match="a step has 2 rows of one stream for 3 processes"):
        prepare(request)


def test_a_weight_that_unlearns_the_labels_is_refused() -> None:
    with pytest.raises(InputError, match="unlearns the labels"):
        prepare(Request("digits", labels=50, settings=("objective.alpha=-5",)))
