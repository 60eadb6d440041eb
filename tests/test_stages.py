"""M1+M2 in two stages, ADGM and SDGM as recipes: training, resumption, storage, the facade."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from semivae import SemiVAEClassifier, rundir, runs
from semivae.errors import InputError
from semivae.evaluation import accuracy
from semivae.fitting import Hooks, train
from semivae.models.base import DeepGenerativeModel
from semivae.models.m1m2 import M1M2, FrozenCodes
from semivae.recipe import Recipe
from semivae.request import Request, prepare
from semivae.stages import first_stage, main_stage, new_model, phases
from semivae.training import EpochLog, Snapshot
from semivae.trials import within_minutes

pytestmark = pytest.mark.usefixtures("unchecked")

BELOW, ABOVE = 6, 3
TWO_STAGES = Request(
    "digits",
    labels=20,
    rows=300,
    recipe="m1m2",
    settings=(
        "network.hidden=32",
        "network.code=6",
        "network.hidden_above=16",
        "network.latent=3",
        "likelihood=gaussian",
        "likelihood.sigma=0.1",
        "training.unlabeled_rows=100",
        f"pretraining.epochs={BELOW}",
        "pretraining.unlabeled_rows=50",
        "pretraining.optimizer.peak=0.01",
        "pretraining.average=0.5",
    ),
    epochs=ABOVE,
    baseline=False,
)
JOINT = replace(TWO_STAGES, recipe="m1m2-joint", settings=TWO_STAGES.settings[:7], epochs=4)
AUXILIARY = replace(
    JOINT,
    recipe="adgm",
    settings=(
        "network.hidden=16",
        "network.latent=3",
        "network.auxiliary=4",
        "baseline.epochs=3",
    ),
    baseline=True,
)
LAST = 2
THREE_STAGES = replace(
    TWO_STAGES,
    recipe="m1m2-refined",
    settings=(
        *TWO_STAGES.settings, f"refining.epochs={LAST}", "refining.unlabeled_rows=100",
        "refining.average=0.5",
    ),
)  # fmt: skip
EVERY = {
    "m1m2-refined": THREE_STAGES,
    "m1m2": TWO_STAGES,
    "m1m2-joint": replace(JOINT, settings=(*JOINT.settings, "baseline.epochs=3"), baseline=True),
    "adgm": AUXILIARY,
    "sdgm": replace(AUXILIARY, recipe="sdgm"),
}


class KillError(Exception):
    """Stands for a kill."""


class Watched(Hooks):
    """Keeps what it is shown, and stops at the first step after so many epochs."""

    def __init__(self, epochs: int = -1) -> None:
        self.left = epochs
        self.steps: list[tuple[int, int]] = []
        self.weights: list[dict[str, Tensor]] = []

    def on_epoch(self, model: DeepGenerativeModel, log: EpochLog, snapshot: Snapshot) -> None:
        self.left -= 1
        self.weights.append({n: w.clone() for n, w in model.state_dict().items()})
        assert snapshot.epoch == log.epoch == len(self.weights)

    def on_step(self, step: int, steps: int) -> None:
        self.steps.append((step, steps))
        if self.left == 0:
            raise KillError


def finish(request: Request, folder: Path, hooks: Hooks) -> runs.Finished:
    prepared = runs.start(prepare(request), folder)
    return runs.run(prepared, folder, hooks, Hooks())


def test_noise_on_what_q_reads_is_for_the_stages_that_read_x() -> None:
    """Above a frozen M1 there are codes to read, and their noise is that of q(z1|x)."""
    cases = ((TWO_STAGES, "corruption$"), (THREE_STAGES, "corruption or refining's$"))
    for request, words in cases:
        settings = (*request.settings, "training.corruption=0.1")
        with pytest.raises(InputError, match=rf"set pretraining\.{words}"):
            prepare(replace(request, settings=settings))
    settings = (*TWO_STAGES.settings, "pretraining.corruption=0.1")
    pretraining = prepare(replace(TWO_STAGES, settings=settings)).recipe.pretraining
    assert pretraining is not None and pretraining.corruption == 0.1


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Watched, runs.Finished]:
    """The uninterrupted run in two stages."""
    folder, hooks = tmp_path_factory.mktemp("whole") / "run", Watched()
    return folder, hooks, finish(TWO_STAGES, folder, hooks)


# --- two stages ---


def test_m1_is_trained_first_and_then_frozen(whole: tuple[Path, Watched, runs.Finished]) -> None:
    _, hooks, _ = whole
    before, after = hooks.weights[BELOW - 1], hooks.weights[-1]
    first, second = hooks.weights[0], hooks.weights[BELOW]
    for name in after:
        if name.startswith("m1."):
            # The average of M1's weights is taken between the two stages.
            assert torch.equal(second[name], after[name]), f"{name} moved in the second stage"
        elif name.startswith("m2.") and "kept" not in name and "log_prior" not in name:
            assert torch.equal(first[name], before[name]), f"{name} moved in the first stage"
            assert not torch.equal(before[name], after[name])
    assert any(not torch.equal(before[n], after[n]) for n in after if n.startswith("m1."))


def test_dimensions_that_m1_uses_are_kept(whole: tuple[Path, Watched, runs.Finished]) -> None:
    """Standard deviation over the rows of the mean of q(z1|x) above 0.1."""
    _, _, finished = whole
    predictor, x = finished.trained.predictor, finished.prepared.training_set.x
    assert isinstance(predictor.model, M1M2)
    codes = predictor.codes(x)
    expected = codes[:, 0].std(0, ddof=1) > 0.1
    np.testing.assert_array_equal(predictor.model.kept.numpy() == 1, expected)
    assert expected.any()


def test_epochs_and_steps_of_both_stages_are_one_sequence(
    whole: tuple[Path, Watched, runs.Finished],
) -> None:
    _, hooks, finished = whole
    total = BELOW * 6 + ABOVE * 3  # 300 rows by 50, then 280 unlabeled ones by 100
    assert hooks.steps == [(step, total) for step in range(1, total + 1)]
    assert [line["epoch"] for line in finished.history] == list(range(1, BELOW + ABOVE + 1))
    assert [line["step"] for line in finished.history][BELOW - 1 :: ABOVE] == [36, 45]
    for line in finished.history[:BELOW]:
        assert {"m1/unlabeled/elbo", "m1/unlabeled/latent_kl"} <= line.keys()
        assert "unlabeled/elbo" not in line and line["m1/unlabeled/label_kl"] == 0
    assert all("unlabeled/elbo" in line for line in finished.history[BELOW:])
    seconds = finished.trained.train_seconds
    speed = 280 * (BELOW + ABOVE) / seconds
    assert finished.trained.examples_per_second == pytest.approx(speed)


@pytest.mark.parametrize("epochs", [0, 2, BELOW, BELOW + 1])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(
    epochs: int, whole: tuple[Path, Watched, runs.Finished], tmp_path: Path
) -> None:
    """Cut in the first stage, between the two, and in the second."""
    expected, folder = whole[0], tmp_path / "run"
    with pytest.raises(KillError):
        finish(TWO_STAGES, folder, Watched(epochs))
    prepared, model, snapshot = runs.resume(folder)
    finished = runs.run(prepared, folder, Hooks(), Hooks(), model, snapshot)
    ours, theirs = (load_file(each / "model.safetensors") for each in (folder, expected))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert len(finished.history) == BELOW + ABOVE
    lines = [
        [{k: v for k, v in line.items() if k != "seconds"} for line in rundir.read_metrics(each)]
        for each in (folder, expected)
    ]
    assert lines[0] == lines[1]


# --- three stages ---


@pytest.fixture(scope="module")
def refined(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Watched, runs.Finished]:
    """The uninterrupted run in three stages."""
    folder, hooks = tmp_path_factory.mktemp("refined") / "run", Watched()
    return folder, hooks, finish(THREE_STAGES, folder, hooks)


def test_m1_and_m2_learn_together_in_the_last_stage(
    refined: tuple[Path, Watched, runs.Finished],
) -> None:
    """Under the joint bound, which has log p(x|z1) in it; dimensions stay kept or not."""
    _, hooks, finished = refined
    end = BELOW + ABOVE
    before, after = hooks.weights[end - 1], hooks.weights[end]
    fixed = {n for n in after if "kept" in n or "log_prior" in n or "sigma" in n}
    assert fixed and all(torch.equal(before[name], after[name]) for name in fixed)
    still = {name for name in after if torch.equal(before[name], after[name])} - fixed
    assert not still, still
    assert len(finished.history) == end + LAST
    assert hooks.steps[-1] == (BELOW * 6 + (ABOVE + LAST) * 3,) * 2
    for line in finished.history[end:]:
        assert "joint/unlabeled/elbo" in line and "unlabeled/elbo" not in line
    codes, joint = finished.history[end - 1], finished.history[end]
    assert abs(joint["joint/unlabeled/elbo"] - codes["unlabeled/elbo"]) > 1


@pytest.mark.parametrize("epochs", [BELOW, BELOW + 1, BELOW + ABOVE, BELOW + ABOVE + 1])
def test_a_run_in_three_stages_resumes_bit_for_bit(
    epochs: int, refined: tuple[Path, Watched, runs.Finished], tmp_path: Path
) -> None:
    with pytest.raises(KillError):
        finish(THREE_STAGES, tmp_path / "run", Watched(epochs))
    prepared, model, snapshot = runs.resume(tmp_path / "run")
    runs.run(prepared, tmp_path / "run", Hooks(), Hooks(), model, snapshot)
    ours, theirs = (load_file(f / "model.safetensors") for f in (tmp_path / "run", refined[0]))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_each_stage_has_random_numbers_of_its_own() -> None:
    """Each counts its steps from 0, so one seed would repeat rows and noise."""
    prepared = prepare(THREE_STAGES)
    data, recipe = prepared.training_set, prepared.recipe
    model = new_model(data.facts, recipe, 0)
    with torch.no_grad():
        model.m1.posterior.mean.weight.mul_(20.0)  # so that some dimension counts as used
    stages = [phase.build() for phase in phases(data, recipe, model, 0)]
    assert len({stage.seed for stage in stages}) == 3
    recipe = replace(recipe, probe=50)
    second, third = (phase.build().probe for phase in phases(data, recipe, model, 0)[1:])
    assert second is not None and third is not None and second.seed == third.seed
    for ours, theirs in zip(second.rows, third.rows, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    orders = [tuple(stage.batches.unlabeled_at(0)) for stage in stages[1:]]
    assert orders[0] != orders[1]


def test_refining_comes_after_a_pretraining() -> None:
    recipe = prepare(JOINT).recipe
    with pytest.raises(ValueError, match="choose the recipe m1m2"):
        replace(recipe, refining=recipe.training)


def test_the_second_stage_reads_codes_and_draws_them_anew() -> None:
    prepared = prepare(TWO_STAGES)
    data, recipe = prepared.training_set, prepared.recipe
    model = new_model(data.facts, recipe, 0)
    assert isinstance(model, M1M2)
    with torch.no_grad():
        model.m1.posterior.mean.weight.mul_(20.0)  # so that some dimension counts as used
    stage = main_stage(data, recipe, model, 0)
    assert isinstance(stage.model.m1, FrozenCodes) and stage.model.m2 is model.m2
    batches = stage.batches
    rows = batches.unlabeled_at(0)
    x = data.scaling.apply(torch.from_numpy(data.x[rows]))
    with torch.no_grad():
        torch.testing.assert_close(batches.x_at(rows, torch.device("cpu")), model.m1.codes(x))
    np.testing.assert_array_equal(stage.data.y, data.y)


def test_m1_reads_all_rows_and_no_label() -> None:
    """Its training is the same whichever rows have a label."""
    prepared = prepare(TWO_STAGES)
    data, recipe = prepared.training_set, prepared.recipe
    other = replace(data, y=np.roll(data.y, 7))
    stages = [first_stage(d, recipe, new_model(d.facts, recipe, 0), 0) for d in (data, other)]
    assert stages[0].objective.streams == ("unlabeled",)
    orders = [np.sort(stage.batches.unlabeled) for stage in stages]
    np.testing.assert_array_equal(orders[0], np.arange(300))
    np.testing.assert_array_equal(orders[1], np.arange(300))
    assert stages[0].seed == stages[1].seed != 0


def test_two_stages_are_shortened_in_proportion() -> None:
    prepared = prepare(TWO_STAGES)
    recipe = prepared.recipe
    assert recipe.pretraining is not None
    long = replace(
        recipe,
        training=replace(recipe.training, epochs=30_000),
        pretraining=replace(recipe.pretraining, epochs=60_000),
    )
    short = within_minutes(prepared.training_set, long, 0, 10 / 60)
    assert short.pretraining is not None
    assert 1 < short.training.epochs < 30_000
    assert short.pretraining.epochs == pytest.approx(2 * short.training.epochs, abs=2)
    least = within_minutes(prepared.training_set, long, 0, 1e-9)
    assert (least.training.epochs, least.epochs) == (1, (1, 1))
    three = prepare(THREE_STAGES)
    least = within_minutes(three.training_set, three.recipe, 0, 1e-9)
    assert least.refining is not None and (least.refining.epochs, least.epochs) == (1, (1, 1, 1))


def test_pretraining_is_of_a_stack_only() -> None:
    recipe = prepare(AUXILIARY).recipe
    data = prepare(AUXILIARY).training_set
    with pytest.raises(ValueError, match="pretraining is of the M1 of an M1"):
        train(data, replace(recipe, pretraining=recipe.training), 0, Hooks())


# --- every recipe, end to end ---


@pytest.mark.parametrize("name", EVERY)
def test_a_recipe_trains_saves_loads_predicts_and_samples(name: str, tmp_path: Path) -> None:
    finished = finish(EVERY[name], tmp_path / "run", Hooks())
    predictor, x = finished.trained.predictor, finished.prepared.arrays.x
    again, loaded = rundir.load(tmp_path / "run")
    assert again.recipe == finished.trained.recipe
    for method in ("predict_proba", "transform", "score_samples"):
        ours, theirs = getattr(predictor, method)(x[:50]), getattr(loaded, method)(x[:50])
        assert np.isfinite(ours).all()
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_allclose(predictor.predict_proba(x).sum(1), 1, rtol=1e-5)
    y = np.array([0, 1, 2, 2])
    samples = predictor.sample(y, 1)
    assert samples.shape == (4, 1, 8, 8) and not np.array_equal(samples[2], samples[3])
    np.testing.assert_array_equal(samples, loaded.sample(y, 1))
    if EVERY[name].baseline:
        assert finished.supervised_only_accuracy is not None


@pytest.mark.parametrize("name", [name for name in EVERY if name != "m1m2"])
def test_a_recipe_in_one_stage_resumes_bit_for_bit(name: str, tmp_path: Path) -> None:
    request = replace(EVERY[name], baseline=False)
    finish(request, tmp_path / "whole", Hooks())
    with pytest.raises(KillError):
        finish(request, tmp_path / "cut", Watched(2))
    prepared, model, snapshot = runs.resume(tmp_path / "cut")
    runs.run(prepared, tmp_path / "cut", Hooks(), Hooks(), model, snapshot)
    ours, theirs = (load_file(tmp_path / each / "model.safetensors") for each in ("cut", "whole"))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("name", EVERY)
def test_the_facade_takes_the_recipe(name: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    truth = np.arange(120) % 3
    x = rng.normal(0, 1, (120, 4)) + 4 * np.eye(3, 4)[truth]
    y = np.where(np.arange(120) < 15, truth, -1)
    clf = SemiVAEClassifier(recipe=name, epochs=40).fit(x, y)
    assert clf.score(x, truth) > 0.85
    assert clf.sample(6, y=1).shape == (6, 4)
    clf.save(tmp_path / "run")
    loaded = SemiVAEClassifier.load(tmp_path / "run")
    np.testing.assert_array_equal(loaded.predict_proba(x), clf.predict_proba(x))


@pytest.mark.slow
def test_m1m2_on_the_digits_gains_from_rows_without_labels() -> None:
    prepared = prepare(Request("digits", labels=50, recipe="m1m2"))
    trained = train(prepared.training_set, prepared.recipe, 0, Hooks())
    arrays = prepared.arrays
    assert arrays.x_test is not None and arrays.y_test is not None
    assert accuracy(trained.predictor.predict_proba(arrays.x_test), arrays.y_test) > 0.82


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (("family=adgm",), "has no parts for Auxiliary"),
        (("network=stacked-mlp",), "has no parts for Factorized"),
        (("family=m1m2", "network=mlp"), "has no parts for Stacked"),
    ],
)
def test_a_network_that_does_not_fit_the_family_is_one_sentence(
    settings: tuple[str, ...], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        prepare(Request("digits", labels=20, settings=settings))


def test_kingmas_objective_leaves_the_family_of_another_model_alone() -> None:
    for name in EVERY:
        recipe: Recipe = prepare(replace(EVERY[name], objective="kingma_2014")).recipe
        assert recipe.family == prepare(EVERY[name]).recipe.family
