"""Bias and variance of every estimate of the sum over y (section 2.7.2 has one of them): the
gradient of the unlabeled ELBO (Eq 5) under each label rule, against that of the exact sum.

One batch at fixed weights and with one fixed noise of z, so that nothing but y is random; many
draws of y. The gradient is taken with respect to the classifier's logits and to the decoder's
weights apart: a rule may be unbiased for one and not for the other.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from semivae import runs
from semivae.errors import InputError
from semivae.files import write_text
from semivae.fitting import Hooks, train
from semivae.label_draws import LabelRule
from semivae.labels import Enumerated, Pruned, Relaxed, Sampled, StraightThrough, follow
from semivae.models.m2 import M2
from semivae.noise import key
from semivae.paper.asking import seeds_of
from semivae.paper.gradient_errors import Errors, Point
from semivae.paper.results import machine
from semivae.predictor import TrainingSet
from semivae.request import Request, prepare
from semivae.stages import new_model

INITIALIZATION, TRAINED = "at initialization", "after training"
TEMPERATURES = (2.0, 1.0, 2 / 3, 0.3, 0.1)


class Estimator(NamedTuple):
    """A label rule under the name of its kind; tau where it has one."""

    kind: str
    rule: LabelRule
    tau: float | None = None


EXACT = Estimator("exact sum", Enumerated())
ESTIMATORS = (
    Estimator("pruned sum", Pruned()),
    Estimator("score function", Sampled()),
    *(Estimator("Gumbel-Softmax", Relaxed(tau), tau) for tau in TEMPERATURES),
    *(Estimator("straight-through", StraightThrough(tau), tau) for tau in TEMPERATURES),
)


@dataclass(frozen=True)
class Study:
    """One measurement: data, how long to train before the second look, the batch, the draws of
    y."""

    data: str
    labels: int
    epochs: int
    rows: int
    draws: int
    seed: int


@dataclass(frozen=True)
class Measured:
    """One estimator's gradient for one part of the model, relative to the norm of the exact one.

    bias: of the mean gradient, its own error of estimation taken off; resolution: that error,
    below which no bias can be seen; sd: of a single draw of y per row; cosine: of the angle
    between a single draw and the exact gradient, on average; pairs: decoded (row, class) pairs per
    row.
    """

    seed: int
    moment: str
    part: str
    kind: str
    tau: float | None
    pairs: float
    bias: float
    resolution: float
    sd: float
    cosine: float


@dataclass(frozen=True)
class Taken:
    """A study with what produced it and what was measured; plain values, one JSON file."""

    study: Study
    recipe: str
    seconds: float
    commit: str | None
    machine: dict[str, Any]
    measured: list[Measured]


def studies(seeds: int | None, quick: bool) -> list[Study]:
    """MNIST, and for a quick look digits; one study per seed."""
    if quick:
        first = Study("digits", labels=50, epochs=10, rows=64, draws=40, seed=0)
    else:
        first = Study("mnist", labels=1000, epochs=1, rows=128, draws=100, seed=0)
    return [replace(first, seed=seed) for seed in seeds_of(seeds, quick)]


def take(
    study: Study, results: Path, data_dir: Path | None, on_step: Callable[[int, int], None]
) -> Taken:
    """The study with its measurements: from its file under `results` if it is there, else taken.

    `on_step` receives the gradients of estimators taken and to be taken. Raises InputError where
    the file is of another study.
    """
    path = results / f"seed-{study.seed}.json"
    if path.exists():
        found = _load(path)
        if found.study != study:
            raise InputError(f"{path} is of another study: move it out of the folder")
        return found
    commit, started = runs.commit(), time.monotonic()
    rows = list(_take(study, data_dir, on_step))
    seconds = round(time.monotonic() - started, 1)
    taken = Taken(study, "paper-m2, labels=pruned", seconds, commit, machine(), rows)
    write_text(path, json.dumps(asdict(taken), indent=1) + "\n")
    return taken


def _load(path: Path) -> Taken:
    found = json.loads(path.read_text())
    study, rows = Study(**found["study"]), [Measured(**row) for row in found["measured"]]
    return Taken(**found | {"study": study, "measured": rows})


def _take(
    study: Study, data_dir: Path | None, on_step: Callable[[int, int], None]
) -> Iterator[Measured]:
    """Both moments of one model: with its initial weights, and trained by an unbiased rule."""
    request = Request(
        study.data,
        labels=study.labels,
        recipe="paper-m2",
        settings=("labels=pruned",),
        epochs=study.epochs,
        seed=study.seed,
    )
    prepared = prepare(request, data_dir)
    data, recipe = prepared.training_set, prepared.recipe
    x = _some_rows(data, study)
    model = new_model(data.facts, recipe, study.seed)
    assert isinstance(model, M2)
    total = 2 * len(ESTIMATORS) * study.draws
    for number, moment in enumerate((INITIALIZATION, TRAINED)):
        if moment == TRAINED:
            train(data, recipe, study.seed, Hooks(), model)
        done = number * total // 2
        yield from compare(Point(model, x, study.seed), study.draws, moment, done, total, on_step)


def _some_rows(data: TrainingSet, study: Study) -> Float[Tensor, "B *X"]:
    """The batch: unlabeled rows drawn by seed, scaled."""
    source = np.random.default_rng(key(study.seed, "gradient estimators"))
    rows = source.choice(np.flatnonzero(data.y < 0), study.rows, replace=False)
    return data.scaling.apply(torch.from_numpy(data.x[np.sort(rows)]))


def compare(
    point: Point,
    draws: int,
    moment: str,
    done: int,
    total: int,
    on_step: Callable[[int, int], None],
) -> Iterator[Measured]:
    """Each estimator's gradient at one point, over so many draws of y, against the exact one.

    `on_step` receives how many of `total` gradients are taken, `done` of them before.
    """
    exact = point.gradient(EXACT.rule, 0)
    for kind, rule, tau in ESTIMATORS:
        errors = {part: Errors(vector) for part, vector in exact.parts.items()}
        pairs = 0.0
        baseline = exact.reconstruction.new_full((), torch.nan)
        for draw in range(draws):
            found = point.gradient(rule, draw, None if rule.memory is None else baseline)
            for part, vector in found.parts.items():
                errors[part].add(vector)
            pairs += found.pairs
            if rule.memory is not None:
                baseline = follow(baseline, found.reconstruction, rule.memory)
            done += 1
            on_step(done, total)
        for part, error in errors.items():
            yield Measured(
                point.seed, moment, part, kind, tau, pairs / draws, **error.relative()._asdict()
            )


def read(results: Path) -> list[Taken]:
    """The studies whose files are there, seed by seed, without measuring."""
    found = [_load(path) for path in results.glob("seed-*.json")]
    return sorted(found, key=lambda taken: taken.study.seed)
