"""From rows to a predictor: laws of prediction, and what must not change a training."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from semivae import predictor as predictor_module
from semivae import stages
from semivae.data.scaling import pixels, standardize
from semivae.errors import InputError
from semivae.fitting import Hooks, Trained, train, train_supervised
from semivae.label_draws import one_pair_each
from semivae.labels import Enumerated
from semivae.models.m2 import M2
from semivae.models.networks import MLP, PaperCNN
from semivae.models.specs import Bernoulli, Conditional, Factorized, Family, LearnedSigma
from semivae.objective_specs import Equation8, OptimizedELBO
from semivae.optimizers import Adam
from semivae.predictor import Predictor, TrainingSet
from semivae.recipe import DataFacts, Recipe
from semivae.stages import new_model
from semivae.training import EpochLog, Snapshot, Training
from semivae.trials import within_minutes

pytestmark = pytest.mark.usefixtures("unchecked")

EPOCHS = 3
RECIPE = Recipe(
    network=MLP(hidden=16, latent=3),
    family=Factorized(),
    likelihood=LearnedSigma(),
    labels=Enumerated(),
    objective=OptimizedELBO(alpha=10.0, beta=2.0, gamma=2.0),
    training=Training(EPOCHS, Adam(1e-2), labeled_rows=8, unlabeled_rows=16),
    baseline=Training(5, Adam(1e-2), labeled_rows=8),
)
FAMILIES = pytest.mark.parametrize(
    "family", [Factorized(), Conditional()], ids=["factorized", "conditional"]
)


def blobs(n: int = 50, columns: int = 4) -> TrainingSet:
    """Two clouds, five labels each, the rows in units that need scaling."""
    rng = np.random.default_rng(0)
    truth = np.arange(n) % 2
    x = 100 + 10 * (rng.normal(0, 1, (n, columns)) + 4 * truth[:, None])
    y = np.where(np.arange(n) < 10, truth, -1)
    return TrainingSet(x, y, ("a", "b"), standardize(x))


def weights(trained: Trained) -> dict[str, Tensor]:
    return {n: t.clone() for n, t in trained.predictor.model.state_dict().items()}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def predictor_of(family: Family) -> Predictor:
    data = blobs()
    return train(data, replace(RECIPE, family=family), 0, Hooks()).predictor


# --- Predictor ---


@FAMILIES
def test_chunks_agree_with_one_pass(family: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor, x = predictor_of(family), blobs().x
    whole = predictor.predict_proba(x), predictor.transform(x)
    monkeypatch.setattr(predictor_module, "CHUNK", 7)
    parts = predictor.predict_proba(x), predictor.transform(x)
    for one, many in zip(whole, parts, strict=True):
        assert one.shape == many.shape
        np.testing.assert_allclose(one, many, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(whole[0].sum(1), 1, rtol=1e-6)


def test_memory_is_flat_in_the_number_of_rows() -> None:
    """A mapped file is read a chunk at a time, and no result of a chunk keeps memory from being
    used again: what remains is the answer."""
    predictor, rows = predictor_of(Factorized()), 2_000_000
    x = np.ones((rows, 4))  # 64 MB, of which a chunk is 16 kB
    predictor.predict_proba(x[:10_000])
    before = peak_memory(anew=True)
    answer = predictor.predict_proba(x)
    assert peak_memory() - before < answer.nbytes + 8e6


def peak_memory(anew: bool = False) -> int:
    """The largest resident memory of this process so far, in bytes, or since it was asked
    anew."""
    status, forget = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not forget.exists():
        pytest.skip("this system does not say")
    if anew:
        forget.write_text("5")
    peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return 1024 * int(peak.split()[1])


@FAMILIES
def test_transform_is_the_posterior_mean_summed_over_classes(family: Family) -> None:
    predictor, x = predictor_of(family), blobs().x
    model = predictor.model
    with torch.no_grad():
        h = model.trunk(predictor.scaling.apply(torch.from_numpy(x)))
        log_q = model.q_y(h).logits
        means = []
        for k in range(2):
            label = torch.eye(2)[[k]].expand(len(x), 2)
            mean = model.q_z(h, one_pair_each(log_q, label)).mean
            means.append(log_q[:, k, None].exp() * mean)
    expected = sum(means)
    assert isinstance(expected, Tensor)
    assert model.q_z_sees_y == isinstance(family, Conditional)
    np.testing.assert_allclose(predictor.transform(x), expected, rtol=1e-4, atol=1e-5)


@FAMILIES
def test_score_samples_is_the_same_at_each_call_and_lower_far_from_the_data(
    family: Family,
) -> None:
    predictor, x = predictor_of(family), blobs().x
    scores = predictor.score_samples(x)
    assert scores.shape == (len(x),)
    np.testing.assert_array_equal(scores, predictor.score_samples(x))
    assert predictor.score_samples(x + 1000).max() < scores.min()


def test_score_samples_is_a_lower_bound_on_the_evidence_by_importance_sampling() -> None:
    predictor, x = predictor_of(Factorized()), blobs().x
    model = predictor.model
    source = torch.Generator().manual_seed(0)
    with torch.no_grad():
        scaled = predictor.scaling.apply(torch.from_numpy(x))
        h = model.trunk(scaled)
        log_q = model.q_y(h).logits
        label = torch.eye(2)[[0]].expand(len(x), 2)
        q_z = model.q_z(h, one_pair_each(log_q, label))
        ratios = []
        for _ in range(50):
            z = q_z.mean + q_z.stddev * torch.randn(q_z.mean.shape, generator=source)
            log_ratio = model.p_z(label).log_prob(z) - q_z.log_prob(z)
            for k in range(2):
                draws = one_pair_each(log_q, torch.eye(2)[[k]].expand(len(x), 2))
                log_p = model.p_x(z, draws).log_prob(scaled)
                ratios.append(log_p + log_ratio + np.log(0.5))
        evidence = torch.logsumexp(torch.stack(ratios), 0) - np.log(50)
    scores = predictor.score_samples(x)
    # One draw of z each: the mean over rows is what must lie below.
    assert scores.mean() < float(evidence.mean())
    assert scores.mean() > float(evidence.mean()) - 10


def test_samples_are_in_the_units_of_x_and_near_their_class() -> None:
    data = blobs(200)
    recipe = replace(RECIPE, training=replace(RECIPE.training, epochs=25, unlabeled_rows=100))
    predictor = train(data, recipe, 0, Hooks()).predictor
    y = np.repeat([0, 1], 100)
    samples = predictor.sample(y, seed=0)
    assert samples.shape == (200, 4)
    means = [samples[y == k].mean() for k in (0, 1)]
    np.testing.assert_allclose(means, [100, 140], atol=20)
    np.testing.assert_array_equal(samples, predictor.sample(y, seed=0))
    assert not np.array_equal(samples, predictor.sample(y, seed=1))


def test_image_samples_have_the_shape_and_range_of_the_images() -> None:
    facts = DataFacts((1, 8, 8), 10, 0, 3)
    recipe = replace(RECIPE, network=PaperCNN(latent=4), likelihood=Bernoulli())
    model, classes = new_model(facts, recipe, 0), ("a", "b", "c")
    predictor = Predictor(model, pixels(16.0), classes, (1, 8, 8), bfloat16=False)
    samples = predictor.sample(np.array([0, 1, 2, 0]), seed=3)
    assert samples.shape == (4, 1, 8, 8)
    assert samples.min() >= 0
    assert samples.max() <= 16
    # The same z in two classes differs by the class alone; initial weights say about 1/2 each.
    assert 4 < samples.mean() < 12


def test_rows_of_another_shape_are_an_error_that_says_both() -> None:
    predictor = predictor_of(Factorized())
    message = r"X has rows of shape \(5,\); this model reads \(4,\)"
    for call in (predictor.predict_proba, predictor.transform, predictor.score_samples):
        with pytest.raises(InputError, match=message):
            call(np.zeros((2, 5)))


def test_read_only_arrays_are_read_without_a_warning() -> None:
    """As memory-mapped files are; pytest makes any warning an error."""
    predictor, x = predictor_of(Factorized()), blobs().x
    expected = predictor.predict_proba(x)
    x.flags.writeable = False
    torch.set_warn_always(True)
    try:
        np.testing.assert_array_equal(predictor.predict_proba(x), expected)
    finally:
        torch.set_warn_always(False)


def test_predicting_leaves_the_model_in_eval_mode_and_its_weights_alone() -> None:
    predictor = predictor_of(Factorized())
    before = copy.deepcopy(predictor.model.state_dict())
    predictor.predict_proba(blobs().x)
    predictor.score_samples(blobs().x)
    predictor.sample(np.array([0]), 0)
    assert not predictor.model.training
    assert same(before, predictor.model.state_dict())


# --- train ---


def test_a_run_learns_the_blobs_and_logs_every_epoch() -> None:
    data = blobs(200)
    recipe = replace(RECIPE, training=replace(RECIPE.training, epochs=10, unlabeled_rows=50))
    trained = train(data, recipe, 0, Hooks())
    guess = trained.predictor.predict_proba(data.x).argmax(1)
    assert (guess == np.arange(200) % 2).mean() > 0.95
    assert [log.epoch for log in trained.history] == list(range(1, 11))
    assert trained.history[-1].step == 10 * 4  # 190 unlabeled rows, 50 a step
    assert trained.history[-1].loss < trained.history[0].loss
    assert set(trained.history[0].terms) >= {"unlabeled/elbo", "labeled/label_log_likelihood"}
    assert trained.examples_per_second == pytest.approx(190 * 10 / trained.train_seconds)


def test_the_same_seed_gives_the_same_weights_and_another_does_not() -> None:
    runs = [weights(train(blobs(), RECIPE, seed, Hooks())) for seed in (0, 0, 1)]
    assert same(runs[0], runs[1])
    assert not same(runs[0], runs[2])


def test_training_neither_reads_nor_moves_the_global_generator() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = weights(train(blobs(), RECIPE, 0, Hooks()))
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(2)
    assert same(first, weights(train(blobs(), RECIPE, 0, Hooks())))


def test_hidden_labels_leave_training_bit_identical() -> None:
    """Whatever the true labels of unlabeled rows are: they are -1 before training sees them."""
    from semivae.data.splits import as_unlabeled

    rng = np.random.default_rng(1)
    data, labeled = blobs(), np.arange(10)
    truth = np.arange(50) % 2
    other = np.where(np.arange(50) < 10, truth, rng.integers(0, 2, 50))
    assert (truth != other).sum() > 10
    runs = [
        train(replace(data, y=as_unlabeled(y, labeled)), RECIPE, 0, Hooks())
        for y in (truth, other)
    ]
    assert same(*(weights(run) for run in runs))
    logs = [[log._replace(seconds=0.0) for log in run.history] for run in runs]
    assert logs[0] == logs[1]


def test_a_label_that_is_not_hidden_does_change_training() -> None:
    data = blobs()
    flipped = replace(data, y=np.where(data.y >= 0, 1 - data.y, -1))
    assert not same(*(weights(train(part, RECIPE, 0, Hooks())) for part in (data, flipped)))


def test_without_unlabeled_rows_a_warning_and_the_labeled_sum_alone() -> None:
    data = blobs()
    data = replace(data, y=np.arange(50) % 2)
    with pytest.warns(UserWarning, match="every row has a label: nothing is learned from unlab"):
        trained = train(data, RECIPE, 0, Hooks())
    assert trained.history[0].terms
    assert all(name.startswith("labeled/") for name in trained.history[0].terms)
    assert trained.examples_per_second == 0


def test_the_supervised_only_run_reads_no_unlabeled_row() -> None:
    data = blobs()
    first = train_supervised(data, RECIPE, 0, Hooks())
    noisy = data.x.copy()
    noisy[10:] = 1e6
    second = train_supervised(replace(data, x=noisy), RECIPE, 0, Hooks())
    assert same(weights(first), weights(second))
    assert list(first.history[0].terms) == ["labeled/label_log_likelihood"]
    assert len(first.history) == RECIPE.baseline.epochs
    generative = {
        name: weight for name, weight in weights(first).items() if name.startswith("decoder")
    }
    untrained = new_model(data.facts, RECIPE, 0).state_dict()
    assert all(torch.equal(weight, untrained[name]) for name, weight in generative.items())


def test_both_runs_start_from_the_same_weights() -> None:
    facts = blobs().facts
    labeled_only = facts._replace(n_unlabeled=0)
    assert same(
        new_model(facts, RECIPE, 5).state_dict(), new_model(labeled_only, RECIPE, 5).state_dict()
    )


def test_hooks_hear_of_every_step_and_epoch() -> None:
    class Counting(Hooks):
        def __init__(self) -> None:
            self.steps: list[tuple[int, int]] = []
            self.epochs: list[int] = []

        def on_step(self, step: int, steps: int) -> None:
            self.steps.append((step, steps))

        def on_epoch(self, model: M2, log: EpochLog, snapshot: Snapshot) -> None:
            self.epochs.append(log.epoch)
            assert snapshot.epoch == log.epoch

    hooks = Counting()
    train(blobs(), RECIPE, 0, hooks)
    per_epoch = 3  # 40 unlabeled rows, 16 a step
    total = per_epoch * EPOCHS
    assert hooks.steps == [(step + 1, total) for step in range(total)]
    assert hooks.epochs == [1, 2, 3]


# --- the weights kept ---


class EachStep(Hooks):
    """Keeps the weights after each step, from the model that `on_epoch` shows at the end."""

    def __init__(self, model: M2) -> None:
        self.model = model
        self.seen: list[dict[str, Tensor]] = []

    def on_step(self, step: int, steps: int) -> None:
        named = self.model.named_parameters()
        self.seen.append({name: weight.detach().clone() for name, weight in named})


@pytest.mark.parametrize(("average", "first"), [(0.5, 5), (1.0, 0), (0.1, 9)])
def test_the_average_is_the_mean_of_the_weights_of_the_last_steps(
    average: float, first: int
) -> None:
    """3 epochs of 3 steps: steps 0 to 8; those with step >= (1 - average) 9 count."""
    recipe = replace(RECIPE, training=replace(RECIPE.training, average=average))
    data = blobs()
    model = new_model(data.facts, recipe, 0)
    hooks = EachStep(model)
    trained = train(data, recipe, 0, hooks, model)
    last = weights(train(data, RECIPE, 0, Hooks()))
    counted = hooks.seen[first:]
    for name, weight in trained.predictor.model.named_parameters():
        assert torch.equal(hooks.seen[-1][name], last[name]), "averaging disturbed the training"
        expected = torch.stack([step[name] for step in counted]).mean(0) if counted else last[name]
        torch.testing.assert_close(weight.detach(), expected, rtol=1e-5, atol=1e-7)


# --- within_minutes ---


def test_within_minutes_takes_at_least_one_epoch_and_at_most_the_recipes() -> None:
    data = blobs()
    assert within_minutes(data, RECIPE, 0, 1e-9).training.epochs == 1
    assert within_minutes(data, RECIPE, 0, 1e6) == RECIPE


def test_within_minutes_fits_the_epochs_into_the_time() -> None:
    data = blobs()
    long = replace(RECIPE, training=replace(RECIPE.training, epochs=100_000))
    chosen = within_minutes(data, long, 0, 10 / 60).training.epochs
    assert 1 < chosen < 100_000
    assert within_minutes(data, long, 0, 40 / 60).training.epochs > chosen


def test_timing_does_not_disturb_the_run() -> None:
    data = blobs()
    long = replace(RECIPE, training=replace(RECIPE.training, epochs=2 * EPOCHS, average=0.5))
    timed = within_minutes(data, long, 0, 1e-9)
    assert timed == replace(long, training=replace(long.training, epochs=1))
    direct = replace(long, training=replace(long.training, epochs=1))
    assert same(weights(train(data, timed, 0, Hooks())), weights(train(data, direct, 0, Hooks())))


def test_timing_works_where_a_run_has_fewer_steps_than_are_timed() -> None:
    """One step in all, and then none: what is timed must not be an empty list."""
    data = blobs()
    short = replace(RECIPE, training=replace(RECIPE.training, epochs=1, unlabeled_rows=1000))
    assert within_minutes(data, short, 0, 5.0).training.epochs == 1


# --- errors ---


def test_no_labeled_row_is_an_error_at_the_door() -> None:
    data = blobs()
    with pytest.raises(InputError, match="no row has a label: label at least one row of each"):
        train(replace(data, y=np.full(50, -1)), RECIPE, 0, Hooks())


def test_equation_8_with_kingmas_alpha_depends_on_the_counts_given() -> None:
    data = blobs()
    recipe = replace(RECIPE, objective=Equation8())
    objective = stages.objective_for(data.facts, recipe)
    assert objective.labeled is not None
    assert objective.labeled.parts[-1].weight == pytest.approx(0.1 * 50 / 10)
