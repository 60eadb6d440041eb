"""The paper's claims, each with a verdict from what `semivae reproduce` measured; nothing here
trains."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from semivae.paper import (
    ablation,
    classifier_entropy,
    disentanglement,
    domains,
    experiments,
    generation,
    learning_from_labels,
    limit,
    outcomes,
    results_table,
    verdicts,
)
from semivae.paper.experiments import Experiment, table
from semivae.paper.verdicts import OPEN, Finding
from semivae.plots.panels import Reading, panels

if TYPE_CHECKING:
    from semivae.plots import Figure

NAME, TITLE = "claims", "What the paper claims, and what was measured"
TABLE = "results-table"
LIMIT, PARTS = "limit-of-3.3.2", "information-and-divergence"
OWN = (f"{LIMIT}.png", f"{PARTS}.png")  # figures of this piece


@dataclass(frozen=True)
class Measured:
    """What the pieces of `semivae reproduce` left under a folder, read where it is asked for."""

    folder: Path
    quick: bool

    def of(self, piece: str) -> Path:
        """The folder of a piece."""
        return self.folder / (f"{piece}-quick" if self.quick else piece)

    def figure(self, piece: str, name: str) -> str:
        """The path of a figure under the folder; that of the results table lies in no other."""
        if piece == TABLE:
            return f"{self.of(piece).name}.png"
        return f"{self.of(NAME if name in OWN else piece).name}/{name}"

    def readings(self, experiment: Experiment) -> list[Reading]:
        """Every number read off the runs of an experiment that has ended: of one that has not,
        some sides lack a seed."""
        if not (self.of(experiment.name) / f"{experiment.name}.md").exists():
            return []
        runs = experiments.read(experiment, self.of(experiment.name) / "runs", self.quick)
        return experiment.readings(runs)

    def rows(self) -> list[generation.Row]:
        """What the models generate, if that piece has ended."""
        if not (self.of(generation.NAME) / f"{generation.NAME}.md").exists():
            return []
        return generation.read(self.of(generation.NAME) / "runs")[0]

    def sides(self) -> results_table.Sides:
        """The runs of the results table."""
        return results_table.sides_in(self.of(TABLE), self.quick)


@dataclass(frozen=True)
class Claim:
    """What the paper claims, and where; the piece that measures it, the figure that shows it (a
    file of that piece, or of this one), and what reads the verdict off the measurements."""

    key: str
    section: str
    words: str
    piece: str
    figure: str
    judge: Callable[[Measured], Finding | None]

    def finding(self, measured: Measured) -> Finding:
        """The verdict; open where nothing was measured."""
        found = self.judge(measured)
        if found is None:
            return Finding(OPEN, f"Not measured yet: `semivae reproduce {self.piece}`.")
        return found


def _of(
    experiment: Experiment, judge: Callable[[Sequence[Reading]], Finding]
) -> Callable[[Measured], Finding | None]:
    """A verdict on an experiment's readings, if there are any."""

    def judged(measured: Measured) -> Finding | None:
        readings = measured.readings(experiment)
        return judge(readings) if readings else None

    return judged


def _of_rows(
    judge: Callable[[Sequence[generation.Row]], Finding],
) -> Callable[[Measured], Finding | None]:
    def judged(measured: Measured) -> Finding | None:
        rows = measured.rows()
        return judge(rows) if rows else None

    return judged


def _accuracy(measured: Measured) -> Finding | None:
    sides = measured.sides()
    return outcomes.accuracy_gains(sides) if sides else None


def _elsewhere(measured: Measured) -> Finding | None:
    readings = measured.readings(domains.EXPERIMENT)
    return outcomes.it_carries_over(readings, measured.sides()) if readings else None


ENTROPY, LEARNING = classifier_entropy.EXPERIMENT, learning_from_labels.EXPERIMENT
CLAIMS = (
    Claim(
        "C1", "3.1, 5.5", "The entropy of M2's classifier increases with the number of epochs.",
        ENTROPY.name, "classifier-entropy.png", _of(ENTROPY, verdicts.entropy_rises),
    ),
    Claim(
        "C2", "3.1, 5.5", "Optimized-ELBO effectively reduces that entropy.",
        ENTROPY.name, "classifier-entropy.png", _of(ENTROPY, verdicts.entropy_is_reduced),
    ),
    Claim(
        "C3", "abstract, 3.1, 6", "Its decision boundary aligns better with low-density regions.",
        generation.NAME, "generation.png", _of_rows(outcomes.boundary_is_rare),
    ),
    Claim(
        "C4", "3.2", "Minimising KL(q(y|x) || p(y)) tends to reduce I(y; x).",
        ablation.NAME, f"{PARTS}.png",
        _of(ablation.EXPERIMENT, verdicts.prior_kl_reduces_information),
    ),
    Claim(
        "C5", "3.3, 5.6", "The labeled ELBO does not learn from labels; Optimized-ELBO does.",
        LEARNING.name, "learning-from-labels.png",
        _of(LEARNING, verdicts.labeled_elbo_does_not_learn),
    ),
    Claim(
        "C6", "3.5", "Label smoothing prevents overconfidence.",
        ablation.NAME, "ablation.png",
        _of(ablation.EXPERIMENT, verdicts.smoothing_prevents_overconfidence),
    ),
    Claim(
        "C7", "5.2, 5.3", "It gains +2.5 points on MNIST and +2.0 on CIFAR-10.",
        TABLE, f"{TABLE}.png", _accuracy,
    ),
    Claim(
        "C8", "abstract", "It improves generative performance too.",
        generation.NAME, "generation.png", _of_rows(outcomes.generation_improves),
    ),
    Claim(
        "C9", "2.3, Eq 4", "Factorizing q(z, y|x) enforces disentanglement of y and z.",
        disentanglement.NAME, "disentanglement.png",
        _of(disentanglement.EXPERIMENT, outcomes.factorizing_disentangles),
    ),
    Claim(
        "C10", "3.3.2", "KL(p̂ || q) + KL(q || p) goes to KL(p̂ || p) as q goes to p̂, which aligns "
        "the classifier with smoothed labels.",
        LEARNING.name, f"{LIMIT}.png",
        lambda measured: verdicts.limit_holds(measured.readings(LEARNING)),
    ),
    Claim(
        "C11", "abstract", "The gains generalize across diverse domains.",
        domains.NAME, "domains.png", _elsewhere,
    ),
)  # fmt: skip


class Judged(NamedTuple):
    """A claim with its finding."""

    claim: Claim
    finding: Finding


def judged(measured: Measured) -> list[Judged]:
    """Every claim with its verdict."""
    return [Judged(claim, claim.finding(measured)) for claim in CLAIMS]


def page(found: Sequence[Judged], measured: Measured) -> str:
    """The verdicts at a glance, then each with what it rests on, in Markdown; links go from the
    folder of this piece."""
    rows = [(claim.key, claim.words, claim.section, of.verdict) for claim, of in found]
    counts = ", ".join(
        f"{n} {verdict}"
        for verdict in verdicts.ALL
        if (n := sum(of.verdict == verdict for _, of in found))
    )
    parts = [
        f"## {claim.key}: {of.verdict}\n\nThe paper ({claim.section}): {claim.words}\n\n"
        f"Measured (`semivae reproduce {claim.piece}`): {of.words}\n"
        + (
            f"\n![{claim.key}](../{measured.figure(claim.piece, claim.figure)})\n"
            if of.verdict != OPEN or (measured.folder / path).exists()
            else ""
        )
        for claim, of in found
        for path in [measured.figure(claim.piece, claim.figure)]
    ]
    return (
        f"# {TITLE}\n\n{counts}.\n\n{table(('', 'The paper', 'Section', 'Verdict'), rows)}\n"
        "A difference is there beyond two standard errors over paired seeds; one seed decides "
        f"nothing.\n\n{chr(10).join(parts)}"
    )


def figures(measured: Measured) -> dict[str, "Figure"]:
    """The figures that no other piece has."""
    drawn = {LIMIT: panels(limit.curve(), "The sum of 3.3.2 and its limit", "q(y|x) of the label")}
    readings = verdicts.information(measured.readings(ablation.EXPERIMENT))
    if readings:
        title = "Both parts of the mean KL(q(y|x) || p(y)) (Eq 16)"
        drawn[PARTS] = panels(readings, title, "beta + gamma", share_y=False)
    return drawn
