"""What the measurements say of the paper's claims on its objective: a verdict, and the numbers
behind it.

Each is a function of readings alone, open where there are none. Where a claim is of a difference
it is judged over paired seeds (`spreads.Gain`), and one seed decides nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from semivae.paper import ablation, limit
from semivae.paper import classifier_entropy as entropy
from semivae.paper import learning_from_labels as learning
from semivae.paper.ablation_plan import GRIDS, LEVELS
from semivae.paper.evidence import (
    FAILS,
    HOLDS,
    NOTHING,
    OPEN,
    PARTLY,
    Evidence,
    Finding,
    compared,
    differences,
    judged,
    together,
)
from semivae.paper.experiments import TEST_ACCURACY, by_seed, places
from semivae.paper.sides import CLASSES, M2, OPTIMIZED
from semivae.paper.spreads import LESS, MORE, gain
from semivae.plots.panels import Reading
from semivae.spread import spread

INFORMATION, MARGINAL = "I(y; x), nats", "KL(q(y) || p(y)), nats"
ABOVE_LEAST, RISEN = "at the end above the least, by seed", 0.1  # nats


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
    risen = [
        f"{name}: {len(runs)} of {len(course.above_least)} seeds"
        for name, course in of.items()
        if (runs := [rise for rise in course.above_least if rise > RISEN])
    ]
    ends = {
        name: (
            course.first.text(3),
            f"{course.least.text(3)} (epoch {course.least_at:g})",
            course.last.text(3),
            course.rise.text(3),
            ", ".join(f"{rise:.3f}" for rise in course.above_least),
        )
        for name, course in of.items()
    }
    columns = ("after epoch 1", "least", "at the end", "largest rise within a run", ABOVE_LEAST)
    return Finding(
        together((course.whole.verdict for course in of.values()), MORE),
        f"Of {len(of)} settings of M2 it rises from the first epoch to the end in {len(whole)}"
        f"{_named(whole)}, and from half-way in {len(later)}{_named(later)}. Single runs end more "
        f"than {RISEN:g} nats above their least{_named(risen) or ' in none'}.",
        (Evidence("Entropy of M2's classifier, nats", columns, ends),),
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
    title = "Classifier entropy at the end over M2's, nats"
    words = "Optimized-ELBO beside M2 under the same estimator of y and alpha, over paired seeds."
    return compared(gains, LESS, words, differences(title, gains, 4))


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

    gains, parted = {}, {}
    for panel in GRIDS:
        found = gain(at(panel, INFORMATION, 0.0), at(panel, INFORMATION, 1.0))
        if found is None:
            continue
        gains[panel] = found
        for beta, name in ((0.0, "with it"), (1.0, "without it")):
            parted[f"{panel}, {name}"] = tuple(
                spread(list(at(panel, measure, beta).values())).text(3)
                for measure in (INFORMATION, MARGINAL)
            )
    return compared(
        gains,
        LESS,
        "I(y; x) where the unlabeled sum has the term, over that where it is cancelled.",
        differences(INFORMATION, gains, 3),
        Evidence("Both parts of the term", (INFORMATION, MARGINAL), parted),
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
    reached = {", ".join(key): (mean.text(2),) for key, mean in means.items()}
    over = {"beside the unlabeled ELBO": whole, "beside the unlabeled sum of 3.6": sharp}
    title = "Optimized-ELBO's labeled sum over the labeled ELBO, points"
    return Finding(
        together((MORE if alone else LESS, whole.verdict, sharp.verdict), MORE),
        "Without cross-entropy. Alone, the labeled ELBO "
        f"{'does not learn and the other sum does' if alone else 'learns, or neither does'}.",
        (
            Evidence("Trained under", ("test accuracy, %",), reached),
            differences(title, over, 2),
        ),
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

    lines = {
        f"{panel}: {epsilon:g}": tuple(
            judged(here[name], ablation.DIGITS[name]) if name in here else "–"
            for name in ablation.CALIBRATION
        )
        for (panel, epsilon), here in gains.items()
        if here
    }
    if not lines:
        return NOTHING
    own = ", ".join(f"{panel}: {verdict((panel, limit.EPSILON))}" for panel in ablation.SMOOTHING)
    return Finding(
        verdict(*gains),
        f"At the paper's epsilon, {limit.EPSILON:g}, alone: {own}.",
        (Evidence("Over no smoothing", tuple(ablation.CALIBRATION), lines),),
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
