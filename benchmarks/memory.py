"""Trains and predicts on a memory-mapped X of 10 GB and watches the memory of the process.

`python -m benchmarks.memory` writes the file (random, with a column pattern per class), trains one
epoch and predicts every row. What counts is anonymous memory, which no file backs: pages of the
file itself the system drops when it likes.
"""

import argparse
import json
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks import timing
from benchmarks.timing import status
from semivae import SemiVAEClassifier

RESULTS = Path(__file__).parent / "results" / "memory.json"
COLUMNS, CLASSES, LABELED = 784, 10, 1_000
BLOCK = 20_000
ANONYMOUS = "RssAnon"


def write(path: Path, gigabytes: float) -> int:
    """A float32 table of that size on disk; the number of rows."""
    rows = int(gigabytes * 1e9) // (4 * COLUMNS)
    generator = np.random.default_rng(0)
    patterns = generator.normal(size=(CLASSES, COLUMNS)).astype(np.float32)
    noise = generator.normal(size=(BLOCK, COLUMNS)).astype(np.float32)
    x = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(rows, COLUMNS))
    for start in range(0, rows, BLOCK):
        n = min(BLOCK, rows - start)
        x[start : start + n] = patterns[np.arange(start, start + n) % CLASSES] + noise[:n]
    x.flush()
    return rows


@contextmanager
def watched() -> Iterator[list[int]]:
    """A list that holds the peak of anonymous memory at the end."""
    peak, done = [status(ANONYMOUS)], threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            peak[0] = max(peak[0], status(ANONYMOUS))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=10.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.npy"
        rows = write(path, options.gigabytes)
        x = np.load(path, mmap_mode="r")
        y = np.where(np.arange(rows) < LABELED, np.arange(rows) % CLASSES, -1)
        before = status(ANONYMOUS)
        model = SemiVAEClassifier(epochs=1, random_state=0)
        started = time.monotonic()
        with watched() as training:
            model.fit(x, y)
        seconds = time.monotonic() - started
        started = time.monotonic()
        with watched() as predicting:
            guessed = model.predict(x)
        result = {
            "rows": rows,
            "gigabytes": round(path.stat().st_size / 1e9, 2),
            "accuracy": round(float((guessed == np.arange(rows) % CLASSES).mean()), 4),
            "anonymous_megabytes": {
                "before": round(before / 1e6),
                "training": round(training[0] / 1e6),
                "predicting": round(predicting[0] / 1e6),
            },
            "seconds": {
                "training": round(seconds),
                "predicting": round(time.monotonic() - started),
            },
        }
    print(json.dumps(result, indent=2))
    if options.gigabytes >= 10:
        timing.write(RESULTS, "python -m benchmarks.memory", result)


if __name__ == "__main__":
    main()
