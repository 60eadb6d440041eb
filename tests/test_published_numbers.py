"""Every number that README and the recipes publish is what the committed result files say."""

import json
import re
import statistics
from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks import family, family_table, family_trials, tables

from semivae.config import from_plain
from semivae.paper import (
    ablation,
    asking,
    claims,
    classifier_entropy,
    disentanglement,
    domains,
    generation,
    generation_page,
    gradient_estimators,
    gradient_page,
    label_counts,
    label_counts_page,
    label_counts_rows,
    learning_from_labels,
    results_table_page,
)
from semivae.paper.experiments import Experiment, to_csv
from semivae.paper.experiments import read as read_runs
from semivae.paper.results import load_results
from semivae.paper.results_table import Collected, bars, read
from semivae.paper.sides import planned
from semivae.recipe import DataFacts, Reached, Recipe
from semivae.recipes import RECIPES
from semivae.report import results_markdown
from semivae.settings import with_settings
from semivae.spread import spread

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "results-table"


@pytest.fixture(scope="module")
def published() -> Collected:
    return read(RESULTS)


def asked_seeds(page: str, name: str) -> int | None:
    """How many seeds the command on a page asks for; None: as many as the piece has."""
    (found,) = re.findall(rf"^- command: semivae reproduce {name}(?: --seeds (\d+))?$", page, re.M)
    return int(found) if found else None


def test_a_page_names_the_seeds_or_leaves_them_to_the_piece() -> None:
    assert asked_seeds("x\n- command: semivae reproduce domains --seeds 12\n", "domains") == 12
    assert asked_seeds("- command: semivae reproduce domains\n- y", "domains") is None


def test_the_readme_prints_the_table_of_the_result_files(published: Collected) -> None:
    text = (ROOT / "README.md").read_text()
    begin, end = text.index("<!-- results-table"), text.index("<!-- end of results-table -->")
    assert results_markdown(published.rows).strip() in text[begin:end]


def test_the_readme_prints_the_verdicts_of_the_result_files(published: Collected) -> None:
    text = (ROOT / "README.md").read_text()
    assert published.verdicts
    for data, words in published.verdicts.items():
        assert f"{data}: {words}" in text


def test_the_page_of_the_results_table_is_that_of_the_result_files(published: Collected) -> None:
    page = (RESULTS.parent / "results-table.md").read_text(encoding="utf-8")
    asked = asked_seeds(page, "results-table")
    here = {run.asked for run in published.results}
    assert here == {side.request for side in planned(asked, quick=False)}
    facts = results_table_page.protocol(
        published.results, asking.command("results-table", asked, quick=False)
    )
    table = results_markdown(published.rows)
    assert page == results_table_page.markdown(
        table, published.verdicts, facts, "results-table.png"
    )
    html = (RESULTS.parent / "results-table.html").read_text(encoding="utf-8")
    for name in ("command", "commits"):
        assert f'<th scope="row">{name}</th><td>{facts[name]}</td>' in html
    readme = (ROOT / "README.md").read_text()
    longer = {"test set", "supervised only", "commits"}  # it links to files; they name commits
    for name in facts.keys() - longer:
        assert f"\n- {name}: {facts[name]}\n" in readme


def test_the_bars_are_those_of_the_result_files(published: Collected) -> None:
    data = (RESULTS.parent / "results-table.csv").read_text(encoding="utf-8")
    assert to_csv(bars(published.rows)) == data


CASES = [(name, row) for name, recipe in RECIPES.items() for row in recipe.reached]


@pytest.mark.parametrize(("name", "row"), CASES, ids=[f"{n}-{row.data}" for n, row in CASES])
def test_what_a_recipe_reached_is_in_the_result_files(name: str, row: Reached) -> None:
    """Of the runs that have the recipe under its settings; the baseline beside them is another
    matter."""
    rows = {"mnist": 60_000, "cifar10": 50_000}[row.data] - row.labels
    facts = DataFacts(EVENTS[row.data], row.labels, rows, 10)
    recipe = with_settings(RECIPES[name].build(facts), row.settings, facts)
    runs = [
        run
        for run in load_results(ROOT / row.source)
        if run.summary["recipe"] == name
        and (run.request["data"], run.request["labels"]) == (row.data, row.labels)
        and replace(from_plain(Recipe, run.recipe), baseline=recipe.baseline) == recipe
    ]
    accuracies = [run.accuracy for run in runs]
    assert len(runs) == row.seeds
    assert round(statistics.mean(accuracies), 2) == row.accuracy
    assert round(statistics.stdev(accuracies) / len(runs) ** 0.5, 2) == row.standard_error
    minutes = statistics.mean(run.summary["train_seconds"] for run in runs) / 60
    assert round(minutes, 1) == row.minutes


EVENTS = {"mnist": (1, 28, 28), "cifar10": (3, 32, 32)}


def test_the_table_of_gradient_estimators_is_that_of_its_files() -> None:
    results = ROOT / "benchmarks" / "results" / "gradient-estimators"
    studies = gradient_estimators.read(results)
    page = (results / "estimators.md").read_text(encoding="utf-8")
    asked = asked_seeds(page, "gradient-estimators")
    assert [taken.study for taken in studies] == gradient_estimators.studies(asked, quick=False)
    command = asking.command("gradient-estimators", asked, quick=False)
    assert gradient_page.markdown(studies, command) == page
    rows = [row for taken in studies for row in taken.measured]
    assert to_csv(rows) == (results / "estimators.csv").read_text()


EXPERIMENTS = [
    experiment
    for experiment in (
        classifier_entropy.EXPERIMENT,
        learning_from_labels.EXPERIMENT,
        ablation.EXPERIMENT,
        disentanglement.EXPERIMENT,
        domains.EXPERIMENT,
    )
    if (RESULTS.parent / experiment.name / f"{experiment.name}.md").exists()
]


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda experiment: experiment.name)
def test_the_page_and_the_data_of_an_experiment_are_those_of_its_files(
    experiment: Experiment,
) -> None:
    folder = RESULTS.parent / experiment.name
    ended = read_runs(experiment, folder / "runs", quick=False)
    page = (folder / f"{experiment.name}.md").read_text(encoding="utf-8")
    asked = asked_seeds(page, experiment.name)
    assert [run for run, _ in ended] == experiment.plan(asked, False)
    assert experiment.page(ended, asking.command(experiment.name, asked, quick=False)) == page
    data = (folder / f"{experiment.name}.csv").read_text(encoding="utf-8")
    assert to_csv(experiment.readings(ended)) == data


def test_the_table_of_what_models_generate_is_that_of_its_files() -> None:
    """A page is written once every run has ended; files may be there before."""
    folder = RESULTS.parent / generation.NAME
    rows, _ = generation.read(folder / "runs", quick=False)
    page = folder / f"{generation.NAME}.md"
    assert rows or not page.exists()
    if page.exists():
        assert generation_page.table(rows) in page.read_text(encoding="utf-8")
        data = page.with_suffix(".csv").read_text(encoding="utf-8")
        assert generation_page.to_csv(rows) == data


def test_the_verdicts_on_the_claims_are_those_of_the_files() -> None:
    """Page and files, or neither."""
    measured = claims.Measured(RESULTS.parent, quick=False)
    page = measured.of(claims.NAME) / f"{claims.NAME}.md"
    if page.exists():
        text = page.read_text(encoding="utf-8")
        assert claims.page(claims.judged(measured), measured) == text
        for name, (_, drawn) in claims.figures(measured).items():
            data = page.with_name(f"{name}.csv").read_text(encoding="utf-8")
            assert to_csv(drawn) == data


def test_the_page_on_performance_prints_the_tables_of_the_result_files() -> None:
    page = tables.PAGE.read_text(encoding="utf-8")
    for name in tables.SECTIONS:
        assert page.count(f"<!-- {name} -->") == page.count(f"<!-- end of {name} -->") == 1
    assert tables.rendered(page) == page


def test_the_table_over_label_counts_is_that_of_its_files() -> None:
    """A page is written once every run of its seeds has ended; files of others may be there."""
    folder = ROOT / "benchmarks" / "results" / label_counts.NAME
    ended = label_counts.read(folder / "runs")
    page = folder / f"{label_counts.NAME}.md"
    assert ended or not page.exists()
    if page.exists():
        text = page.read_text(encoding="utf-8")
        asked = asked_seeds(text, label_counts.NAME)
        ended = label_counts.published(folder)
        assert [cell for cell, _ in ended] == label_counts.planned(asked, quick=False)
        command = asking.command(label_counts.NAME, asked, quick=False)
        assert label_counts_page.page(ended, command) == text
        readings = to_csv(label_counts_page.readings(ended))
        assert page.with_suffix(".csv").read_text(encoding="utf-8") == readings


def test_the_readme_prints_the_overview_over_label_counts_and_where_it_is_lost() -> None:
    folder = ROOT / "benchmarks" / "results" / label_counts.NAME
    ended = label_counts.published(folder)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = text[text.index("<!-- label-counts") : text.index("<!-- end of label-counts")]
    assert block.partition("-->\n")[2] == label_counts_page.overview(ended)
    seeds = {
        data: len({one.cell.request.seed for one in ended if one.cell.request.data == data})
        for data in label_counts.SEEDS
    }
    said = f"over {seeds['mnist']} seeds on MNIST and {seeds['cifar10']} on CIFAR-10"
    assert seeds == label_counts.SEEDS and said in text
    found = label_counts_rows.gains(ended, label_counts_rows.COMPARED[-1])
    few, many = found["cifar10", 1000], found["cifar10", 4000]
    said = (
        f"gains {few.text(2)} points with 1,000 labels ({few.verdict}) and {many.text(2)} with "
        f"4,000 ({many.verdict})."
    )
    assert said in " ".join(text.split())


def test_the_table_of_the_family_is_that_of_its_files() -> None:
    """Page and files, or neither."""
    told, page = family.told(family.RESULTS), family.RESULTS / f"{family_table.NAME}.md"
    assert page.exists() == bool(told)
    if told:
        assert family_table.markdown(
            told, family_trials.tried(family.LOG.parent)
        ) == page.read_text(encoding="utf-8")
        curves = to_csv(family_table.readings(told))
        assert page.with_suffix(".csv").read_text(encoding="utf-8") == curves


def test_the_readme_says_what_m2_reaches_with_100_labels_and_noise_does_to_labels_alone() -> None:
    text = " ".join((ROOT / "README.md").read_text().split())
    (row,) = [row for row in family.told(family.RESULTS) if row.row.name == "m2-100"]
    reached, alone = (
        spread([result.accuracy for result in results]) for results in (row.results, row.alone)
    )
    assert f"reaches {reached.text(2)} % of MNIST's test digits" in text
    assert f"on the labels alone {alone.text(2)};" in text
    log = (ROOT / "benchmarks/results/choice/mnist-supervised.jsonl").read_text().splitlines()
    trials = [json.loads(line) for line in log]
    under, without = (
        max(t["validation_accuracy"] for t in trials if _is_noisy(t["settings"]) == noisy)
        for noisy in (True, False)
    )
    assert f"{under:.2f} in place of {without:.2f} % of the validation labels" in text


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "m1m2-1000-smooth",
            "M1+M2 reaches {reached} % with 1,000 labels (3 seeds; labels alone {alone};",
        ),
        (
            "sdgm-100-smooth",
            "SDGM reaches {reached} % with 100 labels in 30 passes "
            "(3 seeds, {least:.2f} to {most:.2f}; labels alone {alone};",
        ),
    ],
)
def test_the_readme_says_what_the_family_reaches(name: str, words: str) -> None:
    text = " ".join((ROOT / "README.md").read_text().split())
    (row,) = [row for row in family.told(family.RESULTS) if row.row.name == name]
    accuracies = [result.accuracy for result in row.results]
    alone = spread([result.accuracy for result in row.alone]).text(2)
    reached = spread(accuracies).text(2)
    said = words.format(reached=reached, alone=alone, least=min(accuracies), most=max(accuracies))
    assert said in text


def _is_noisy(settings: list[str]) -> bool:
    return any(".corruption=" in each for each in settings)


def test_the_readme_prints_what_our_default_reaches_with_100_labels() -> None:
    ended = label_counts.read(RESULTS.parent / label_counts.NAME / "runs")
    cells = [
        (one.cell.request.data, one.cell.request.labels, one.cell.method, one.result.accuracy)
        for one in ended
    ]
    asked = ("mnist", 100, label_counts.SMOOTH)
    reached = [accuracy for *cell, accuracy in cells if tuple(cell) == asked]
    text = " ".join((ROOT / "README.md").read_text().split())
    assert f"{spread(reached).text(2)} % of MNIST's test digits over seeds 0 to 4" in text
    assert f"all between {min(reached):.2f} and {max(reached):.2f} %" in text
    assert len(reached) == 5


def test_every_run_that_a_table_might_take_is_in_its_plan() -> None:
    """A request that no plan asks for any more would be left out in silence."""
    folder = RESULTS.parent / label_counts.NAME / "runs"
    assert len(label_counts.read(folder)) == len(list(folder.glob("*.json")))
    assert len(read(RESULTS).results) == len(list(RESULTS.glob("*.json")))
