"""Does the pruned sum over y cost accuracy? The same runs with it and with the exact sum.

`python -m benchmarks.parity --data-dir DIR` trains on 100 classes: two MNIST digits side by side,
10 labels a class, `auto` on Kingma's MLP, with either sum, seeds 0 to 4; each run is a line of
pairs.jsonl and is not trained again. Beside them it reads the runs of the folder `parity`, `auto`
on MNIST, and writes the paired differences. All have a peak learning rate of 0.001, weights of 10
and no smoothness.
"""

import argparse
import json
import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.tables import parity_table
from benchmarks.timing import machine, write
from semivae.data.datasets import mnist
from semivae.data.published import Arrays
from semivae.data.splits import as_unlabeled, balanced_split
from semivae.fitting import Hooks, train, train_supervised
from semivae.labels import Enumerated, Pruned
from semivae.models.networks import KingmaMLP
from semivae.objective_specs import OptimizedELBO
from semivae.optimizers import Adam
from semivae.paper.results import load_results
from semivae.paper.spreads import gain
from semivae.predictor import TrainingSet
from semivae.recipe import Recipe
from semivae.recipes import named_recipe
from semivae.runs import commit, test_report
from semivae.smoothness import Smoothness

RESULTS = Path(__file__).parent / "results"
RUNS, SUMMARY = RESULTS / "pairs.jsonl", RESULTS / "parity.json"
TRAINED = RESULTS / "parity"
# What `auto` had when these were trained.
PEAK, SMOOTHNESS = 1e-3, Smoothness()
OBJECTIVE = OptimizedELBO(alpha=10.0, beta=10.0, gamma=10.0)
LABELS, ROWS, TEST_ROWS, EPOCHS = 1_000, 11_200, 10_000, 6
RULES = {"exact": Enumerated(), "pruned": Pruned()}
SUPERVISED = "supervised only"


def two_digits(digits: Arrays, seed: int) -> Arrays:
    """Images of two digits side by side, (1, 28, 56), and their classes "00" to "99"; training
    pairs from training digits, as many of each class, test pairs from test digits."""
    rng = np.random.default_rng(seed)

    def pairs(x: np.ndarray, y: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
        classes = rng.permutation(np.arange(n) % 100)
        rows_of = [np.flatnonzero(y == digit) for digit in range(10)]
        sides = [
            np.array([rng.choice(rows_of[digit]) for digit in each])
            for each in (classes // 10, classes % 10)
        ]
        return np.concatenate([x[rows] for rows in sides], axis=3), classes

    x, y = pairs(digits.x, digits.y, ROWS)
    x_test, y_test = pairs(*digits.test, TEST_ROWS)
    names = tuple(f"{k:02}" for k in range(100))
    return Arrays(x, y, x_test, y_test, names, digits.pixel_max, "pairs")


def run(arrays: Arrays, name: str, seed: int) -> dict[str, Any]:
    """One training, and its test accuracy in percent."""
    labeled = balanced_split(arrays.y, LABELS, seed).labeled
    rows = TrainingSet(arrays.x, as_unlabeled(arrays.y, labeled), arrays.classes, arrays.scaling)
    auto = named_recipe("auto").build(rows.facts)
    training = replace(auto.training, epochs=EPOCHS, optimizer=Adam(PEAK))
    recipe: Recipe = replace(
        auto,
        network=KingmaMLP(),
        objective=OBJECTIVE,
        training=training,
        smoothness=SMOOTHNESS,
    )
    if name == SUPERVISED:
        trained = train_supervised(rows, recipe, seed, Hooks())
    else:
        trained = train(rows, replace(recipe, labels=RULES[name]), seed, Hooks())
    report = test_report(trained.predictor, arrays)
    assert report is not None
    return {
        "sum": name,
        "seed": seed,
        "accuracy": 100 * report.accuracy,
        "train_seconds": round(trained.train_seconds, 1),
        "epochs": EPOCHS,
        "commit": commit(),
        "machine": machine(),
    }


def paired(exact: Sequence[float], pruned: Sequence[float]) -> dict[str, float]:
    """Accuracies by seed; mean difference, its standard error, and the lower 95 % bound (t)."""
    found = gain(dict(enumerate(pruned)), dict(enumerate(exact)))
    assert found is not None and len(exact) == len(pruned)
    return {
        "seeds": found.seeds,
        "exact": round(statistics.mean(exact), 2),
        "pruned": round(statistics.mean(pruned), 2),
        "difference": round(found.mean, 3),
        "standard_error": round(found.error, 3),
        "lower_95": round(found.mean - found.half_width, 3),
    }


def on_mnist() -> dict[str, float]:
    """The paired differences of the runs with either sum, of the seeds that both have."""
    by_sum: dict[str, dict[int, float]] = {"enumerated": {}, "pruned": {}}
    for each in load_results(TRAINED):
        assert each.recipe["training"]["optimizer"]["peak"] == PEAK
        by_sum[each.recipe["labels"]["kind"]][each.asked.seed] = each.accuracy
    seeds = sorted(by_sum["enumerated"].keys() & by_sum["pruned"].keys())
    exact, pruned = ([found[seed] for seed in seeds] for found in by_sum.values())
    return paired(exact, pruned)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parity", description=__doc__)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--threads", type=int, help="of PyTorch (default: its own choice)")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(5)))
    options = parser.parse_args()
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    done = [json.loads(line) for line in RUNS.read_text().splitlines()] if RUNS.exists() else []
    digits = mnist(options.data_dir)
    for seed in options.seeds:
        arrays = two_digits(digits, seed)
        for name in (SUPERVISED, *RULES):
            if any((each["sum"], each["seed"]) == (name, seed) for each in done):
                continue
            done.append(run(arrays, name, seed))
            with RUNS.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(done[-1]) + "\n")
            print({key: done[-1][key] for key in ("sum", "seed", "accuracy")}, flush=True)
    by_sum = {
        name: [
            each["accuracy"]
            for each in sorted(done, key=lambda each: each["seed"])
            if each["sum"] == name
        ]
        for name in (SUPERVISED, *RULES)
    }
    pairs = paired(by_sum["exact"], by_sum["pruned"])
    pairs[SUPERVISED] = round(statistics.mean(by_sum[SUPERVISED]), 2)
    cases = {
        "MNIST, the paper's CNN, 10 classes": on_mnist(),
        "two digits, Kingma's MLP, 100 classes": pairs,
    }
    print(parity_table({"cases": cases}))
    write(SUMMARY, "python -m benchmarks.parity", {"cases": cases})


if __name__ == "__main__":
    main()
