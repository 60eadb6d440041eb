"""`semivae evaluate`: what a run is worth on the test set, as classifier and as generator."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from semivae.cli.console import show, show_json, tell, told_warnings
from semivae.cli.options import DataDir, Json, Run
from semivae.cli.rows import TEST_ROWS, Labeled, labeled
from semivae.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from semivae.assessment import Assessment, Effort
    from semivae.evaluation import ClassificationReport
    from semivae.models.specs import LikelihoodSpec
    from semivae.predictor import Predictor


class Evaluation(NamedTuple):
    """Everything measured of a run on some rows."""

    run: Path
    on: Labeled
    classes: tuple[str, ...]
    report: "ClassificationReport"
    found: "Assessment"
    likelihood: "LikelihoodSpec"

    @property
    def under(self) -> str:
        """What log p(x) is under, in words."""
        from semivae.config import to_plain

        kind = to_plain(self.likelihood, "likelihood")["kind"]
        rest = "" if self.likelihood.normalized else ", which is not normalised"
        return f"under {kind}{rest}"


def evaluate(
    run: Run,
    given: Annotated[
        str | None,
        typer.Argument(
            metavar="INPUT",
            show_default=False,
            help="An .npz file with X_test and y_test, or with X and y, of which the rows with a "
            "label count; or a named data set, whose test rows are taken (default: the test set "
            "of the run).",
        ),
    ] = None,
    samples: Annotated[
        int, typer.Option(min=1, metavar="S", help="Importance samples for log p(x).")
    ] = 500,
    rows: Annotated[
        int, typer.Option(min=1, metavar="N", help="Rows for log p(x), drawn by seed.")
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, metavar="S", help="Decides rows and noise.")] = 0,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Measure a run on its test set, or on other labeled rows.

    Accuracy with its interval, confusion, importance-weighted log p(x), and every diagnostic,
    which, of its own test set, take the place of those in the run's report.html.
    """
    from semivae import rundir
    from semivae.assessment import Effort

    config, predictor = rundir.load(run)
    with told_warnings():
        on = labeled(given, run, config, predictor, data_dir)
    effort = Effort(rows=rows, samples=samples)
    result = measure(run, on, predictor, effort, seed, config.recipe.likelihood)
    if on.called == TEST_ROWS:
        into_report(result)
    if as_json:
        show_json(plain(result))
    else:
        show(text(result))


def measure(
    run: Path,
    on: Labeled,
    predictor: "Predictor",
    effort: "Effort",
    seed: int,
    likelihood: "LikelihoodSpec",
) -> Evaluation:
    """Every measure on those rows; the slow one, log p(x), with its progress on stderr."""
    from semivae.assessment import assess
    from semivae.cli.progress import display

    tell(
        f"log p(x) with {effort.samples:,} importance samples on {min(effort.rows, len(on.x)):,} "
        f"{on.called} ..."
    )
    with display() as shown:
        count = shown.counting("log p(x), rows")
        found = assess(predictor, on.x, on.y, effort, seed, on_rows=count)
    assert found.classification is not None, "these rows have labels"
    return Evaluation(run, on, predictor.classes, found.classification, found, likelihood)


def into_report(result: Evaluation) -> None:
    """Puts the diagnostics into the run's report, where they are at least as thorough as those
    that a run ends with; says so, or why not."""
    from semivae.assessment import QUICK
    from semivae.files import write_text
    from semivae.measures import groups, taken
    from semivae.report import with_diagnostics
    from semivae.rundir import REPORT

    page, found = result.run / REPORT, result.found
    less = found.effort.rows < QUICK.rows or found.effort.samples < QUICK.samples
    if less or not page.exists():
        return
    diagnosed = f"By semivae evaluate on {taken(found, result.on.called)}."
    try:
        text = page.read_text(encoding="utf-8")
        write_text(page, with_diagnostics(text, groups(found), diagnosed))
    except (OSError, InputError) as error:
        tell(f"{page} stays as it was: {error}")
    else:
        tell(f"put into {page}")


def plain(result: Evaluation) -> dict[str, object]:
    """The JSON object of `semivae evaluate --json`."""
    from semivae.config import to_plain
    from semivae.measures import groups, values

    found = result.found
    assert found.discriminative is not None
    assert found.generative is not None
    error = found.evidence.standard_error
    return {
        "run": str(result.run),
        "data": result.on.data,
        "classes": list(result.classes),
        **result.report.to_json(),
        "log_p_x": {
            "mean": found.evidence.mean,
            "standard_error": error if math.isfinite(error) else None,
            "importance_samples": found.effort.samples,
            "rows": len(found.evidence.log_joint),
            "seed": found.seed,
            "likelihood": to_plain(result.likelihood, "likelihood")["kind"],
            "normalized": result.likelihood.normalized,
        },
        "accuracy_on_these_rows": {
            "discriminative": found.discriminative.accuracy,
            "generative": found.generative.accuracy,
        },
        "surgery": {"rows": found.surgery_rows, **found.surgery._asdict()},
        "active_units": found.units.active,
        "latent_size": len(found.units.variances),
        "diagnostics": values(found),
        "diagnostics_rows": {
            measure.name: group.rows for group in groups(found) for measure in group.measures
        },
    }


def text(result: Evaluation) -> str:
    """The same for a person."""
    from semivae.measures import groups

    report, found = result.report, result.found
    error = f" ± {found.evidence.standard_error:.2f}" if len(found.evidence.log_joint) > 1 else ""
    low, high = (100 * end for end in report.accuracy_interval)
    accuracy = f"{100 * report.accuracy:.2f} %   (95 % interval {low:.1f} to {high:.1f} %)"
    blocks = [
        [f"{result.run} on the {report.n:,} {result.on.called} of {result.on.data}"],
        [f"{'accuracy':26}{accuracy}", f"{'macro F1':26}{report.macro_f1:.4f}"],
        ["confusion, true class by predicted class", *_confusion(result)],
        [
            f"log p(x) {found.evidence.mean:.2f}{error} nats   "
            f"({found.effort.samples:,} importance samples, {len(found.evidence.log_joint):,} "
            f"{result.on.called}, seed {found.seed}; {result.under})"
        ],
    ]
    for group in groups(found):
        blocks.append(
            [
                f"{group.title}, over {group.rows:,} rows",
                *(f"{m.name:26}{m.text:>14}   {m.meaning}" for m in group.measures),
            ]
        )
    return "\n\n".join("\n".join(block) for block in blocks)


def _confusion(result: Evaluation) -> list[str]:
    """The counts as text; beyond 20 classes only the most frequent errors."""
    matrix, classes = result.report.confusion, result.classes
    if len(classes) > 20:
        errors = [
            (int(count), classes[i], classes[j])
            for (i, j), count in _entries(matrix)
            if i != j and count
        ]
        most = sorted(errors, key=lambda error: -error[0])[:20]
        return [f"{count:8,}  {true} taken for {taken}" for count, true, taken in most]
    name_width = max(len(name) for name in classes)
    width = max(5, len(str(matrix.max())) + 1, 1 + min(9, name_width))
    head = " " * name_width + "".join(f"{name[:9]:>{width}}" for name in classes)
    return [head] + [
        f"{name:{name_width}}" + "".join(f"{int(n) or '.':>{width}}" for n in row)
        for name, row in zip(classes, matrix, strict=True)
    ]


def _entries(matrix: "np.ndarray") -> "list[tuple[tuple[int, int], int]]":
    size = len(matrix)
    return [((i, j), int(matrix[i, j])) for i in range(size) for j in range(size)]
