"""The table over label counts: the plan, the table of hand-made results, and its files."""

import dataclasses
import json
from dataclasses import replace
from pathlib import Path

import pytest

from semivae.paper import label_counts
from semivae.paper.label_counts import (
    COUNTS,
    M1_LOGISTIC,
    M1_SVM,
    M1M2,
    METHODS,
    SMOOTH,
    SPREADING,
    Cell,
    Ended,
    groups,
    planned,
    read,
)
from semivae.paper.label_counts_page import differences, overview, page, readings
from semivae.paper.results import RunResult
from semivae.paper.sides import M2, NOT_SMOOTH, OPTIMIZED, OUR_DEFAULTS, SUPERVISED, sides
from semivae.request import Request, prepare


def ended(cell: Cell, accuracy: float, minutes: float = 2.0) -> Ended:
    """A hand-made result of a cell; accuracy in percent."""
    result = RunResult(
        name=f"{cell.request.data}-{cell.request.labels}-{cell.method}-{cell.request.seed}",
        summary={
            "n_labeled": cell.request.labels,
            "train_seconds": 60 * minutes,
            "epochs": 0 if cell.method == SPREADING else 12,
            "recipe": label_counts._kind(cell),
            "supervised_only_accuracy": (accuracy - 10) / 100 if cell.request.baseline else None,
        },
        test={"accuracy": accuracy / 100},
        recipe={"baseline": {"epochs": 80}},
        request=dataclasses.asdict(cell.request),
        parameters=1,
        commit="abc",
        machine={"threads": 1},
    )
    return Ended(cell, result)


def of(plan: list[Cell], data: str, method: str) -> list[Cell]:
    return [cell for cell in plan if (cell.request.data, cell.method) == (data, method)]


# --- the plan ---


@pytest.mark.parametrize(
    ("asked", "seeds"), [(None, (5, 3)), (5, (5, 5)), (10, (10, 10)), (2, (2, 2))]
)
def test_every_method_at_every_count_with_the_seeds_asked_for(
    asked: int | None, seeds: tuple[int, int]
) -> None:
    """Unless a number is asked for, CIFAR-10 has fewer."""
    plan = planned(asked, quick=False)
    for data, number in zip(("mnist", "cifar10"), seeds, strict=True):
        for method in METHODS:
            found = [(c.request.labels, c.request.seed) for c in of(plan, data, method)]
            assert sorted(found) == [(n, seed) for n in COUNTS[data] for seed in range(number)]
    assert COUNTS == {"mnist": (100, 600, 1000, 3000), "cifar10": (1000, 4000)}
    assert len(plan) == len(set(plan)) == 8 * (4 * seeds[0] + 2 * seeds[1])
    assert [cell.request.seed for cell in plan] == sorted(cell.request.seed for cell in plan)


def test_m1_is_one_per_data_set_and_seed() -> None:
    plan = planned(seeds=2, quick=False)
    firsts = {cell.first for cell in plan if cell.first}
    assert len(firsts) == 2 * 2
    for cell in plan:
        assert (cell.first is not None) == (cell.method in (M1_LOGISTIC, M1_SVM, M1M2))
        if cell.first is not None:
            assert replace(cell.request, labels=cell.first.labels) == cell.first


def test_runs_that_share_an_m1_are_one_group() -> None:
    """Two processes would train it twice; a process per group cannot."""
    plan = planned(seeds=1, quick=False)
    found = groups(plan)
    assert [cell for group in found for cell in group] == plan
    assert sorted({len(group) for group in found}) == [1, 3 * 2, 3 * 4]
    assert all(len({cell.first for cell in group}) == 1 for group in found)


def test_at_1000_labels_the_runs_are_those_of_the_results_table() -> None:
    table = {(side.data, side.model): side.request for side in sides(quick=False)}
    for data in COUNTS:
        same = ((M2, M2 + NOT_SMOOTH), (OPTIMIZED, OPTIMIZED + NOT_SMOOTH),
                (SMOOTH, OPTIMIZED + OUR_DEFAULTS))  # fmt: skip
        for method, row in same:
            (cell,) = [c for c in of(planned(1, False), data, method) if c.request.labels == 1000]
            assert cell.request == table[data, row]


@pytest.mark.parametrize(("labels", "passes"), [(100, 3200), (600, 640), (1000, 400), (3000, 400)])
def test_the_network_alone_has_the_chosen_passes_or_steps(labels: int, passes: int) -> None:
    """400 passes over 1,000 labels were chosen: 3,200 steps of at most 128 rows; and noise."""
    (cell,) = [c for c in of(planned(1, False), "mnist", SUPERVISED) if c.request.labels == labels]
    assert cell.request.settings == (f"baseline.epochs={passes}", "baseline.corruption=0.3")


def test_quick_is_every_method_on_the_digits() -> None:
    plan = planned(seeds=None, quick=True)
    assert {cell.request.seed for cell in plan} == {0}
    assert {cell.request.seed for cell in planned(4, quick=True)} == {0, 1, 2, 3}
    assert {cell.request.data for cell in plan} == {"digits"}
    assert [cell.method for cell in plan if cell.request.labels == 50 and not cell.first] == [
        SPREADING, SUPERVISED, M2, OPTIMIZED, SMOOTH,
    ]  # fmt: skip
    assert {cell.method for cell in plan} == set(METHODS)
    few = {cell.method: prepare(cell.request).recipe for cell in plan if cell.request.labels == 50}
    assert few[OPTIMIZED].objective == few[SMOOTH].objective, "weights for many were given to few"


def test_what_is_published_are_the_runs_of_the_page(tmp_path: Path) -> None:
    """Runs of seeds that it does not have yet lie beside them."""
    (tmp_path / "runs").mkdir()
    for cell in planned(4, quick=False):
        _, result = ended(cell, 50.0)
        text = json.dumps(dataclasses.asdict(result))
        (tmp_path / "runs" / f"{result.name}.json").write_text(text)
    assert label_counts.published(tmp_path) == []
    found = [one for one in read(tmp_path / "runs") if one.cell.request.seed < 2]
    text = page(found, "semivae reproduce label-counts --seeds 2")
    (tmp_path / "label-counts.md").write_text(text, encoding="utf-8")
    assert [one.cell for one in label_counts.published(tmp_path)] == planned(2, quick=False)
    (tmp_path / "label-counts.md").write_text(page(found, "semivae reproduce label-counts"))
    seeds = {one.cell.request.seed for one in label_counts.published(tmp_path)}
    assert seeds == {0, 1, 2, 3}, "as many as the piece has, of those that are there"


# --- the table ---


def some() -> list[Ended]:
    plan = planned(seeds=3, quick=False)
    cells = of(plan, "mnist", OPTIMIZED) + of(plan, "mnist", M1_SVM) + of(plan, "cifar10", M2)
    return [ended(cell, 90.0 + cell.request.seed) for cell in cells]


def test_a_row_has_mean_error_seeds_labels_epochs_and_minutes() -> None:
    lines = page(some(), "semivae reproduce it").splitlines()
    rows = [line for line in lines if line.startswith(("| MNIST |", "| CIFAR-10 |"))]
    assert rows[0] == "| MNIST | 100 | M1 + SVM | 91.00 ± 0.58 | 3 | 0 | 12 | 2.0 |"
    assert rows[1] == f"| MNIST | 100 | {OPTIMIZED} | 91.00 ± 0.58 | 3 | 3,000 | 12 | 2.0 |"
    assert rows[-1] == "| CIFAR-10 | 4,000 | M2 (Eq 8) | 91.00 ± 0.58 | 3 | 6,000 | 12 | 2.0 |"
    assert len(rows) == 4 + 4 + 2
    assert "- command: semivae reproduce it" in lines and "- commits: abc" in lines


def test_the_overview_has_a_line_for_each_method_and_a_column_for_each_number_of_labels() -> None:
    lines = overview(some()).splitlines()
    assert lines[0] == (
        "|  | MNIST, 100 | MNIST, 600 | MNIST, 1,000 | MNIST, 3,000 | CIFAR-10, 1,000 "
        "| CIFAR-10, 4,000 |"
    )
    one, none = " 91.00 ± 0.58 |", " – |"
    assert lines[2:] == [
        f"| M1 + SVM |{4 * one}{2 * none}",
        f"| {M2} |{4 * none}{2 * one}",
        f"| {OPTIMIZED} |{4 * one}{2 * none}",
    ]


def test_differences_are_over_paired_seeds_and_bold_where_they_are_clear() -> None:
    """Our defaults are held against the network in the same views where there is one."""
    plan = planned(3, False)
    noise = {0: 0.0, 1: 0.3, 2: 0.6}
    runs = [
        ended(cell, reached + noise[cell.request.seed] * scale)
        for data, method, reached, scale in (
            ("mnist", M2, 80.0, 1.0), ("mnist", OPTIMIZED, 85.0, 2.0),
            ("mnist", SUPERVISED, 85.0, 1.0), ("mnist", SMOOTH, 84.9, 1.0),
            ("cifar10", SUPERVISED, 30.0, 1.0), ("cifar10", SMOOTH, 60.0, 1.0),
        )
        for cell in of(plan, data, method)
    ]  # fmt: skip
    lines = differences(runs).splitlines()
    assert lines[0] == overview(runs).splitlines()[0]
    clear, unclear = " **+5.30 ± 0.17** |", " +0.30 ± 0.17 |"
    assert lines[2:] == [
        f"| {OPTIMIZED} over {M2} |{4 * clear} – | – |",
        f"| {OPTIMIZED} over {SUPERVISED} |{4 * unclear} – | – |",
        f"| {SMOOTH} over {SUPERVISED} or, where there are views, {SUPERVISED}, in views |"
        f"{4 * ' **-0.10 ± 0.00** |'}{2 * ' **+10.00 ± 0.00** |'}",
    ]


def test_what_has_no_epochs_says_so() -> None:
    (cell,) = [c for c in of(planned(1, False), "mnist", SPREADING) if c.request.labels == 600]
    assert "| 600 | label spreading on PCA | 88.00 | 1 | 0 | – | 0.1 |" in page(
        [ended(cell, 88.0, minutes=0.1)], ""
    )


def test_the_epochs_of_m1_are_told_before_those_of_the_m2_above() -> None:
    (cell,) = [c for c in of(planned(1, False), "mnist", M1M2) if c.request.labels == 600]
    one = ended(cell, 88.0)
    result = replace(one.result, recipe={"pretraining": {"epochs": 30}})
    assert "| M1+M2 | 88.00 | 1 | 0 | 30 + 12 |" in page([one._replace(result=result)], "")


def test_the_network_on_labels_alone_in_the_same_views_has_a_row_of_its_own() -> None:
    """It is trained beside the smooth runs of colour images; its minutes are not known."""
    cells = of(planned(3, False), "cifar10", SMOOTH) + of(planned(3, False), "mnist", SMOOTH)
    runs = [ended(cell, 60.0 + cell.request.seed) for cell in cells]
    shown = page(runs, "").splitlines()
    lines = [line for line in shown if line.startswith(("| MNIST |", "| CIFAR-10 |"))]
    where = "| CIFAR-10 | 4,000 |"
    at = lines.index(f"{where} supervised only, in views | 51.00 ± 0.58 | 3 | 6,000 | 80 | – |")
    assert lines[at + 1] == f"{where} {SMOOTH} | 61.00 ± 0.58 | 3 | 21,000 | 12 | 2.0 |"
    assert sum("in views" in line for line in lines) == len(COUNTS["cifar10"])
    found = [one for one in readings(runs) if one.line == "supervised only, in views"]
    assert [one.measure for one in found] == ["test accuracy, %"] * 3 * 2


def test_readings_are_accuracy_and_minutes_by_number_of_labels() -> None:
    found = readings(some())
    assert len(found) == 2 * len(some())
    assert (found[0].panel, found[0].line, found[0].x) == ("MNIST", OPTIMIZED, 100.0)
    assert (found[0].measure, found[0].value) == ("test accuracy, %", 90.0)
    assert (found[1].measure, found[1].value) == ("minutes of training", 2.0)


@pytest.mark.parametrize("asked", [2, None, 7])
def test_results_are_read_from_their_files_whatever_they_share(
    tmp_path: Path, asked: int | None
) -> None:
    """M1 with either classifier and M1+M2 are of one request; a foreign file is left out. All
    seeds are read, however many were asked for."""
    plan = planned(asked, quick=False)
    wanted = [ended(cell, 50.0 + i / 10) for i, cell in enumerate(plan)][::3]
    foreign = ended(Cell(OPTIMIZED, Request("mnist", labels=77)), 1.0)
    for _, result in (*wanted, foreign):
        (tmp_path / f"{result.name}-{result.request['data']}.json").write_text(
            json.dumps(dataclasses.asdict(result))
        )
    found = {cell: result.name for cell, result in read(tmp_path)}
    assert found == {cell: result.name for cell, result in wanted}
