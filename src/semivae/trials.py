"""Trial steps before a training: whether it can take one, and how many epochs fit a time."""

import copy
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from semivae.finite import Means, check_gradient
from semivae.models.m1m2 import M1M2
from semivae.predictor import TrainingSet
from semivae.processes import least
from semivae.recipe import Recipe
from semivae.stages import (
    Stage,
    codes_stage,
    first_stage,
    main_stage,
    new_model,
    whole_stage,
)
from semivae.streams import StepState
from semivae.training import Step, Training, autocast, fit, step_input

TIMED_STEPS = 12
PARTS = 1_000_000  # processes agree on a share of the epochs as a whole number of these


def within_minutes(data: TrainingSet, recipe: Recipe, seed: int, minutes: float) -> Recipe:
    """The recipe with the number of epochs that fit into so many minutes (at most its own, at
    least 1); several stages are shortened in proportion.

    Times a few steps on a throw-away copy; what they cost counts against the minutes.
    """
    started = time.monotonic()
    seconds = [
        stage.training.epochs * _seconds_per_epoch(stage)
        for stage in untrained_stages(data, recipe, seed)
    ]
    left = 60 * minutes - (time.monotonic() - started)
    share = least(int(PARTS * min(1.0, max(0.0, left / sum(seconds))))) / PARTS
    first = recipe.pretraining and _shortened(recipe.pretraining, share)
    last = recipe.refining and _shortened(recipe.refining, share)
    training = _shortened(recipe.training, share)
    return replace(recipe, training=training, pretraining=first, refining=last)


def _shortened(training: Training, share: float) -> Training:
    return replace(training, epochs=max(1, int(training.epochs * share)))


def _seconds_per_epoch(stage: Stage) -> float:
    times = [time.monotonic()]
    batches = stage.batches
    fit(
        copy.deepcopy(stage.model),
        stage.objective,
        batches,
        stage.training,
        stage.seed,
        on_step=lambda step, steps: times.append(time.monotonic()),
        stop_after=TIMED_STEPS,
    )
    # The first steps pay for set-up that later ones do not.
    steps = np.diff(times)
    return float(statistics.median(steps[len(steps) // 3 :])) * batches.steps_per_epoch


def untrained_stages(data: TrainingSet, recipe: Recipe, seed: int) -> list[Stage]:
    """The stages of a training on fresh weights; codes that an M1 is still to give are 0."""
    model = new_model(data.facts, recipe, seed)
    if recipe.pretraining is None:
        return [main_stage(data, recipe, model, seed)]
    first = first_stage(data, recipe, model, seed)
    assert isinstance(model, M1M2)
    codes = np.zeros((len(data.x), 2, model.m1.latent_size), np.float32)
    stages = [first, codes_stage(data, recipe, model, codes, seed)]
    if recipe.refining is not None:
        stages.append(whole_stage(data, recipe, model, recipe.refining, seed))
    return stages


def dry_step(stages: Sequence[Stage]) -> None:
    """The loss of two rows a stream on fresh weights and its gradient, for each stage; raises what
    a first step would raise."""
    device = torch.device("cpu")
    for stage in stages:
        training = replace(stage.training, labeled_rows=2, unlabeled_rows=2)
        objective, batches = stage.objective, stage._replace(training=training).batches
        batch, noise = step_input(
            batches,
            objective.streams,
            0,
            0,
            device,
            corruption=training.corruption,
            views=training.views,
        )
        training.optimizer.build(stage.model.parameters())
        with autocast(training.bfloat16, device):
            state = StepState(0, 0.0, objective.initial_buffers(stage.model))
            result = Step(stage.model, objective)(batch, noise, state)
        Means().add(result, step=0)
        result.loss.backward()
        check_gradient(stage.model, step=0)
