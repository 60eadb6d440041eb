"""What a run directory holds comes back bit for bit, and what is wrong with one is named."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from semivae import rundir
from semivae.config import to_plain
from semivae.data.scaling import pixels, standardize
from semivae.errors import InputError
from semivae.fitting import Hooks, train
from semivae.labels import Enumerated, Relaxed
from semivae.models.m2 import M2
from semivae.models.networks import MLP, PaperCNN
from semivae.models.specs import Bernoulli, Conditional, Factorized, Gaussian, LearnedSigma
from semivae.objective_specs import OptimizedELBO
from semivae.optimizers import Adam, AdamW, OneCycle
from semivae.predictor import Predictor, TrainingSet
from semivae.recipe import DataFacts, Recipe
from semivae.rundir import RunConfig
from semivae.schedules import Ramp
from semivae.stages import new_model
from semivae.training import EpochLog, Snapshot, Training

CLASSES = ("cat", "dog", "naïve")
TABLE = Recipe(
    network=MLP(hidden=8, latent=2),
    family=Factorized(),
    likelihood=LearnedSigma(),
    labels=Enumerated(),
    objective=OptimizedELBO(alpha=10.0, beta=2.0, gamma=2.0),
    training=Training(2, Adam(1e-2), labeled_rows=6, unlabeled_rows=16),
    baseline=Training(2, Adam(1e-2)),
)
IMAGES = replace(TABLE, network=PaperCNN(latent=3), likelihood=Bernoulli())
RECIPES = {
    "table": TABLE,
    "conditional": replace(TABLE, family=Conditional(), labels=Relaxed(0.3)),
    "ramp": replace(
        TABLE,
        objective=OptimizedELBO(beta=Ramp(0.0, 30.0, 0.5), gamma=Ramp(0.0, 3.0, 1.0)),
        training=Training(3, AdamW(1e-3, 0.1), OneCycle(0.1, 0.5), average=0.5),
    ),
    "images": IMAGES,
    "gaussian": replace(IMAGES, likelihood=Gaussian(0.25), family=Conditional()),
}


def some_x(recipe: Recipe) -> np.ndarray:
    rng = np.random.default_rng(0)
    if recipe.network == IMAGES.network:
        return rng.integers(0, 256, (40, 1, 8, 8)).astype(np.uint8)
    return rng.normal(50.0, 7.0, (40, 5))


def a_run(recipe: Recipe) -> tuple[RunConfig, Predictor]:
    x = some_x(recipe)
    scaling = pixels(255.0) if x.ndim == 4 else standardize(x)
    model = new_model(DataFacts(x.shape[1:], 6, 34, 3), recipe, 4)
    settings = {"data": "digits", "labels": None, "settings": ["a=b"]}
    config = RunConfig("auto", recipe, 4, CLASSES, x.shape[1:], scaling.to_json(), settings)
    return config, Predictor(model, scaling, CLASSES, x.shape[1:], recipe.training.bfloat16)


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    rundir.save(tmp_path, *a_run(TABLE))
    return tmp_path


# --- save and load ---


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_a_run_comes_back_bit_for_bit(recipe: Recipe, tmp_path: Path) -> None:
    config, predictor = a_run(recipe)
    with torch.no_grad():  # away from the initial weights, which the seed alone would give
        for weight in predictor.model.parameters():
            weight.mul_(1.5)
    rundir.save(tmp_path, config, predictor)
    again, loaded = rundir.load(tmp_path)
    assert again == config
    assert (loaded.classes, loaded.event) == (predictor.classes, predictor.event)
    assert same(loaded.model.state_dict(), predictor.model.state_dict())
    assert torch.equal(loaded.scaling.shift, predictor.scaling.shift)
    assert torch.equal(loaded.scaling.scale, predictor.scaling.scale)
    x = some_x(recipe)
    for method in ("predict_proba", "transform", "score_samples"):
        ours, theirs = getattr(predictor, method)(x), getattr(loaded, method)(x)
        np.testing.assert_array_equal(ours, theirs)
    y = np.array([0, 1, 2])
    np.testing.assert_array_equal(predictor.sample(y, 1), loaded.sample(y, 1))


def test_a_saved_run_is_two_files_without_pickle(saved: Path) -> None:
    assert sorted(path.name for path in saved.iterdir()) == ["config.json", "model.safetensors"]
    json.loads((saved / "config.json").read_text())
    content = (saved / "model.safetensors").read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert {"model.log_prior", "scaling.shift", "scaling.scale"} <= header.keys()


def test_the_configuration_says_schema_recipe_classes_event_and_preprocessing(saved: Path) -> None:
    plain = json.loads((saved / "config.json").read_text())
    assert plain["schema"] == rundir.SCHEMA == 2
    x = some_x(TABLE)
    assert plain["preprocessing"]["shift"] == pytest.approx(x.mean(0))
    assert plain["preprocessing"]["scale"] == pytest.approx(x.std(0))
    (saved / rundir.CONFIG).write_text(
        json.dumps({name: part for name, part in plain.items() if name != "preprocessing"})
    )
    assert rundir.load(saved)[1].scaling.to_json() == plain["preprocessing"], "of the weights"
    assert plain["recipe_name"] == "auto"
    assert plain["classes"] == list(CLASSES)
    assert plain["event"] == [5]
    assert plain["seed"] == 4
    assert plain["recipe"] == json.loads(json.dumps(to_plain(TABLE)))


def test_a_loaded_model_is_ready_to_predict(saved: Path) -> None:
    assert not rundir.load(saved)[1].model.training


# --- damaged, missing and foreign files ---


def damage(path: Path, how: str) -> None:
    content = path.read_bytes()
    changed = {
        "empty": b"",
        "cut short": content[: len(content) // 2],
        "foreign": b"\x89PNG\r\n\x1a\n" + b"\x00" * 64,
        "text": b"not a file of ours\n",
    }
    path.write_bytes(changed[how])


@pytest.mark.parametrize("how", ["empty", "cut short", "foreign", "text"])
@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_damaged_file_is_named(saved: Path, name: str, how: str) -> None:
    damage(saved / name, how)
    with pytest.raises(InputError) as caught:
        rundir.load(saved)
    assert str(saved / name) in str(caught.value)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(saved: Path, name: str) -> None:
    (saved / name).unlink()
    with pytest.raises(InputError) as caught:
        rundir.load(saved)
    assert str(saved) in str(caught.value)
    assert name in str(caught.value)


def test_a_folder_that_is_none_and_a_file_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "nowhere", tmp_path / "file"):
        with pytest.raises(InputError, match=r"is not a run: there is no such folder") as caught:
            rundir.load(path)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize("text", ["[]", "3", "null", '"x"', "{}", '{"schema": 2}'])
def test_json_that_is_no_configuration(saved: Path, text: str) -> None:
    (saved / "config.json").write_text(text)
    with pytest.raises(InputError, match=r"config\.json"):
        rundir.load(saved)


@pytest.mark.parametrize("schema", [1, 3, "2", None])
def test_another_schema_says_which_and_what_is_read(saved: Path, schema: Any) -> None:
    path = saved / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": schema}))
    with pytest.raises(InputError) as caught:
        rundir.load(saved)
    assert str(caught.value) == f"config.json has schema {schema}, this version reads 2"


def test_an_unknown_choice_in_the_configuration_is_named(saved: Path) -> None:
    path = saved / "config.json"
    path.write_text(path.read_text().replace('"kind": "mlp"', '"kind": "mlp9"'))
    with pytest.raises(InputError, match="network=mlp9: choose one of"):
        rundir.load(saved)


def test_weights_of_another_network_do_not_fit(saved: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    rundir.save(other, *a_run(replace(TABLE, network=MLP(hidden=9, latent=2))))
    shutil.copy(other / "model.safetensors", saved)
    with pytest.raises(InputError, match=r"the weights do not fit config\.json"):
        rundir.load(saved)


def test_tensors_of_another_program_are_no_model(saved: Path) -> None:
    from safetensors.torch import save_file

    save_file({"weight": torch.zeros(3)}, saved / "model.safetensors")
    with pytest.raises(InputError):
        rundir.load(saved)


def test_a_model_without_its_scaling_is_an_input_error(saved: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = saved / "model.safetensors"
    tensors = load_file(path)
    save_file({n: t for n, t in tensors.items() if n.startswith("model.")}, path)
    with pytest.raises(InputError, match=r"model\.safetensors"):
        rundir.load(saved)


# --- checkpoints ---


class Keep(Hooks):
    """The model's weights and the snapshot after each epoch, as they were then."""

    def __init__(self) -> None:
        self.model: M2 | None = None
        self.snapshots: list[Snapshot] = []

    def on_epoch(self, model: M2, log: EpochLog, snapshot: Snapshot) -> None:
        self.model = model
        self.snapshots.append(snapshot)


@pytest.mark.parametrize("name", ["table", "images", "ramp"])
def test_a_checkpoint_comes_back_with_adam_and_every_buffer(name: str, tmp_path: Path) -> None:
    recipe = RECIPES[name]
    recipe = replace(recipe, training=replace(recipe.training, average=0.9))
    x = some_x(recipe)
    y = np.where(np.arange(len(x)) < 6, np.arange(len(x)) % 3, -1)
    scaling = pixels(255.0) if x.ndim == 4 else standardize(x)
    hooks = Keep()
    train(TrainingSet(x, y, CLASSES, scaling), recipe, 0, hooks)
    assert hooks.model is not None
    snapshot = hooks.snapshots[-1]
    config = RunConfig("auto", recipe, 0, CLASSES, x.shape[1:], scaling.to_json(), {})
    rundir.save_checkpoint(tmp_path, hooks.model, snapshot)
    model, again = rundir.load_checkpoint(tmp_path, config)
    assert same(model.state_dict(), hooks.model.state_dict())
    assert again.epoch == snapshot.epoch == recipe.training.epochs
    assert same(again.buffers, snapshot.buffers)
    assert "unlabeled/running_marginal" in again.buffers
    assert float(again.buffers["average_count"]) > 0
    averaged = {n for n in again.buffers if n.startswith("average/")}
    assert averaged == {f"average/{n}" for n, _ in model.named_parameters()}
    assert again.optimizer["param_groups"] == json.loads(
        json.dumps(snapshot.optimizer["param_groups"])
    )
    for index, state in snapshot.optimizer["state"].items():
        assert same(again.optimizer["state"][index], state)
    # The optimizer takes it: the same number of parameters, step counts and moments.
    optimizer = recipe.training.optimizer.build(model.parameters())
    optimizer.load_state_dict(again.optimizer)
    moments = [state["exp_avg"] for state in optimizer.state.values()]
    assert len(moments) == len(list(model.parameters()))


def test_channels_last_weights_and_moments_keep_their_values(tmp_path: Path) -> None:
    """safetensors stores row-major data: what lies otherwise in memory must not be permuted."""
    config, predictor = a_run(IMAGES)
    model = predictor.model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters())
    for weight in model.parameters():
        weight.grad = torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)).to(
            memory_format=torch.channels_last if weight.dim() == 4 else torch.contiguous_format
        )
    optimizer.step()
    moments = [state["exp_avg"] for state in optimizer.state.values()]
    assert any(not moment.is_contiguous() for moment in moments)
    rundir.save_checkpoint(tmp_path, model, Snapshot(3, optimizer.state_dict(), {}))
    loaded, snapshot = rundir.load_checkpoint(tmp_path, config)
    assert same(loaded.state_dict(), model.state_dict())
    for index, state in optimizer.state_dict()["state"].items():
        assert same(snapshot.optimizer["state"][index], state)


@pytest.mark.parametrize("how", ["empty", "cut short", "text"])
def test_a_damaged_checkpoint_is_named(how: str, tmp_path: Path) -> None:
    config, predictor = a_run(TABLE)
    optimizer = torch.optim.Adam(predictor.model.parameters())
    snapshot = Snapshot(1, optimizer.state_dict(), {})
    rundir.save_checkpoint(tmp_path, predictor.model, snapshot)
    damage(tmp_path / "checkpoint.safetensors", how)
    with pytest.raises(InputError, match=r"checkpoint\.safetensors"):
        rundir.load_checkpoint(tmp_path, config)


def test_a_kill_between_its_two_files_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    """The next stage's optimizer has other parameters than that of the state before it."""
    config, predictor = a_run(TABLE)
    *some, _ = every = list(predictor.model.parameters())
    old, new = (
        Snapshot(epoch, torch.optim.Adam(parameters).state_dict(), {})
        for epoch, parameters in ((1, some), (2, every))
    )
    rundir.save_checkpoint(tmp_path, predictor.model, old)
    before = (tmp_path / "checkpoint.json").read_bytes()
    rundir.save_checkpoint(tmp_path, predictor.model, new)
    (tmp_path / "checkpoint.json").write_bytes(before)
    _, found = rundir.load_checkpoint(tmp_path, config)
    counts = [len(of.optimizer["param_groups"][0]["params"]) for of in (found, new, old)]
    assert found.epoch == 2 and counts[0] == counts[1] == counts[2] + 1


# --- metrics ---

LOG = EpochLog(1, 10, 2.5, 1e-3, 123.0, {"unlabeled/elbo": -100.0, "labeled/elbo": -90.0})
LINE = {
    "epoch": 1,
    "step": 10,
    "seconds": 2.5,
    "learning_rate": 1e-3,
    "loss": 123.0,
    "unlabeled/elbo": -100.0,
    "labeled/elbo": -90.0,
}


def test_metrics_are_one_object_per_epoch_with_every_term_by_name(tmp_path: Path) -> None:
    rundir.append_metrics(tmp_path, LOG, {})
    rundir.append_metrics(tmp_path, LOG._replace(epoch=2, step=20), {})
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [LINE, LINE | {"epoch": 2, "step": 20}]
    assert rundir.read_metrics(tmp_path) == [LINE, LINE | {"epoch": 2, "step": 20}]
    assert rundir.read_metrics(tmp_path, 1) == [LINE]
    assert rundir.read_metrics(tmp_path, 0) == []


def test_accuracies_follow_the_terms(tmp_path: Path) -> None:
    rundir.append_metrics(tmp_path, LOG, {"validation_accuracy": 0.75})
    assert rundir.read_metrics(tmp_path) == [LINE | {"validation_accuracy": 0.75}]


def test_what_was_measured_on_a_probe_follows_the_terms() -> None:
    line = rundir.metrics_line(LOG._replace(probe={"accuracy": 0.9}, probe_seconds=0.5))
    assert line == LINE | {"probe_seconds": 0.5, "probe/accuracy": 0.9}


def test_a_line_cut_short_by_a_kill_is_dropped(tmp_path: Path) -> None:
    rundir.append_metrics(tmp_path, LOG, {})
    rundir.append_metrics(tmp_path, LOG._replace(epoch=2), {})
    path = tmp_path / "metrics.jsonl"
    whole = path.read_text()
    for cut in range(len(whole) // 2 + 2, len(whole) - 2, 7):
        path.write_text(whole[:cut])
        assert rundir.read_metrics(tmp_path) == [LINE], cut


def test_no_metrics_yet(tmp_path: Path) -> None:
    assert rundir.read_metrics(tmp_path) == []


def test_the_name_of_the_objective() -> None:
    assert rundir.objective_name(TABLE) == "optimized_elbo"
