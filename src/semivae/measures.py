"""Every diagnostic of an assessment by name, with its unit and what it tells a practitioner."""

from collections.abc import Mapping
from math import log
from typing import NamedTuple

from semivae.assessment import Assessment
from semivae.evaluation import ClassificationReport

NATS, SHARE, NUMBER = "nats", "share", ""


class Measure(NamedTuple):
    """A number with what it means; `value` is None where it takes labels and there are none."""

    name: str
    value: float | int | None
    unit: str
    meaning: str

    @property
    def text(self) -> str:
        """The value as one reads it, with its unit; a dash where there is none.

        >>> Measure("ece", 0.0123, SHARE, "").text, Measure("log_p_x", -98.7654, NATS, "").text
        ('1.2 %', '-98.765 nats')
        """
        if self.value is None:
            return "–"
        if self.unit == SHARE:
            return f"{100 * self.value:.1f} %"
        digits = f"{self.value:,}" if isinstance(self.value, int) else f"{self.value:.3f}"
        return f"{digits} {self.unit}".strip()


class Group(NamedTuple):
    """Measures of one idea, all on the same `rows`."""

    title: str
    rows: int
    measures: tuple[Measure, ...]


# name: unit, meaning. `{most}` stands for log K, `{size}` for the number of dimensions of z.
MEANINGS: Mapping[str, tuple[str, str]] = {
    "nll": (NATS, "surprise at the true class; {most} is guessing, lower is better"),
    "brier": (NUMBER, "squared error of the probabilities, 0 to 2; lower is better"),
    "ece": (SHARE, "how far confidence is from accuracy; 0 is calibrated"),
    "classifier_entropy": (NATS, "how unsure it is of a row: 0 is sure, {most} is guessing"),
    "aggregate_entropy": (NATS, "how evenly it uses the classes over all rows: {most} is evenly"),
    "mutual_information": (
        NATS,
        "aggregate less classifier entropy: near 0, every row gets one answer",
    ),
    "marginal_label_kl": (NATS, "how far its shares of the classes are from the prior p(y)"),
    "inference_gap": (NATS, "what the bound loses as q(y|x) and the decoder disagree on y"),
    "model_entropy": (NATS, "how unsure the decoder is of y: near {most}, it ignores y"),
    "discriminative_accuracy": (SHARE, "rows that the classifier q(y|x) gets right"),
    "generative_accuracy": (SHARE, "rows that the decoder, read backwards as p(y|x), gets right"),
    "generative_nll": (NATS, "surprise of p(y|x) at the true class"),
    "generative_brier": (NUMBER, "squared error of p(y|x)"),
    "generative_ece": (SHARE, "calibration error of p(y|x)"),
    "log_p_x": (NATS, "how likely the model finds a row, at least; for one likelihood only"),
    "log_p_xy": (NATS, "the same for a row with its true class"),
    "latent_kl": (NATS, "what z costs the bound: the sum of the next two"),
    "index_code_information": (NATS, "how well z tells rows apart; 0: z is unused"),
    "marginal_latent_kl": (NATS, "how far codes are from the prior, which samples are drawn from"),
    "label_kl": (NATS, "what y costs the bound: information and marginal of y"),
    "joint_kl": (NATS, "what z and y cost together"),
    "joint_information": (NATS, "what z and y together tell of a row"),
    "leakage": (
        NATS,
        "what z tells of the classifier's y: 0 is disentangled, {most} is all of it",
    ),
    "coupling": (NATS, "what z adds on y once the row is known; 0 unless q(z|x, y) sees y"),
    "active_units": (NUMBER, "dimensions of z, of {size}, whose mean differs from row to row"),
    "accuracy_from_means": (SHARE, "true classes that a linear classifier reads from means of z"),
    "accuracy_from_z": (SHARE, "the same from draws of z, all that the decoder sees"),
    "accuracy_from_x": (SHARE, "the same from x"),
    "chance": (SHARE, "the same from nothing: y and z are disentangled if the first two are this"),
    "information_from_z": (NATS, "what draws of z tell of the true class, at least"),
}


def taken(found: Assessment, rows: str) -> str:
    """On how many of which rows it was taken, and how thoroughly, in words."""
    return (
        f"{found.n:,} {rows}, each group on so many of them as it says (seed {found.seed}); "
        f"log p(x) with {found.effort.samples:,} importance samples"
    )


def groups(found: Assessment) -> tuple[Group, ...]:
    """All measures in groups, in the order of `MEANINGS`; those of q(y|x) on top."""
    classifier = {**_quality(found.classification), **found.information._asdict()}
    decoder: dict[str, float | None] = {
        "inference_gap": found.gap.kl,
        "model_entropy": found.gap.model_entropy,
        "discriminative_accuracy": _accuracy(found.discriminative),
        "generative_accuracy": _accuracy(found.generative),
        **{f"generative_{name}": value for name, value in _quality(found.generative).items()},
        "log_p_x": found.evidence.mean,
        "log_p_xy": found.log_p_xy,
    }
    cuts = {n: v for n, v in found.surgery._asdict().items() if n not in classifier}
    parts = [
        ("The classifier", found.n, classifier),
        ("The classifier and the decoder", len(found.evidence.log_joint), decoder),
        ("Where the KL goes", found.surgery_rows, cuts | {"active_units": found.units.active}),
    ]
    if found.linear is not None:
        read = found.linear._asdict()
        parts.append(("The class in z", read.pop("fitted") + read.pop("scored"), read))
    most = f"{log(found.evidence.log_joint.shape[1]):.2f}"
    size = str(len(found.units.variances))

    def measure(name: str, value: float | int | None) -> Measure:
        unit, meaning = MEANINGS[name]
        return Measure(name, value, unit, meaning.format(most=most, size=size))

    return tuple(
        Group(title, rows, tuple(measure(*item) for item in part.items()))
        for title, rows, part in parts
    )


def _quality(report: ClassificationReport | None) -> dict[str, float | None]:
    if report is None:
        return {"nll": None, "brier": None, "ece": None}
    return {"nll": report.nll, "brier": report.brier, "ece": report.ece}


def _accuracy(report: ClassificationReport | None) -> float | None:
    return None if report is None else report.accuracy


def values(found: Assessment) -> dict[str, float | int | None]:
    """Every name with its value; None where it takes labels and there are none."""
    known = {m.name: m.value for group in groups(found) for m in group.measures}
    return {name: known.get(name) for name in MEANINGS}
