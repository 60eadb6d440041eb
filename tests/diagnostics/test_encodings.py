"""Encodings and active units; every diagnostic leaves the model as it was."""

import pytest
import torch
from closed_forms import seeded, small_model
from torch import nn

from semivae.diagnostics.encodings import active_units, encode_set
from semivae.diagnostics.evidence import evidence
from semivae.diagnostics.posterior import inference_gap
from semivae.label_draws import one_pair_each
from semivae.models.specs import Conditional, Factorized, Family

FAMILIES = pytest.mark.parametrize("family", [Factorized(), Conditional()])


@FAMILIES
def test_encode_set_is_each_row_s_posterior_in_every_class(family: Family) -> None:
    model, x = small_model(family), seeded(7, 6).float()
    encodings = encode_set(model, iter(x.split(3)))
    with torch.inference_mode():
        h = model.trunk(x)
        log_q = model.q_y(h).logits
        torch.testing.assert_close(encodings.log_q, log_q)
        expected = torch.zeros(7, 3)
        for k in range(4):
            label = torch.eye(4)[k].expand(7, 4)
            q_z = model.q_z(h, one_pair_each(log_q, label))
            of_class = k if model.q_z_sees_y else 0
            torch.testing.assert_close(encodings.mean[:, of_class], q_z.mean)
            torch.testing.assert_close(encodings.log_variance[:, of_class], q_z.log_variance)
            expected += log_q.exp()[:, k : k + 1] * q_z.mean
    assert encodings.mean.shape == (7, 4 if model.q_z_sees_y else 1, 3)
    torch.testing.assert_close(encodings.posterior_mean, expected)


def test_active_units_counts_means_that_vary() -> None:
    means = torch.stack([seeded(1000), 0.11 * seeded(1000), 0.09 * seeded(1000)], 1) + 5
    active, variances = active_units(means)
    assert active == 2
    torch.testing.assert_close(variances, means.var(0, correction=0))
    assert active_units(torch.ones(3, 2)) == (0, pytest.approx([0.0, 0.0]))


def test_eval_mode_inside_and_each_module_s_mode_after() -> None:
    model = small_model(Factorized())
    model.trunk = nn.Sequential(nn.Dropout(0.5), model.trunk)
    model.train()
    model.decoder.eval()
    modes = [module.training for module in model.modules()]
    x = [seeded(8, 6).float()]
    torch.testing.assert_close(*(encode_set(model, x).mean for _ in "ab"))
    torch.testing.assert_close(*(evidence(model, x, 2, seed=0).log_joint for _ in "ab"))
    assert inference_gap(model, x, seed=0) == inference_gap(model, x, seed=0)
    assert [module.training for module in model.modules()] == modes
    with pytest.raises(RuntimeError):
        encode_set(model, [torch.zeros(2, 5)])
    assert [module.training for module in model.modules()] == modes
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()
