"""What the experiments share: readings, means, tables, and the entropy that a divergence tells."""

import csv
import dataclasses
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from semivae.fitting import Hooks
from semivae.paper import experiments
from semivae.paper.experiments import (
    Ended,
    Experiment,
    Run,
    protocol,
    quick_look,
    select,
    to_csv,
)
from semivae.paper.results import RunResult
from semivae.paper.runs import execute
from semivae.plots.panels import Reading
from semivae.request import Request, prepare

pytestmark = pytest.mark.usefixtures("unchecked")

SMALL = Request(
    "digits",
    labels=20,
    rows=200,
    settings=("network=mlp", "network.hidden=16", "training.unlabeled_rows=90"),
    epochs=2,
    baseline=False,
)


def result(request: Request = SMALL, **changed: Any) -> RunResult:
    """A hand-made result."""
    made = RunResult(
        name="x",
        summary={"n_labeled": 20, "n_unlabeled": 180, "epochs": 2, "train_seconds": 60.0},
        test={"accuracy": 0.5, "recall": [0.5] * 10},
        recipe={},
        request=dataclasses.asdict(request),
        parameters=2_500_000,
        commit="abc",
        machine={"threads": 1},
        history=[{"epoch": 1, "loss": 3.0}, {"epoch": 2, "loss": 2.0}],
    )
    return dataclasses.replace(made, **changed)


# --- means ---


def some_readings() -> list[Reading]:
    values = {(0, 1): 3.0, (0, 2): 4.0, (1, 2): 6.0, (1, 1): 5.0}
    return [Reading("p", "M2", float(x), "nats", seed, v) for (seed, x), v in values.items()] + [
        Reading("p", "other", 1.0, "nats", 0, 9.0),
        Reading("p", "M2", 1.0, "percent", 0, 9.0),
        Reading("q", "M2", 1.0, "nats", 0, 9.0),
    ]


def test_a_line_is_selected_by_x_over_seeds_and_nothing_else() -> None:
    found = select(some_readings(), panel="p", line="M2", measure="nats")
    assert found == {1: [3.0, 5.0], 2: [4.0, 6.0]}
    assert list(found) == [1, 2]
    assert experiments.places(some_readings()) == [("p", "M2"), ("p", "other"), ("q", "M2")]


def test_the_data_have_a_line_per_reading() -> None:
    lines = list(csv.DictReader(io.StringIO(to_csv(some_readings()))))
    assert len(lines) == 7
    expected = {"panel": "p", "line": "M2", "x": "1.0", "measure": "nats", "seed": "0"}
    assert lines[0] == {**expected, "value": "3.0"}


# --- an experiment ---


def losses(run: Run, trained: RunResult) -> Iterator[Reading]:
    """Twice the loss of each epoch."""
    yield from experiments.per_epoch(run, trained, {"loss": lambda record: 2 * record["loss"]})
    yield experiments.accuracy_at_end(run, trained)


def plan(seeds: int, quick: bool) -> list[Run]:
    """A request in two places, and another."""
    return [
        Run(panel, line, dataclasses.replace(SMALL, seed=seed, objective=objective))
        for seed in range(seeds)
        for panel, line, objective in (
            ("a", "M2", "equation_8"),
            ("b", "M2", "equation_8"),
            ("b", "ours", None),
        )
    ]


def findings(readings: Sequence[Reading]) -> str:
    return f"{len(readings)} numbers."


EXPERIMENT = Experiment("small", "A small one", "nothing.", plan, losses, findings, lambda _: {})


def test_readings_are_taken_off_every_run_in_its_place() -> None:
    ended = [Ended(run, result(run.request)) for run in plan(2, False)]
    readings = EXPERIMENT.readings(ended)
    assert len(readings) == 6 * 3
    assert readings[0] == Reading("a", "M2", 1, "loss", 0, 6.0)
    assert readings[1] == Reading("a", "M2", 2, "loss", 0, 4.0)
    assert readings[2] == Reading("a", "M2", 2, experiments.TEST_ACCURACY, 0, 50.0)
    assert readings[-1].seed == 1


def test_a_page_has_the_claim_the_findings_and_the_protocol() -> None:
    ended = [Ended(run, result(run.request)) for run in plan(2, False)]
    page = EXPERIMENT.page(ended, "semivae reproduce x --seeds 1 --quick")
    assert page.startswith("# A small one\n\nThe paper: nothing.\n\n18 numbers.\n- data: ")
    assert "- command: semivae reproduce x --seeds 1 --quick\n" in page


def test_the_protocol_says_what_a_published_row_must() -> None:
    runs = [
        result(),
        result(dataclasses.replace(SMALL, seed=1, validation=1500), commit="def"),
        result(),
    ]
    facts = protocol(runs, "the command")
    assert facts["data"] == "20 labeled and 180 unlabeled rows of digits"
    assert facts["labels used to choose"].startswith("3,000 of MNIST")
    assert facts["seeds"].startswith("0, 1, of split")
    assert facts["network"].endswith("2.50 M parameters")
    assert facts["minutes per run"].startswith("1.0 on average over 2 runs, 1.0 to 1.0, thread")
    assert facts["validation rows"].startswith("1,500 training rows")
    assert [facts[name] for name in ("epochs", "command", "commits")] == [
        "2", "the command", "abc, def",
    ]  # fmt: skip
    assert "validation rows" not in protocol([result()], "")


def test_the_result_files_are_read_without_training(tmp_path: Path) -> None:
    """A request in two places is one file; what is not there yet is left out."""
    requests = list(dict.fromkeys(run.request for run in plan(2, False)))
    assert len(requests) == 4
    trained = [execute(request, tmp_path, None, Hooks()) for request in requests[:3]]
    ended = experiments.read(EXPERIMENT, tmp_path, quick=False)
    assert [run.title for run, _ in ended] == [
        "a, M2, seed 0", "b, M2, seed 0", "b, ours, seed 0", "a, M2, seed 1", "b, M2, seed 1",
    ]  # fmt: skip
    assert [found.name for _, found in ended] == [trained[i].name for i in (0, 0, 1, 2, 2)]
    assert experiments.read(EXPERIMENT, tmp_path / "none", quick=False) == []


def test_a_quick_look_is_on_digits() -> None:
    asked = Request("mnist", labels=1000, rows=16_000, validation=5000, seed=3, epochs=50)
    quick = quick_look(asked, epochs=4)
    facts = prepare(quick).training_set.facts
    assert (quick.data, quick.epochs, quick.seed, quick.validation) == ("digits", 4, 3, 200)
    assert (facts.n_labeled, facts.n_unlabeled) == (50, 1297)
