"""Chooses the symbols that the paper does not state, on validation rows of a split no table uses.

    python -m benchmarks.choose mnist [--data-dir DIR]

Both sides get the same number of trials. First M2 (Eq 8): alpha (and sigma); then Optimized-ELBO,
with the alpha and sigma that were best for M2, so that the baseline is tuned as hard as it can be:
beta and gamma. Every trial trains on labels of split 100 and is scored on further training
labels, 2,000 for MNIST and 5,000 for CIFAR-10; the test set is not read. One line per trial goes
to benchmarks/results/choice/<plan>.jsonl, and a trial that is there is not run again.

`mnist` and `cifar10` are the paper's rows with 1,000 labels; `auto` is our default recipe for many
images, on MNIST with 1,000 and with 100 labels and on CIFAR-10, of which the mean counts: M2 first
chooses the learning rate and the noise on what q reads, then Optimized-ELBO its symbols under
these.

    python -m benchmarks.choose mnist --supervised [--data-dir DIR]

chooses how long the supervised-only network of a plan trains, in six trials, scored likewise; its
log is <plan>-supervised.jsonl.
"""

import argparse
import itertools
import json
import statistics
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import torch

from semivae import runs
from semivae.evaluation import accuracy
from semivae.fitting import Hooks, Trained, train, train_supervised
from semivae.predictor import TrainingSet
from semivae.recipe import Recipe
from semivae.request import Request, prepare

RESULTS = Path(__file__).parent / "results" / "choice"
SPLIT = 100
Settings = tuple[str, ...]
Run = Callable[[TrainingSet, Recipe, int, Hooks], Trained]


class Side(NamedTuple):
    """A recipe, its objective if it is not the recipe's own, the settings to try, and what trains:
    the recipe or its supervised-only baseline."""

    recipe: str
    objective: str | None
    grid: list[Settings]
    run: Run = train


class Task(NamedTuple):
    """What settings are tried on: a data set, and how many labels train and how many score."""

    data: str
    labels: int
    validation: int


class Plan(NamedTuple):
    """What a trial is run on, how long it trains (None: its recipe or settings say so), and the
    two sides, M2 first."""

    tasks: tuple[Task, ...]
    epochs: int | None
    m2: Side
    optimized: Side


MNIST, CIFAR10 = Task("mnist", 1000, 2000), Task("cifar10", 1000, 5000)


def alpha_sigma(*pairs: tuple[float, float]) -> list[Settings]:
    """Candidates for M2."""
    return [
        (f"objective.alpha={alpha:g}", f"likelihood.sigma={sigma:g}") for alpha, sigma in pairs
    ]


def alpha_epochs(*triples: tuple[float, int, float]) -> list[Settings]:
    """Candidates for M2 at sigma = 1: alpha, epochs, the last share over which weights are
    averaged."""
    return [
        (
            f"objective.alpha={alpha:g}",
            "likelihood.sigma=1",
            f"training.epochs={epochs}",
            f"training.average={average:g}",
        )
        for alpha, epochs, average in triples
    ]


def beta_gamma(*pairs: tuple[float, float]) -> list[Settings]:
    """Candidates for Optimized-ELBO."""
    return [(f"objective.beta={beta:g}", f"objective.gamma={gamma:g}") for beta, gamma in pairs]


def peak_corruption(*pairs: tuple[float, float]) -> list[Settings]:
    """Candidates for M2: the highest learning rate, the noise on what q reads."""
    return [
        (
            "objective.alpha=10",
            f"training.optimizer.peak={peak:g}",
            f"training.corruption={corruption:g}",
        )
        for peak, corruption in pairs
    ]


def alpha_beta_gamma(*triples: tuple[float, float | str, float]) -> list[Settings]:
    """Candidates for Optimized-ELBO; a text is a schedule."""
    return [
        (f"objective.alpha={alpha:g}", f"objective.beta={beta}", f"objective.gamma={gamma:g}")
        for alpha, beta, gamma in triples
    ]


PLANS = {
    "mnist": Plan(
        (MNIST,),
        4,
        Side(
            "paper-m2",
            None,
            alpha_sigma((30, 0.25), (100, 0.25), (300, 0.25), (30, 0.5), (100, 0.5), (300, 0.5)),
        ),
        Side(
            "paper-optimized",
            None,
            beta_gamma((3, 3), (10, 10), (30, 30), (100, 100), (300, 300), (30, 100)),
        ),
    ),
    # Earlier rounds, in the log too: four epochs, then two with (alpha, sigma) = (10, 1), (30, 1),
    # (10, 0.5), (30, 0.5), (30, 0.25), (100, 0.25). M2 is best early and falls from then on, so
    # that this round chooses how long to train and to average.
    "cifar10": Plan(
        (CIFAR10,),
        None,
        Side(
            "paper-m2",
            None,
            alpha_epochs((10, 1, 0.25), (20, 1, 0.5), (30, 1, 0.5), (7, 2, 0.5), (10, 2, 0.75)),
        ),
        Side("paper-optimized", None, beta_gamma((1, 3), (1, 10), (3, 3), (3, 10), (1, 30))),
    ),
    # Earlier rounds, in the log too: on MNIST with 1,000 labels under Gumbel-Softmax, 6 epochs at
    # a peak of 0.001, alpha, then beta and gamma; and without noise, on MNIST alone, two more of
    # Optimized-ELBO's, (10, 30, 30) and (50, 10, 10).
    "auto": Plan(
        (MNIST, MNIST._replace(labels=100), CIFAR10),
        None,
        Side(
            "auto",
            "equation_8",
            peak_corruption((0.001, 0), (0.003, 0), (0.005, 0), (0.003, 0.3), (0.003, 0.5)),
        ),
        Side(
            "auto",
            None,
            alpha_beta_gamma((10, 10, 10), (10, 3, 3), (50, "ramp(-15,0,0.5)", 10)),
        ),
    ),
}

# Passes over the 1,000 labels, 8 steps each.
SUPERVISED: list[Settings] = [
    (f"baseline.epochs={passes}",) for passes in (10, 20, 40, 80, 188, 400)
]


def trial(
    task: Task, plan: Plan, side: Side, settings: Settings, data_dir: Path | None
) -> dict[str, object]:
    """Trains one candidate and scores it on the validation rows, in percent."""
    request = Request(
        task.data,
        labels=task.labels,
        validation=task.validation,
        recipe=side.recipe,
        objective=side.objective,
        settings=settings,
        seed=SPLIT,
        epochs=plan.epochs,
        baseline=False,
    )
    return scored(request, side.run, data_dir)


def scored(request: Request, run: Run, data_dir: Path | None) -> dict[str, object]:
    """Trains what is asked and scores it on its validation rows, in percent."""
    prepared = prepare(request, data_dir)
    trained = run(prepared.training_set, prepared.recipe, request.seed, Hooks())
    rows = prepared.split.validation
    probs = trained.predictor.predict_proba(prepared.arrays.x[rows])
    return {
        "validation_accuracy": round(100 * accuracy(probs, prepared.arrays.y[rows]), 2),
        "train_seconds": round(trained.train_seconds),
        "last_epoch": {k: round(v, 4) for k, v in trained.history[-1].terms.items()},
        "commit": runs.commit(),
        "request": asdict(request),
    }


def choose(plan: Plan, side: Side, log: Path, data_dir: Path | None) -> Settings:
    """Runs the trials of one side that are not in its log yet; the settings of the best mean over
    the tasks."""
    log.parent.mkdir(parents=True, exist_ok=True)
    done: dict[tuple[Task, Settings], float] = {}
    for line in log.read_text().splitlines() if log.exists() else []:
        record = json.loads(line)
        asked = record["request"]
        if (asked["recipe"], asked["objective"], asked["epochs"]) == (*side[:2], plan.epochs):
            task = Task(asked["data"], asked["labels"], asked["validation"])
            done[task, tuple(record["settings"])] = record["validation_accuracy"]
    for settings, task in itertools.product(side.grid, plan.tasks):
        if (task, settings) in done:
            continue
        result = trial(task, plan, side, settings, data_dir)
        with log.open("a") as file:
            file.write(json.dumps({"recipe": side.recipe, "settings": settings} | result) + "\n")
        reached = done[task, settings] = float(str(result["validation_accuracy"]))
        print(log.stem, side.objective or side.recipe, *task, *settings, reached, flush=True)
    means = {
        settings: statistics.mean(done[task, settings] for task in plan.tasks)
        for settings in side.grid
    }
    best = max(side.grid, key=means.__getitem__)
    print(f"{log.stem} {side.recipe}: best {' '.join(best)} at {means[best]:.2f} %", flush=True)
    return best


def _with(shared: Settings, settings: Settings) -> Settings:
    """Both, where a setting of one's own comes in place of a shared one of its name."""
    own = {setting.partition("=")[0] for setting in settings}
    return (*(s for s in shared if s.partition("=")[0] not in own), *settings)


def main() -> None:
    """Chooses for one plan, M2's symbols first."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("plan", choices=list(PLANS))
    parser.add_argument("--supervised", action="store_true")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    plan = PLANS[options.plan]
    if options.supervised:
        only = Side(plan.m2.recipe, plan.m2.objective, SUPERVISED, train_supervised)
        choose(plan, only, RESULTS / f"{options.plan}-supervised.jsonl", options.data_dir)
        return
    log = RESULTS / f"{options.plan}.jsonl"
    shared = choose(plan, plan.m2, log, options.data_dir)
    grid = [_with(shared, settings) for settings in plan.optimized.grid]
    choose(plan, plan.optimized._replace(grid=grid), log, options.data_dir)


if __name__ == "__main__":
    main()
