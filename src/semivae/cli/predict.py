"""`semivae predict`: a label for each new row, with probabilities and novelty, as a CSV file."""

import csv
import io
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from semivae.cli.console import show, show_json, told_warnings
from semivae.cli.options import DataDir, Force, Json, Run, check_output
from semivae.cli.rows import check_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np


def predict(
    run: Run,
    rows: Annotated[
        str,
        typer.Argument(
            metavar="INPUT",
            show_default=False,
            help="An .npz file with the array X, or a named data set, whose test rows are taken.",
        ),
    ],
    out: Annotated[
        Path, typer.Option(metavar="FILE", show_default=False, help="The .csv file to write.")
    ],
    force: Force = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Label new rows: class, probabilities and novelty of each, as a CSV file.

    Novelty is minus the lower bound on log p(x), in nats: the larger, the less the row is like
    those of training.
    """
    check_output(out, (".csv",), "give a name that ends in .csv", force)
    from semivae import rundir
    from semivae.data.datasets import load_rows
    from semivae.files import write_bytes

    config, predictor = rundir.load(run)
    with told_warnings():
        x = load_rows(rows, data_dir)
        check_rows(rows, x, run, predictor)
    probs = predictor.predict_proba(x)
    labels = [config.classes[code] for code in probs.argmax(1)]
    novelty = -predictor.score_samples(x)
    write_bytes(out, lines(labels, probs, novelty, config.classes).encode())
    found = Counter(labels)
    counts = {name: found[name] for name in config.classes}
    if as_json:
        show_json({"run": str(run), "rows": len(x), "labels": counts, "out": str(out)})
    else:
        shares = ", ".join(f"{n:,} of {name}" for name, n in counts.items())
        show(f"{len(x):,} rows: {out}\n{shares}")


def lines(
    labels: "Sequence[str]", probs: "np.ndarray", novelty: "np.ndarray", classes: "Sequence[str]"
) -> str:
    """A line per row: its number from 0, its label, the probability of each class (N, K), and its
    novelty (N,)."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", "label", *(f"p({name})" for name in classes), "novelty"])
    for row, (label, p, new) in enumerate(zip(labels, probs, novelty, strict=True)):
        writer.writerow([row, label, *(f"{value:.6g}" for value in p), f"{new:.6g}"])
    return text.getvalue()
