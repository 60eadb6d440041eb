"""benchmarks/family.py: the rows, the choice by validation labels, the table of hand-made
results."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks import family
from benchmarks.choice_plans import SPLIT
from benchmarks.family_rows import ROWS, SEEDS, VALIDATION, Row
from benchmarks.family_table import Told, markdown, readings, symbols, verdict, write
from benchmarks.family_trials import section, tried

from semivae.config import set_value, to_plain
from semivae.data.datasets import load
from semivae.data.published import Arrays
from semivae.labels import Enumerated, Pruned
from semivae.models.deep_networks import AuxiliaryMLP, StackedMLP
from semivae.models.networks import MLP, KingmaMLP
from semivae.paper.results import RunResult
from semivae.recipe import DataFacts
from semivae.recipes import named_recipe
from semivae.request import Request, prepare
from semivae.schedules import weight_at
from semivae.settings import under_objective

BY_NAME = {row.name: row for row in ROWS}
PUBLISHED, TARGET = BY_NAME["m1m2-100-kingma"], BY_NAME["m1m2-100"]


def as_built(row: Row) -> Any:
    """The recipe of a row on digits, whose data are here."""
    settings = row.grid[0] if row.grid else ()
    request = replace(row.asked(0, settings), data="digits", validation=20)
    return prepare(request).recipe


def result(row: Row, seed: int, accuracy: float, curve: tuple[float, ...]) -> RunResult:
    """A hand-made result after two epochs of a first stage; accuracies in percent."""
    settings = row.grid[0] if row.grid else ()
    history = [{"epoch": epoch} for epoch in (1, 2)]
    history += [
        {"epoch": 3 + i, "validation_accuracy": value / 100} for i, value in enumerate(curve)
    ]
    recipe = to_plain(as_built(row))
    return RunResult(
        name=f"{row.name}-{seed}",
        summary={
            "n_labeled": 100,
            "train_seconds": 120.0,
            "epochs": recipe["training"]["epochs"],
            "recipe": row.request.recipe,
        },
        test={"accuracy": accuracy / 100},
        recipe=recipe,
        request=asdict(row.asked(seed, settings)),
        parameters=1_500_000,
        commit="abc",
        machine={"threads": 1},
        history=history,
    )


# --- the rows ---


def test_the_targets_are_those_that_were_set() -> None:
    found = {(row.model, row.request.labels): row.target for row in ROWS if row.target}
    assert found == {("M2", 100): 95.0, ("M1+M2", 100): 97.5, ("M1+M2", 1000): 98.0,
                     ("SDGM", 100): 98.5}  # fmt: skip


@pytest.mark.filterwarnings("ignore:this objective trains the classifier alone")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_is_of_perceptrons_with_the_sum_over_y_or_an_unbiased_estimate(row: Row) -> None:
    recipe = as_built(row)
    assert isinstance(recipe.network, KingmaMLP | MLP | StackedMLP | AuxiliaryMLP)
    assert isinstance(recipe.labels, Enumerated | Pruned)
    request = row.asked(2, ())
    assert (request.data, request.seed, request.validation) == ("mnist", 2, VALIDATION)
    assert not request.baseline
    assert row.grid or row.target is None, "what has a target is chosen"
    if row.model == "SDGM":
        assert recipe.training.epochs <= 60


# --- the choice ---


def log(path: Path, row: Row, accuracies: list[float], **change: Any) -> None:
    lines = []
    for settings, reached in zip(row.grid, accuracies, strict=False):
        asked = replace(row.trial(settings), **change)
        record = {
            "row": row.name,
            "settings": settings,
            "request": asdict(asked),
            "validation_accuracy": reached,
        }
        lines.append(json.dumps(record) + "\n")
    with path.open("a") as file:
        file.writelines(lines)


def test_the_best_trial_on_validation_labels_is_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trials of other epochs, another split or another row decide nothing."""
    monkeypatch.setattr(family, "LOG", tmp_path / "family.jsonl")
    with pytest.raises(SystemExit, match="3 trials are missing"):
        family.chosen(TARGET)
    log(family.LOG, TARGET, [90.0, 93.0, 91.0])
    log(family.LOG, TARGET, [99.0] * 2, epochs=3)
    log(family.LOG, TARGET, [99.0] * 2, seed=0)
    log(family.LOG, BY_NAME["m2-100"], [99.0] * 2)
    assert family.chosen(TARGET) == TARGET.grid[1]
    assert family.chosen(PUBLISHED) == ()


def test_a_trial_trains_and_does_not_read_the_test_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(family, "LOG", tmp_path / "family.jsonl")
    request = Request("digits", 20, rows=200, settings=("network=mlp", "network.hidden=8"))
    small = TARGET._replace(
        request=request, trial_epochs=1, trial_settings=(), grid=(("objective.beta=2",),)
    )
    monkeypatch.setattr("benchmarks.family_rows.VALIDATION", 20)

    class Unread(np.ndarray):
        """A test set that says so when a row of it is taken."""

        def __getitem__(self, rows: object) -> object:
            pytest.fail("the test set was read")

    def guarded(name: str, data_dir: Path | None) -> Arrays:
        arrays = load(name, data_dir)
        assert arrays.x_test is not None
        return replace(arrays, x_test=arrays.x_test.view(Unread))

    monkeypatch.setattr("semivae.request.load", guarded)
    family.choose(small, None)
    family.choose(small, None)  # is there
    (line,) = family.LOG.read_text().splitlines()
    assert json.loads(line)["request"]["seed"] == SPLIT
    assert family.trials(small) == {small.grid[0]: json.loads(line)["validation_accuracy"]}


# --- the table ---


def some() -> list[Told]:
    curves = [(50.0, 60.0, 70.0, 80.0), (52.0, 62.0, 72.0, 82.0)]
    rows = [
        tuple(result(row, seed, 97.0 + seed, curve) for seed, curve in enumerate(curves))
        for row in (PUBLISHED, TARGET)
    ]
    alone = tuple(result(TARGET, seed, 71.0 + seed, ()) for seed in (0, 1))
    return [Told(PUBLISHED, rows[0], 0), Told(TARGET, rows[1], 2100, alone)]


def test_a_row_says_target_verdict_and_curve() -> None:
    page = markdown(some(), [])
    assert (
        "| M1+M2 | Optimized-ELBO (3.6) | 100 | 97.5 | 96.67; 97.20 | 97.50 ± 0.50 | 2 "
        "| 71.50 ± 0.50 | reached | 51.0, 51.0, 61.0, 81.0 | 2,100 |"
    ) in page
    assert "| M1+M2 | Kingma's | 100 | – | 96.67; 97.20 | 97.50 ± 0.50 | 2 | – | – |" in page
    assert " + 20 + 80 | 1.50 | 2.0 | alpha = 50, beta = ramp(-15, 0, 0.5), gamma = 10, " in page
    assert "gamma = 10, epsilon = 0.001, balanced weighting; stacked-mlp, " in page
    assert "| kingma_2014; stacked-mlp, pruned y; Adam 0.001 one-cycle |" in page
    unrun = [row.name for row in ROWS if row not in (PUBLISHED, TARGET)]
    assert f"\n- not run: {', '.join(unrun)}\n" in page
    assert "not run" not in markdown([Told(row, some()[0].results, 0) for row in ROWS], [])


def test_a_row_says_the_noise_of_the_stage_that_reads_x() -> None:
    for row, settings in (
        (TARGET, TARGET.grid[1]),
        (BY_NAME["m2-100"], BY_NAME["m2-100"].grid[1]),
    ):
        request = replace(row.asked(0, settings), data="digits", validation=20)
        words = symbols(to_plain(prepare(request).recipe))
        assert words.endswith("one-cycle; noise 0.3 on what q reads")


def test_a_row_says_how_smooth_its_classifier_is() -> None:
    words = symbols(to_plain(as_built(BY_NAME["m2-100-smooth"])))
    assert "smoothness.weight = 10, smoothness.radius = 0.045" in words
    assert "smoothness" not in symbols(to_plain(as_built(BY_NAME["m2-100"])))
    old = to_plain(as_built(BY_NAME["m2-100"]))
    del old["smoothness"]  # a file of before it
    assert symbols(old) == symbols(to_plain(as_built(BY_NAME["m2-100"])))


def test_a_mean_below_the_target_is_missed_by_the_difference() -> None:
    assert verdict(97.5, 97.5) == "reached"
    assert verdict(97.5, 96.25) == "missed by 1.25"


def test_curves_begin_where_labels_are_learned(tmp_path: Path) -> None:
    found = readings(some())
    assert len(found) == 2 * 2 * 4
    assert {reading.x for reading in found} == {3.0, 4.0, 5.0, 6.0}
    assert found[0].value == 50.0
    write(some(), [], tmp_path)
    assert (tmp_path / "family.png").read_bytes().startswith(b"\x89PNG")
    assert len((tmp_path / "family.csv").read_text().splitlines()) == 1 + len(found)
    assert (tmp_path / "family.md").read_text() == markdown(some(), [])


def test_the_network_beside_a_row_learns_its_labels_under_its_noise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = BY_NAME["m2-100"]
    settings = row.grid[-1]
    assert "training.corruption=0.8" in settings
    asked = replace(row.alone(1, settings), data="digits", validation=20)
    recipe = prepare(asked).recipe
    assert recipe.baseline.corruption == recipe.training.corruption == 0.8
    assert replace(asked, settings=()) == replace(
        row.asked(1, settings), data="digits", validation=20, settings=()
    )
    quiet = row.grid[0][:-1]
    assert (
        prepare(
            replace(row.alone(1, quiet), data="digits", validation=20)
        ).recipe.baseline.corruption
        == 0
    )
    # Without noise it is asked for with the very same words; its own name tells it apart.
    row = PUBLISHED
    assert row.alone(0, ()) == row.asked(0, ())
    for accuracy, recipe_name in ((97.0, row.request.recipe), (71.0, "supervised only")):
        one = result(row, 0, accuracy, (50.0,))
        one.summary["recipe"] = recipe_name
        (tmp_path / f"{recipe_name}.json").write_text(json.dumps(asdict(one)))
    monkeypatch.setattr(family, "LOG", tmp_path / "family.jsonl")
    (told,) = family.told(tmp_path)
    assert [one.accuracy for one in told.results] == [97.0]
    assert [one.accuracy for one in told.alone] == [71.0]


def test_rows_are_told_as_far_as_they_were_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By their requests, under the settings chosen now; a seed beyond the table's is left out."""
    monkeypatch.setattr(family, "LOG", tmp_path / "family.jsonl")
    log(family.LOG, TARGET, [95.0, 93.0, 91.0])
    for row in (PUBLISHED, TARGET, BY_NAME["sdgm-100"]):
        for seed in (0, SEEDS):
            one = result(row, seed, 97.0, (50.0,))
            (tmp_path / f"{one.name}.json").write_text(json.dumps(asdict(one)))
    told = family.told(tmp_path)
    assert [(each.row, len(each.results)) for each in told] == [(PUBLISHED, 1), (TARGET, 1)]
    assert [each.labels_used_to_choose for each in told] == [0, 2100]
    log(family.LOG, TARGET, [0.0])  # the last line of a trial counts: another is best now
    assert [each.row for each in family.told(tmp_path)] == [PUBLISHED]


def test_what_was_tried_is_told_by_model_the_best_first(tmp_path: Path) -> None:
    """By hand and by grid, with the settings that differ; a page without trials has no section."""
    log(tmp_path / "family.jsonl", TARGET, [93.0, 95.5])
    by_hand = {
        "what": "SDGM, batch normalization", "labels": 100, "epochs": 16,
        "settings": ["labels=pruned", "objective.beta=0"], "validation_accuracy": [80.0, 90.0],
        "validation_accuracy_every": 4,
    }  # fmt: skip
    (tmp_path / "family-tried.jsonl").write_text(json.dumps(by_hand) + "\n")
    found = tried(tmp_path)
    assert [trial.accuracy for trial in found] == [95.5, 93.0, 90.0]
    text = section(found)
    assert (
        "| SDGM, batch normalization | 100 | the recipe's | objective.beta=0 | 8 | 90.00 |" in text
    )
    assert (
        "| refining.epochs=10, refining.corruption=0.3 | 20 of training | 95.50 | grid |" in text
    )
    assert "| by hand |" in text and "labels=pruned" not in text
    assert markdown(some(), found).endswith(text)
    assert "What was tried" not in markdown(some(), [])


def test_a_light_bound_is_that_of_our_default_recipe_and_without_it_beta_is_1_less() -> None:
    """U(x) holds + H."""
    facts = DataFacts((1, 28, 28), 100, 59_900, 10)
    ours = named_recipe("auto").build(facts)
    radius = f"smoothness.radius={ours.smoothness.radius:g}"
    for name, less in (("sdgm-100-smooth", 0), ("q-100-smooth", 1)):
        row = BY_NAME[name]
        recipe = under_objective(ours, row.request.objective, facts)
        (light,) = (g for g in row.grid if {"smoothness.weight=300", radius} <= set(g))
        for setting in light:
            recipe = set_value(recipe, *setting.split("=", 1))
        assert recipe.smoothness == ours.smoothness
        theirs, own = recipe.objective, ours.objective
        assert (theirs.alpha, theirs.gamma) == (own.alpha, own.gamma)
        for done in (0.0, 0.2, 1.0):
            assert weight_at(theirs.beta, done) + less == weight_at(own.beta, done)
