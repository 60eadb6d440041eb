"""The door: help in no time, exit codes, errors as one sentence; and `semivae reproduce`."""

import re
import resource
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock
from jaxtyping import config
from running import Cli

import semivae
from semivae import request, runs
from semivae.cli import main
from semivae.cli.conclusions import CHAPTERS
from semivae.cli.reproduce import PIECES
from semivae.paper import (
    ablation,
    classifier_entropy,
    disentanglement,
    domains,
    experiments,
    generation,
    generation_page,
    learning_from_labels,
)
from semivae.paper import gradient_estimators as estimators
from semivae.paper.experiments import Experiment, Run
from semivae.paper.generated import GenerationEffort
from semivae.paper.label_counts import M1_SVM, M1M2, SPREADING, Cell
from semivae.paper.sides import M2, OPTIMIZED, Side
from semivae.request import Request


def test_help_answers_at_once() -> None:
    """The promise is 0.5 s (0.2 s here).

    Processor time, since that of the clock says how busy the machine is; three times the promise,
    since a busy processor is also slower.
    """
    seconds = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-m", "semivae", "--help"]
        answer = subprocess.run(command, capture_output=True, text=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert "Usage: semivae" in answer.stdout
    assert statistics.median(seconds) < 1.5


@pytest.mark.parametrize("arguments", [["--help"], ["fit", "--help"], ["--version"], ["fit"]])
def test_what_takes_long_is_not_imported_for_help(arguments: list[str]) -> None:
    program = (
        "import sys\n"
        "from semivae.cli import main\n"
        f"try: main({arguments})\n"
        "except SystemExit: pass\n"
        "slow = {'torch', 'numpy', 'sklearn', 'matplotlib', 'PIL', 'pooch', 'jinja2'}\n"
        "print('imported', sorted(slow & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert answer.stdout.splitlines()[-1] == "imported []"


def test_the_package_is_lazy_and_complete() -> None:
    program = (
        "import sys, semivae\n"
        "print(semivae.__version__, 'torch' in sys.modules, dir(semivae) == semivae.__all__)\n"
        "print([name for name in semivae.__all__ if getattr(semivae, name) is None])"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert answer.stdout == f"{semivae.__version__} False True\n[]\n"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Classifier'"):
        getattr(semivae, "Classifier")  # noqa: B009


def test_the_version_is_that_of_the_package(cli: Cli) -> None:
    assert cli("--version").out == f"semivae {semivae.__version__}\n"


@pytest.mark.parametrize("arguments", [["train"], ["fit", "--lables", "5"], ["evaluate"]])
def test_wrong_use_ends_with_2(cli: Cli, arguments: list[str]) -> None:
    ended = cli(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert "Error: " in ended.err


def test_exit_codes_reach_the_shell(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "semivae", "fit", "tigers"]
    answer = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr.startswith("semivae: there is no data set and no file 'tigers'")
    assert answer.stderr.count("\n") == 1


def test_an_unforeseen_error_is_one_line_unless_asked(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(request, "prepare", fail)
    monkeypatch.delenv("SEMIVAE_DEBUG", raising=False)
    ended = cli("fit", "digits")
    assert ended.code == 1
    assert ended.err == "semivae: RuntimeError: boom (SEMIVAE_DEBUG=1 shows the traceback)\n"
    monkeypatch.setenv("SEMIVAE_DEBUG", "1")
    with pytest.raises(RuntimeError, match="boom"):
        main(["fit", "digits"])


def test_the_architecture_is_printed_and_written(cli: Cli) -> None:
    ended = cli("reproduce", "architecture", "--out", "here")
    assert ended.code == 0
    written = Path("here/architecture.md")
    assert ended.out == f"{written.read_text()}\nwritten: {written}\n"
    assert re.search("section 2.10", ended.out)
    tables = cli("reproduce", "architecture", "architecture", "--json").json["architecture"]
    assert tables["tables"][0]["title"].startswith("Encoder")


@pytest.mark.parametrize("names", [(), ("architecture", "figure-9")])
def test_reproduce_lists_what_there_is(cli: Cli, names: tuple[str, ...]) -> None:
    ended = cli("reproduce", *names)
    assert (ended.code, ended.out) == (2, "")
    pieces = (
        "architecture, results-table, label-counts, gradient-estimators, classifier-entropy, "
        "learning-from-labels, ablation, generation, disentanglement, domains, claims, report, "
        "or all"
    )
    assert f"choose from {pieces}" in ended.err
    assert not Path("runs").exists()


def test_reproduce_needs_a_folder_to_write_to(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = cli("reproduce", "architecture", "--out", "file")
    assert (ended.code, ended.out) == (2, "")
    assert "--out file cannot be written" in ended.err


def test_one_process_writes_and_prints_whatever_its_rank_says(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rank counts only where a launcher started several processes."""
    monkeypatch.setenv("RANK", "1")
    ended = cli("reproduce", "architecture", "--out", "here")
    assert ended.code == 0
    assert "512" in ended.out


def test_a_reproduction_is_not_started_by_a_launcher(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    ended = cli("reproduce", "architecture", "--out", "here")
    assert ended.code == 2
    assert "with --jobs N" in ended.err


def test_two_reproductions_do_not_share_a_folder(cli: Cli) -> None:
    Path("here").mkdir()
    with FileLock("here/.lock"):
        ended = cli("reproduce", "architecture", "--out", "here")
    assert (ended.code, ended.out) == (2, "")
    assert "--out here: another `semivae reproduce` is at work there" in ended.err
    assert not Path("here/architecture.md").exists()
    assert cli("reproduce", "architecture", "--out", "here").code == 0


def test_the_study_of_gradient_estimators_is_printed_and_written(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The quick one on digits, with fewer draws; the second time it is read from its files."""
    study = replace(estimators.studies(1, True)[0], epochs=1, rows=8, draws=2)
    monkeypatch.setattr(
        "semivae.paper.gradient_estimators.studies",
        lambda seeds, quick: [replace(study, seed=seed) for seed in range(seeds)],
    )
    command = ("reproduce", "gradient-estimators", "--quick", "--seeds", "2", "--out", "here")
    ended = cli(*command)
    assert ended.code == 0
    folder = Path("here/gradient-estimators-quick")
    table = (folder / "estimators.md").read_text()
    assert ended.out.startswith(table) and table.count("| score function |") == 2
    assert "- command: semivae reproduce gradient-estimators --seeds 2 --quick\n" in table
    assert (folder / "estimators.png").read_bytes().startswith(b"\x89PNG")
    lines = (folder / "estimators.csv").read_text().splitlines()
    assert len(lines) == 1 + 2 * 2 * 2 * len(estimators.ESTIMATORS)
    again = cli(*command, "--json").json["gradient-estimators"]
    assert [row["seed"] for row in again["studies"]] == [0, 1]
    assert len(again["measured"]) == len(lines) - 1
    assert {Path(path).name for path in again["written"]} == {
        "estimators.png", "estimators.csv", "estimators.md", "seed-0.json", "seed-1.json",
    }  # fmt: skip


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_results_table_is_printed_and_written(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    """A small plan in place of the real one, on digits under the names of the table's rows."""
    asked: list[tuple[int | None, bool]] = []

    def plan(seeds: int | None, quick: bool) -> list[Side]:
        asked.append((seeds, quick))
        settings = ("network=mlp", "network.hidden=8", "baseline.epochs=2")
        m2 = Request("digits", 20, rows=200, epochs=1, objective="equation_8", settings=settings)
        optimized = replace(m2, objective=None, baseline=False)
        return [Side("mnist", M2, m2), Side("mnist", OPTIMIZED, optimized)]

    monkeypatch.setattr("semivae.paper.sides.planned", plan)
    command = ("reproduce", "results-table", "--quick", "--out", "here", "--jobs", str(jobs))
    ended = cli(*command)
    assert ended.code == 0
    assert asked == [(None, True)]
    table = Path("here/results-table-quick.md").read_text()
    assert table.count("| MNIST |") == 3
    assert "one seed allows no verdict" in table
    assert ended.out.startswith(table)
    assert "\n- command: semivae reproduce results-table --quick\n- commits: " in table
    assert "Supervised" in Path("here/results-table-quick.html").read_text().title()
    assert Path("here/results-table-quick.png").read_bytes().startswith(b"\x89PNG")
    header, *lines = Path("here/results-table-quick.csv").read_text().splitlines()
    assert header == "data,model,labels,seed,accuracy,printed" and len(lines) == 3
    assert [line.rpartition(",")[2] for line in lines] == ["", "95.3", "97.8"]
    assert len(list(Path("here/results-table-quick").glob("*.json"))) == 2
    again = cli(*command, "--json").json["results-table"]
    assert [run["request"]["data"] for run in again["runs"]] == ["digits", "digits"]
    assert set(again["verdicts"]) == {"MNIST"}
    assert "test set" in again["protocol"]


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_models_generate_is_printed_and_written_and_not_trained_again(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    """The quick one on digits, smaller; the second time it is read from its files."""
    whole = generation.plan(1, True)
    settings = ("network=mlp", "network.hidden=8")
    small = [
        run._replace(request=replace(run.request, settings=settings, rows=200, epochs=1))
        for run in whole
    ]
    monkeypatch.setattr("semivae.paper.generation.plan", lambda seeds, quick: small)
    monkeypatch.setattr(
        "semivae.paper.generation.QUICK",
        GenerationEffort(4, 6, paths=1, samples=2, judge_epochs=1),
    )
    command = ("reproduce", "generation", "--quick", "--out", "here", "--jobs", str(jobs))
    ended = cli(*command)
    assert ended.code == 0
    folder = Path("here/generation-quick")
    page = (folder / "generation.md").read_text()
    assert ended.out.startswith(page) and "one seed allows no verdict" in page
    assert {path.name for path in folder.glob("*.png")} == {
        "generation.png", "samples.png", "analogies.png", "traversals.png",
    }  # fmt: skip
    assert len((folder / "generation.csv").read_text().splitlines()) == 3
    results = folder / "runs"
    weights = list(results.rglob("*.safetensors"))
    assert weights == [results / ".judge" / "model.safetensors"], "none of a run"
    rows, found = generation.read(results, quick=True)
    assert generation_page.to_csv(rows) == (folder / "generation.csv").read_text()
    assert [row.model for row in rows] == [M2, OPTIMIZED] and len(found) == 2

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("computed again")

    shutil.rmtree(results / ".judge")
    monkeypatch.setattr("semivae.runs.run", refuse)
    monkeypatch.setattr("semivae.paper.judge.train_supervised", refuse)
    again = cli("reproduce", "generation", "--quick", "--out", "here", "--json")
    assert [row["model"] for row in again.json["generation"]["rows"]] == [M2, OPTIMIZED]
    assert (folder / "generation.md").read_text() == page


def test_the_report_has_a_chapter_for_every_piece() -> None:
    """The verdicts first, then what they rest on in the order of `all`."""
    pieces = [name for name in PIECES if name not in ("claims", "report")]
    assert list(CHAPTERS) == ["claims", *pieces]


def test_verdicts_and_one_page_of_what_is_there(cli: Cli) -> None:
    """Without measurements: the architecture, and what mathematics says."""
    empty = cli("reproduce", "report", "--out", "here")
    assert (empty.code, empty.out) == (2, "")
    assert "here holds nothing to report: first `semivae reproduce claims`" in empty.err
    found = cli("reproduce", "architecture", "claims", "report", "--out", "here", "--json").json
    verdicts = found["claims"]["verdicts"]
    assert verdicts["C1"]["verdict"] == "not decided" and len(verdicts) == 11
    assert "results-table" in found["report"]["missing"]
    curve = Path("here/claims/limit-of-3.3.2.csv").read_text()
    assert curve.startswith("panel,line,x,measure,seed,value\none labeled row,KL(smoothed")
    page = Path("here/report.html").read_text()
    assert page.index("What the paper claims") < page.index("Encoder, section 2.10")
    assert page.count("data:image/png;base64,") == 1 and "<script" not in page
    assert "<pre>semivae reproduce all</pre>" in page
    told = cli("reproduce", "report", "--out", "here", "--seeds", 2)
    assert "<pre>semivae reproduce all --seeds 2</pre>" in Path("here/report.html").read_text()
    assert "report of claims, architecture; not there yet: results-table" in told.out


EXPERIMENTS: dict[str, Experiment] = {
    experiment.EXPERIMENT.name: experiment.EXPERIMENT
    for experiment in (
        classifier_entropy,
        learning_from_labels,
        ablation,
        disentanglement,
        domains,
    )
}


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_quick_look_at_an_experiment_is_printed_and_written(cli: Cli, name: str) -> None:
    """As it is: every run of its plan, on digits."""
    ended = cli("reproduce", name, "--quick", "--out", "here", "--jobs", 2)
    assert ended.code == 0
    folder = Path(f"here/{name}-quick")
    requests = {run.request for run in EXPERIMENTS[name].plan(1, True)}
    assert len(list((folder / "runs").glob("*.json"))) == len(requests)
    assert ended.out.startswith((folder / f"{name}.md").read_text())


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Annotations are not checked here: other files do, and it would take most of the time."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_is_run_once_and_written_with_its_data_and_figures(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Its quick plan on a small network for one epoch; then read from the result files."""
    whole = EXPERIMENTS[name]

    def small(seeds: int | None, quick: bool) -> list[Run]:
        assert seeds in (None, 1) and quick  # as asked, and as read from its files
        network = ("network=mlp", "network.hidden=8")

        def smaller(request: Request) -> Request:
            held = min(request.validation, 20)
            settings = (*request.settings, *network)
            few = None if name == "domains" else 200  # a table has few rows as it is
            return replace(request, rows=few, validation=held, epochs=2, settings=settings)

        return [replace(run, request=smaller(run.request)) for run in whole.plan(seeds, quick)]

    experiment = replace(whole, plan=small)
    monkeypatch.setattr(f"semivae.paper.{name.replace('-', '_')}.EXPERIMENT", experiment)
    command = ("reproduce", name, "--quick", "--out", "here")
    ended = cli(*command)
    assert ended.code == 0
    folder = Path(f"here/{name}-quick")
    page = (folder / f"{name}.md").read_text()
    assert ended.out.startswith(page)
    assert f"- command: semivae reproduce {name} --quick\n" in page
    linked = re.findall(r"\((.*\.png)\)", page)
    assert sorted(linked) == sorted(path.name for path in folder.glob("*.png"))
    files = {path: path.read_bytes() for path in (folder / "runs").glob("*.json")}
    assert len(files) == len({run.request for run in small(1, True)})

    def refuse(*arguments: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(runs, "run", refuse)
    again = cli(*command, "--json").json[name]
    lines = (folder / f"{name}.csv").read_text().splitlines()
    assert len(again["readings"]) == len(lines) - 1
    assert len(again["runs"]) == len(files) and again["runs"][0]["history"]
    assert {path: path.read_bytes() for path in files} == files
    read = experiments.read(experiment, folder / "runs", quick=True)
    command = f"semivae reproduce {experiment.name} --quick"
    assert experiment.page(read, command) == page


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_table_over_label_counts_is_printed_and_written(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    """A rival, M1 and M1+M2 of a small plan; the second time they are read from their files."""
    settings = (
        "network.hidden=32",
        "network.code=6",
        "likelihood=gaussian",
        "likelihood.sigma=0.1",
        "pretraining.epochs=6",
        "pretraining.unlabeled_rows=30",
        "pretraining.optimizer.peak=0.01",
    )
    m1m2 = Request(
        "digits",
        20,
        rows=200,
        recipe="m1m2",
        settings=settings,
        epochs=1,
        baseline=False,
    )
    cells = [
        Cell(SPREADING, Request("digits", 20, rows=200)),
        Cell(M1_SVM, m1m2, m1m2),
        Cell(M1M2, m1m2, m1m2),
    ]
    monkeypatch.setattr("semivae.paper.label_counts.planned", lambda seeds, quick: cells)
    command = ("reproduce", "label-counts", "--quick", "--out", "here", "--jobs", str(jobs))
    ended = cli(*command)
    assert ended.code == 0
    folder = Path("here/label-counts-quick")
    table = (folder / "label-counts.md").read_text()
    assert ended.out.startswith(table) and table.count("| Digits | 20 |") == 3
    assert "- command: semivae reproduce label-counts --quick\n" in table
    assert (folder / "label-counts.png").read_bytes().startswith(b"\x89PNG")
    assert len((folder / "label-counts.csv").read_text().splitlines()) == 1 + 2 * 3
    assert len(list((folder / "runs").glob("*.json"))) == 3
    again = cli(*command, "--json").json["label-counts"]
    assert [run["summary"]["recipe"] for run in again["runs"]] == [SPREADING, M1_SVM, "m1m2"]
    assert len(again["readings"]) == 2 * 3
