"""What the measurements say of the paper's claims on its objective: a verdict, and the numbers
behind it.

Each is a function of readings alone. Where a claim is of a difference it is judged over paired
seeds: it is there beyond two standard errors, and one seed decides nothing.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from semivae.paper import ablation, limit
from semivae.paper import classifier_entropy as entropy
from semivae.paper import learning_from_labels as learning
from semivae.paper.experiments import TEST_ACCURACY, by_seed, places
from semivae.paper.sides import CLASSES, M2, OPTIMIZED
from semivae.paper.spreads import LESS, MORE, ONE_SEED, Gain, gain, spread
from semivae.plots.panels import Reading

HOLDS, PARTLY, FAILS, OPEN = "holds", "holds in part", "does not hold", "not decided"
ALL = (HOLDS, PARTLY, FAILS, OPEN)
INFORMATION, MARGINAL = "I(y; x), nats", "KL(q(y) || p(y)), nats"


class Finding(NamedTuple):
    """A verdict, one of the four, and in words what it rests on."""

    verdict: str
    words: str


def together(verdicts: Iterable[str], wanted: str) -> str:
    """One verdict of several comparisons: all as wanted, some, or none; open without any and with
    one seed alone."""
    found = list(verdicts)
    if not found or ONE_SEED in found:
        return OPEN
    hits = found.count(wanted)
    return HOLDS if hits == len(found) else PARTLY if hits else FAILS


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
    whole = [name for name, course in of.items() if course.whole == entropy.RISES]
    later = [name for name, course in of.items() if course.later == entropy.RISES]
    verdict = HOLDS if len(whole) == len(of) else PARTLY if whole or later else FAILS
    ends = "; ".join(
        f"{name}: {course.first.mean:.3f} after the first epoch, least {course.least.mean:.3f} "
        f"(epoch {course.least_at:g}), {course.last.mean:.3f} at the end"
        for name, course in of.items()
    )
    return Finding(
        verdict,
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
    verdict = together((of.verdict for of in gains.values()), LESS)
    return Finding(
        verdict, f"Optimized-ELBO's entropy at the end less M2's: {told(gains, 4, 'nats')}."
    )


def information(readings: Sequence[Reading]) -> list[Reading]:
    """Both parts of the mean KL(q(y|x) || p(y)), in the grids of the ablation (Eq 16)."""
    own = {
        replace(of, measure="", value=0.0): of.value
        for of in readings
        if of.panel in ablation.GRIDS and of.measure == ablation.ENTROPY
    }
    found = []
    for of in readings:
        key = replace(of, measure="", value=0.0)
        if of.measure == ablation.AGGREGATE and key in own:
            found.append(replace(of, measure=INFORMATION, value=of.value - own[key]))
            found.append(replace(of, measure=MARGINAL, value=math.log(CLASSES) - of.value))
    return found


def prior_kl_reduces_information(readings: Sequence[Reading]) -> Finding:
    """C4: the term KL(q(y|x) || p(y)) lowers I(y; x). Along gamma = 0 it is in the objective at
    beta = 0, and cancelled at beta = 1."""
    parts = information(readings)

    def at(panel: str, measure: str, beta: float) -> dict[int, float]:
        return by_seed(parts, panel=panel, line="gamma = 0", measure=measure, x=beta)

    gains, words = {}, []
    for panel in ablation.GRIDS:
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
    return Finding(
        together((of.verdict for of in gains.values()), LESS),
        f"I(y; x) with the term less that without it: {told(gains, 3, 'nats')}. In nats: "
        f"{'; '.join(words)}.",
    )


def labeled_elbo_does_not_learn(readings: Sequence[Reading]) -> Finding:
    """C5: the labeled ELBO teaches the classifier nothing, Optimized-ELBO's labeled sum does."""
    elbo, forward = learning.LABELED_SUMS[:2]
    ends = {
        (panel, of.name): by_seed(readings, panel=panel, line=of.name, measure=TEST_ACCURACY)
        for panel in (learning.ALONE, learning.WHOLE)
        for of in (elbo, forward)
    }
    means = {key: spread(list(values.values())) for key, values in ends.items()}
    alone = not learning.learns(means[learning.ALONE, elbo.name].mean) and learning.learns(
        means[learning.ALONE, forward.name].mean
    )
    whole = gain(ends[learning.WHOLE, forward.name], ends[learning.WHOLE, elbo.name])
    assert whole is not None, "both sides have every seed"
    better = whole.verdict == MORE
    verdict = OPEN if whole.verdict == ONE_SEED else PARTLY
    if alone == better and verdict == PARTLY:
        verdict = HOLDS if alone else FAILS
    reached = "; ".join(
        f"{panel}, {line}: {mean.text(2)} %" for (panel, line), mean in means.items()
    )
    return Finding(
        verdict,
        f"Without cross-entropy, test accuracy: {reached}. Optimized-ELBO's labeled sum over the "
        f"labeled ELBO in the whole objective: {whole.text(2)} points ({whole.verdict}).",
    )


def smoothing_prevents_overconfidence(readings: Sequence[Reading]) -> Finding:
    """C6: smoothing prevents overconfidence; at the paper's epsilon, else at a larger one."""
    measures = {ablation.OVERCONFIDENCE: 2, ablation.ECE: 4, ablation.NLL: 3}
    verdicts, words = {}, []
    for epsilon in ablation.LEVELS["epsilon"][1:]:
        gains = {
            measure: found
            for measure in measures
            if (found := gain(_at(readings, measure, epsilon), _at(readings, measure, 0.0)))
        }
        verdicts[epsilon] = together((of.verdict for of in gains.values()), LESS)
        parts = [f"{name} {of.text(measures[name])} ({of.verdict})" for name, of in gains.items()]
        words.append(f"epsilon = {epsilon:g}: {', '.join(parts)}")
    verdict = verdicts[limit.EPSILON]
    if verdict == FAILS and HOLDS in verdicts.values():
        verdict = PARTLY
    return Finding(verdict, f"Against no smoothing: {'; '.join(words)}.")


def _at(readings: Sequence[Reading], measure: str, epsilon: float) -> dict[int, float]:
    return by_seed(readings, panel="epsilon", line=OPTIMIZED, measure=measure, x=epsilon)


def limit_holds(readings: Sequence[Reading]) -> Finding:
    """C10: the sum of 3.3.2 goes to its limit as q -> p̂; whether it draws q there is asked of the
    sum itself and of classifiers trained under it alone."""
    of = limit.limit()
    there = math.isclose(of.point, of.limit, abs_tol=1e-9)
    drawn = math.isclose(of.best, 1 - limit.EPSILON, abs_tol=1e-3)
    forward = learning.LABELED_SUMS[1].name
    sure = by_seed(
        readings, panel=learning.ALONE, line=forward, measure=learning.CONFIDENCE
    ).values()
    trained = (
        f" Classifiers trained under that labeled sum alone have a mean confidence of "
        f"{spread(list(sure)).text(3)} on test rows."
        if sure
        else ""
    )
    return Finding(
        HOLDS if there and drawn else PARTLY if there else FAILS,
        f"Where q is the smoothed label the sum is {of.point:.4f} nats and its limit "
        f"{of.limit:.4f}. The sum is least, {of.least:.4f}, where q(y|x) of the label is "
        f"{of.best:.4f}; that of the smoothed label is {1 - limit.EPSILON:g}.{trained}",
    )
