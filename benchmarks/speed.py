"""Unlabeled rows per second: our training loop beside a textbook one, on the same network.

`python -m benchmarks.speed` times every contestant in turn, again and again, so that whatever else
the machine does meets them all alike; a ratio is taken within each repetition before the median.
The images have MNIST's shape and show a pattern per class under noise: the time of a step does not
depend on what they show, but for the pruned sum, which is cheap where the classifier is sure; it
is timed after some training, as most of a run is.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from pathlib import Path
from typing import NamedTuple, Protocol

import torch
from torch.utils.data import TensorDataset

from benchmarks import textbook
from semivae.data.batches import SemiSupervisedBatches
from semivae.data.scaling import pixels
from semivae.labels import Enumerated, LabelRule, Pruned, Relaxed
from semivae.models.networks import PaperCNN
from semivae.models.specs import Bernoulli, Factorized, M2Spec
from semivae.objectives import equation_8
from semivae.optimizers import Adam
from semivae.runs import commit
from semivae.training import Training, fit

RESULTS = Path(__file__).parent / "results" / "speed.json"
CLASSES = 10
SEED = 0
SURE_AFTER = 100  # steps on the synthetic rows


class Contestant(Protocol):
    """A training loop that can be stopped and continued."""

    @property
    def name(self) -> str:
        """What the printed table and the result file call it."""

    def run(self, steps: int) -> int:
        """Train for so many steps; returns the number of unlabeled rows consumed."""


class Rows(NamedTuple):
    """What every contestant trains on, as a reader of image files returns it."""

    labeled_x: torch.Tensor  # (N_l, C, H, W), uint8
    labeled_y: torch.Tensor  # (N_l,), int64
    unlabeled_x: torch.Tensor  # (N_u, C, H, W), uint8


class Plan(NamedTuple):
    """How long to measure."""

    warm_up: int  # steps of each contestant before the first timing
    steps: int  # steps of one timing
    repetitions: int


FULL = Plan(warm_up=10, steps=40, repetitions=9)
QUICK = Plan(warm_up=2, steps=8, repetitions=3)


def synthetic_rows(n_labeled: int, n_unlabeled: int) -> Rows:
    """A pattern per class, half covered by noise, of MNIST's shape; classes are balanced."""
    generator = torch.Generator().manual_seed(SEED)

    def noise(n: int) -> torch.Tensor:
        return torch.randint(128, (n, 1, 28, 28), dtype=torch.uint8, generator=generator)

    patterns = noise(CLASSES)
    labeled_y, unlabeled_y = (torch.arange(n) % CLASSES for n in (n_labeled, n_unlabeled))
    return Rows(
        patterns[labeled_y] + noise(n_labeled),
        labeled_y,
        patterns[unlabeled_y] + noise(n_unlabeled),
    )


def textbook_contestants(rows: Rows) -> list[Contestant]:
    """Both ways to write the sum over the classes."""
    # As in a tutorial: the whole data set becomes float once, outside what is timed.
    labeled = TensorDataset(rows.labeled_x / 255.0, rows.labeled_y)
    unlabeled = TensorDataset(rows.unlabeled_x / 255.0)
    ways = {
        "textbook, a pass per class": textbook.one_pass_per_class,
        "textbook, repeated rows": textbook.one_pass_of_repeated_rows,
    }
    return [textbook.Textbook(name, way, labeled, unlabeled) for name, way in ways.items()]


class Ours:
    """The bound of semivae on the same network, through its own training loop."""

    def __init__(self, name: str, rows: Rows, labels: LabelRule, bfloat16: bool) -> None:
        self.name, self.labels = name, labels
        self.training = Training(epochs=1, optimizer=Adam(1e-3), bfloat16=bfloat16)
        unlabeled = torch.full((len(rows.unlabeled_x),), -1)
        self.batches = SemiSupervisedBatches(
            torch.cat([rows.labeled_x, rows.unlabeled_x]).numpy(),
            torch.cat([rows.labeled_y, unlabeled]).numpy(),
            CLASSES,
            pixels(255),
            self.training.labeled_rows,
            self.training.unlabeled_rows,
            SEED,
        )
        spec = M2Spec(PaperCNN(), Factorized(), Bernoulli())
        self.model = spec.build(rows.labeled_x.shape[1:], torch.zeros(CLASSES), SEED)

    def run(self, steps: int) -> int:
        """Starts the loop anew on the same weights, so that its set-up is in the time."""
        objective = equation_8(alpha=textbook.ALPHA, labels=self.labels)
        fit(self.model, objective, self.batches, self.training, SEED, stop_after=steps)
        return sum(len(self.batches.unlabeled_at(step)) for step in range(steps))


def our_contestants(rows: Rows) -> list[Contestant]:
    """The exact sum with the precision of the textbook loop and as shipped; then its unbiased
    estimate, which `auto` takes for many rows, and Gumbel-Softmax, which is biased."""
    sure = Ours("semivae, pruned, once sure", rows, Pruned(), bfloat16=True)
    sure.run(SURE_AFTER)
    return [
        Ours("semivae, exact, float32", rows, Enumerated(), bfloat16=False),
        Ours("semivae, exact", rows, Enumerated(), bfloat16=True),
        sure,
        Ours("semivae, Gumbel-Softmax", rows, Relaxed(), bfloat16=True),
    ]


def measure(contestants: list[Contestant], plan: Plan) -> dict[str, list[float]]:
    """Unlabeled rows per second of each contestant, one number per repetition."""
    for contestant in contestants:
        contestant.run(plan.warm_up)
    rates: dict[str, list[float]] = {contestant.name: [] for contestant in contestants}
    for repetition in range(plan.repetitions):
        # Each goes first in turn: the first one may find the processor cooler than the last.
        first = repetition % len(contestants)
        for contestant in contestants[first:] + contestants[:first]:
            start = time.perf_counter()
            rows = contestant.run(plan.steps)
            rates[contestant.name].append(rows / (time.perf_counter() - start))
    return rates


def ratios(rates: dict[str, list[float]], reference: str) -> dict[str, float]:
    """How many times as fast as `reference` each is: the median over repetitions."""
    return {
        name: statistics.median(a / b for a, b in zip(own, rates[reference], strict=True))
        for name, own in rates.items()
    }


def machine() -> dict[str, object]:
    """What the numbers depend on, and nothing that tells whose machine it is."""
    capabilities = torch.cpu.get_capabilities()
    bfloat16 = any(has for name, has in capabilities.items() if name.endswith("bf16"))
    return {
        "architecture": platform.machine(),
        "cpu_count": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "bfloat16_instructions": bfloat16,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


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
    rows = synthetic_rows(n_labeled=1_000, n_unlabeled=6_000 if options.quick else 59_000)
    textbooks, ours = textbook_contestants(rows), our_contestants(rows)
    rates = measure([*textbooks, *ours], plan)
    medians = {name: statistics.median(own) for name, own in rates.items()}
    # The user would keep the faster way, so that one counts.
    reference = max((contestant.name for contestant in textbooks), key=lambda name: medians[name])
    times_as_fast = ratios(rates, reference)

    for name, median in medians.items():
        low, high = min(rates[name]), max(rates[name])
        spread = f"{low:,.0f} to {high:,.0f}"
        print(f"{name:32} {median:8,.0f} rows/s ({spread}) {times_as_fast[name]:6.2f} x")
    print(f"median of {plan.repetitions} x {plan.steps} steps; 1.00 x is {reference!r}")
    if options.quick:
        return
    result = {
        "command": " ".join(["python -m benchmarks.speed", *arguments]),
        "commit": commit(),
        "machine": machine(),
        "plan": plan._asdict(),
        "batch": {"labeled": textbook.BATCH, "unlabeled": textbook.BATCH},
        "unlabeled_rows_per_second": {
            name: {"median": round(medians[name], 1), "all": [round(rate, 1) for rate in own]}
            for name, own in rates.items()
        },
        "reference": reference,
        "times_as_fast": {name: round(ratio, 3) for name, ratio in times_as_fast.items()},
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"written: benchmarks/results/{RESULTS.name}")


if __name__ == "__main__":
    main(sys.argv[1:])
