"""The family at its published task: MNIST, perceptrons, no augmentation, few labels.

    python -m benchmarks.family choose [ROW ...] [--data-dir DIR]
    python -m benchmarks.family run [ROW ...] [--seeds N] [--data-dir DIR]
    python -m benchmarks.family table

`choose` takes the trials of a row that are not in benchmarks/results/choice/family.jsonl yet: each
trains on the labels of split 100 and is scored on 2,000 further training labels; the test set is
not read. `run` trains seeds 0, 1, 2 with the settings of the best trial, and beside each the same
network on the labeled rows alone, one file per run under benchmarks/results/family; the labels of
2,000 other training rows measure the learning curve and choose nothing, and the test set is read
once, at the end. What is there is not trained again, and a run that was interrupted goes on.
`table` makes family.md, family.csv and family.png of them.

The sum over y is exact, or its unbiased estimate (`labels=pruned`).
"""

import argparse
import json
from functools import partial
from pathlib import Path

import torch

from benchmarks.choice_plans import Run, Settings
from benchmarks.choose import scored
from benchmarks.family_rows import ROWS, SEEDS, VALIDATION, Row
from benchmarks.family_table import Told, write
from benchmarks.family_trials import BY_GRID, tried
from semivae import rundir
from semivae.fitting import Hooks, train
from semivae.paper.results import load_results
from semivae.paper.rivals import first_stage, supervised_only
from semivae.paper.runs import execute
from semivae.paper.sides import SUPERVISED
from semivae.request import Request

RESULTS = Path(__file__).parent / "results" / "family"
LOG = RESULTS.parent / "choice" / BY_GRID
STACKED = ("m1m2", "m1m2-refined")  # recipes whose first stage is an M1
OF_M1 = ("network", "likelihood", "pretraining")  # the settings that such a stage knows


def shared_first_stage(request: Request, folder: Path, data_dir: Path | None) -> Path:
    """A run of M1+M2 that has ended its first stage: one serves every row of a seed whose M1 is
    trained alike, since it reads no label."""
    of_m1 = tuple(setting for setting in request.settings if setting.startswith(OF_M1))
    first = Request("mnist", labels=100, recipe="m1m2", settings=of_m1, seed=request.seed)
    return first_stage(first, folder, data_dir, Hooks())


def trials(row: Row) -> dict[Settings, float]:
    """The validation accuracy, in percent, of each candidate of the row that is in the log."""
    asked = {settings: row.trial(settings) for settings in row.grid}
    done: dict[Settings, float] = {}
    for line in LOG.read_text().splitlines() if LOG.exists() else []:
        record = json.loads(line)
        request = Request.from_json(record["request"])
        done |= {
            settings: record["validation_accuracy"]
            for settings, wanted in asked.items()
            if request == wanted
        }
    return done


def chosen(row: Row) -> Settings:
    """The settings of the best trial; none for a row that is as published."""
    if not row.grid:
        return ()
    done = trials(row)
    missing = [settings for settings in row.grid if settings not in done]
    if missing:
        raise SystemExit(f"{len(missing)} trials are missing: benchmarks.family choose {row.name}")
    return max(row.grid, key=lambda settings: done[settings])


def choose(row: Row, data_dir: Path | None) -> None:
    """Takes the trials of the row that are not in the log yet."""
    done = trials(row)
    for settings in row.grid:
        if settings in done:
            continue
        request = row.trial(settings)
        record = scored(request, trainer(request, data_dir), data_dir)
        with LOG.open("a") as file:
            file.write(json.dumps({"row": row.name, "settings": settings} | record) + "\n")
        print(row.name, *settings, record["validation_accuracy"], flush=True)


def trainer(request: Request, data_dir: Path | None) -> Run:
    """What trains a trial; M1+M2 goes on from the first stage that all of them share."""
    if request.recipe not in STACKED:
        return train
    first = shared_first_stage(request, LOG.parent, data_dir)
    model, snapshot = rundir.load_checkpoint(first, rundir.load_config(first))
    return partial(train, model=model, resume=snapshot)


def run(row: Row, seed: int, data_dir: Path | None) -> None:
    """One run, and one of its network on the labeled rows alone, unless their files are there."""
    settings = chosen(row)
    request = row.asked(seed, settings)
    first = None
    if request.recipe in STACKED:
        first = partial(shared_first_stage, request, RESULTS, data_dir)
    result = execute(request, RESULTS, data_dir, Hooks(), first_stage=first)
    minutes = result.summary["train_seconds"] / 60
    alone = supervised_only(SUPERVISED, row.alone(seed, settings), RESULTS, data_dir, Hooks())
    print(
        f"{row.name}, seed {seed}: {result.accuracy:.2f} % in {minutes:.0f} min, supervised only "
        f"{alone.accuracy:.2f} %",
        flush=True,
    )


def told(folder: Path) -> list[Told]:
    """The rows that have results in the folder, under the settings that are chosen now."""
    found = {(result.summary["recipe"], result.asked): result for result in load_results(folder)}
    rows = []
    for row in ROWS:
        if row.grid and len(trials(row)) < len(row.grid):
            continue
        settings = chosen(row)
        asked = [(row.request.recipe, row.asked(seed, settings)) for seed in range(SEEDS)]
        rival = [(SUPERVISED, row.alone(seed, settings)) for seed in range(SEEDS)]
        results, alone = (
            tuple(found[key] for key in keys if key in found) for keys in (asked, rival)
        )
        used = VALIDATION + int(row.request.labels or 0) if row.grid else 0
        rows += [Told(row, results, used, alone)] if results else []
    return rows


def main() -> None:
    """Chooses, runs or tabulates."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("what", choices=["choose", "run", "table"])
    parser.add_argument("rows", nargs="*", metavar="ROW", help="by default, all of them")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    names = {row.name: row for row in ROWS}
    unknown = sorted(set(options.rows) - set(names))
    if unknown:
        parser.error(f"no row {', '.join(unknown)}: choose from {', '.join(names)}")
    wanted = [names[name] for name in options.rows] or list(ROWS)
    RESULTS.mkdir(parents=True, exist_ok=True)
    if options.what == "choose":
        for row in wanted:
            choose(row, options.data_dir)
    if options.what == "run":
        for seed in range(options.seeds):
            for row in wanted:
                run(row, seed, options.data_dir)
    write(told(RESULTS), tried(LOG.parent), RESULTS)


if __name__ == "__main__":
    main()
