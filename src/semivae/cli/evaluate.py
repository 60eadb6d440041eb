"""`semivae evaluate`: what a run is worth on the test set, as classifier and as generator."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from semivae.cli.console import show, show_json, tell, told_warnings
from semivae.cli.options import DataDir, Json, Run
from semivae.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from semivae.diagnostics import ActiveUnits, Evidence, Surgery
    from semivae.evaluation import ClassificationReport
    from semivae.fitting import Predictor

PAIRS = 256  # (row, class) pairs decoded at a time: small enough to report progress
SURGERY_ROWS = 10_000  # its cost grows with the square of the rows


class Evaluation(NamedTuple):
    """Everything measured on the test set of a run."""

    run: Path
    data: str
    classes: tuple[str, ...]
    report: "ClassificationReport"
    evidence: "Evidence"
    samples: int
    seed: int
    discriminative: float
    """Accuracy of q(y|x) on the rows of `evidence`."""
    generative: float
    """Accuracy of p(y|x), the softmax of log p(x, y), on the same rows."""
    surgery: "Surgery"
    surgery_rows: int
    units: "ActiveUnits"


def evaluate(
    run: Run,
    samples: Annotated[
        int, typer.Option(min=1, metavar="S", help="Importance samples for log p(x).")
    ] = 500,
    rows: Annotated[
        int, typer.Option(min=1, metavar="N", help="Test rows for log p(x), drawn by seed.")
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, metavar="S", help="Decides rows and noise.")] = 0,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Measure a run on its test set.

    Accuracy with its interval, calibration, confusion; importance-weighted log p(x); ELBO surgery.
    """
    from semivae import rundir, runs
    from semivae.data.datasets import load

    config, predictor = rundir.load(run)
    request = runs.request_of(config, run)
    with told_warnings():
        arrays = load(request.data, data_dir)
    if arrays.x_test is None or arrays.y_test is None:
        raise InputError(f"{run}: its data, {request.data}, have no test set to evaluate on")
    if arrays.classes != config.classes or arrays.x.shape[1:] != config.event:
        raise InputError(f"{run}: {request.data} is no longer what the run was trained on")
    result = measure(
        run, arrays.name, predictor, arrays.x_test, arrays.y_test, samples, rows, seed
    )
    if as_json:
        show_json(plain(result))
    else:
        show(text(result))


def measure(
    run: Path,
    data: str,
    predictor: "Predictor",
    x: "np.ndarray",
    y: "np.ndarray",
    samples: int,
    rows: int,
    seed: int,
) -> Evaluation:
    """Every measure on test rows x, y; the slow one, log p(x), with its progress on stderr."""
    from semivae.cli.progress import display
    from semivae.diagnostics import active_units, encode_set, evidence, surgery
    from semivae.evaluation import accuracy, classification_report

    probs = predictor.predict_proba(x)
    chosen = _rows(len(x), rows, seed)
    size = max(1, PAIRS // len(predictor.classes))
    parts = [chosen[start : start + size] for start in range(0, len(chosen), size)]
    chunks = [chunk for part in parts for chunk in predictor.chunks(x[part])]
    tell(f"log p(x) with {samples:,} importance samples on {len(chosen):,} test rows ...")
    with display() as shown:
        found = evidence(
            predictor.model, chunks, samples, seed, on_chunk=shown.counting("log p(x), rows")
        )
    analysed = _rows(len(x), SURGERY_ROWS, seed)
    encodings = encode_set(predictor.model, predictor.chunks(x[analysed]))
    return Evaluation(
        run=run,
        data=data,
        classes=predictor.classes,
        report=classification_report(probs, y),
        evidence=found,
        samples=samples,
        seed=seed,
        discriminative=accuracy(probs[chosen], y[chosen]),
        generative=accuracy(found.class_probs.double().cpu().numpy(), y[chosen]),
        surgery=surgery(encodings, predictor.model.log_prior, seed),
        surgery_rows=len(analysed),
        units=active_units(encodings.posterior_mean),
    )


def _rows(n: int, most: int, seed: int) -> "np.ndarray":
    """All n rows, or `most` of them drawn by seed, in order."""
    import numpy as np

    if n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, most, replace=False))


def plain(result: Evaluation) -> dict[str, object]:
    """The JSON object of `semivae evaluate --json`."""
    error = result.evidence.standard_error
    return {
        "run": str(result.run),
        "data": result.data,
        "classes": list(result.classes),
        **result.report.to_json(),
        "log_p_x": {
            "mean": result.evidence.mean,
            "standard_error": error if math.isfinite(error) else None,
            "importance_samples": result.samples,
            "rows": len(result.evidence.log_joint),
            "seed": result.seed,
        },
        "accuracy_on_these_rows": {
            "discriminative": result.discriminative,
            "generative": result.generative,
        },
        "surgery": {"rows": result.surgery_rows, **result.surgery._asdict()},
        "active_units": result.units.active,
        "latent_size": len(result.units.variances),
    }


def text(result: Evaluation) -> str:
    """The same for a person."""
    report, evidence, cuts = result.report, result.evidence, result.surgery
    low, high = (100 * end for end in report.accuracy_interval)
    rows = len(evidence.log_joint)
    accuracy = f"{100 * report.accuracy:.2f} %   (95 % interval {low:.1f} to {high:.1f} %)"
    blocks = [
        [f"{result.run} on the {report.n:,} test rows of {result.data}"],
        _aligned(
            ("accuracy", accuracy),
            ("macro F1", f"{report.macro_f1:.4f}"),
            ("NLL", f"{report.nll:.4f} nats"),
            ("Brier score", f"{report.brier:.4f}"),
            ("ECE, 15 bins", f"{report.ece:.4f}"),
        ),
        ["confusion, true class by predicted class", *_confusion(result)],
        _aligned(
            (
                "log p(x)",
                f"{evidence.mean:.2f} ± {evidence.standard_error:.2f} nats   "
                f"({result.samples:,} importance samples, {rows:,} test rows, seed {result.seed})",
            ),
            (
                "on these rows",
                f"{100 * result.discriminative:.2f} % right by q(y|x), "
                f"{100 * result.generative:.2f} % by p(y|x), the model read backwards",
            ),
        ),
        [
            f"where the KL goes, in nats per example, over {result.surgery_rows:,} rows",
            *_aligned(
                (
                    "latent KL",
                    f"{cuts.latent_kl:.3f} = {cuts.index_code_information:.3f} I(n; z) "
                    f"+ {cuts.marginal_latent_kl:.3f} KL(q(z) || p(z))",
                ),
                (
                    "label KL",
                    f"{cuts.label_kl:.3f} = {cuts.label_information:.3f} I(y; x) "
                    f"+ {cuts.marginal_label_kl:.3f} KL(q(y) || p(y))",
                ),
                (
                    "entropy of y",
                    f"{cuts.classifier_entropy:.3f} of each row, "
                    f"{cuts.aggregate_entropy:.3f} of all rows together",
                ),
                ("class in z", f"{cuts.leakage:.3f} I(y; z)"),
                ("active units", f"{result.units.active} of {len(result.units.variances)}"),
            ),
        ],
    ]
    return "\n\n".join("\n".join(block) for block in blocks)


def _aligned(*pairs: tuple[str, str]) -> list[str]:
    return [f"{name:15}{value}" for name, value in pairs]


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
