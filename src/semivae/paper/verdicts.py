"""What the measurements say of the paper's claims on its objective: a verdict, and the numbers
behind it.

Each is a function of readings alone, open where there are none. Where a claim is of a difference
it is judged over paired seeds (`spreads.Gain`), and one seed decides nothing.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from semivae.paper import ablation, limit
from semivae.paper import classifier_entropy as entropy
from semivae.paper import learning_from_labels as learning
from semivae.paper.ablation_plan import GRIDS, LEVELS
from semivae.paper.experiments import TEST_ACCURACY, by_seed, places
from semivae.paper.sides import CLASSES, M2, OPTIMIZED
from semivae.paper.spreads import LESS, MORE, ONE_SEED, SAME, Gain, gain
from semivae.plots.panels import Reading
from semivae.spread import spread

HOLDS, PARTLY, MIXED = "holds", "holds in part", "mixed"
UNSHOWN, FAILS, OPEN = "not shown", "does not hold", "not decided"
ALL = (HOLDS, PARTLY, MIXED, UNSHOWN, FAILS, OPEN)
INFORMATION, MARGINAL = "I(y; x), nats", "KL(q(y) || p(y)), nats"


class Finding(NamedTuple):
    """A verdict, one of `ALL`, and in words what it rests on."""

    verdict: str
    words: str


NOTHING = Finding(OPEN, "Not measured to its end yet.")


def together(verdicts: Iterable[str], wanted: str) -> str:
    """One verdict of several comparisons.

    All as wanted: it holds; some and none to the contrary: in part; some of each: mixed; none of
    either: not shown; none as wanted and some to the contrary: it does not hold. Open without any,
    and with one seed alone.
    """
    found = list(verdicts)
    if not found or ONE_SEED in found:
        return OPEN
    hits, none = found.count(wanted), found.count(SAME)
    against = len(found) - hits - none
    if hits:
        return MIXED if against else PARTLY if none else HOLDS
    return FAILS if against else UNSHOWN


def compared(gains: Mapping[str, Gain], wanted: str, words: str) -> Finding:
    """The verdict of several differences, by name; open without any."""
    if not gains:
        return NOTHING
    return Finding(together((of.verdict for of in gains.values()), wanted), words)


def told(gains: Mapping[str, Gain], digits: int, unit: str = "") -> str:
    """Differences in words, by name."""
    return "; ".join(
        f"{name}: {of.text(digits)}{unit and f' {unit}'} ({of.verdict}; seeds: {of.seeds})"
        for name, of in gains.items()
    )


def entropy_rises(readings: Sequence[Reading]) -> Finding:
    """C1: M2's classifier entropy increases with the epochs."""
    of = {
        f"{panel}{line.removeprefix(M2)}": entropy.course(readings, panel, line)
        for panel, line in places(readings)
        if line.startswith(M2)
    }
    if not of:
        return NOTHING
    whole = [name for name, course in of.items() if course.whole.verdict == MORE]
    later = [name for name, course in of.items() if course.later.verdict == MORE]
    ends = "; ".join(
        f"{name}: {course.first.mean:.3f} after the first epoch, least {course.least.mean:.3f} "
        f"(epoch {course.least_at:g}), {course.last.mean:.3f} at the end, the largest "
        f"rise within a run {course.rise.text(3)} on average"
        for name, course in of.items()
    )
    return Finding(
        together((course.whole.verdict for course in of.values()), MORE),
        f"Of {len(of)} settings of M2 it rises from the first epoch to the end in {len(whole)}"
        f"{_named(whole)}, and from half-way in {len(later)}{_named(later)}. In nats: {ends}.",
    )


def _named(names: Sequence[str]) -> str:
    return f" ({'; '.join(names)})" if names else ""


def entropy_is_reduced(readings: Sequence[Reading]) -> Finding:
    """C2: Optimized-ELBO ends with less entropy than M2 under the same estimator and alpha."""
    gains = {}
    for panel, line in places(readings):
        if line.startswith(OPTIMIZED):
            suffix = line.removeprefix(OPTIMIZED)
            ends = [
                by_seed(readings, panel=panel, line=side + suffix, measure=entropy.ENTROPY)
                for side in (OPTIMIZED, M2)
            ]
            if (found := gain(*ends)) is not None:
                gains[f"{panel}{suffix}"] = found
    words = f"Optimized-ELBO's entropy at the end minus M2's: {told(gains, 4, 'nats')}."
    return compared(gains, LESS, words)


def information(readings: Sequence[Reading]) -> list[Reading]:
    """Both parts of the mean KL(q(y|x) || p(y)), in the grids of the ablation (Eq 16)."""
    own = {
        replace(of, measure="", value=0.0): of.value
        for of in readings
        if of.panel in GRIDS and of.measure == ablation.ENTROPY
    }
    found = []
    for of in readings:
        key = replace(of, measure="", value=0.0)
        if of.measure == ablation.AGGREGATE and key in own:
            found.append(replace(of, measure=INFORMATION, value=of.value - own[key]))
            found.append(replace(of, measure=MARGINAL, value=math.log(CLASSES) - of.value))
    return found


def prior_kl_reduces_information(readings: Sequence[Reading]) -> Finding:
    """C4: the term KL(q(y|x) || p(y)) lowers I(y; x). Along gamma = 0 it is in the unlabeled sum
    at beta = 0, and cancelled there at beta = 1; the labeled sum keeps it."""
    parts = information(readings)

    def at(panel: str, measure: str, beta: float) -> dict[int, float]:
        return by_seed(parts, panel=panel, line="gamma = 0", measure=measure, x=beta)

    gains, words = {}, []
    for panel in GRIDS:
        found = gain(at(panel, INFORMATION, 0.0), at(panel, INFORMATION, 1.0))
        if found is None:
            continue
        gains[panel] = found
        for beta, name in ((0.0, "with it"), (1.0, "without it")):
            means = (
                f"{measure.removesuffix(', nats')} = "
                f"{spread(list(at(panel, measure, beta).values())).text(3)}"
                for measure in (INFORMATION, MARGINAL)
            )
            words.append(f"{panel}, {name}: {', '.join(means)}")
    return compared(
        gains,
        LESS,
        "I(y; x) where the unlabeled sum has the term minus that where it is cancelled: "
        f"{told(gains, 3, 'nats')}. In nats: {'; '.join(words)}.",
    )


def labeled_elbo_does_not_learn(readings: Sequence[Reading]) -> Finding:
    """C5: the labeled ELBO teaches the classifier nothing, Optimized-ELBO's labeled sum does:
    alone, beside the unlabeled ELBO, and beside the unlabeled sum of 3.6 as it stands."""
    elbo, forward = learning.LABELED_SUMS[:2]
    sharpened = [learning.SHARPENED[of] for of in (elbo, forward)]
    lines = [(learning.ALONE, of.name) for of in (elbo, forward)]
    lines += [(learning.WHOLE, name) for name in (elbo.name, forward.name, *sharpened)]
    ends = {
        (panel, line): by_seed(readings, panel=panel, line=line, measure=TEST_ACCURACY)
        for panel, line in lines
    }
    whole = gain(ends[lines[3]], ends[lines[2]])
    sharp = gain(ends[lines[5]], ends[lines[4]])
    if whole is None or sharp is None:
        return NOTHING
    means = {key: spread(list(values.values())) for key, values in ends.items()}
    alone = not learning.learns(means[learning.ALONE, elbo.name].mean) and learning.learns(
        means[learning.ALONE, forward.name].mean
    )
    reached = "; ".join(f"{', '.join(key)}: {mean.text(2)} %" for key, mean in means.items())
    return Finding(
        together((MORE if alone else LESS, whole.verdict, sharp.verdict), MORE),
        f"Without cross-entropy, test accuracy: {reached}. Alone, the labeled ELBO "
        f"{'does not learn and the other sum does' if alone else 'learns, or neither does'}. "
        "Optimized-ELBO's labeled sum over the labeled ELBO beside the unlabeled ELBO: "
        f"{whole.text(2)} points ({whole.verdict}); beside the unlabeled sum of 3.6: "
        f"{sharp.text(2)} points ({sharp.verdict}).",
    )


def smoothing_prevents_overconfidence(readings: Sequence[Reading]) -> Finding:
    """C6: smoothing prevents overconfidence, by every measure at every epsilon above 0, with
    cross-entropy to the hard label beside it and without; and at the paper's epsilon alone."""
    gains = {
        (panel, epsilon): {
            measure: found
            for measure in ablation.CALIBRATION
            if (found := gain(*(_at(readings, panel, measure, x) for x in (epsilon, 0.0))))
        }
        for panel in ablation.SMOOTHING
        for epsilon in LEVELS["epsilon"][1:]
    }

    def verdict(*places: tuple[str, float]) -> str:
        return together((of.verdict for at in places for of in gains[at].values()), LESS)

    words = []
    for (panel, epsilon), here in gains.items():
        told_of = ", ".join(
            f"{name} {of.text(ablation.DIGITS[name])} ({of.verdict})" for name, of in here.items()
        )
        words += [f"{panel} = {epsilon:g}: {told_of}"] if here else []
    if not words:
        return NOTHING
    own = ", ".join(f"{panel}: {verdict((panel, limit.EPSILON))}" for panel in ablation.SMOOTHING)
    return Finding(
        verdict(*gains),
        f"At the paper's epsilon, {limit.EPSILON:g}, alone: {own}. Against no smoothing: "
        f"{'; '.join(words)}.",
    )


def _at(readings: Sequence[Reading], panel: str, measure: str, x: float) -> dict[int, float]:
    return by_seed(readings, panel=panel, line=OPTIMIZED, measure=measure, x=x)


ALIGNED = 0.05  # so near to the smoothed label is a mean confidence "there"


def limit_holds(readings: Sequence[Reading]) -> Finding:
    """C10: the sum of 3.3.2 goes to its limit as q -> p̂; whether it draws the classifier there is
    asked of classifiers trained under it alone."""
    of = limit.limit()
    there = math.isclose(of.point, of.limit, abs_tol=1e-9)
    forward = learning.LABELED_SUMS[1].name
    sure = by_seed(readings, panel=learning.ALONE, line=forward, measure=learning.CONFIDENCE)
    words = (
        f"Where q is the smoothed label the sum is {of.point:.4f} nats and its limit "
        f"{of.limit:.4f}. The sum is least, {of.least:.4f}, where q(y|x) of the label is "
        f"{of.best:.4f}; that of the smoothed label is {1 - limit.EPSILON:g}."
    )
    if not sure:
        return Finding(OPEN, f"{words} No classifier was trained under it yet.")
    reached = spread(list(sure.values()))
    aligned = reached.mean > 1 - limit.EPSILON - ALIGNED
    return Finding(
        HOLDS if there and aligned else PARTLY if there else FAILS,
        f"{words} Classifiers trained under that labeled sum alone have a mean confidence of "
        f"{reached.text(3)} on test rows.",
    )
