"""Diagnostics of models that have none of our layers, some of which draw in `encode`."""

import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical

sys.path.insert(0, str(Path(__file__).parents[1]))

from semivae.diagnostics.encodings import encode_set
from semivae.diagnostics.evidence import evidence
from semivae.diagnostics.posterior import inference_gap, label_information
from semivae.diagnostics.surgery import surgery
from semivae.distributions import categorical
from semivae.information import entropy, kl
from semivae.models.densities import Encoded
from semivae.models.evaluating import EvaluatedModel
from semivae.noise import Noise
from tractable import FAMILIES, ConditionalMixture, LinearGaussianMixture, noise_of, some_x


@pytest.mark.parametrize("family", FAMILIES)
def test_encodings_are_those_of_the_densities(family: type[LinearGaussianMixture]) -> None:
    model, x = family(), some_x(11)
    assert isinstance(model, EvaluatedModel)
    encodings = encode_set(model, x.split(4))
    mean, variance = model.class_q_z(x)
    components = model.classes if model.q_z_sees_y else 1
    torch.testing.assert_close(encodings.log_q, model.q_y(x).logits.detach())
    torch.testing.assert_close(encodings.mean, mean[:, :components].detach())
    torch.testing.assert_close(encodings.log_variance.exp(), variance[:, :components].detach())
    cuts = surgery(encodings, model.p_y().logits, seed=0, samples=50)
    q = model.q_y(x).logits.detach()
    latent = (q.exp() * model.latent_kls(x).detach()).sum(1).mean()
    assert cuts.joint_kl == pytest.approx(float(kl(q, model.p_y().logits).mean() + latent))
    label = label_information(q, model.p_y().logits)
    assert cuts.mutual_information == pytest.approx(label.mutual_information)


def test_at_the_exact_posterior_nothing_is_lost() -> None:
    """Evidence, gap and the decoder's own classifier are those of Bayes' rule."""
    model, x = ConditionalMixture(), some_x(30)
    model.take_exact_latent()
    model.take_exact_classifier()
    exact = model.log_joint(x).detach()
    found = evidence(model, x.split(8), samples=1, seed=0)
    torch.testing.assert_close(found.log_joint, exact)
    gap = inference_gap(model, x.split(8), seed=0, samples=200)
    assert gap.kl == pytest.approx(0, abs=0.02)  # falls with the samples: the noise of an ELBO
    expected = float(entropy(exact.log_softmax(1)).mean())
    assert gap.model_entropy == pytest.approx(expected, abs=0.03)


class DrawsInEncode(LinearGaussianMixture):
    """Looks at x through noise of its own, as a model with an auxiliary variable does."""

    def encode(self, x: Tensor, noise: Noise) -> Encoded:
        return super().encode(x + noise.normal("a", x.shape[1]), noise)


def test_what_a_model_draws_in_encode_is_taken_at_its_mean() -> None:
    model, x = DrawsInEncode(), some_x(6)
    drawn = model.encode(x, noise_of(1, 0, encode=6)).h
    assert not torch.equal(drawn, model.features(x))
    found, expected = (encode_set(each, x.split(3)) for each in (model, LinearGaussianMixture()))
    assert torch.equal(found.mean, expected.mean)
    assert torch.equal(found.log_q, expected.log_q)


class Averages(DrawsInEncode):
    """Predicts with the mean over three looks at x, as a model with an auxiliary variable does."""

    def predictive(self, h: Tensor) -> Categorical:
        looks = torch.stack([self.q_y(h + shift).probs for shift in (-1.0, 0.0, 2.0)])
        return categorical(looks.mean(0).log())

    def predict_proba(self, x: Tensor) -> Tensor:
        return self.predictive(x).probs


def test_the_classifier_of_the_encodings_is_the_one_that_predicts() -> None:
    """In the surgery too, whose identities hold with what is said of the predictions."""
    model, x = Averages(), some_x(40)
    encodings = encode_set(model, x.split(16))
    predicted = model.predict_proba(x).detach()
    torch.testing.assert_close(encodings.log_q.exp(), predicted)
    assert (predicted - model.q_y(model.features(x)).probs).abs().max() > 0.05
    prior = model.p_y().logits
    cuts, label = surgery(encodings, prior, seed=0), label_information(predicted.log(), prior)
    assert cuts.label_kl == pytest.approx(label.mutual_information + label.marginal_label_kl)
    marginals = label.marginal_label_kl + cuts.marginal_latent_kl
    assert cuts.joint_kl == pytest.approx(cuts.joint_information + cuts.leakage + marginals)
