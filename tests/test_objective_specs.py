"""A specification becomes the paper's objective: alpha's rule, weights, terms and signs."""

import pytest

from semivae import terms
from semivae.label_draws import LabelRule
from semivae.labels import Enumerated, Relaxed
from semivae.objective_specs import (
    Equation8,
    Kingma2014,
    KingmaJ,
    LabeledELBO,
    ModifiedELBO,
    ObjectiveSpec,
    OptimizedELBO,
    OptimizedELBOLiteral,
    OptimizedLabeled,
    ShotMNIST,
    Survey3J,
)
from semivae.objectives import reverse_divergence
from semivae.schedules import Ramp, Weight
from semivae.streams import LABELED, UNLABELED
from semivae.sums import Objective
from semivae.weighting import balanced, dataset, sums

N_LABELED, N_UNLABELED = 100, 900
ENUMERATED = Enumerated()


def weights_of(spec: ObjectiveSpec, rule: LabelRule = ENUMERATED) -> dict[str, Weight]:
    """Every term of the objective by name, with the signed weight with which it counts in J."""
    objective = spec.build(N_LABELED, N_UNLABELED, rule)
    return {part.term.key: part.weight for total in objective.sums for part in total.parts}


def test_equation_8_is_the_two_bounds_and_alpha_log_q() -> None:
    assert weights_of(Equation8(alpha=7.0)) == {
        "labeled/reconstruction": 1.0,
        "labeled/latent_kl": -1.0,
        "labeled/label_kl": -1.0,
        "labeled/label_log_likelihood": 7.0,
        "unlabeled/reconstruction": 1.0,
        "unlabeled/latent_kl": -1.0,
        "unlabeled/label_kl": -1.0,
    }


def test_optimized_elbo_adds_information_and_takes_entropy_and_divergences_off() -> None:
    spec = OptimizedELBO(alpha=7.0, beta=2.0, gamma=3.0, epsilon=0.01)
    assert weights_of(spec) == {
        "labeled/reconstruction": 1.0,
        "labeled/latent_kl": -1.0,
        "labeled/prior_kl": -1.0,
        "labeled/forward_label_kl": -1.0,
        "labeled/label_log_likelihood": 7.0,
        "unlabeled/reconstruction": 1.0,
        "unlabeled/latent_kl": -1.0,
        "unlabeled/label_kl": -1.0,
        "unlabeled/mutual_information": 3.0,
        "unlabeled/classifier_entropy": -2.0,
    }


def test_the_labeled_elbo_is_eq_6_alone() -> None:
    assert weights_of(LabeledELBO()) == {
        "labeled/reconstruction": 1.0,
        "labeled/latent_kl": -1.0,
        "labeled/label_kl": -1.0,
    }


def test_the_optimized_labeled_sum_reads_the_labeled_stream_alone() -> None:
    objective = OptimizedLabeled(0.01).build(N_LABELED, N_UNLABELED, Enumerated())
    assert objective.streams == (LABELED,)
    assert weights_of(OptimizedLabeled(0.01)) == {
        "labeled/reconstruction": 1.0,
        "labeled/latent_kl": -1.0,
        "labeled/prior_kl": -1.0,
        "labeled/forward_label_kl": -1.0,
    }


def test_kingma_j_is_the_two_bounds_by_their_share() -> None:
    weights = weights_of(KingmaJ())
    assert weights == {
        f"{stream}/{part}": pytest.approx(sign * share)
        for stream, share in ((LABELED, 0.1), (UNLABELED, 0.9))
        for part, sign in (("reconstruction", 1), ("latent_kl", -1), ("label_kl", -1))
    }


def test_the_literal_objective_has_sums_and_the_printed_sign_of_alpha() -> None:
    """alpha None is Kingma's 0.1 N, which stands on a mean."""
    weights = weights_of(OptimizedELBOLiteral(beta=2.0, gamma=3.0))
    assert weights == {
        "labeled/reconstruction": 100.0,
        "labeled/latent_kl": -100.0,
        "labeled/prior_kl": -100.0,
        "labeled/reverse_label_kl": -100.0,
        "labeled/label_log_likelihood": pytest.approx(-0.1 * 1000),
        "unlabeled/reconstruction": 900.0,
        "unlabeled/latent_kl": -900.0,
        "unlabeled/label_kl": -900.0,
        "unlabeled/mutual_information": 3.0 * 900,
        "unlabeled/classifier_entropy": -2.0 * 900,
    }
    assert weights_of(OptimizedELBOLiteral(alpha=7.0))["labeled/label_log_likelihood"] == -7.0


def test_the_survey_s_objectives_have_their_own_terms() -> None:
    modified = weights_of(ModifiedELBO(alpha=7.0, epsilon=0.01))
    assert modified["labeled/forward_label_kl"] == -7.0
    assert modified.keys() == weights_of(Equation8()).keys() - {"labeled/label_log_likelihood"} | {
        "labeled/forward_label_kl"
    }
    survey = weights_of(Survey3J(beta=2.0, gamma=3.0))
    assert survey["unlabeled/mutual_information"] == 3.0
    assert survey["unlabeled/classifier_entropy"] == -2.0
    assert not survey.keys() & {"labeled/label_log_likelihood", "labeled/forward_label_kl"}


def test_shot_mnist_has_capacities_in_place_of_kls() -> None:
    spec = ShotMNIST()
    parts = ("reconstruction", "latent_capacity_gap", "label_capacity_gap")
    assert weights_of(spec) == {
        f"{stream}/{part}": weight
        for stream in (LABELED, UNLABELED)
        for part, weight in zip(parts, (1.0, -30.0, -30.0), strict=True)
    } | {"labeled/binary_label_log_likelihood": 50.0}
    # min(17 t / 25,000, log 10) reaches log 10 at its step 3386, of 140,700.
    ramp = spec.capacity_y
    assert isinstance(ramp, Ramp)
    assert ramp(3386 / 140_700) == pytest.approx(2.3026, abs=1e-3)
    with pytest.raises(ValueError, match="unlearns"):
        ShotMNIST(alpha=-1.0).build(N_LABELED, N_UNLABELED, ENUMERATED)


@pytest.mark.parametrize(
    "spec",
    [Equation8(), OptimizedELBO(), ModifiedELBO()],
    ids=["equation_8", "optimized", "modified"],
)
@pytest.mark.parametrize(("n_labeled", "n_unlabeled"), [(100, 900), (50, 1297), (10, 0)])
def test_alpha_none_is_kingmas_rule(spec: ObjectiveSpec, n_labeled: int, n_unlabeled: int) -> None:
    objective = spec.build(n_labeled, n_unlabeled, Enumerated())
    assert objective.labeled is not None
    names = ("label_log_likelihood",)
    if isinstance(spec, ModifiedELBO):
        names = ("forward_label_kl",)
    alphas = [abs(w) for w, term in objective.labeled.parts if term.name in names]
    assert alphas == [pytest.approx(0.1 * (n_labeled + n_unlabeled) / n_labeled)]


def test_kingma_2014_weighs_the_streams_by_their_share_and_log_q_by_a_tenth() -> None:
    weights = weights_of(Kingma2014())
    assert weights["labeled/reconstruction"] == pytest.approx(0.1)
    assert weights["unlabeled/reconstruction"] == pytest.approx(0.9)
    assert weights["unlabeled/latent_kl"] == pytest.approx(-0.9)
    assert weights["labeled/label_log_likelihood"] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("weighting", "labeled", "unlabeled"),
    [(balanced, 1.0, 1.0), (dataset, 0.1, 0.9), (sums, 100.0, 900.0)],
    ids=["balanced", "dataset", "sums"],
)
@pytest.mark.parametrize("spec", [Equation8, OptimizedELBO, ModifiedELBO, Survey3J])
def test_a_weighting_scales_each_whole_stream(
    spec: type, weighting: object, labeled: float, unlabeled: float
) -> None:
    plain = weights_of(spec())
    weighted = weights_of(spec(weighting=weighting))
    for name, weight in plain.items():
        factor = labeled if name.startswith(LABELED) else unlabeled
        assert weighted[name] == pytest.approx(factor * weight)


@pytest.mark.parametrize("rule", [Enumerated(), Relaxed(0.3)], ids=["enumerated", "relaxed"])
@pytest.mark.parametrize(
    "spec",
    [
        Equation8(),
        KingmaJ(),
        Kingma2014(),
        OptimizedELBO(),
        OptimizedELBOLiteral(),
        ModifiedELBO(),
        Survey3J(),
        ShotMNIST(),
    ],
    ids=type,
)
def test_the_label_rule_stands_for_y_on_unlabeled_rows_only(
    spec: ObjectiveSpec, rule: LabelRule
) -> None:
    objective: Objective = spec.build(N_LABELED, N_UNLABELED, rule)
    assert objective.unlabeled is not None
    rules = {part.term.rule for part in objective.unlabeled.parts if hasattr(part.term, "rule")}
    assert rules == {rule}
    assert objective.streams == (LABELED, UNLABELED)


def test_divergence_and_information_are_the_ones_given() -> None:
    spec = OptimizedELBO(
        epsilon=0.01, label_divergence=reverse_divergence, information=terms.MutualInformation
    )
    objective = spec.build(N_LABELED, N_UNLABELED, Enumerated())
    found = [part.term for total in objective.sums for part in total.parts]
    assert terms.ReverseLabelKL(0.01) in found
    assert terms.MutualInformation() in found
    assert terms.RunningMutualInformation() not in found


def test_a_ramp_stays_a_ramp_with_the_sign_of_its_term() -> None:
    ramp = Ramp(0.0, 30.0, 0.5)
    weights = weights_of(OptimizedELBO(alpha=ramp, beta=ramp, gamma=ramp))
    assert weights["labeled/label_log_likelihood"] == ramp
    assert weights["unlabeled/mutual_information"] == ramp
    assert weights["unlabeled/classifier_entropy"] == Ramp(0.0, -30.0, 0.5)


def test_reverse_divergence_without_smoothing_is_an_error_when_built() -> None:
    spec = OptimizedELBO(epsilon=0.0, label_divergence=reverse_divergence)
    with pytest.raises(ValueError, match="give epsilon > 0"):
        spec.build(N_LABELED, N_UNLABELED, Enumerated())


def test_specifications_are_hashable_values() -> None:
    assert Equation8(1.0) == Equation8(1.0)
    assert len({Equation8(), Equation8(1.0), Kingma2014(), OptimizedELBO()}) == 4
