"""training.py and finite.py: runs that repeat and resume bit for bit, stop before the weights
break, and leave no trace."""

import copy
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from semivae.data.batches import SemiSupervisedBatches
from semivae.data.scaling import pixels
from semivae.data.views import Views
from semivae.discriminative import supervised
from semivae.finite import Means, NonFiniteError
from semivae.labels import Sampled
from semivae.models.densities import DensityModel
from semivae.models.m2 import M2
from semivae.models.networks import MLP
from semivae.models.specs import Factorized, LearnedSigma, M2Spec
from semivae.objectives import equation_8, optimized_elbo
from semivae.optimizers import Adam, AdamW, LearningRate, OneCycle, Optimizer
from semivae.streams import LABELED, StepState, Streams
from semivae.sums import Loss, Objective, Term, TermValue
from semivae.terms import LabelLogLikelihood
from semivae.training import EpochLog, Snapshot, Training, fit, on_cpu, step_input

OBJECTIVE = optimized_elbo(1.0, 0.3, 0.3, 0.05)  # remembers a running marginal
CPU = torch.device("cpu")
STEPS = 4  # an epoch of 30 unlabeled rows in batches of at most 8
TRAINING = Training(
    epochs=3,
    optimizer=Adam(1e-2),
    learning_rate=OneCycle(),
    clip_norm=5.0,
    corruption=0.1,
    bfloat16=False,
)


def some_data(rows: int = 40, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Clusters in 6 dimensions, a quarter of the rows labeled."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, classes, rows)
    x = 2.0 * rng.normal(size=(classes, 6))[y] + 0.5 * rng.normal(size=(rows, 6))
    return x.astype(np.float32), np.where(np.arange(rows) % 4 == 0, y, -1)


def some_batches(y: np.ndarray | None = None, seed: int = 0) -> SemiSupervisedBatches:
    x, labels = some_data()
    return SemiSupervisedBatches(x, labels if y is None else y, 3, pixels(1.0), 5, 8, seed)


def some_model(seed: int = 0) -> M2:
    return M2Spec(MLP(8, 2), Factorized(), LearnedSigma()).build((6,), torch.zeros(3), seed)


def weights(model: nn.Module) -> dict[str, Tensor]:
    """A copy of the state."""
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    """Bit for bit."""
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def trained(
    training: Training = TRAINING,
    objective: Objective = OBJECTIVE,
    seed: int = 0,
    batches: SemiSupervisedBatches | None = None,
    **given: object,
) -> tuple[M2, list[EpochLog]]:
    model = some_model()
    logs = fit(model, objective, batches or some_batches(), training, seed, **given)
    return model, logs


@dataclass(frozen=True)
class SGD(Optimizer):
    """w - lr g: so that a step shows its gradient."""

    peak: float = 1.0

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.SGD(list(parameters), lr=self.peak)


@dataclass(frozen=True)
class OnlyLate(LearningRate):
    """0 in the first half of training, then a half."""

    def __call__(self, fraction: float) -> float:
        return 0.0 if fraction < 0.5 else 0.5


@dataclass(frozen=True)
class BreaksAt(Term):
    """0, but not a number at one step."""

    name: ClassVar[str] = "breaks"
    step: int
    stream: str = LABELED

    def __call__(self, model: DensityModel, streams: Streams, state: StepState) -> TermValue:
        rows = len(streams[self.stream].x)
        return TermValue(torch.full((rows,), float("nan" if state.step == self.step else 0)), {})


@dataclass(frozen=True)
class GradientBreaksAt(Term):
    """0, but with a gradient that is not a number at one step."""

    name: ClassVar[str] = "gradient_breaks"
    step: int
    stream: str = LABELED

    def __call__(self, model: DensityModel, streams: Streams, state: StepState) -> TermValue:
        log_q = streams[self.stream].q_y.logits.sum(1)
        zero = log_q - log_q.detach()
        return TermValue(zero.sqrt() if state.step == self.step else zero, {})


@dataclass(frozen=True)
class Remembers(Term):
    """0; its buffers hold the number of steps and the fraction of training at the last one."""

    name: ClassVar[str] = "remembers"
    stream: str = LABELED

    def initial_buffers(self, model: DensityModel) -> dict[str, Tensor]:
        return {"steps": torch.zeros(()), "fraction": torch.zeros(())}

    def __call__(self, model: DensityModel, streams: Streams, state: StepState) -> TermValue:
        updates = {
            "steps": state.buffers["steps"] + 1,
            "fraction": torch.tensor(state.fraction),
        }
        return TermValue(torch.zeros(len(streams[self.stream].x)), updates)


class Recording(LearningRate):
    """Constant; keeps the fractions that it was asked for."""

    def __init__(self) -> None:
        self.fractions: list[float] = []

    def __call__(self, fraction: float) -> float:
        self.fractions.append(fraction)
        return 1.0


# Repeating.


@pytest.mark.parametrize(
    "training", [TRAINING, replace(TRAINING, bfloat16=True)], ids=["f32", "bf16"]
)
def test_the_same_seed_gives_the_same_weights_bit_for_bit(training: Training) -> None:
    """And the same logs, but for the seconds; another seed gives others."""
    (a, logs_a), (b, logs_b) = trained(training), trained(training)
    assert same(weights(a), weights(b))
    assert [log._replace(seconds=0.0) for log in logs_a] == [
        log._replace(seconds=0.0) for log in logs_b
    ]
    assert not same(weights(a), weights(trained(training, seed=1)[0]))


def test_the_global_generators_are_not_touched() -> None:
    """torch's and numpy's are neither read nor advanced (Python's is, by beartype)."""

    def states() -> tuple[bytes, bytes]:
        of_numpy = np.random.get_state()[1]  # noqa: NPY002
        return torch.get_rng_state().numpy().tobytes(), of_numpy.tobytes()

    before = states()
    first, _ = trained()
    assert states() == before
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(123)
        assert same(weights(trained()[0]), weights(first))


def test_labels_are_read_of_labeled_rows_alone() -> None:
    """What stands where there is no label does not matter, and no step asks for it."""

    class Watched(SemiSupervisedBatches):
        def y_at(self, rows: np.ndarray, device: torch.device) -> Tensor:
            assert set(rows) <= set(self.labeled)
            return super().y_at(rows, device)

    x, y = some_data()
    other = np.where(y < 0, -7, y)
    watched = Watched(x, other, 3, pixels(1.0), 5, 8, 0)
    assert same(weights(trained(batches=watched)[0]), weights(trained()[0]))


def test_training_learns_clusters_from_ten_labels() -> None:
    """The whole loop in a second: the loss falls and the classes are found."""
    x, y = some_data()
    truth = np.random.default_rng(0).integers(0, 3, 40)
    assert (truth[y >= 0] == y[y >= 0]).all()
    training = Training(20, Adam(2e-2), bfloat16=False)
    model, logs = trained(training, equation_8(5.0))
    assert logs[-1].loss < logs[0].loss - 3
    predicted = model.predict_proba(torch.from_numpy(x)).argmax(1).numpy()
    assert (predicted == truth).mean() > 0.9


# Resuming.


class Recorder:
    """Copies of what resuming needs, after each epoch."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.kept: list[tuple[dict[str, Tensor], Snapshot]] = []

    def __call__(self, log: EpochLog, snapshot: Snapshot) -> None:
        self.kept.append((weights(self.model), copy.deepcopy(snapshot)))


SAMPLED = optimized_elbo(1.0, 0.3, 0.3, 0.05, labels=Sampled())  # remembers a baseline as well


@pytest.mark.parametrize(
    ("training", "objective"),
    [
        (TRAINING, OBJECTIVE),
        (replace(TRAINING, optimizer=AdamW(1e-2)), OBJECTIVE),
        (replace(TRAINING, average=0.5), OBJECTIVE),
        (TRAINING, SAMPLED),
    ],
    ids=["adam", "adamw", "average", "baseline"],
)
@pytest.mark.parametrize("epoch", [1, 2])
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(
    epoch: int, training: Training, objective: Objective
) -> None:
    """Weights, Adam's moments, running marginal and baseline, and the logs, from either epoch
    on."""
    whole = some_model()
    recorder = Recorder(whole)
    logs = fit(whole, objective, some_batches(), training, 0, on_epoch=recorder)
    state, snapshot = recorder.kept[epoch - 1]
    assert snapshot.epoch == epoch

    resumed = some_model(seed=99)
    resumed.load_state_dict(state)
    again = Recorder(resumed)
    rest = fit(resumed, objective, some_batches(), training, 0, resume=snapshot, on_epoch=again)
    assert same(weights(resumed), weights(whole))
    assert [log._replace(seconds=0.0) for log in rest] == [
        log._replace(seconds=0.0) for log in logs[epoch:]
    ]
    (_, theirs), (_, ours) = recorder.kept[-1], again.kept[-1]
    assert same(ours.buffers, theirs.buffers) and "unlabeled/running_marginal" in ours.buffers
    assert ("unlabeled/reconstruction/baseline" in ours.buffers) is (objective is SAMPLED)
    for number, moments in theirs.optimizer["state"].items():
        assert same(ours.optimizer["state"][number], moments)


def test_resuming_without_what_is_remembered_gives_other_weights() -> None:
    """Neither Adam's moments nor the running marginal is there for show."""
    whole = some_model()
    recorder = Recorder(whole)
    fit(whole, OBJECTIVE, some_batches(), TRAINING, 0, on_epoch=recorder)
    state, snapshot = recorder.kept[0]
    uniform = {"unlabeled/running_marginal": torch.tensor([0.8, 0.1, 0.1])}
    fresh = Adam(1e-2).build(some_model().parameters()).state_dict()
    for without in (snapshot._replace(buffers=uniform), snapshot._replace(optimizer=fresh)):
        model = some_model()
        model.load_state_dict(state)
        fit(model, OBJECTIVE, some_batches(), TRAINING, 0, resume=copy.deepcopy(without))
        assert not same(weights(model), weights(whole))


def test_resuming_without_the_baseline_gives_other_weights() -> None:
    """The score function is centred by what the checkpoint holds."""
    whole = some_model()
    recorder = Recorder(whole)
    fit(whole, SAMPLED, some_batches(), TRAINING, 0, on_epoch=recorder)
    state, snapshot = recorder.kept[0]
    name = "unlabeled/reconstruction/baseline"
    assert snapshot.buffers[name].isfinite()
    other = snapshot._replace(buffers=snapshot.buffers | {name: torch.tensor(0.0)})
    model = some_model()
    model.load_state_dict(state)
    fit(model, SAMPLED, some_batches(), TRAINING, 0, resume=other)
    assert not same(weights(model), weights(whole))


def test_a_snapshot_that_is_kept_stays_as_it_was() -> None:
    """What `on_epoch` is given holds for good: training goes on without writing into it."""
    kept: list[tuple[Snapshot, Snapshot]] = []
    trained(
        replace(TRAINING, average=1.0),
        on_epoch=lambda log, snapshot: kept.append((snapshot, copy.deepcopy(snapshot))),
    )
    given, copied = kept[0]
    assert same(given.buffers, copied.buffers)
    for number, moments in copied.optimizer["state"].items():
        assert same(given.optimizer["state"][number], moments)


def test_a_snapshot_may_be_resumed_from_twice() -> None:
    """Resuming reads the snapshot and does not write into it."""
    model = some_model()
    recorder = Recorder(model)
    fit(model, OBJECTIVE, some_batches(), TRAINING, 0, on_epoch=recorder)
    state, snapshot = recorder.kept[0]
    for _ in range(2):
        resumed = some_model()
        resumed.load_state_dict(state)
        fit(resumed, OBJECTIVE, some_batches(), TRAINING, 0, resume=snapshot)
        assert same(weights(resumed), weights(model))


# Stopping.


def test_a_term_that_is_not_finite_stops_training_before_its_step() -> None:
    """The error names the term and the step; the weights are those of the step before."""
    objective = Objective(LabelLogLikelihood() + BreaksAt(5), OBJECTIVE.unlabeled)
    model = some_model()
    with pytest.raises(NonFiniteError, match=r"step 5: labeled/breaks = nan, loss = nan") as error:
        fit(model, objective, some_batches(), TRAINING, 0)
    assert "label_log_likelihood" not in str(error.value)
    healthy = Objective(LabelLogLikelihood() + BreaksAt(-1), OBJECTIVE.unlabeled)
    until_then, _ = trained(objective=healthy, stop_after=5)
    assert same(weights(model), weights(until_then))
    assert all(tensor.isfinite().all() for tensor in weights(model).values())


def test_a_gradient_that_is_not_finite_does_not_reach_the_weights() -> None:
    """The loss may be finite where its gradient is not: the weights stay numbers all the same."""
    objective = Objective(LabelLogLikelihood() + GradientBreaksAt(5), None)
    model = some_model()
    with pytest.raises(NonFiniteError):
        fit(model, objective, some_batches(), TRAINING, 0)
    assert all(tensor.isfinite().all() for tensor in weights(model).values())


def test_stop_after_ends_the_run_after_so_many_steps() -> None:
    """In the middle of an epoch: the weights are those of a whole run at that step."""
    at_step: list[dict[str, Tensor]] = []
    model = some_model()
    fit(
        model, OBJECTIVE, some_batches(), TRAINING, 0,
        on_step=lambda step, steps: at_step.append(weights(model)),
    )  # fmt: skip
    assert len(at_step) == 3 * STEPS
    counted: list[tuple[int, int]] = []
    stopped, logs = trained(
        stop_after=6, on_step=lambda step, steps: counted.append((step, steps))
    )
    assert counted == [(step, 12) for step in range(1, 7)]
    assert [log.epoch for log in logs] == [1]
    assert same(weights(stopped), at_step[5])


# Steps.


def test_the_learning_rate_is_the_peak_times_its_schedule() -> None:
    """A step with factor 0 changes nothing; the log has the rate of the epoch's last step."""
    training = Training(2, SGD(0.01), OnlyLate(), bfloat16=False)
    states: list[dict[str, Tensor]] = []
    model = some_model()
    start = weights(model)
    logs = fit(
        model, supervised(), some_batches(), training, 0,
        on_epoch=lambda log, snapshot: states.append(weights(model)),
    )  # fmt: skip
    assert same(states[0], start) and not same(states[1], start)
    assert [log.learning_rate for log in logs] == [0.0, 0.005]


def test_the_learning_rate_and_the_terms_follow_training_step_by_step() -> None:
    """Step t of T is at fraction t / T, for the schedule and for every term; buffers are carried
    on."""
    asked, seen = Recording(), []
    trained(
        replace(TRAINING, learning_rate=asked),
        Objective(LabelLogLikelihood() + Remembers(), OBJECTIVE.unlabeled),
        on_epoch=lambda log, snapshot: seen.append(
            {name: float(snapshot.buffers[name]) for name in ("steps", "fraction")}
        ),
    )
    assert asked.fractions == pytest.approx([step / 12 for step in range(12)])
    assert [buffers["steps"] for buffers in seen] == [4, 8, 12]
    assert [buffers["fraction"] for buffers in seen] == pytest.approx([3 / 12, 7 / 12, 11 / 12])


def flat(state: dict[str, Tensor]) -> Tensor:
    return torch.cat([tensor.flatten() for tensor in state.values()])


def test_the_norm_of_the_gradient_is_clipped() -> None:
    """One step of SGD moves by clip_norm in the direction of the whole gradient, and no less if
    small."""
    start = flat(weights(some_model()))
    moves = {}
    for clip in (0.0, 0.01, 1e6):
        training = Training(1, SGD(1.0), clip_norm=clip, bfloat16=False)
        moves[clip] = flat(weights(trained(training, equation_8(1.0), stop_after=1)[0])) - start
    assert moves[0.0].norm() > 0.1
    assert moves[0.01].norm().item() == pytest.approx(0.01, rel=1e-3)
    torch.testing.assert_close(
        moves[0.01] / 0.01, moves[0.0] / moves[0.0].norm(), rtol=1e-2, atol=1e-4
    )
    assert torch.equal(moves[1e6], moves[0.0])


def test_noise_on_what_q_reads_is_in_every_step() -> None:
    runs = [
        trained(Training(1, Adam(1e-2), corruption=noise, bfloat16=False), equation_8(1.0))
        for noise in (0.0, 0.0, 0.5)
    ]
    clean, again, noisy = (flat(weights(model)) for model, _ in runs)
    assert torch.equal(clean, again)
    assert not torch.allclose(clean, noisy, atol=1e-3)


def test_a_step_goes_down_the_loss() -> None:
    """A small step of SGD lowers the loss on the same batch by lr |g|^2."""
    model = some_model()
    before = flat(weights(model))
    training = Training(2, SGD(1e-4), bfloat16=False)
    x, y = some_data()
    batches = SemiSupervisedBatches(
        x, y, 3, pixels(1.0), 10, 30, seed=0
    )  # the whole set each step
    logs = fit(model, supervised(), batches, training, 0)
    moved = flat(weights(model)) - before
    slope = (moved / 2).square().sum().item() / 1e-4
    assert logs[0].loss - logs[1].loss == pytest.approx(slope, rel=0.05)


def test_averaging_keeps_the_mean_of_the_last_weights() -> None:
    """`average` = .5 of 12 steps: the mean of the weights after the last 6."""
    after: list[Tensor] = []
    model = some_model()
    fit(
        model, OBJECTIVE, some_batches(), replace(TRAINING, average=0.5), 0,
        on_step=lambda step, steps: after.append(flat(weights(model))),
    )  # fmt: skip
    expected = torch.stack(after[6:]).double().mean(0).float()
    torch.testing.assert_close(flat(weights(model)), expected, rtol=1e-5, atol=1e-6)
    assert not torch.equal(flat(weights(model)), after[-1])


# Logs.


def test_a_log_holds_the_means_over_its_epoch() -> None:
    """Of every term by name, and of the loss; the epochs and steps are counted from 1."""
    model, logs = trained()
    assert [(log.epoch, log.step) for log in logs] == [(1, STEPS), (2, 2 * STEPS), (3, 3 * STEPS)]
    terms = set(logs[0].terms)
    assert {"labeled/elbo", "unlabeled/elbo", "unlabeled/mutual_information"} < terms
    weight = {p.term.key: p.weight for total in OBJECTIVE.sums for p in total.parts}
    J = sum(w * logs[0].terms[key] for key, w in weight.items())
    assert logs[0].loss == pytest.approx(-J, rel=1e-5)
    assert all(log.seconds >= 0 for log in logs) and model.training


def test_means_are_of_all_that_was_added() -> None:
    """The mean of each term and of the loss."""
    means = Means()
    for value in (1.0, 2.0, 6.0):
        means.add(Loss(torch.tensor(-value), {"a": torch.tensor(10 * value)}, {}), step=0)
    assert means.values() == (-3.0, {"a": 30.0})


def test_a_step_reads_each_stream_in_views_of_its_own() -> None:
    x, y = np.random.default_rng(0).random((40, 1, 6, 6), np.float32), np.arange(40) % 4 - 1
    batches = SemiSupervisedBatches(x, y, 3, pixels(1.0), 5, 8, 0)
    plain, _ = step_input(batches, ("labeled", "unlabeled"), 0, 2, CPU)
    views = Views(flips=True, shifts=2)
    batch, noise = step_input(batches, ("labeled", "unlabeled"), 0, 2, CPU, views=views)
    for name, rows in batch.items():
        assert not torch.equal(rows.x, plain[name].x)
        torch.testing.assert_close(rows.x, views(plain[name].x, noise.of(name)))
    assert torch.equal(batch["labeled"].y, plain["labeled"].y)


def in_python(code: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """The code in a process of its own, which can import this file."""
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
        env={**os.environ, **environment},
    )


def test_the_precision_is_the_recipes_whatever_the_environment_says() -> None:
    """accelerate reads a precision of its own from its configuration."""
    code = (
        "from test_training import OBJECTIVE, TRAINING, fit, some_batches, some_model\n"
        "from accelerate.state import AcceleratorState\n"
        "fit(some_model(), OBJECTIVE, some_batches(), TRAINING, 0, stop_after=1)\n"
        "assert AcceleratorState().mixed_precision == 'no', AcceleratorState().mixed_precision"
    )
    done = in_python(code, ACCELERATE_MIXED_PRECISION="bf16")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("device", "stays"), [(None, True), ("mps", True), ("cuda", False)])
def test_a_device_without_float64_is_not_used(
    device: str | None, stays: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = device and torch.device(device)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: found is not None)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: found)
    assert on_cpu() == stays


def test_an_accelerator_of_another_precision_is_an_error_that_says_so() -> None:
    code = (
        "import accelerate\n"
        "from test_training import OBJECTIVE, TRAINING, fit, some_batches, some_model\n"
        "accelerate.Accelerator(mixed_precision='bf16', cpu=True)\n"
        "fit(some_model(), OBJECTIVE, some_batches(), TRAINING, 0, stop_after=1)"
    )
    done = in_python(code)
    assert "InputError: this process has an Accelerator that differs" in done.stderr


def test_accelerate_is_imported_when_training_starts_and_not_before() -> None:
    """Prediction does not wait for it."""
    code = (
        "import sys, semivae.training\n"
        "assert 'accelerate' not in sys.modules, 'semivae.training imports accelerate'"
    )
    done = in_python(code)
    assert done.returncode == 0, done.stderr
