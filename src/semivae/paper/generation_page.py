"""The comparison of what M2 and Optimized-ELBO generate, as page, figures and data; nothing here
trains."""

import csv
import io
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from semivae.markdown import bullets, listed
from semivae.markdown import table as markdown_table
from semivae.measured import LABELS_USED_TO_CHOOSE
from semivae.paper import generated
from semivae.paper.boundary import ALONG, LEAST_SHARE, Boundary
from semivae.paper.generated import Generated, GenerationEffort
from semivae.paper.generation import (
    NAME,
    Row,
    gain,
    measures,
    values,
    verdict,
)
from semivae.paper.results import RunResult
from semivae.pictures import ANALOGIES, SAMPLED, TRAVERSED
from semivae.plots import Dots, dots, image_sheets
from semivae.plots.panels import Reading, panels
from semivae.spread import spread

if TYPE_CHECKING:
    from semivae.plots import Figure

CLAIM = (
    'Optimized-ELBO is "to improve both generative and discriminative performance" (abstract). '
    "Section 5 prints neither a number nor a picture of what the two models generate."
)
PATHS_NAME = f"{NAME}-paths"
PATHS = "log p(x) along straight paths between images of two classes"
DENSITY = "log p(x), nats"
PROFILE = (
    "means over those paths under each model's own density; the way to where the prediction "
    "changes and the way on from there have length 1 each"
)
PICTURES: Mapping[str, str] = {
    SAMPLED: "Samples of each class, z from its prior",
    ANALOGIES: "A test image a row: as given (x), as decoded, and its z in every class",
    TRAVERSED: "The dimensions of z that are used most, in standard deviations of the prior",
}


def table(rows: Sequence[Row]) -> str:
    """The table in Markdown: a model a line, real images, and the gain over M2."""
    columns = measures(rows)
    header = ["", *(column.title for column in columns), "test accuracy, %", "seeds"]
    lines = []
    for model in dict.fromkeys(row.model for row in rows):
        here = [row for row in rows if row.model == model]
        cells = [_spread(list(values(rows, model, c).values()), c.digits) for c in columns]
        accuracies = _spread([100 * row.accuracy for row in here], 2)
        lines.append([model, *cells, accuracies, str(len(here))])
    real = [
        f"{column.real(rows[0].generated):.{column.digits}f}" if column.real else "–"
        for column in columns
    ]
    lines.append(["real test images", *real, "–", "–"])
    gains = []
    for column in columns:
        found = gain(rows, column)
        gains.append(found.text(column.digits) if found else "–")
    lines.append(["Optimized-ELBO over M2", *gains, "–", "–"])
    return markdown_table(header, lines, right=range(1, len(header)))


def markdown(
    rows: Sequence[Row], results: Sequence[RunResult], command: str, of: GenerationEffort
) -> str:
    """The page: the claim, the numbers, how they were taken, the pictures."""
    first, some = rows[0].generated, results[0]
    curves = {PATHS_NAME: PATHS} if paths(rows) else {}
    links = "".join(
        f"\n![{title}]({name}.png)\n" for name, title in (*curves.items(), *PICTURES.items())
    )
    along = dict.fromkeys(curves.values(), PROFILE)
    facts = {
        "class consistency": (
            f"the share of samples that the judge takes for the class they were asked for, "
            f"{first.images} of each class, z from its prior, the mean of p(x|z, y)"
        ),
        "diversity": (
            "the mean Euclidean distance between two images of a class, over that of as many "
            "test images, in the judge's last hidden layer and in pixels; 1 as diverse as "
            "the data, 0 one image per class. Samples are means of p(x|z, y), without its noise, "
            "and an image of a wrong class adds to it"
        ),
        "log p(x)": (
            f"importance-weighted, {of.samples} samples of z, exact in y, on {of.rows:,} test "
            "rows, the same for every run: a lower bound in expectation. Each likelihood has a "
            "column of its own, as densities under two of them cannot be compared"
        ),
        "rows, paths rarer at the boundary": (
            f"log p(x) of the {100 * (1 - LEAST_SHARE):g} % of those rows with the largest margin "
            "of q(y|x) less that of the others; the share of pairs of such rows in which the "
            "latter is the rarer one; and the mean log p(x) along a straight path between two "
            f"images of different predicted classes, less that where the prediction changes, "
            f"{of.paths} paths; all under the model's own density"
        ),
        **along,
        "Optimized-ELBO over M2": (
            "the difference over paired seeds; of diversity how much nearer it is to 1"
        ),
        "pictures": f"of the models of seed {rows[-1].seed}",
        "judge": (
            f"a CNN trained on all labeled training rows of {some.request['data']}, on purpose: "
            f"it judges and teaches nothing; {100 * first.judge_accuracy:.2f} % of all test "
            f"rows right, {100 * first.real_consistency:.2f} % of the test images compared with"
        ),
        "labels": f"{some.summary['n_labeled']:,}, balanced over classes, drawn by seed",
        "labels used to choose": (
            f"{LABELS_USED_TO_CHOOSE['mnist']:,} of MNIST, for the symbols that the paper does "
            "not state; none here"
        ),
        "epochs": f"{some.summary['epochs']}, network of sections 2.10 and 2.11, no augmentation",
        "minutes per run": (
            f"{statistics.fmean(r.summary['train_seconds'] for r in results) / 60:.1f} of "
            "training on average"
        ),
        "command": command,
        "commits": listed(sorted(f"{result.commit}" for result in results)),
    }
    return (
        f"# Generation\n\nThe paper: {CLAIM}\n\n{verdict(rows)}\n\n{table(rows)}\n"
        f"Means over seeds ± standard error.\n\n![The measures]({NAME}.png)\n{links}\n"
        + bullets(facts)
    )


def to_csv(rows: Sequence[Row]) -> str:
    """A line per run with every measure."""
    text = io.StringIO()
    own = [part.name for part in fields(Generated) if part.name != "boundary"]
    own += ["feature_diversity", "pixel_diversity"]
    edge = [part.name for part in fields(Boundary) if part.name != "profile"] + ["crossing"]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["model", "seed", "accuracy", *own, *edge])
    for row in rows:
        of = row.generated
        measured = [getattr(of, name) for name in own] + [getattr(of.boundary, x) for x in edge]
        writer.writerow([row.model, row.seed, row.accuracy, *measured])
    return text.getvalue()


def paths(rows: Sequence[Row]) -> list[Reading]:
    """The mean log p(x) along paths of every run, at each place of `ALONG`."""
    return [
        Reading("", row.model, place, DENSITY, row.seed, value)
        for row in rows
        if row.generated.boundary.profile  # without two predicted classes there is no path
        for place, value in zip(ALONG, row.generated.boundary.profile, strict=True)
    ]


def paths_figure(found: Sequence[Reading]) -> "Figure":
    """log p(x) along paths, a line per model."""
    return panels(found, PATHS, "from an image (−1)\nover the boundary (0)\nto another (1)")


def figure(rows: Sequence[Row]) -> "Figure":
    """Every measure of every seed, beside that of real images."""
    shown = [
        Dots(
            measure.title,
            {row.model: list(values(rows, row.model, measure).values()) for row in rows},
            measure.real(rows[0].generated) if measure.real else None,
        )
        for measure in measures(rows)
    ]
    return dots("What the models generate, beside real test images", shown)


def pictures(of: Mapping[str, RunResult], results: Path) -> dict[str, "Figure"]:
    """Each picture, by its name, of one run of each model side by side, from the folder of their
    results."""
    kept = {model: generated.drawn(run, results / run.name) for model, run in of.items()}
    return {
        name: image_sheets(title, [replace(kept[model][name], title=model) for model in kept])
        for name, title in PICTURES.items()
    }


def _spread(of: Sequence[float], digits: int) -> str:
    """Mean and standard error over seeds as a cell."""
    return spread(of).text(digits) if of else "–"
