"""The study of gradient estimators as table and figure; nothing here draws y."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from semivae.markdown import bullets, listed, table
from semivae.measured import LABELS_USED_TO_CHOOSE
from semivae.paper.gradient_errors import DECODER, LOGITS
from semivae.paper.gradient_estimators import (
    ESTIMATORS,
    INITIALIZATION,
    TRAINED,
    Measured,
    Taken,
)
from semivae.plots import EstimatorPoint

TITLE = "Gradient estimators of the sum over y (2.7.2)"


def over_seeds(rows: Sequence[Measured]) -> list[Measured]:
    """Root mean squares over seeds of bias, resolution and sd, means of pairs and cosine."""
    groups: dict[tuple[object, ...], list[Measured]] = {}
    for row in rows:
        groups.setdefault((row.moment, row.part, row.kind, row.tau), []).append(row)
    return [
        replace(
            group[0],
            bias=math.sqrt(np.mean([row.bias**2 for row in group])),
            resolution=math.sqrt(np.mean([row.resolution**2 for row in group])),
            sd=math.sqrt(np.mean([row.sd**2 for row in group])),
            pairs=float(np.mean([row.pairs for row in group])),
            cosine=float(np.mean([row.cosine for row in group])),
        )
        for group in groups.values()
    ]


HEADER = (
    "Estimator of the sum over y", "tau", "Pairs per row",
    *(f"{part}: {what}" for part in ("Logits", "Decoder") for what in ("bias", "sd", "cosine")),
)  # fmt: skip


def markdown(studies: Sequence[Taken], command: str) -> str:
    """The page: a table for each moment, an estimator a line, and what it depends on."""
    study = studies[0].study
    text = (
        f"# {TITLE}\n\n"
        "The gradient of the unlabeled ELBO (Eq 5) under each rule for y, relative to the exact "
        f"sum's: the paper's CNN, {study.data}, {study.rows} rows, {study.draws} draws of y, "
        f"{_count(len(studies), 'seed')}. Bias is that of the mean gradient, `<` "
        "where it is within its own error; sd and cosine are those of a single draw.\n"
    )
    found = over_seeds([row for taken in studies for row in taken.measured])
    for moment in (INITIALIZATION, TRAINED):
        after = f" of {_count(study.epochs, 'epoch')}" if moment == TRAINED else ""
        rows_of_moment = []
        for kind, _, tau in ESTIMATORS:
            logits, decoder = (
                next(r for r in found if (r.moment, r.part, r.kind, r.tau) == wanted)
                for wanted in ((moment, part, kind, tau) for part in (LOGITS, DECODER))
            )
            first = (kind, _tau(tau), f"{logits.pairs:.2f}")
            rows_of_moment.append((*first, *_cells(logits), *_cells(decoder)))
        lines = table(HEADER, rows_of_moment)
        text += f"\n{moment.capitalize()}{after}:\n\n{lines}"
    return (
        f"{text}\n![Bias against noise](estimators.png)\n\n{bullets(protocol(studies, command))}"
    )


def protocol(studies: Sequence[Taken], command: str) -> dict[str, str]:
    """What the numbers depend on, in words."""
    study = studies[0].study
    minutes = [taken.seconds / 60 for taken in studies]
    return {
        "recipe": listed(taken.recipe for taken in studies),
        "labels": f"{study.labels:,}, balanced over classes, drawn by seed; the rows have none",
        "labels used to choose": (
            f"{LABELS_USED_TO_CHOOSE['mnist']:,} of MNIST, for the symbols that the paper does "
            "not state; none here"
        ),
        "seeds": ", ".join(f"{taken.study.seed}" for taken in studies)
        + ", of split, initial weights, rows and noise alike",
        "augmentation": "none",
        "minutes per seed": f"{min(minutes):.1f} to {max(minutes):.1f}, beside other work",
        "threads": listed(sorted(f"{taken.machine['threads']}" for taken in studies)),
        "command": command,
        "commits": listed(sorted(f"{taken.commit}" for taken in studies)),
    }


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number > 1 else ''}"


def _tau(tau: float | None) -> str:
    return "–" if tau is None else f"{tau:.2g}"


def _cells(row: Measured) -> tuple[str, str, str]:
    seen = row.bias >= row.resolution
    bias = f"{row.bias:.3f}" if seen else f"< {row.resolution:.3f}"
    return bias, f"{row.sd:.2f}", f"{row.cosine:.3f}"


def points(rows: Sequence[Measured]) -> list[EstimatorPoint]:
    """What the figure shows: the means over seeds."""
    return [
        EstimatorPoint(
            panel=f"{row.part}, {row.moment}",
            kind=row.kind if row.tau is None else f"{row.kind}, by tau",
            label="" if row.tau is None else _tau(row.tau),
            bias=row.bias,
            resolution=row.resolution,
            sd=row.sd,
        )
        for row in over_seeds(rows)
    ]
