"""Each piece of the paper that `semivae reproduce` knows: it runs what is missing, writes page,
data and pictures, and returns them for the terminal."""

from dataclasses import asdict
from datetime import UTC, datetime

from semivae.cli.wishes import Wish, executed, experimented, written_to


def architecture(wish: Wish) -> dict[str, object]:
    from semivae.paper import architecture

    tables = architecture.tables()
    text = architecture.markdown(tables)
    path = written_to(wish.out / "architecture.md", text.encode())
    return {
        "text": text,
        "written": [str(path)],
        "tables": architecture.to_json(tables),
    }


def results_table(wish: Wish) -> dict[str, object]:
    from semivae import runs
    from semivae.paper import results_table_page
    from semivae.paper.experiments import to_csv
    from semivae.paper.results_table import bars, table_of
    from semivae.paper.sides import planned
    from semivae.plots import results_bars, to_png
    from semivae.report import Source, render_results_table, results_markdown

    name = wish.named("results-table")
    plan = planned(wish.seeds, wish.quick)
    results = wish.out / name
    ended = executed(wish, {side.request: side.title for side in plan}, results)
    found = table_of(plan, ended.values())
    command = wish.command("results-table")
    protocol = results_table_page.protocol(found.results, command)
    page = render_results_table(
        found.rows,
        title=results_table_page.TITLE,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        verdicts=found.verdicts,
        protocol=protocol,
        sources=[Source(command, runs.commit(), str(results))],
    )
    table = results_markdown(found.rows)
    text = results_table_page.markdown(table, found.verdicts, protocol, f"{name}.png")
    written = [
        written_to(wish.out / f"{name}.html", page.encode()),
        written_to(wish.out / f"{name}.md", text.encode()),
        written_to(wish.out / f"{name}.png", to_png(results_bars(found.rows))),
        written_to(wish.out / f"{name}.csv", to_csv(bars(found.rows)).encode()),
    ]
    return {
        "text": text,
        "written": [str(path) for path in written],
        "runs": [asdict(result) for result in found.results],
        "verdicts": found.verdicts,
        "protocol": protocol,
    }


def label_counts(wish: Wish) -> dict[str, object]:
    from functools import partial

    from semivae.cli.progress import display
    from semivae.paper import label_counts, label_counts_page
    from semivae.paper.experiments import to_csv
    from semivae.paper.results import adopt
    from semivae.paper.runs import in_parallel
    from semivae.plots import to_png

    folder = wish.out / wish.named("label-counts")
    results = folder / "runs"
    results.mkdir(parents=True, exist_ok=True)
    plan = label_counts.planned(wish.seeds, wish.quick)
    adopt(results, wish.out / wish.named("results-table"), {cell.request for cell in plan})
    execute, execute_group = label_counts.execute_cell, label_counts.execute_group
    with display() as shown:
        if wish.jobs > 1:
            groups = label_counts.groups(plan)
            tasks = [
                partial(execute_group, cells, results.resolve(), wish.data_dir) for cells in groups
            ]
            list(in_parallel(tasks, wish.jobs, shown.counting("groups of runs")))
        ended = [  # with several jobs, all of them are read
            label_counts.Ended(
                cell, execute(cell, results, wish.data_dir, shown.training(cell.title))
            )
            for cell in plan
        ]
    text = label_counts_page.page(ended, wish.command("label-counts"))
    readings = label_counts_page.readings(ended)
    written = [
        written_to(folder / "label-counts.md", text.encode()),
        written_to(folder / "label-counts.csv", to_csv(readings).encode()),
        written_to(folder / "label-counts.png", to_png(label_counts_page.figure(ended))),
    ]
    return {
        "text": text,
        "written": [str(path) for path in written],
        "runs": [asdict(result) for _, result in ended],
        "readings": [asdict(reading) for reading in readings],
    }


def gradient_estimators(wish: Wish) -> dict[str, object]:
    from semivae.cli.progress import display
    from semivae.paper import gradient_estimators as estimators
    from semivae.paper import gradient_page
    from semivae.paper.experiments import to_csv
    from semivae.plots import estimator_planes, to_png

    folder = wish.out / wish.named("gradient-estimators")
    folder.mkdir(parents=True, exist_ok=True)
    plan = estimators.studies(wish.seeds, wish.quick)
    studies: list[estimators.Taken] = []
    with display() as shown:
        for study in plan:
            count = shown.counting(f"gradients, seed {study.seed}")
            studies.append(estimators.take(study, folder, wish.data_dir, count))
    rows = [row for taken in studies for row in taken.measured]
    text = gradient_page.markdown(studies, wish.command("gradient-estimators"))
    figure = to_png(estimator_planes(gradient_page.points(rows)))
    written = [
        written_to(folder / "estimators.png", figure),
        written_to(folder / "estimators.csv", to_csv(rows).encode()),
        written_to(folder / "estimators.md", text.encode()),
        *(folder / f"seed-{study.seed}.json" for study in plan),
    ]
    return {
        "text": text,
        "written": [str(path) for path in written],
        "studies": [asdict(study) for study in plan],
        "measured": [asdict(row) for row in rows],
    }


def classifier_entropy(wish: Wish) -> dict[str, object]:
    from semivae.paper.classifier_entropy import EXPERIMENT

    return experimented(wish, EXPERIMENT)


def learning_from_labels(wish: Wish) -> dict[str, object]:
    from semivae.paper.learning_from_labels import EXPERIMENT

    return experimented(wish, EXPERIMENT)


def ablation(wish: Wish) -> dict[str, object]:
    from semivae.paper.ablation import EXPERIMENT

    return experimented(wish, EXPERIMENT)


def disentanglement(wish: Wish) -> dict[str, object]:
    from semivae.paper.disentanglement import EXPERIMENT

    return experimented(wish, EXPERIMENT)


def domains(wish: Wish) -> dict[str, object]:
    from semivae.paper.domains import EXPERIMENT

    return experimented(wish, EXPERIMENT)


def generation(wish: Wish) -> dict[str, object]:
    from semivae.cli.progress import display
    from semivae.data.datasets import load
    from semivae.paper import generation, generation_page
    from semivae.paper.experiments import to_csv
    from semivae.paper.judge import judge
    from semivae.plots import to_png

    folder = wish.out / wish.named("generation")
    results = folder / "runs"
    results.mkdir(parents=True, exist_ok=True)
    plan = generation.plan(wish.seeds, wish.quick)
    titles = {side.request: f"{side.model}, seed {side.request.seed}" for side in plan}
    of = generation.examination(results, wish.quick)
    if generation.missing(list(titles), results, of):  # before parallel runs all need it
        with display() as shown:
            arrays = load(plan[0].request.data, wish.data_dir)
            judge(arrays, of.effort.judge_epochs, of.judge, shown.training("judge"))
    found = list(executed(wish, titles, results, of).values())
    rows = [generation.row_of(side.model, run) for side, run in zip(plan, found, strict=True)]
    text = generation_page.markdown(rows, found, wish.command("generation"), of.effort)
    pictured = {row.model: run for row, run in zip(rows, found, strict=True)}
    paths = generation_page.paths(rows)
    written = [
        written_to(folder / "generation.md", text.encode()),
        written_to(folder / "generation.csv", generation_page.to_csv(rows).encode()),
        written_to(folder / "generation.png", to_png(generation_page.figure(rows))),
        *(
            written_to(folder / f"{name}.png", to_png(figure))
            for name, figure in generation_page.pictures(pictured, results).items()
        ),
    ]
    if paths:  # of a model that predicts one class there are none
        path = folder / f"{generation_page.PATHS_NAME}.csv"
        figure = to_png(generation_page.paths_figure(paths))
        written += [
            written_to(path, to_csv(paths).encode()),
            written_to(path.with_suffix(".png"), figure),
        ]
    return {
        "text": text,
        "written": [str(path) for path in written],
        "runs": [asdict(result) for result in found],
        "rows": [asdict(row) for row in rows],
        "verdict": generation.verdict(rows),
    }
