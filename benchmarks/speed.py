"""Unlabeled rows per second: our training loop beside a textbook one, Pyro, and the floor.

`python -m benchmarks.speed` times every contestant in turn, again and again, so that whatever else
the machine does meets them all alike; a ratio is taken within each repetition before the median.
The images are synthetic, a pattern per class under noise: the time of a step does not depend on
what they show, but for the pruned sum, which is cheap where the classifier is sure. It is timed
after some training, where it is on these images; the pairs it decodes per row are in the result.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmarks import textbook
from benchmarks.contestants import (
    SEED,
    Bare,
    Case,
    Contestant,
    OurPrediction,
    Ours,
    Rows,
    TextbookPrediction,
    synthetic_rows,
)
from benchmarks.floor import Floor, bandwidth, floor
from benchmarks.residual import ResidualCNN, as_the_textbook_writes_it
from benchmarks.tables import (
    BARE,
    EXACT,
    EXACT_FLOAT32,
    GUMBEL,
    PREDICTION,
    PREDICTION_FLOAT32,
    PRUNED,
    PYRO,
    TEXTBOOK,
    TEXTBOOK_PREDICTION,
    speed_table,
)
from benchmarks.timing import measure_in_turn, ratios, seconds_per_step, write
from benchmarks.with_pyro import WithPyro
from semivae.labels import Enumerated, Pruned, Relaxed
from semivae.models.networks import KingmaMLP, PaperCNN
from semivae.nets import learned_values
from semivae.streams import UNLABELED
from semivae.training import step_input

RESULTS = Path(__file__).parent / "results" / "speed.json"
MNIST, CIFAR10 = (1, 28, 28), (3, 32, 32)
CASES = (
    Case("paper's CNN, MNIST", MNIST, 10, textbook.convolutional, PaperCNN()),
    Case("paper's CNN, CIFAR-10", CIFAR10, 10, textbook.convolutional, PaperCNN(), 20_000),
    Case("Kingma's MLP, MNIST", MNIST, 10, textbook.perceptron, KingmaMLP()),
    Case(
        "residual CNN of 10 layers, CIFAR-10",
        CIFAR10,
        10,
        as_the_textbook_writes_it,
        ResidualCNN(),
        rows=2_000,
    ),
    Case("paper's CNN, 100 classes", MNIST, 100, textbook.convolutional, PaperCNN(), 20_000),
    Case("Kingma's MLP, 100 classes", MNIST, 100, textbook.perceptron, KingmaMLP(), 20_000),
)


class Plan(NamedTuple):
    """How long to measure."""

    seconds: float  # of one timing, in whole steps
    repetitions: int
    sure_after: int  # steps of the pruned sum before it is timed


FULL = Plan(seconds=1.0, repetitions=3, sure_after=100)
QUICK = Plan(seconds=0.05, repetitions=2, sure_after=2)


def contestants(case: Case, rows: Rows, plan: Plan) -> dict[str, Contestant]:
    """The textbook loop in the faster of the two ways to write its sum, Pyro, and ours: the exact
    sum in the precision of the textbook and as shipped, its unbiased estimate, which `auto` takes
    for many rows, and Gumbel-Softmax, which is biased."""
    labeled, unlabeled = rows.as_floats()

    def network() -> textbook.M2:
        torch.manual_seed(SEED)
        return textbook.M2(case.textbook(case.image, case.classes), case.classes)

    ways = [
        textbook.Textbook(network(), way, labeled, unlabeled)
        for way in (textbook.one_pass_per_class, textbook.one_pass_of_repeated_rows)
    ]
    sure = Ours(case, rows, Pruned(), bfloat16=True)
    sure.run(plan.sure_after)
    return {
        TEXTBOOK: min(ways, key=seconds_per_step),
        PYRO: WithPyro(network(), labeled, unlabeled),
        EXACT_FLOAT32: Ours(case, rows, Enumerated(), bfloat16=False),
        EXACT: Ours(case, rows, Enumerated(), bfloat16=True),
        PRUNED: sure,
        BARE: Bare(sure),
        GUMBEL: Ours(case, rows, Relaxed(), bfloat16=True),
    }


def floors(entrants: Mapping[str, Contestant], rate: float) -> dict[str, Floor]:
    """The floors of our exact and pruned step, from one step of each."""
    threads = torch.get_num_threads()
    found = {}
    for name in (EXACT, PRUNED):
        ours = entrants[name]
        assert isinstance(ours, Ours)
        weights = learned_values(ours.model)
        found[name] = floor(lambda ours=ours: ours.run(1), weights, threads, rate)  # type: ignore[misc]
    return found


def pairs_per_row(entrant: Contestant) -> float:
    """How many (x, y) the pruned sum decodes per unlabeled row of a step."""
    assert isinstance(entrant, Ours)
    batch, noise = step_input(entrant.batches, (UNLABELED,), SEED, 0, torch.device("cpu"))
    with torch.no_grad():
        logits = entrant.model.q_y(entrant.model.trunk(batch[UNLABELED].x)).logits
    return len(Pruned()(logits, None, noise).row) / len(logits)


def case_result(case: Case, plan: Plan, rate: float) -> dict[str, Any]:
    """All that is measured of one case."""
    rows = synthetic_rows(case, case.rows)
    entrants = contestants(case, rows, plan)
    rates = measure_in_turn(entrants, plan.seconds, plan.repetitions)
    predictors: dict[str, Contestant] = {
        TEXTBOOK_PREDICTION: TextbookPrediction(case, rows),
        PREDICTION_FLOAT32: OurPrediction(case, rows, bfloat16=False),
        PREDICTION: OurPrediction(case, rows, bfloat16=True),
    }
    predicted = measure_in_turn(predictors, plan.seconds, plan.repetitions)
    bounds = floors(entrants, rate)
    ours = predictors[PREDICTION]
    bounds[PREDICTION] = floor(lambda: ours.run(1), 0, torch.get_num_threads(), rate)
    rows_of = {EXACT: textbook.BATCH, PRUNED: textbook.BATCH, PREDICTION: case.rows}
    medians = {name: statistics.median(own) for name, own in (rates | predicted).items()}
    return {
        "rows_per_second": {
            name: {"median": round(medians[name], 1), "all": [round(each, 1) for each in own]}
            for name, own in (rates | predicted).items()
        },
        "times_as_fast_as_textbook": rounded(
            ratios(rates, TEXTBOOK) | ratios(predicted, TEXTBOOK_PREDICTION)
        ),
        "share_of_the_floor": {
            name: round(bound.seconds / (rows_of[name] / medians[name]), 3)
            for name, bound in bounds.items()
        },
        "pairs_per_row_pruned": round(pairs_per_row(entrants[PRUNED]), 2),
        "overhead": round(1 / ratios(rates, BARE)[PRUNED] - 1, 3),
        "floor": {
            name: {
                "gigaflops": round(bound.flops / 1e9, 3),
                "arithmetic_ms": round(1e3 * bound.arithmetic, 2),
                "optimizer_ms": round(1e3 * bound.optimizer, 2),
            }
            for name, bound in bounds.items()
        },
    }


def rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in values.items()}


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("--threads", type=int, help="of PyTorch (default: its own choice)")
    parser.add_argument(
        "--quick", action="store_true", help="a short run, to see it work: prints, writes no file"
    )
    options = parser.parse_args(arguments)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    torch.manual_seed(SEED)
    plan = QUICK if options.quick else FULL
    rate = bandwidth()
    cases = {}
    for case in CASES:
        started = time.monotonic()
        cases[case.name] = case_result(case, plan, rate)
        print(f"{case.name}: {time.monotonic() - started:.0f} s", flush=True)
    result = {
        "plan": plan._asdict(),
        "batch": {"labeled": textbook.BATCH, "unlabeled": textbook.BATCH},
        "bandwidth_gigabytes_per_second": round(rate / 1e9, 1),
        "cases": cases,
    }
    print(speed_table(result))
    if options.quick:
        return
    write(RESULTS, " ".join(["python -m benchmarks.speed", *arguments]), result)


if __name__ == "__main__":
    main(sys.argv[1:])
