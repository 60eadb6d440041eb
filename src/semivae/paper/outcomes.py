"""What the measurements say of the paper's claims on what comes out: accuracy, boundary,
generator, codes, other data."""

from collections.abc import Sequence

from semivae.paper import disentanglement, domains, generation
from semivae.paper.generation import Row
from semivae.paper.results_table import Sides, gain_over
from semivae.paper.sides import M2, OPTIMIZED, OUR_DEFAULTS, PAPER, SUPERVISED, TITLES
from semivae.paper.spreads import LESS, MORE, Gain
from semivae.paper.verdicts import HOLDS, OPEN, PARTLY, Finding, together, told
from semivae.plots.panels import Reading


def boundary_is_rare(rows: Sequence[Row]) -> Finding:
    """C3: Optimized-ELBO's decision boundary lies in lower density than M2's."""
    gains = _generation_gains(rows, generation.BOUNDARY)
    return Finding(
        together((of.verdict for of in gains.values()), MORE),
        "How much rarer data are at the boundary than elsewhere, Optimized-ELBO less M2, each "
        f"under its own log p(x): {told(gains, 3)}.",
    )


def generation_improves(rows: Sequence[Row]) -> Finding:
    """C8: Optimized-ELBO generates better than M2."""
    gains = _generation_gains(rows, generation.QUALITY)
    return Finding(
        together((of.verdict for of in gains.values()), MORE),
        f"Gain in quality over M2: {told(gains, 3)}.",
    )


def _generation_gains(rows: Sequence[Row], group: str) -> dict[str, Gain]:
    found = {
        measure.title: generation.gain(rows, measure)
        for measure in generation.measures(rows)
        if measure.group == group
    }
    return {title: of for title, of in found.items() if of is not None}


def accuracy_gains(sides: Sides) -> Finding:
    """C7: Optimized-ELBO gains +2.5 points on MNIST and +2.0 on CIFAR-10."""
    gains = {data: _gain(sides, data, "") for data in TITLES}
    words, reached = [], []
    for data, found in gains.items():
        printed = PAPER[data, OPTIMIZED] - PAPER[data, M2]
        if found is not None:
            reached.append(found.mean >= printed)
            words.append(
                f"{TITLES[data]}: {found.text(2)} points ({found.verdict}, {found.seeds} seeds; "
                f"printed {printed:+.1f})"
            )
    there = [found.verdict for found in gains.values() if found is not None]
    verdict = together(there, MORE)
    if len(there) < len(TITLES):
        verdict = OPEN
    elif verdict == HOLDS and not all(reached):
        verdict = PARTLY
    return Finding(verdict, f"Over M2 with the same network and alpha: {'; '.join(words)}.")


def _gain(sides: Sides, data: str, kind: str) -> Gain | None:
    return gain_over(sides.get((data, M2 + kind), []), sides.get((data, OPTIMIZED + kind), []))


def factorizing_disentangles(readings: Sequence[Reading]) -> Finding:
    """C9: q(z|x) q(y|x) keeps more of the class out of z than q(z|x, y) q(y|x)."""
    gains = {
        model: found
        for model in (M2, OPTIMIZED)
        if (found := disentanglement.less_read(readings, model)) is not None
    }
    return Finding(
        together((of.verdict for of in gains.values()), LESS),
        "What a linear probe reads of the class from a draw of z, factorized less conditional: "
        f"{told(gains, 2, 'points')}.",
    )


def it_carries_over(readings: Sequence[Reading], sides: Sides) -> Finding:
    """C11: the gain over M2 is there on other data, under symbols chosen elsewhere."""
    gains, alone = (
        {
            f"{panel.partition(',')[0]}, {labels:g} labels": domains.over(
                readings, panel, labels, other
            )
            for panel, labels in domains.cases(readings)
        }
        for other in (M2, SUPERVISED)
    )
    colour = _gain(sides, "cifar10", OUR_DEFAULTS)
    if colour is not None:
        gains["CIFAR-10 under symbols chosen on MNIST, 1,000 labels"] = colour
    return Finding(
        together((of.verdict for of in gains.values()), MORE),
        f"Test accuracy over M2: {told(gains, 2, 'points')}. Over the network without unlabeled "
        f"rows: {told(alone, 2, 'points')}.",
    )
