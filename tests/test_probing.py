"""The probe: which rows, what is measured on them, and that training does not know of it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from semivae import measures, rundir, runs
from semivae.assessment import QUICK, assess
from semivae.bounds import log_evidence
from semivae.data.batches import SemiSupervisedBatches
from semivae.data.scaling import pixels
from semivae.errors import InputError
from semivae.evaluation import (
    accuracy,
    brier,
    classification_report,
    expected_calibration_error,
    nll,
)
from semivae.fitting import Hooks, Trained, train
from semivae.information import entropy
from semivae.models.m2 import M2
from semivae.noise import Noise
from semivae.probing import SAMPLES, probe_of, probe_rows
from semivae.request import Request, prepare
from semivae.training import EpochLog, Snapshot
from test_assessment import RECIPES, request_for
from test_stages import EVERY

pytestmark = pytest.mark.usefixtures("unchecked")

PROBED = Request(
    "digits",
    labels=20,
    rows=300,
    settings=("network.latent=4", "labels=relaxed", "training.average=0.5", "probe=100"),
    epochs=4,
    baseline=False,
)
PLAIN = replace(PROBED, settings=PROBED.settings[:-1])
LOGGED = {
    "classifier_entropy",
    "aggregate_entropy",
    "mutual_information",
    "marginal_label_kl",
    "model_entropy",
    "inference_gap",
    "latent_kl",
    "index_code_information",
    "marginal_latent_kl",
    "leakage",
    "active_units",
    "accuracy",
    "nll",
    "brier",
    "ece",
    "generative_accuracy",
    "log_p_x",
    "log_p_xy",
}
OF_LABELS = {"accuracy", "nll", "brier", "ece", "generative_accuracy", "log_p_xy"}


# Which rows


def test_rows_are_drawn_by_seed_one_in_ten_with_a_label() -> None:
    y = np.where(np.arange(5000) % 25 == 0, np.arange(5000) % 10, -1)
    drawn = probe_rows(y, 1000, seed=3)
    assert (len(drawn.unlabeled), len(drawn.labeled)) == (900, 100)
    assert (y[drawn.unlabeled] == -1).all()
    assert (y[drawn.labeled] >= 0).all()
    assert len(set(drawn.unlabeled) | set(drawn.labeled)) == 1000
    again, other = probe_rows(y, 1000, seed=3), probe_rows(y, 1000, seed=4)
    np.testing.assert_array_equal(again.unlabeled, drawn.unlabeled)
    assert not np.array_equal(other.unlabeled, drawn.unlabeled)


def test_few_labels_are_all_taken_and_unlabeled_rows_fill_up() -> None:
    y = np.where(np.arange(5000) < 30, 1, -1)
    drawn = probe_rows(y, 1000, seed=0)
    assert (len(drawn.unlabeled), len(drawn.labeled)) == (970, 30)
    everything = probe_rows(y, 10_000, seed=0)
    assert (len(everything.unlabeled), len(everything.labeled)) == (4970, 30)


def test_without_unlabeled_rows_all_are_labeled_ones() -> None:
    drawn = probe_rows(np.arange(200) % 4, 100, seed=0)
    assert len(drawn.labeled) == 100
    np.testing.assert_array_equal(drawn.unlabeled, drawn.labeled)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("probe=40", "probe=40: its mutual information needs at least 50 unlabeled rows"),
        ("probe=-1", "probe=-1: give a number of rows, or 0"),
        ("probe=many", "not a value like 0"),
    ],
)
def test_a_probe_that_cannot_be_is_refused(setting: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        prepare(replace(PLAIN, settings=(setting,)))


# What is measured


def measured(recipe: str, y: np.ndarray) -> dict[str, float]:
    """The probe of a recipe's fresh model on images of noise."""
    x = np.random.default_rng(0).integers(0, 256, (len(y), 1, 8, 8)).astype(np.uint8)
    batches = SemiSupervisedBatches(x, y, 10, pixels(255.0), 10, 10, seed=0)
    probe = probe_of(batches, 200, seed=0)
    assert probe is not None
    request = PLAIN if recipe == "m2" else EVERY[recipe]
    model = prepare(request).recipe.model.build((1, 8, 8), torch.zeros(10), seed=0)
    model.train()
    state = torch.get_rng_state()
    values = probe(model)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(module.training for module in model.modules())
    with torch.inference_mode():
        rows = batches.x_at(probe.rows.unlabeled, torch.device("cpu"))
        h = entropy(model.predict_proba(rows).double().log())
        assert values["classifier_entropy"] == pytest.approx(float(h.mean()), abs=1e-6)
        known = batches.x_at(probe.rows.labeled, torch.device("cpu"))
        probs = model.predict_proba(known).numpy()
        places = np.linspace(0, len(rows) - 1, len(known)).round().astype(int)
        found = [
            log_evidence(model, model.encode(of, noise), noise, model.latent_size, SAMPLES)
            for of in (rows[places], known)
            for noise in [Noise(0, 0, (("evidence", len(known)),), torch.device("cpu"))]
        ]
    of_label = y[probe.rows.labeled]
    assert values["nll"] == pytest.approx(nll(probs, of_label), abs=1e-5)
    assert values["brier"] == pytest.approx(brier(probs, of_label), abs=1e-5)
    assert values["ece"] == pytest.approx(expected_calibration_error(probs, of_label), abs=1e-5)
    assert values["log_p_x"] == pytest.approx(float(found[0].logsumexp(1).mean()), abs=1e-3)
    at_label = found[1][range(len(of_label)), of_label]
    assert values["log_p_xy"] == pytest.approx(float(at_label.mean()), abs=1e-3)
    assert values["generative_accuracy"] == accuracy(found[1].softmax(1).numpy(), of_label)
    return values


@pytest.mark.parametrize("recipe", RECIPES)
def test_labels_are_read_where_they_are_known_and_only_for_what_says_so(recipe: str) -> None:
    y = np.where(np.arange(600) % 3 == 0, np.arange(600) % 10, -1)
    first = measured(recipe, y)
    other = measured(recipe, np.where(y >= 0, (y + 1) % 10, -1))
    changed = {name for name in first if first[name] != other[name]}
    assert changed <= OF_LABELS
    assert {"nll", "brier", "log_p_xy"} <= changed
    assert set(first) == LOGGED


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_last_probe_is_the_assessment_of_its_rows(recipe: str) -> None:
    """Without an average of weights, a curve ends at the number that is measured at the end."""
    request = request_for(recipe)
    prepared = prepare(replace(request, settings=(*request.settings, "probe=100")))
    data = prepared.training_set
    trained = train(data, prepared.recipe, 0, Hooks())
    last = dict(trained.history[-1].probe)
    rows = probe_rows(data.y, 100, seed=0)
    x, nothing = data.x[rows.unlabeled], np.full(len(rows.unlabeled), -1)
    effort = replace(QUICK, rows=1, samples=1)
    at_end = measures.values(assess(trained.predictor, x, nothing, effort, 0))
    x, y = data.x[rows.labeled], data.y[rows.labeled]
    at_end |= classification_report(trained.predictor.predict_proba(x), y).to_json()
    elsewhere = {"inference_gap", "model_entropy", "log_p_x", "log_p_xy", "generative_accuracy"}
    compared = last.keys() - elsewhere  # these have other noise
    assert {"accuracy", "nll", "mutual_information", "leakage"} < compared
    for name in compared:
        assert last[name] == pytest.approx(at_end[name], abs=2e-5), name


def test_no_probe_is_none() -> None:
    y = np.arange(20) % 2
    batches = SemiSupervisedBatches(np.zeros((20, 3)), y, 2, pixels(1.0), 10, 10, seed=0)
    assert probe_of(batches, 0, seed=0) is None


# That training does not know of it


@pytest.fixture(scope="module")
def trained() -> dict[Request, Trained]:
    found = {}
    for request in (PLAIN, PROBED):
        prepared = prepare(request)
        found[request] = train(prepared.training_set, prepared.recipe, 0, Hooks())
    return found


def test_weights_and_terms_are_the_same_with_and_without(trained: dict[Request, Trained]) -> None:
    plain, probed = (trained[request] for request in (PLAIN, PROBED))
    ours, theirs = (run.predictor.model.state_dict() for run in (plain, probed))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    for one, other in zip(plain.history, probed.history, strict=True):
        assert one.terms == other.terms
        assert one.loss == other.loss
        assert one.probe == {}
        assert set(other.probe) == LOGGED


def test_its_time_is_kept_apart(trained: dict[Request, Trained]) -> None:
    run = trained[PROBED]
    assert trained[PLAIN].probe_seconds == 0
    assert run.probe_seconds == sum(log.probe_seconds for log in run.history) > 0
    assert run.examples_per_second == pytest.approx(280 * 4 / run.train_seconds)


def test_it_moves_with_the_model_and_sees_it_as_it_is_after_the_epoch(
    trained: dict[Request, Trained],
) -> None:
    prepared = prepare(PROBED)
    after: list[dict[str, float]] = []

    class Looking(Hooks):
        def on_epoch(self, model: M2, log: EpochLog, snapshot: Snapshot) -> None:
            data, training = prepared.training_set, prepared.recipe.training
            sizes = (training.labeled_rows, training.unlabeled_rows)
            batches = SemiSupervisedBatches(data.x, data.y, 10, data.scaling, *sizes, seed=0)
            probe = probe_of(batches, 100, seed=0)
            assert probe is not None
            after.append(probe(model))

    train(prepared.training_set, prepared.recipe, 0, Looking())
    logged = [dict(log.probe) for log in trained[PROBED].history]
    assert after == logged
    assert logged[0]["classifier_entropy"] != logged[1]["classifier_entropy"]


# In a run directory


def without_times(folder: Path) -> list[dict[str, Any]]:
    times = ("seconds", "probe_seconds")
    lines = rundir.read_metrics(folder)
    return [{name: v for name, v in line.items() if name not in times} for line in lines]


class KillError(Exception):
    """Stands for a kill."""


class KilledAfterTwo(Hooks):
    def on_epoch(self, model: M2, log: EpochLog, snapshot: Snapshot) -> None:
        if log.epoch == 2:
            raise KillError


def test_a_resumed_run_logs_the_same_probe_bit_for_bit(tmp_path: Path) -> None:
    whole, folder = tmp_path / "whole", tmp_path / "cut"
    expected = runs.run(runs.start(prepare(PROBED), whole), whole, Hooks(), Hooks())
    prepared = runs.start(prepare(PROBED), folder)
    with pytest.raises(KillError):
        runs.run(prepared, folder, KilledAfterTwo(), Hooks())
    assert json.loads((folder / "config.json").read_text())["recipe"]["probe"] == 100
    prepared, model, snapshot = runs.resume(folder)
    finished = runs.run(prepared, folder, Hooks(), Hooks(), model, snapshot)
    assert (folder / "model.safetensors").read_bytes() == (
        whole / "model.safetensors"
    ).read_bytes()
    assert without_times(folder) == without_times(whole)
    lines = rundir.read_metrics(folder)
    assert {f"probe/{name}" for name in LOGGED} <= set(lines[0])
    total = sum(line["probe_seconds"] for line in lines)
    assert finished.summary(folder)["probe_seconds"] == pytest.approx(total)
    assert expected.summary(whole)["probe_seconds"] > 0


def test_test_rows_are_never_among_them(tmp_path: Path) -> None:
    """Another test set changes nothing that is logged."""
    logged = []
    for flip in (False, True):
        prepared, folder = prepare(replace(PROBED, epochs=1)), tmp_path / str(flip)
        x_test = prepared.arrays.x_test
        assert x_test is not None
        if flip:
            prepared = replace(prepared, arrays=replace(prepared.arrays, x_test=16 - x_test))
        runs.run(runs.start(prepared, folder), folder, Hooks(), Hooks())
        logged.append(without_times(folder))
    assert logged[0] == logged[1]
