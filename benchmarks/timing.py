"""Timing side by side: contestants in turn, again and again, and ratios within each repetition;
the memory of this process, and what the numbers depend on."""

import json
import os
import platform
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from benchmarks.contestants import Contestant
from semivae.runs import commit
from semivae.training import bfloat16_is_fast

MOST_STEPS = 400  # a run of ours is at most an epoch, which is a little longer


def seconds_per_step(contestant: Contestant) -> float:
    """Of one step after the first, or of more if they are short."""
    contestant.run(1)
    steps, seconds = 1, 0.0
    while seconds < 0.1:
        start = time.perf_counter()
        contestant.run(steps)
        seconds = time.perf_counter() - start
        per_step = seconds / steps
        steps *= 4
    return per_step


def measure_in_turn(
    entrants: Mapping[str, Contestant], seconds: float, repetitions: int
) -> dict[str, list[float]]:
    """Rows per second of each contestant, one number per repetition of about so many seconds."""
    steps = {
        name: min(MOST_STEPS, max(1, round(seconds / seconds_per_step(entrant))))
        for name, entrant in entrants.items()
    }
    rates: dict[str, list[float]] = {name: [] for name in entrants}
    names = list(entrants)
    for repetition in range(repetitions):
        # Each goes first in turn: the first one may find the processor cooler than the last.
        first = repetition % len(names)
        for name in names[first:] + names[:first]:
            start = time.perf_counter()
            rows = entrants[name].run(steps[name])
            rates[name].append(rows / (time.perf_counter() - start))
    return rates


def ratios(rates: Mapping[str, list[float]], reference: str) -> dict[str, float]:
    """How many times as fast as `reference` each is: the median over repetitions."""
    return {
        name: statistics.median(a / b for a, b in zip(own, rates[reference], strict=True))
        for name, own in rates.items()
    }


def status(name: str) -> int:
    """A figure of /proc/self/status, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return 1024 * int(line.split()[1])
    raise RuntimeError(f"this system does not tell {name}")


def write(path: Path, command: str, result: Mapping[str, Any]) -> None:
    """A result file: the command, the commit and the machine, then what was measured."""
    head = {"command": command, "commit": commit(), "machine": machine()}
    path.write_text(json.dumps(head | dict(result), indent=2) + "\n", encoding="utf-8")
    print(f"written: benchmarks/results/{path.name}")


def machine() -> dict[str, object]:
    """What the numbers depend on, and nothing that tells whose machine it is."""
    return {
        "architecture": platform.machine(),
        "cpu_count": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "bfloat16_instructions": bfloat16_is_fast(torch.device("cpu")),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
