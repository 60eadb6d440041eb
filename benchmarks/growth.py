"""How time and memory grow with rows, classes, latent size and processes.

`python -m benchmarks.growth` times Kingma's MLP on MNIST's shape, each point in a process of its
own, and fits an exponent to each curve: time ~ size^exponent. A step is timed as the difference
of a longer and a shorter run, which leaves out setting up; the pruned sum after some training,
when the classifier is sure.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import textbook
from benchmarks.contestants import Case, Ours, synthetic_rows
from benchmarks.tables import growth_table, processes_table
from benchmarks.timing import status, write
from semivae.label_draws import LabelRule
from semivae.labels import Enumerated, Pruned, Relaxed
from semivae.models.networks import KingmaMLP
from semivae.processes import is_main

RESULTS = Path(__file__).parent / "results" / "growth.json"
RULES: dict[str, LabelRule] = {
    "exact": Enumerated(),
    "pruned, once sure": Pruned(),
    "Gumbel-Softmax": Relaxed(),
}
SURE_AFTER = 600
WARM_UP, FEW, REPETITIONS = 5, 20, 2  # steps of a timing; few, since 1,000 classes take long
USUAL = {"rows": 10_000, "classes": 10, "latent": 50}
ROWS = (1_000, 10_000, 100_000, 1_000_000)
CLASSES = (10, 100, 1_000)
LATENT = (10, 50, 250, 1_000)


def point(rule: str, rows: int, classes: int, latent: int, epoch: bool) -> dict[str, float]:
    """Time of a step, or of a whole epoch and its steps, and the peak of this process's memory
    while it trains, beyond what it had with its data."""
    network = KingmaMLP(latent=latent)
    case = Case("", (1, 28, 28), classes, textbook.perceptron, network)
    ours = Ours(case, synthetic_rows(case, rows), RULES[rule], bfloat16=True)
    steps = ours.batches.steps_per_epoch
    if rule.startswith("pruned"):
        for _ in range(-(-SURE_AFTER // steps)):
            ours.run(min(steps, SURE_AFTER))
    ours.run(WARM_UP)
    started_with = forget_peak()
    if epoch:
        seconds = seconds_of(ours, steps)
        step = seconds / steps
    else:
        step = (seconds_of(ours, WARM_UP + FEW) - seconds_of(ours, WARM_UP)) / FEW
        seconds = step * steps
    beyond = status("VmHWM") - started_with
    return {"step_ms": 1e3 * step, "epoch_seconds": seconds, "megabytes": beyond / 1e6}


def seconds_of(ours: Ours, steps: int) -> float:
    """The least time of so many steps, set-up included; every process of a run takes as many."""
    times = []
    for _ in range(REPETITIONS):
        start = time.perf_counter()
        ours.run(steps)
        times.append(time.perf_counter() - start)
    return min(times)


def forget_peak() -> int:
    """Starts the record of this process's peak memory anew; the memory it has now, in bytes."""
    Path("/proc/self/clear_refs").write_text("5")
    return status("VmRSS")


def in_processes(wanted: dict[str, Any], processes: int = 1, threads: int = 0) -> dict[str, float]:
    """The point, measured in one process of its own or in several that train as one, each with so
    many threads (0: PyTorch's own choice)."""
    launcher = ["torch.distributed.run", "--standalone", "--nproc_per_node", str(processes), "-m"]
    command = [sys.executable, "-m", *(launcher if processes > 1 else []), "benchmarks.growth"]
    environment = os.environ | ({"OMP_NUM_THREADS": str(threads)} if threads else {})
    out = subprocess.run(
        [*command, "--point", json.dumps(wanted)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    found: dict[str, float] = json.loads(out)
    print(wanted, processes, threads, {k: round(v, 2) for k, v in found.items()}, flush=True)
    return found


def exponent(sizes: list[int], values: list[float]) -> float:
    """The slope of the line through the points on logarithmic axes, by least squares."""
    x, y = ([math.log(each) for each in side] for side in (sizes, values))
    return statistics.linear_regression(x, y).slope


def curve(axis: str, sizes: tuple[int, ...], rule: str, measure: str) -> dict[str, Any]:
    """One curve: a point per size, and the exponent of `measure`."""
    points = [
        in_processes(USUAL | {axis: size, "rule": rule, "epoch": measure == "epoch_seconds"})
        for size in sizes
    ]
    power = exponent(list(sizes), [each[measure] for each in points])
    return {"sizes": sizes, "points": points, "measure": measure, "exponent": round(power, 3)}


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--point", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.point is not None:
        found = point(**options.point)
        if is_main():
            print(json.dumps(found))
        return
    curves = {
        "rows": {"Gumbel-Softmax": curve("rows", ROWS, "Gumbel-Softmax", "epoch_seconds")},
        "classes": {rule: curve("classes", CLASSES, rule, "step_ms") for rule in RULES},
        "latent": {"exact": curve("latent", LATENT, "exact", "step_ms")},
    }
    usual = USUAL | {"rule": "exact", "epoch": False}
    processes = {
        f"{count} x {threads} threads": in_processes(usual, count, threads)
        for count, threads in ((1, 1), (1, 2), (2, 1))
    }
    result = {
        "usual": USUAL,
        "curves": curves,
        "processes": processes,
    }
    print(growth_table(result))
    print(processes_table(result))
    write(RESULTS, "python -m benchmarks.growth", result)


if __name__ == "__main__":
    main(sys.argv[1:])
