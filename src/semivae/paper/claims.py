"""The paper's claims, each with a verdict from what `semivae reproduce` measured; nothing here
trains."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from semivae.markdown import table
from semivae.paper import (
    ablation,
    classifier_entropy,
    disentanglement,
    domains,
    evidence,
    experiments,
    generation,
    label_counts,
    learning_from_labels,
    limit,
    outcomes,
    results_table,
    verdicts,
)
from semivae.paper.asking import named
from semivae.paper.evidence import Finding
from semivae.paper.experiments import Experiment
from semivae.plots.panels import Reading, panels

if TYPE_CHECKING:
    from semivae.plots import Figure

NAME, TITLE = "claims", "What the paper claims, and what was measured"
TABLE, ARCHITECTURE = "results-table", "architecture"
PAGES = {"gradient-estimators": "estimators"}  # those that are not called as their piece
LIMIT, PARTS = "limit-of-3.3.2", "information-and-divergence"
OWN = (f"{LIMIT}.png", f"{PARTS}.png")  # figures of this piece


@dataclass(frozen=True)
class Measured:
    """What the pieces of `semivae reproduce` left under a folder, read where it is asked for."""

    folder: Path
    quick: bool

    def of(self, piece: str) -> Path:
        """The folder of a piece."""
        return self.folder / named(piece, self.quick)

    def page(self, piece: str) -> Path:
        """Where a piece writes its page in Markdown, once its runs have ended."""
        if piece == ARCHITECTURE:  # the same in a quick look
            return self.folder / f"{piece}.md"
        if piece == TABLE:  # it lies beside the folder of its runs
            return self.folder / f"{self.of(piece).name}.md"
        return self.of(piece) / f"{PAGES.get(piece, piece)}.md"

    def figure(self, piece: str, name: str) -> str:
        """The path of a figure under the folder; that of the results table lies in no other."""
        if piece == TABLE:
            return f"{self.of(piece).name}.png"
        return f"{self.of(NAME if name in OWN else piece).name}/{name}"

    def readings(self, experiment: Experiment) -> list[Reading]:
        """Every number read off the runs of an experiment that has ended: of one that has not,
        some sides lack a seed."""
        if not self.page(experiment.name).exists():
            return []
        runs = experiments.read(experiment, self.of(experiment.name) / "runs", self.quick)
        return experiment.readings(runs)

    def rows(self) -> list[generation.Row]:
        """What the models generate, if that piece has ended."""
        if not self.page(generation.NAME).exists():
            return []
        return generation.read(self.of(generation.NAME) / "runs", self.quick)[0]

    def sides(self) -> results_table.Sides:
        """The runs of the results table."""
        return results_table.sides_in(self.of(TABLE), self.quick)

    def over_counts(self) -> list[label_counts.Ended]:
        """The runs of the table over label counts that is published; of a quick look none, whose
        data have no other claim."""
        return [] if self.quick else label_counts.published(self.of(label_counts.NAME))


@dataclass(frozen=True)
class Claim:
    """What the paper claims, and where; the piece that measures it, the figure that shows it (a
    file of that piece, or of this one), what reads the verdict off the measurements, and the
    further piece, if any, whose picture has a part of it."""

    key: str
    section: str
    words: str
    piece: str
    figure: str
    judge: Callable[[Measured], Finding]
    further: str | None = None


ENTROPY, LEARNING = classifier_entropy.EXPERIMENT, learning_from_labels.EXPERIMENT
ABLATION, CODES, TABLES = ablation.EXPERIMENT, disentanglement.EXPERIMENT, domains.EXPERIMENT
CLAIMS = (
    Claim(
        "C1", "3.1, 5.5", "The entropy of M2's classifier increases with the number of epochs.",
        ENTROPY.name, "classifier-entropy.png",
        lambda of: verdicts.entropy_rises(of.readings(ENTROPY)),
    ),
    Claim(
        "C2", "3.1, 5.5", "Optimized-ELBO effectively reduces that entropy.",
        ENTROPY.name, "classifier-entropy.png",
        lambda of: verdicts.entropy_is_reduced(of.readings(ENTROPY)),
    ),
    Claim(
        "C3", "abstract, 3.1, 6", "Its decision boundary aligns better with low-density regions.",
        generation.NAME, "generation-paths.png", lambda of: outcomes.boundary_is_rare(of.rows()),
    ),
    Claim(
        "C4", "3.2", "Minimising KL(q(y|x) || p(y)) tends to reduce I(y; x).",
        ablation.NAME, f"{PARTS}.png",
        lambda of: verdicts.prior_kl_reduces_information(of.readings(ABLATION)),
    ),
    Claim(
        "C5", "3.3, 5.6", "The labeled ELBO does not learn from labels; Optimized-ELBO does.",
        LEARNING.name, "learning-from-labels.png",
        lambda of: verdicts.labeled_elbo_does_not_learn(of.readings(LEARNING)),
    ),
    Claim(
        "C6", "3.5", "Label smoothing prevents overconfidence.",
        ablation.NAME, f"{ablation.SMOOTHED}.png",
        lambda of: verdicts.smoothing_prevents_overconfidence(of.readings(ABLATION)),
    ),
    Claim(
        "C7", "5.2, 5.3", "It gains +2.5 points on MNIST and +2.0 on CIFAR-10.",
        TABLE, f"{TABLE}.png", lambda of: outcomes.accuracy_gains(of.sides(), of.over_counts()),
        further=label_counts.NAME,
    ),
    Claim(
        "C8", "abstract", "It improves generative performance too.",
        generation.NAME, "generation.png", lambda of: outcomes.generation_improves(of.rows()),
    ),
    Claim(
        "C9", "2.3, Eq 4", "Factorizing q(z, y|x) enforces disentanglement of y and z.",
        disentanglement.NAME, "disentanglement.png",
        lambda of: outcomes.factorizing_disentangles(of.readings(CODES)),
    ),
    Claim(
        "C10", "3.3.2", "KL(p̂ || q) + KL(q || p) goes to KL(p̂ || p) as q goes to p̂, which aligns "
        "the classifier with smoothed labels.",
        LEARNING.name, f"{LIMIT}.png",
        lambda of: verdicts.limit_holds(of.readings(LEARNING)),
    ),
    Claim(
        "C11", "abstract", "The gains generalize across diverse domains.",
        domains.NAME, "domains.png",
        lambda of: outcomes.it_carries_over(of.readings(TABLES), of.sides()), TABLE,
    ),
)  # fmt: skip


class Judged(NamedTuple):
    """A claim with its finding."""

    claim: Claim
    finding: Finding


def judged(measured: Measured) -> list[Judged]:
    """Every claim with its verdict."""
    return [Judged(claim, claim.judge(measured)) for claim in CLAIMS]


def page(found: Sequence[Judged], measured: Measured) -> str:
    """The verdicts at a glance, then each with what it rests on, in Markdown; links go from the
    folder of this piece."""
    rows = [(claim.key, claim.words, claim.section, of.verdict) for claim, of in found]
    given = [of.verdict for _, of in found]
    counts = ", ".join(
        f"{given.count(verdict)} {verdict}" for verdict in evidence.ALL if verdict in given
    )
    sections = "\n".join(section(claim, of, measured) for claim, of in found)
    return (
        f"# {TITLE}\n\n{counts}.\n\n{table(('', 'The paper', 'Section', 'Verdict'), rows)}\n"
        "A difference is there where the 95 % interval over paired seeds (Student's t) leaves out "
        "0; one seed decides nothing. In part: some comparisons are as claimed, none is to the "
        "contrary; mixed: some of each; not shown: none of either; does not hold: none as "
        "claimed, and some to the contrary.\n\n"
        f"{sections}"
    )


def section(claim: Claim, of: Finding, measured: Measured) -> str:
    """One claim with its verdict, and its figures as far as they are there."""
    paths = [measured.figure(claim.piece, claim.figure)]
    if claim.further is not None:
        paths.append(measured.figure(claim.further, f"{claim.further}.png"))
    pictures = "".join(
        f"\n![{claim.key}](../{path})\n" for path in paths if (measured.folder / path).exists()
    )
    pieces = " ".join(filter(None, (claim.piece, claim.further)))
    return (
        f"## {claim.key}: {of.verdict}\n\nThe paper ({claim.section}): {claim.words}\n\n"
        f"Measured (`semivae reproduce {pieces}`): {of.markdown}{pictures}"
    )


class Drawn(NamedTuple):
    """A figure with the numbers in it."""

    figure: "Figure"
    readings: Sequence[Reading]


def figures(measured: Measured) -> dict[str, Drawn]:
    """The figures that no other piece has."""
    curve = limit.curve()
    title = "The sum of 3.3.2 and its limit"
    drawn = {LIMIT: Drawn(panels(curve, title, "q(y|x) of the label"), curve)}
    readings = verdicts.information(measured.readings(ABLATION))
    if readings:
        title = "Both parts of the mean KL(q(y|x) || p(y)) (Eq 16)"
        drawn[PARTS] = Drawn(panels(readings, title, "beta + gamma", share_y=False), readings)
    return drawn
