"""discriminative.py: what is left of section 3.6 without its bounds."""

from dataclasses import replace

import pytest
import torch

from semivae.discriminative import information_maximization, supervised
from semivae.information import entropy
from semivae.labels import Enumerated
from semivae.models.specs import Bernoulli, Conditional
from semivae.objective_specs import InformationMaximization
from semivae.objectives import equation_8, optimized_elbo
from semivae.recipe import DataFacts
from semivae.recipes import named_recipe
from semivae.stages import objective_for
from semivae.sums import Objective
from semivae.terms import MutualInformation
from semivae.weighting import dataset
from tractable import (
    LinearGaussianMixture,
    one_hot,
    small_m2,
    some_images,
    some_x,
    state_at,
    streams_of,
)

ALPHA, BETA, GAMMA = 3.0, 0.7, 2.0
X_L, X_U, Y_L = some_x(4), some_x(9), one_hot([0, 2, 1, 0], 3)


def loss_of(objective: Objective, model: LinearGaussianMixture) -> torch.Tensor:
    state = state_at(**objective.initial_buffers(model))
    return objective(model, streams_of(model, (X_L, Y_L), X_U), state).loss


def test_information_maximization_by_hand() -> None:
    """alpha E_L log q(y|x) + gamma [H(mean q) - mean H(q)] - beta mean H(q)."""
    model = LinearGaussianMixture()
    log_q_l, log_q_u = model.q_y(X_L).logits, model.q_y(X_U).logits
    mean_h, h_mean = entropy(log_q_u).mean(), entropy(log_q_u.exp().mean(0).log())
    labels = ALPHA * (log_q_l * Y_L).sum(1).mean()
    for weights in (dataset(4, 9), dataset(1, 1)):
        J = weights.labeled * labels + weights.unlabeled * (
            GAMMA * (h_mean - mean_h) - BETA * mean_h
        )
        objective = information_maximization(ALPHA, BETA, GAMMA, MutualInformation, weights)
        torch.testing.assert_close(loss_of(objective, model), -J)


def test_it_is_what_optimized_elbo_adds_to_eq_8() -> None:
    """At epsilon = 0, and but for the label's own divergences, which Eq 8 has not."""
    model = LinearGaussianMixture()
    ours = optimized_elbo(0.0, BETA, GAMMA, 0.0)
    added = Objective(None, ours.unlabeled), Objective(None, equation_8(0.0).unlabeled)
    alone = Objective(None, information_maximization(0.0, BETA, GAMMA).unlabeled)
    with_bound, bound = (loss_of(each, model) for each in added)
    torch.testing.assert_close(loss_of(alone, model), with_bound - bound)


def test_nothing_but_the_classifier_learns() -> None:
    model = small_m2(Conditional(), Bernoulli())
    x, y = some_images(6), one_hot([0, 1, 2, 3, 0, 1], 4)
    for objective in (supervised(), information_maximization(ALPHA, BETA, GAMMA)):
        model.zero_grad()
        state = state_at(**objective.initial_buffers(model))
        objective(model, streams_of(model, (x, y), some_images(8, seed=8)), state).loss.backward()
        learns = {
            name.split(".")[0]
            for name, parameter in model.named_parameters()
            if parameter.grad is not None and parameter.grad.any()
        }
        assert learns == {"trunk", "classifier"}
        assert not any(
            hasattr(part.term, "rule") for total in objective.sums for part in total.parts
        )


def test_its_symbols_are_those_of_the_specification() -> None:
    """alpha None is Kingma's rule, 0.1 N / N_l."""
    spec = InformationMaximization(beta=BETA, gamma=GAMMA)
    objective = spec.build(100, 9_900, Enumerated())
    weights = {part.term.key: part.weight for total in objective.sums for part in total.parts}
    assert weights == {
        "labeled/label_log_likelihood": pytest.approx(10.0),
        "unlabeled/mutual_information": GAMMA,
        "unlabeled/classifier_entropy": -BETA,
    }


def test_a_run_of_it_warns_that_no_generator_learns() -> None:
    facts = DataFacts((6,), 4, 9, 3)
    recipe = replace(named_recipe("auto").build(facts), objective=InformationMaximization())
    with pytest.warns(UserWarning, match="trains the classifier alone"):
        objective_for(facts, recipe)
