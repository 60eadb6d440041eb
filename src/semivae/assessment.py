"""Everything that is measured of a finished model on a set of rows, as one value."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from semivae.diagnostics.encodings import ActiveUnits, active_units, encode_set
from semivae.diagnostics.evidence import Evidence, evidence
from semivae.diagnostics.leakage import LinearProbe, linear_probe
from semivae.diagnostics.posterior import (
    InferenceGap,
    LabelInformation,
    inference_gap,
    label_information,
)
from semivae.diagnostics.surgery import Surgery, surgery
from semivae.evaluation import ClassificationReport, classification_report
from semivae.noise import generator
from semivae.predictor import Predictor

PAIRS = 256  # (row, class) pairs decoded at a time: small enough to report progress


@dataclass(frozen=True)
class Effort:
    """How much to measure: each number of rows is at most that, drawn by seed.

    rows: for log p(x), the generative classifier and the inference gap, with so many importance
    samples of z and, for the gap, gap_samples. surgery_rows: its cost grows with their square.
    linear_rows: for the linear probe, half to fit it and half to score it.
    """

    rows: int = 1_000
    samples: int = 500
    gap_samples: int = 10
    surgery_rows: int = 10_000
    linear_rows: int = 4_000


QUICK = Effort(rows=100, samples=20, gap_samples=4, surgery_rows=2_000, linear_rows=1_000)


class Assessment(NamedTuple):
    """What was measured; None where it takes labels and there are none.

    On all n rows: `classification` and `information` of q(y|x). On the rows of the effort:
    `evidence`, `gap`, and both classifiers, `discriminative` q(y|x) and `generative` p(y|x), on
    those of them with a label, with `log_p_xy` the mean log p(x, y) there. On those of surgery:
    `surgery` and `units`. `linear`: the linear probe of z, fitted on half of the labeled rows.
    """

    n: int
    seed: int
    effort: Effort
    classification: ClassificationReport | None
    information: LabelInformation
    evidence: Evidence
    gap: InferenceGap
    discriminative: ClassificationReport | None
    generative: ClassificationReport | None
    log_p_xy: float | None
    surgery: Surgery
    surgery_rows: int
    units: ActiveUnits
    linear: LinearProbe | None


def assess(
    predictor: Predictor,
    x: np.ndarray,
    y: Int[np.ndarray, " N"],
    effort: Effort,
    seed: int,
    on_rows: Callable[[int, int], None] = lambda done, total: None,
) -> Assessment:
    """Every measure on rows x (N, *X) as given; y (N,) is -1 where no label is known.

    `on_rows` receives how many rows of the slowest, log p(x), are done, and of how many.
    """
    model, known = predictor.model, y >= 0
    probs = predictor.predict_proba(x)
    log_prior = model.p_y().logits.detach()
    log_q = torch.from_numpy(probs).double().log().to(log_prior.device)
    chosen = drawn_rows(len(x), effort.rows, seed)
    chunks = list(few_pairs(predictor, x[chosen]))
    found = evidence(
        model, chunks, effort.samples, seed, on_chunk=lambda done: on_rows(done, len(chosen))
    )
    generative = found.class_probs.double().cpu().numpy()
    labeled = known[chosen]
    analysed = drawn_rows(len(x), effort.surgery_rows, seed)
    encodings = encode_set(model, predictor.chunks(x[analysed]))
    return Assessment(
        n=len(x),
        seed=seed,
        effort=effort,
        classification=_report(probs[known], y[known]),
        information=label_information(log_q, log_prior),
        evidence=found,
        gap=inference_gap(model, chunks, seed, effort.gap_samples),
        discriminative=_report(probs[chosen][labeled], y[chosen][labeled]),
        generative=_report(generative[labeled], y[chosen][labeled]),
        log_p_xy=_log_p_xy(found, y[chosen]),
        surgery=surgery(encodings, log_prior, seed),
        surgery_rows=len(analysed),
        units=active_units(encodings.posterior_mean),
        linear=probe_of_z(predictor, x[known], y[known], effort.linear_rows, seed),
    )


def few_pairs(predictor: Predictor, x: np.ndarray) -> Iterator[Tensor]:
    """Rows x as the model sees them, a few at a time: each is decoded in every class."""
    size = max(1, PAIRS // len(predictor.classes))
    for start in range(0, len(x), size):
        yield from predictor.chunks(x[start : start + size])


def log_p_x(
    predictor: Predictor, x: np.ndarray, samples: int, seed: int
) -> Float[np.ndarray, " N"]:
    """Importance-weighted log p(x) of rows x (N, *X) as given, in nats; exact in y."""
    found = evidence(predictor.model, few_pairs(predictor, x), samples, seed)
    return found.log_p_x.cpu().numpy()


def drawn_rows(n: int, most: int, seed: int) -> Int[np.ndarray, " M"]:
    """All n rows, or `most` of them drawn by seed, in order."""
    if n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, most, replace=False))


def _report(
    probs: Float[np.ndarray, "N K"], y: Int[np.ndarray, " N"]
) -> ClassificationReport | None:
    return classification_report(probs, y) if len(y) else None


def _log_p_xy(found: Evidence, y: Int[np.ndarray, " N"]) -> float | None:
    known = torch.from_numpy(np.flatnonzero(y >= 0)).to(found.log_joint.device)
    if len(known) == 0:
        return None
    labels = torch.from_numpy(y[y >= 0]).to(known.device)
    return float(Evidence(found.log_joint[known]).log_p_xy(labels).double().mean())


def probe_of_z(
    predictor: Predictor, x: np.ndarray, y: Int[np.ndarray, " N"], most: int, seed: int
) -> LinearProbe | None:
    """The linear probe of z on at most so many labeled rows x (N, *X) as given, half to fit it and
    half to score it; None if a class that occurs among them has only 1 row."""
    rows = drawn_rows(len(x), most, seed)
    counts = np.bincount(y[rows])
    if (counts > 0).sum() < 2 or counts[counts > 0].min() < 2:
        return None
    seen = torch.cat([chunk.flatten(1).cpu() for chunk in predictor.chunks(x[rows])])
    encodings = encode_set(predictor.model, predictor.chunks(x[rows]))
    z = encodings.draw(generator(encodings.mean.device, seed, "linear probe"))
    means, draws = (part.cpu().numpy() for part in (encodings.posterior_mean, z))
    return linear_probe(means, draws, seen.numpy(), y[rows], seed)
