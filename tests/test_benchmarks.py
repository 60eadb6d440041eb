"""What is timed side by side is the same: the textbook's loss is ours, and the floor counts what
it should, as do the hours of the whole."""

import json
from pathlib import Path
from typing import Any

import torch
from benchmarks import textbook
from benchmarks.contestants import Bare, Case, Ours, synthetic_rows
from benchmarks.floor import Operand, Recorder, floor
from benchmarks.growth import exponent
from benchmarks.tables import hours_table
from benchmarks.with_pyro import WithPyro
from torch.utils.data import TensorDataset

from semivae.labels import Enumerated
from semivae.models.m2 import M2
from semivae.models.networks import PaperCNN
from semivae.streams import LABELED, UNLABELED, StepState
from semivae.training import Step, step_input

CASE = Case("", (1, 28, 28), 4, textbook.convolutional, PaperCNN())


def textbook_of(model: M2) -> textbook.M2:
    """The textbook's network with the weights of ours."""
    network = textbook.M2(textbook.convolutional(CASE.image, CASE.classes), CASE.classes)
    first, rest = model.decoder.first, model.decoder.rest
    parts = [
        (network.features, model.trunk),
        (network.classifier, model.classifier),
        (network.mean, model.latent.mean),
        (network.log_variance, model.latent.log_variance),
    ]
    for theirs, ours in parts:
        theirs.load_state_dict(ours.state_dict())
    height = width = 7  # our 3136 units are (H, W, C), the textbook's (C, H, W)
    order = torch.arange(64 * height * width).view(height, width, 64).permute(2, 0, 1).flatten()
    network.features[5].weight.data = model.trunk[5].weight.data[:, order]
    joined = torch.cat([first.of_a.weight, first.of_y.weight], 1)
    network.decoder.load_state_dict(
        {
            "0.weight": joined,
            "0.bias": first.of_a.bias,
            "2.weight": rest[0].weight[order],
            "2.bias": rest[0].bias[order],
            "5.weight": rest[3].weight,
            "5.bias": rest[3].bias,
            "7.weight": rest[5].weight,
            "7.bias": rest[5].bias,
        }
    )
    return network


def test_the_loops_that_are_timed_minimise_one_loss() -> None:
    """With q(z|x) almost a point, so that noise plays no part; Pyro takes its KL at a sample, and
    agrees on average alone."""
    ours = Ours(CASE, synthetic_rows(CASE, 300), Enumerated(), bfloat16=False)
    with torch.no_grad():
        ours.model.latent.log_variance.weight.zero_()
        ours.model.latent.log_variance.bias.fill_(-12.0)
    batch, noise = step_input(ours.batches, (LABELED, UNLABELED), 0, 0, torch.device("cpu"))
    state = StepState(0, 0.0, {})
    loss = Step(ours.model, ours.objective)(batch, noise, state).loss
    x_l, y_l = batch[LABELED].x, batch[LABELED].y.argmax(1)
    x_u = batch[UNLABELED].x
    network = textbook_of(ours.model)
    for way in (textbook.one_pass_per_class, textbook.one_pass_of_repeated_rows):
        theirs = textbook.loss(network, way, x_l, y_l, x_u)
        torch.testing.assert_close(theirs, loss, rtol=1e-5, atol=0.0)
    in_pyro = WithPyro(network, TensorDataset(x_l, y_l), TensorDataset(x_u))
    torch.manual_seed(0)
    draws = torch.stack([in_pyro.loss(x_l, y_l, x_u).detach() for _ in range(4)])
    # The KL at a sample of 50 dimensions has deviation 5 nats, over 100 rows, two streams and 4
    # draws. A label's log p(y) is 1.4.
    torch.testing.assert_close(draws.mean(), loss.detach(), rtol=0.0, atol=1.0)


def test_our_loops_train_on_the_rows_they_count() -> None:
    rows = synthetic_rows(CASE, 300)
    ours = Ours(CASE, rows, Enumerated(), bfloat16=False)
    assert ours.run(2) == 200  # 300 rows in 3 equal batches
    before = [weight.clone() for weight in ours.model.parameters()]
    assert Bare(ours).run(3) == 300
    assert any(not torch.equal(a, b) for a, b in zip(before, ours.model.parameters(), strict=True))


def test_the_floor_counts_products_forward_and_backward() -> None:
    a, b = torch.randn(6, 5, requires_grad=True), torch.randn(5, 7, requires_grad=True)

    def step() -> None:
        (a @ b).sum().backward()

    with Recorder() as recorder:
        step()
    assert sum(n * operation.flops for operation, n in recorder.calls.items()) == 3 * 2 * 6 * 5 * 7
    shapes = {
        tuple(each.shape for each in operation.arguments if isinstance(each, Operand))
        for operation in recorder.calls
    }
    assert ((6, 5), (5, 7)) in shapes
    c = torch.randn(7, 5)
    twice = floor(lambda: (a @ b, a @ c.t()), parameters=0, threads=1, rate=1e6)
    assert twice.flops == 2 * 2 * 6 * 5 * 7  # of equal shapes, in another layout
    found = floor(step, parameters=100, threads=1, rate=1e6)
    assert found.flops == 3 * 2 * 6 * 5 * 7
    assert found.optimizer == 100 * 28 / 1e6
    assert found.seconds == found.arithmetic + found.optimizer
    assert found.arithmetic > 0


def test_an_exponent_is_that_of_the_power_law() -> None:
    sizes = [10, 100, 1000]
    assert abs(exponent(sizes, [3.0 * size**1.7 for size in sizes]) - 1.7) < 1e-9


def test_hours_count_a_shared_run_and_a_shared_m1_once(tmp_path: Path) -> None:
    def put(piece: str, name: str, recipe: dict[str, Any], hours: tuple[float, ...]) -> None:
        seconds = [3600 * each for each in hours]
        run = {
            "name": name,
            "summary": {"train_seconds": sum(seconds)},
            "recipe": recipe,
            "request": {"data": "mnist", "seed": 0},
            "history": [{"seconds": each} for each in seconds],
        }
        path = tmp_path / piece / "runs" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(run))

    stacked = {"pretraining": {"epochs": 2}}
    put("results-table", "m2", {}, (1.0,))
    put("label-counts", "m2", {}, (1.0,))  # adopted
    put("label-counts", "m1m2-a", stacked, (0.5, 0.5, 2.0))
    put("label-counts", "m1m2-b", stacked, (0.5, 0.5, 3.0))
    put("label-counts", "svm", {"classifier": {}, "m1": {}}, (1.0,))
    study = tmp_path / "gradient-estimators" / "seed-0.json"
    study.parent.mkdir()
    study.write_text(json.dumps({"study": {"seed": 0}, "seconds": 1800}))
    page = hours_table(tmp_path)
    assert "| results-table | 1 | 1.0 |" in page
    assert "| label-counts | 4 | 6.0 |" in page
    assert "| gradient-estimators | 1 | 0.5 |" in page
    assert "| together |  | 7.5 |" in page
