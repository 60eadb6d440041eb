"""The probe of a run: fixed rows on which a few diagnostics are taken after each epoch.

Rows and noise are the same in every epoch, so a curve moves with the model alone. Nothing that
training reads is touched: no generator, no mode, no weight; and no test row is looked at.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from semivae.data.batches import SemiSupervisedBatches
from semivae.diagnostics.encodings import active_units, encode_set
from semivae.diagnostics.evidence import evidence
from semivae.diagnostics.posterior import inference_gap, label_information
from semivae.diagnostics.surgery import surgery
from semivae.errors import InputError
from semivae.evaluation import accuracy, brier, expected_calibration_error, nll
from semivae.models.evaluating import EvaluatedModel
from semivae.noise import key

PAIRS = 2560  # (row, class) pairs decoded at a time
SAMPLES = 2  # of z for log p(x): a loose bound, as loose after every epoch


class ProbeRows(NamedTuple):
    """Numbers of training rows: those whose labels are not read, and those whose labels are."""

    unlabeled: Int[np.ndarray, " U"]
    labeled: Int[np.ndarray, " L"]


def probe_rows(y: Int[np.ndarray, " N"], size: int, seed: int) -> ProbeRows:
    """`size` rows (or all) drawn by seed; one in ten is a labeled one, as far as there are any.

    The unlabeled rows stand for the paper's D_U. Where every row has a label, all of them are
    looked at without it too.
    """
    source = np.random.default_rng(key(seed, "probe"))
    labeled, unlabeled = np.flatnonzero(y >= 0), np.flatnonzero(y < 0)
    if len(unlabeled) == 0:
        drawn = np.sort(source.choice(labeled, min(size, len(labeled)), replace=False))
        return ProbeRows(drawn, drawn)
    n_labeled = min(-(-size // 10), len(labeled))
    n_unlabeled = min(size - n_labeled, len(unlabeled))
    return ProbeRows(
        np.sort(source.choice(unlabeled, n_unlabeled, replace=False)),
        np.sort(source.choice(labeled, n_labeled, replace=False)),
    )


def check_probe(y: Int[np.ndarray, " N"], size: int, classes: int) -> None:
    """Raises `InputError` for a probe on which the plug-in I(y; x) would be mostly bias."""
    rows = len(probe_rows(y, size, seed=0).unlabeled)
    if size > 0 and rows < 5 * classes:
        raise InputError(
            f"probe={size}: its mutual information needs at least {5 * classes} unlabeled rows "
            f"(5 per class) and there are {rows}: give more, or 0 for no probe"
        )


@dataclass(frozen=True, eq=False)
class Probe:
    """The rows of a probe, ready to be looked at; calling it costs one decoded pair per row and
    class, and with `densities` four per labeled row and class more."""

    rows: ProbeRows
    batches: SemiSupervisedBatches
    seed: int
    densities: bool = True

    def __call__(self, model: EvaluatedModel) -> dict[str, float]:
        """Every measure by name, in nats unless it is an accuracy or a count; in float32.

        On unlabeled rows: the parts of `LabelInformation`, `inference_gap` and `model_entropy` (at
        one z per row), what `surgery` says of z, `active_units`, and on as many of them as there
        are labeled ones `log_p_x`. On labeled rows: `accuracy`, `nll`, `brier` and `ece` of
        q(y|x), `log_p_xy` and the `generative_accuracy`. Without `densities` there are neither
        `log_p_x`, `log_p_xy` nor `generative_accuracy`.
        """
        prior = model.p_y().logits.detach()
        encodings = encode_set(model, self._chunks(self.rows.unlabeled, prior.device))
        label = label_information(encodings.log_q, prior)
        gap = inference_gap(model, self._chunks(self.rows.unlabeled, prior.device), self.seed)
        cuts = surgery(encodings, prior, self.seed)
        known = encode_set(model, self._chunks(self.rows.labeled, prior.device))
        probs = known.log_q.double().softmax(1).cpu().numpy()
        y = self.batches.y[self.rows.labeled]
        return {
            **label._asdict(),
            "model_entropy": gap.model_entropy,
            "inference_gap": gap.kl,
            "latent_kl": cuts.latent_kl,
            "index_code_information": cuts.index_code_information,
            "marginal_latent_kl": cuts.marginal_latent_kl,
            "leakage": cuts.leakage,
            "active_units": float(active_units(encodings.posterior_mean).active),
            "accuracy": accuracy(probs, y),
            "nll": nll(probs, y),
            "brier": brier(probs, y),
            "ece": expected_calibration_error(probs, y),
            **(self._densities(model) if self.densities else {}),
        }

    def _densities(self, model: EvaluatedModel) -> dict[str, float]:
        """What importance weights say."""
        device = model.p_y().logits.device
        y, unlabeled = self.batches.y[self.rows.labeled], self.rows.unlabeled
        # Evenly over the rows: those of one class may lie together.
        places = np.linspace(0, len(unlabeled) - 1, min(len(y), len(unlabeled))).round()
        some, known = (
            evidence(model, self._chunks(rows, device), SAMPLES, self.seed)
            for rows in (unlabeled[places.astype(int)], self.rows.labeled)
        )
        return {
            "generative_accuracy": accuracy(known.class_probs.double().cpu().numpy(), y),
            "log_p_x": some.mean,
            "log_p_xy": float(known.log_p_xy(torch.from_numpy(y).to(device)).mean()),
        }

    def _chunks(self, rows: Int[np.ndarray, " M"], device: torch.device) -> Iterator[Tensor]:
        """x of these rows, scaled, a few at a time."""
        size = max(1, PAIRS // self.batches.classes)
        for start in range(0, len(rows), size):
            yield self.batches.x_at(rows[start : start + size], device)


def probe_of(
    batches: SemiSupervisedBatches, size: int, seed: int, densities: bool = True
) -> Probe | None:
    """The probe of a run; None if `size` is 0."""
    return Probe(probe_rows(batches.y, size, seed), batches, seed, densities) if size else None
