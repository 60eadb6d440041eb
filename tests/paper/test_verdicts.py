"""Each verdict on the objective's claims, from readings made by hand that decide it either way."""

import math
from collections.abc import Mapping, Sequence

import pytest

from semivae.paper import ablation, limit
from semivae.paper import classifier_entropy as entropy
from semivae.paper import learning_from_labels as learning
from semivae.paper.ablation_plan import AS_CHOSEN, LEVELS, SMOOTHING_ALONE, WEAK
from semivae.paper.evidence import (
    FAILS,
    HOLDS,
    MIXED,
    OPEN,
    PARTLY,
    UNSHOWN,
    together,
)
from semivae.paper.experiments import TEST_ACCURACY
from semivae.paper.sides import M2, OPTIMIZED
from semivae.paper.spreads import LESS, MORE, ONE_SEED, SAME
from semivae.paper.verdicts import (
    INFORMATION,
    MARGINAL,
    entropy_is_reduced,
    entropy_rises,
    information,
    labeled_elbo_does_not_learn,
    limit_holds,
    prior_kl_reduces_information,
    smoothing_prevents_overconfidence,
)
from semivae.plots.panels import Reading

pytestmark = pytest.mark.usefixtures("unchecked")


def line(
    panel: str, name: str, measure: str, by_x: Mapping[float, Sequence[float]]
) -> list[Reading]:
    return [
        Reading(panel, name, x, measure, seed, value)
        for x, values in by_x.items()
        for seed, value in enumerate(values)
    ]


def test_comparisons_are_judged_together() -> None:
    assert together([MORE, MORE], MORE) == HOLDS
    assert together([MORE, SAME], MORE) == PARTLY
    assert together([MORE, LESS], MORE) == together([MORE, SAME, LESS], MORE) == MIXED
    assert together([SAME, LESS], MORE) == together([MORE], LESS) == FAILS
    assert together([SAME, SAME], MORE) == UNSHOWN
    assert together([], MORE) == together([MORE, ONE_SEED], MORE) == OPEN


def curves(m2: Sequence[float], ours: Sequence[float], panel: str = "exact sum") -> list[Reading]:
    """Two seeds that differ by little, over three epochs."""
    return [
        reading
        for name, values in ((M2, m2), (OPTIMIZED, ours))
        for reading in line(
            panel, name, entropy.ENTROPY, {x: (v, v + 0.001) for x, v in enumerate(values, 1)}
        )
    ]


def test_c1_an_entropy_rises_or_falls() -> None:
    rising, falling = [0.1, 0.5, 0.9], [0.9, 0.5, 0.1]
    assert entropy_rises(curves(rising, rising)).verdict == HOLDS
    found = entropy_rises(curves(falling, rising))
    assert found.verdict == FAILS and "in 0, and from half-way in 0" in found.words
    both = curves(rising, rising) + curves(falling, falling, "Gumbel-Softmax")
    found = entropy_rises(both)
    assert found.verdict == MIXED and "in 1 (exact sum)" in found.words
    late = entropy_rises(curves([0.9, 0.1, 0.2], falling))
    assert late.verdict == FAILS and "from half-way in 1 (exact sum)" in late.words
    least, end = "0.101 ± 0.001 (epoch 2)", "0.201 ± 0.001"
    assert f"| {least} | {end} | 0.100 ± 0.000 | 0.100, 0.100 |" in late.markdown
    assert late.words.endswith("above their least in none.")
    higher = entropy_rises(curves([0.9, 0.1, 0.3], falling))
    assert higher.words.endswith("above their least (exact sum: 2 of 2 seeds).")
    one = [reading for reading in curves(rising, rising) if reading.seed == 0]
    assert entropy_rises(one).verdict == entropy_rises([]).verdict == OPEN


def test_c2_the_ends_are_compared_over_paired_seeds() -> None:
    flat, low = [0.5, 0.5, 0.5], [0.5, 0.5, 0.1]
    found = entropy_is_reduced(curves(flat, low))
    assert (
        found.verdict == HOLDS and "| exact sum | -0.4000 ± 0.0000 | less | 2 |" in found.markdown
    )
    assert entropy_is_reduced(curves(low, flat)).verdict == FAILS
    mixed = curves(flat, low) + curves(low, flat, "straight-through")
    assert entropy_is_reduced(mixed).verdict == MIXED
    one = [reading for reading in mixed if reading.seed == 0]
    assert entropy_is_reduced(one).verdict == OPEN


def grid(with_term: Sequence[float], without: Sequence[float], panel: str) -> list[Reading]:
    """Classifier entropies along gamma = 0; the aggregate has 2.3 nats."""
    own = {0.0: with_term, 1.0: without}
    flat = {x: [2.3] * len(values) for x, values in own.items()}
    return line(panel, "gamma = 0", ablation.ENTROPY, own) + line(
        panel, "gamma = 0", ablation.AGGREGATE, flat
    )


def test_c4_both_parts_of_the_divergence() -> None:
    readings = grid([0.8, 0.9], [0.1, 0.2], AS_CHOSEN)
    parts = {(r.measure, r.x, r.seed): r.value for r in information(readings)}
    assert parts[INFORMATION, 0.0, 1] == pytest.approx(1.4)
    assert parts[MARGINAL, 1.0, 0] == pytest.approx(math.log(10) - 2.3)
    found = prior_kl_reduces_information(readings)
    assert found.verdict == HOLDS and "| -0.700 ± 0.000 | less | 2 |" in found.markdown
    assert "with it | 1.450 ± 0.050 | 0.003" in found.markdown
    weak = grid([0.1, 0.2], [0.1, 0.2], WEAK)
    assert prior_kl_reduces_information(weak).verdict == UNSHOWN
    assert prior_kl_reduces_information([]).verdict == OPEN
    assert prior_kl_reduces_information(readings + weak).verdict == PARTLY


def labels(
    alone: float, forward_alone: float, whole: float, forward: float, sharp: float = 94
) -> list[Reading]:
    """`sharp`: of the forward sum beside beta and gamma, where the labeled ELBO ends at 10."""
    elbo, ours = (of.name for of in learning.LABELED_SUMS[:2])
    sharp_elbo, sharp_ours = learning.SHARPENED.values()
    ends = {
        (learning.WHOLE, sharp_elbo): 10.0,
        (learning.WHOLE, sharp_ours): sharp,
        (learning.ALONE, elbo): alone,
        (learning.ALONE, ours): forward_alone,
        (learning.WHOLE, elbo): whole,
        (learning.WHOLE, ours): forward,
    }
    return [
        reading
        for (panel, name), value in ends.items()
        for reading in line(panel, name, TEST_ACCURACY, {30.0: (value, value + 1)})
    ]


def test_c5_alone_and_in_the_whole_objective() -> None:
    assert labeled_elbo_does_not_learn(labels(10, 93, 80, 94)).verdict == HOLDS
    found = labeled_elbo_does_not_learn(labels(10, 93, 94, 94))
    assert (
        found.verdict == PARTLY
        and "ELBO | +0.00 ± 0.00 | no clear difference | 2 |" in found.markdown
    )
    assert "of 3.6 | +84.00 ± 0.00 | more | 2 |" in found.markdown
    assert labeled_elbo_does_not_learn(labels(10, 93, 80, 94, sharp=10)).verdict == PARTLY
    assert labeled_elbo_does_not_learn(labels(90, 93, 94, 94, sharp=10)).verdict == FAILS
    assert labeled_elbo_does_not_learn(labels(90, 93, 80, 94)).verdict == MIXED
    assert labeled_elbo_does_not_learn([]).verdict == OPEN
    one = [reading for reading in labels(10, 93, 80, 94) if reading.seed == 0]
    assert labeled_elbo_does_not_learn(one).verdict == OPEN


def smoothed(panel: str, by_epsilon: Mapping[float, float]) -> list[Reading]:
    return [
        reading
        for measure in ablation.CALIBRATION
        for reading in line(
            panel, OPTIMIZED, measure, {x: (v, v + 1) for x, v in by_epsilon.items()}
        )
    ]


def test_c6_is_judged_without_cross_entropy_at_the_paper_s_epsilon() -> None:
    levels = LEVELS["epsilon"]
    flat = dict.fromkeys(levels, 5.0)
    less = smoothed(SMOOTHING_ALONE, {x: 5.0 - (x > 0) for x in levels})
    assert smoothing_prevents_overconfidence(less).verdict == HOLDS
    found = smoothing_prevents_overconfidence(less + smoothed("epsilon", flat))
    assert found.verdict == PARTLY, "with cross-entropy it changes nothing"
    own = "At the paper's epsilon, 0.001, alone: epsilon: not shown, epsilon, alpha = 0: holds."
    assert found.words == own and "| epsilon, alpha = 0: 0.1 | -1.00" in found.markdown
    late = smoothed(SMOOTHING_ALONE, {x: 5.0 - (x > 0.01) for x in levels})
    assert smoothing_prevents_overconfidence(late).verdict == PARTLY, "large ones alone"
    more = smoothed(SMOOTHING_ALONE, {x: 5.0 + (x > 0) for x in levels})
    assert smoothing_prevents_overconfidence(more).verdict == FAILS
    same = smoothed(SMOOTHING_ALONE, flat)
    assert smoothing_prevents_overconfidence(same).verdict == UNSHOWN
    one = [reading for reading in same if reading.seed == 0]
    assert smoothing_prevents_overconfidence(one).verdict == OPEN
    assert smoothing_prevents_overconfidence([]).verdict == OPEN


def test_c10_the_limit_holds_at_a_point_that_the_sum_does_not_draw_to() -> None:
    """The minimum of V5; whether a classifier is drawn there is measured."""
    of = limit.limit()
    assert of.point == pytest.approx(of.limit, abs=1e-12)
    assert of.best == pytest.approx(0.4755, abs=1e-4) and of.least < of.limit - 1
    assert limit_holds([]).verdict == OPEN

    def trained(confidence: float) -> list[Reading]:
        name, both = learning.LABELED_SUMS[1].name, (confidence, confidence + 0.02)
        return line(learning.ALONE, name, learning.CONFIDENCE, {30.0: both})

    found = limit_holds(trained(0.5))
    assert found.verdict == PARTLY and "a mean confidence of 0.510 ± 0.010" in found.words
    assert limit_holds(trained(0.97)).verdict == HOLDS


def test_the_curve_of_the_limit_has_its_minimum_and_its_end() -> None:
    both = limit.curve()
    sums = {r.x: r.value for r in both if "+" in r.line}
    ends = {r.x: r.value for r in both if "+" not in r.line}
    assert min(sums, key=lambda x: sums[x]) == limit.limit().best
    assert sums[1 - limit.EPSILON] == pytest.approx(ends[1 - limit.EPSILON])
    assert set(ends.values()) == {limit.limit().limit}
