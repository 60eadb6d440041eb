"""The one training loop: any model of the family, any objective, one process or many."""

import copy
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from semivae.averaging import add_to_average, take_average
from semivae.data.batches import SemiSupervisedBatches
from semivae.data.views import AS_GIVEN, Views
from semivae.errors import InputError
from semivae.finite import Means, check_gradient
from semivae.models.base import DeepGenerativeModel
from semivae.noise import Noise
from semivae.optimizers import Constant, LearningRate, Optimizer
from semivae.processes import share
from semivae.streams import LABELED, Rows, StepState, Streams
from semivae.sums import Loss, Objective


@dataclass(frozen=True)
class Training:
    """How to train: plain values.

    `clip_norm` bounds the gradient's norm (0: no bound); the weights kept are the mean of those
    after each step of the last `average` of training (a fraction; 0: the last weights).
    `corruption` is the standard deviation of the noise on what q reads while this stage trains
    (see `Noise.seen`), in units of the scaled x; 0: none. All that is logged by step is under it,
    probes and predictions read x as it is. `views` are how images vary from step to step.
    `bfloat16` multiplies in that precision where the processor does so in hardware, and so does
    the trained model's q(y|x) of images; losses and the heads stay in float32.
    """

    epochs: int
    optimizer: Optimizer
    learning_rate: LearningRate = Constant()  # noqa: RUF009  (a frozen value)
    labeled_rows: int = 128
    unlabeled_rows: int = 128
    clip_norm: float = 0.0
    average: float = 0.0
    corruption: float = 0.0
    bfloat16: bool = True
    views: Views = AS_GIVEN

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise ValueError(f"epochs={self.epochs}: give at least 1")
        for name in ("labeled_rows", "unlabeled_rows"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: a step needs at least 1 row")
        if not 0 <= self.average <= 1:
            raise ValueError(f"average={self.average:g} is not a fraction of training, 0 to 1")
        if not 0 <= self.clip_norm < math.inf:
            raise ValueError(f"clip_norm={self.clip_norm:g}: give 0 (no bound) or more")
        if not 0 <= self.corruption < math.inf:
            raise ValueError(f"corruption={self.corruption:g}: give 0 (no noise) or more")


class EpochLog(NamedTuple):
    """The means over one epoch of the loss and of every term, by name, in nats per example.

    `probe` is what was measured after the epoch, in `probe_seconds` more; empty if nothing was.
    """

    epoch: int
    step: int
    seconds: float
    learning_rate: float
    loss: float
    terms: dict[str, float]
    probe: Mapping[str, float] = {}
    probe_seconds: float = 0.0


class Snapshot(NamedTuple):
    """All that a run needs, beside its weights and configuration, to go on bit for bit."""

    epoch: int
    optimizer: dict[str, Any]
    buffers: dict[str, Tensor]


class Step(nn.Module):
    """One step's loss as a module: gradients are synchronised wherever its parts are called."""

    def __init__(self, model: DeepGenerativeModel, objective: Objective) -> None:
        super().__init__()
        self.model, self.objective = model, objective

    def forward(self, batch: dict[str, Rows], noise: Noise, state: StepState) -> Loss:
        """Encodes every stream in one pass, then the objective (its sign: minimise)."""
        streams = Streams(self.model, batch, noise, self.model.latent_size)
        return self.objective(self.model, streams, state)


def on_cpu() -> bool:
    """Whether training stays on the processor: there is nothing else, or what there is has no
    float64, in which columns are scaled and diagnostics taken (Apple's).

    Said to accelerate, as processes on a machine without another device would each train alone.
    """
    if not torch.accelerator.is_available():
        return True
    device = torch.accelerator.current_accelerator()
    return device is None or device.type == "mps"


def bfloat16_is_fast(device: torch.device) -> bool:
    """Whether the processor multiplies bfloat16 in hardware."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def autocast(bfloat16: bool, device: torch.device) -> torch.autocast:
    """The precision of a forward pass: bfloat16 where that is wanted and fast."""
    fast = bfloat16 and bfloat16_is_fast(device)
    return torch.autocast(device.type, torch.bfloat16, enabled=fast)


def fit(
    model: DeepGenerativeModel,
    objective: Objective,
    batches: SemiSupervisedBatches,
    training: Training,
    seed: int,
    resume: Snapshot | None = None,
    on_epoch: Callable[[EpochLog, Snapshot], None] = lambda log, snapshot: None,
    on_step: Callable[[int, int], None] = lambda step, steps: None,
    stop_after: int | None = None,
    probe: Callable[[DeepGenerativeModel], Mapping[str, float]] | None = None,
) -> list[EpochLog]:
    """Trains `model` in place and returns one log per epoch.

    `on_epoch` receives each epoch's log with all that resuming needs; `on_step` the number of
    steps done and to do; `stop_after` ends the run after so many steps; `probe` measures the
    model after each epoch, for its log. Random numbers are keyed by `seed` and step.

    Raises `NonFiniteError` with the term's name and the step, before that step changes a weight.
    """
    from accelerate import (  # takes a while to import; only training needs it
        Accelerator,
        DistributedDataParallelKwargs,
    )

    # A network of which an objective uses a part (the baseline's classifier) synchronises that.
    unused = DistributedDataParallelKwargs(find_unused_parameters=True)
    try:  # precision is the recipe's: accelerate would take its own from the environment
        accelerator = Accelerator(cpu=on_cpu(), mixed_precision="no", kwargs_handlers=[unused])
    except ValueError as error:
        raise InputError(f"this process has an Accelerator that differs: {error}") from error
    device = accelerator.device
    model.to(device)
    torch_optimizer = training.optimizer.build(model.parameters())
    if resume is not None:
        torch_optimizer.load_state_dict(copy.deepcopy(resume.optimizer))
        _lay_out_like_parameters(torch_optimizer)
    step_module, optimizer = accelerator.prepare(Step(model, objective), torch_optimizer)
    model.train()
    buffers = objective.initial_buffers(model)
    if resume is not None:
        buffers = {name: buffer.to(device) for name, buffer in _copied(resume.buffers).items()}
    steps = training.epochs * batches.steps_per_epoch
    precision = autocast(training.bfloat16, device)
    logs: list[EpochLog] = []
    for epoch in range(0 if resume is None else resume.epoch, training.epochs):
        started, means = time.monotonic(), Means()
        for step in range(epoch * batches.steps_per_epoch, (epoch + 1) * batches.steps_per_epoch):
            rate = training.optimizer.peak * training.learning_rate(step / steps)
            for group in torch_optimizer.param_groups:
                group["lr"] = rate
            batch, noise = step_input(
                batches,
                objective.streams,
                seed,
                step,
                device,
                accelerator.process_index,
                accelerator.num_processes,
                training.corruption,
                training.views,
            )
            with precision:
                result = step_module(batch, noise, StepState(step, step / steps, buffers))
            means.add(result, step)
            optimizer.zero_grad()
            accelerator.backward(result.loss)
            check_gradient(model, step)
            if training.clip_norm:
                accelerator.clip_grad_norm_(model.parameters(), training.clip_norm)
            optimizer.step()
            buffers = buffers | result.updates
            if step >= (1 - training.average) * steps:
                add_to_average(model, buffers)
            on_step(step + 1, steps)
            if step + 1 == stop_after:
                return logs
        log = EpochLog(epoch + 1, step + 1, time.monotonic() - started, rate, *means.values())
        if probe is not None:
            ended = time.monotonic()
            log = log._replace(probe=probe(model), probe_seconds=time.monotonic() - ended)
        logs.append(log)
        optimizer_state = copy.deepcopy(torch_optimizer.state_dict())
        on_epoch(logs[-1], Snapshot(epoch + 1, optimizer_state, _copied(buffers)))
    take_average(model, buffers)
    return logs


def _copied(buffers: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: buffer.clone() for name, buffer in buffers.items()}


def _lay_out_like_parameters(optimizer: torch.optim.Optimizer) -> None:
    """Gives loaded moments the memory layout of their weights; files hold row-major ones."""
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if value.shape == parameter.shape:
                state[name] = torch.empty_like(parameter, requires_grad=False).copy_(value)


def step_input(
    batches: SemiSupervisedBatches,
    streams: tuple[str, ...],
    seed: int,
    step: int,
    device: torch.device,
    rank: int = 0,
    processes: int = 1,
    corruption: float = 0.0,
    views: Views = AS_GIVEN,
) -> tuple[dict[str, Rows], Noise]:
    """What a step reads: this process's share of each stream's rows, in views of their own, with
    their labels if the stream has them, and the noise of the step."""
    rows = {
        name: batches.labeled_at(step) if name == LABELED else batches.unlabeled_at(step)
        for name in streams
    }
    sizes = tuple((name, len(numbers)) for name, numbers in rows.items())
    noise = Noise(seed, step, sizes, device, rank, processes, corruption)
    batch: dict[str, Rows] = {}
    for name, numbers in rows.items():
        own = numbers[share(len(numbers), rank, processes)]
        y = batches.y_at(own, device) if name == LABELED else None
        batch[name] = Rows(views(batches.x_at(own, device), noise.of(name)), y)
    return batch, noise
