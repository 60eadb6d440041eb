"""paper/asking.py: seeds, names and commands; and that every piece has the seeds asked for."""

from collections.abc import Callable, Sequence

import pytest

from semivae.paper import (
    ablation,
    asking,
    classifier_entropy,
    disentanglement,
    domains,
    generation,
    gradient_estimators,
    label_counts,
    learning_from_labels,
    sides,
)


@pytest.mark.parametrize(
    ("asked", "quick", "usual", "number"),
    [
        (None, False, 3, 3),
        (None, False, 5, 5),
        (None, True, 5, 1),
        (7, False, 3, 7),
        (2, True, 5, 2),
    ],
)
def test_a_number_that_is_asked_for_goes_before_that_of_a_row(
    asked: int | None, quick: bool, usual: int, number: int
) -> None:
    assert asking.seeds_of(asked, quick, usual) == range(number)


def test_the_command_names_the_seeds_where_they_were_asked_for() -> None:
    assert asking.command("all", None, quick=False) == "semivae reproduce all"
    assert (
        asking.command("domains", 4, quick=True) == "semivae reproduce domains --seeds 4 --quick"
    )


def test_a_quick_look_has_files_of_its_own() -> None:
    assert asking.named("domains", quick=True) == "domains-quick"
    assert asking.named("domains", quick=False) == "domains"


def rows(plan: Sequence[object]) -> dict[object, set[int]]:
    """The seeds of each row of a plan of runs, sides, cells or studies."""
    found: dict[object, set[int]] = {}
    for one in plan:
        if isinstance(one, gradient_estimators.Study):
            found.setdefault("study", set()).add(one.seed)
            continue
        request = one.request  # type: ignore[attr-defined]
        names = ("panel", "line", "data", "model", "method")
        row = (*(getattr(one, name, "") for name in names), request.labels)
        found.setdefault(row, set()).add(request.seed)
    return found


PLANS: dict[str, Callable[[int | None, bool], Sequence[object]]] = {
    "results-table": sides.planned,
    "label-counts": label_counts.planned,
    "gradient-estimators": gradient_estimators.studies,
    "generation": generation.plan,
    **{
        piece.EXPERIMENT.name: piece.EXPERIMENT.plan
        for piece in (
            ablation, classifier_entropy, disentanglement, domains, learning_from_labels,
        )
    },
}  # fmt: skip


@pytest.mark.parametrize("name", PLANS)
def test_every_row_of_a_piece_has_the_seeds_asked_for(name: str) -> None:
    """Of tables a seed is five draws of the labels; in a quick look one."""
    each = domains.SPLITS_PER_SEED if name == "domains" else 1
    for asked in (1, 7):
        assert {*map(len, rows(PLANS[name](asked, False)).values())} == {asked * each}
        assert {*map(len, rows(PLANS[name](asked, True)).values())} == {asked}


@pytest.mark.parametrize("name", PLANS)
def test_without_a_number_a_row_has_its_own_and_a_quick_look_one(name: str) -> None:
    own = {
        "results-table": {3, 10}, "label-counts": {5, 3}, "classifier-entropy": {2, 3},
        "domains": {15},
    }  # fmt: skip
    assert {*map(len, rows(PLANS[name](None, False)).values())} == own.get(name, {3})
    assert {*map(len, rows(PLANS[name](None, True)).values())} == {1}
