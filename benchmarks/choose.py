"""Chooses the symbols that the paper does not state, on validation rows of a split no table uses.

    python -m benchmarks.choose mnist [--data-dir DIR]

First M2 (Eq 8): alpha (and sigma); then Optimized-ELBO, with what was best for M2: beta and gamma,
in as many trials, so that the baseline is tuned as hard. Every trial trains on labels of split 100
(or of the next ones, where its plan says so) and is scored on further training labels, 2,000 for
MNIST and 5,000 for CIFAR-10; the test set is not read. One line per trial goes to
benchmarks/results/choice/<plan>.jsonl, and a trial that is there is not run again.

`mnist` and `cifar10` are the paper's rows with 1,000 labels; `auto` is our default recipe for many
images, by the mean over MNIST with 1,000 and with 100 labels: M2 chooses the learning rate and the
noise on what q reads, Optimized-ELBO its symbols under these. `auto-cifar10` is a look at CIFAR-10
under both sides' learning rate and noise, from which M2 takes its learning rate there.
`auto-smooth` is how smooth the classifier of our default recipe is, by the mean over MNIST with
1,000 labels and with 100 on three splits; `auto-soft` is whether it is sharpened little by little,
by the mean over these and 50 labels on three splits.

    python -m benchmarks.choose mnist --supervised [--data-dir DIR]

chooses how long the supervised-only network of a plan trains, and under which noise on what it
reads, scored likewise; its log is <plan>-supervised.jsonl.
"""

import argparse
import itertools
import json
import statistics
from dataclasses import asdict
from pathlib import Path

import torch

from benchmarks.choice_plans import PLANS, SUPERVISED, Plan, Run, Settings, Side, Task
from semivae import runs
from semivae.evaluation import accuracy
from semivae.fitting import Hooks, train_supervised
from semivae.request import Request, prepare

RESULTS = Path(__file__).parent / "results" / "choice"


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
        seed=task.split,
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
    its tasks."""
    log.parent.mkdir(parents=True, exist_ok=True)
    done: dict[tuple[Task, Settings], float] = {}
    for line in log.read_text().splitlines() if log.exists() else []:
        record = json.loads(line)
        asked = record["request"]
        if (asked["recipe"], asked["objective"], asked["epochs"]) == (*side[:2], plan.epochs):
            task = Task(asked["data"], asked["labels"], asked["validation"], asked["seed"])
            done[task, tuple(record["settings"])] = record["validation_accuracy"]
    for settings, task in itertools.product(side.grid, side.tasks):
        if (task, settings) in done:
            continue
        result = trial(task, plan, side, settings, data_dir)
        with log.open("a") as file:
            file.write(json.dumps({"recipe": side.recipe, "settings": settings} | result) + "\n")
        reached = done[task, settings] = float(str(result["validation_accuracy"]))
        print(log.stem, side.objective or side.recipe, *task, *settings, reached, flush=True)
    means = {
        settings: statistics.mean(done[task, settings] for task in side.tasks)
        for settings in side.grid
    }
    best = max(side.grid, key=means.__getitem__)
    print(f"{log.stem} {side.recipe}: best {' '.join(best)} at {means[best]:.2f} %", flush=True)
    return best


def _with(shared: Settings, settings: Settings) -> Settings:
    """Both, where a setting of one's own comes in place of a shared one of its name."""
    own = {setting.partition("=")[0] for setting in settings}
    return (*(s for s in shared if s.partition("=")[0] not in own), *settings)


def both(name: str, data_dir: Path | None) -> tuple[Settings, Settings]:
    """The best settings of either side of a plan, M2's first, which the other side shares."""
    plan, log = PLANS[name], RESULTS / f"{name}.jsonl"
    shared = choose(plan, plan.m2, log, data_dir) if plan.m2 else ()
    grid = [_with(shared, settings) for settings in plan.optimized.grid]
    return shared, choose(plan, plan.optimized._replace(grid=grid), log, data_dir)


def supervised(name: str, grid: list[Settings], data_dir: Path | None) -> Settings:
    """The best of the grid for the supervised-only network of a plan."""
    plan = PLANS[name]
    assert plan.m2 is not None, f"{name} has no M2 side, whose baseline is chosen"
    only = plan.m2._replace(grid=grid, run=train_supervised)
    return choose(plan, only, RESULTS / f"{name}-supervised.jsonl", data_dir)


def main() -> None:
    """Chooses for one plan."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("plan", choices=list(PLANS))
    parser.add_argument("--supervised", action="store_true")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.supervised:
        supervised(options.plan, SUPERVISED, options.data_dir)
    else:
        both(options.plan, options.data_dir)


if __name__ == "__main__":
    main()
