"""paper.generated: each measure of a model on cases made by hand, and what a result keeps."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import Normal

from semivae.assessment import drawn_rows
from semivae.config import set_value
from semivae.data.datasets import load
from semivae.data.published import Arrays
from semivae.data.scaling import pixels
from semivae.fitting import Hooks
from semivae.models.m2 import M2
from semivae.paper import generated
from semivae.paper.generated import Generation, GenerationEffort, likelihood_of, measured
from semivae.paper.judge import judge
from semivae.paper.results import RunResult
from semivae.plots import Sheet
from semivae.predictor import Predictor
from semivae.recipe import DataFacts, Recipe
from semivae.recipes import paper_m2
from semivae.request import Request, prepare
from semivae.runs import run, start
from semivae.stages import new_model

EFFORT = GenerationEffort(images=30, rows=25, paths=2, samples=3, judge_epochs=4)
EVENT = (1, 8, 8)


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    digits = load("digits")
    assert digits.x_test is not None and digits.y_test is not None
    kept = np.concatenate([np.flatnonzero(digits.y_test == k)[:30] for k in range(10)])
    return replace(digits, x_test=digits.x_test[kept], y_test=digits.y_test[kept])


@pytest.fixture(scope="module")
def by(arrays: Arrays, tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return judge(arrays, EFFORT.judge_epochs, tmp_path_factory.mktemp("judge"), Hooks())


@pytest.fixture
def recipe() -> Recipe:
    return set_value(paper_m2(DataFacts(EVENT, 50, 1297, 10)), "likelihood.sigma", "0.4")


def predictor(recipe: Recipe) -> Predictor:
    model = new_model(DataFacts(EVENT, 50, 1297, 10), recipe, seed=0)
    names = tuple(f"{k}" for k in range(10))
    return Predictor(model, pixels(16.0), names, EVENT, bfloat16=False)


class Copying(Predictor):
    """A generator that knows the test set and hands it out, class by class."""

    x_test: np.ndarray
    y_test: np.ndarray

    def sample(self, y: np.ndarray, seed: int) -> np.ndarray:
        return np.concatenate([self.x_test[self.y_test == k][: len(y)] for k in np.unique(y)])


def copying(of: Predictor, x: np.ndarray, y: np.ndarray) -> Copying:
    copy = Copying(of.model, of.scaling, of.classes, of.event, of.bfloat16)
    object.__setattr__(copy, "x_test", x)  # frozen
    object.__setattr__(copy, "y_test", y)
    return copy


def test_a_model_that_copies_the_test_set_is_as_consistent_as_the_judge_is_right(
    arrays: Arrays, by: Predictor, recipe: Recipe
) -> None:
    assert arrays.x_test is not None and arrays.y_test is not None
    model = copying(predictor(recipe), arrays.x_test, arrays.y_test)
    found = measured(model, recipe, arrays, by, EFFORT, seed=0)
    assert found.consistency == found.real_consistency == pytest.approx(found.judge_accuracy)
    assert 0.5 < found.judge_accuracy < 1
    assert found.feature_diversity == found.pixel_diversity == 1
    assert found.images == 30


def test_a_model_that_copies_one_image_per_class_has_no_diversity(
    arrays: Arrays, by: Predictor, recipe: Recipe
) -> None:
    assert arrays.x_test is not None and arrays.y_test is not None
    x = arrays.x_test[::30].repeat(30, 0)
    found = measured(copying(predictor(recipe), x, arrays.y_test), recipe, arrays, by, EFFORT, 0)
    assert found.feature_diversity == found.pixel_diversity == 0
    assert found.feature_distance == 0 and found.real_consistency > 0.5


def test_log_p_x_is_the_closed_form_of_a_model_that_ignores_z_and_y(
    arrays: Arrays, by: Predictor, recipe: Recipe
) -> None:
    """Every pixel N(0.3, 0.4^2), and q(z|x) = p(z): one sample is exact."""
    ours = predictor(recipe)
    assert isinstance(ours.model, M2) and arrays.x_test is not None
    *_, last = ours.model.decoder.rest
    for parameter in [*last.parameters(), *ours.model.latent.parameters()]:
        nn.init.zeros_(parameter)
    nn.init.constant_(last.bias, 0.3)
    found = measured(ours, recipe, arrays, by, EFFORT, seed=0)
    rows = torch.from_numpy(arrays.x_test[drawn_rows(300, 25, 0)]).double() / 16
    log_p = Normal(0.3, 0.4).log_prob(rows).sum((1, 2, 3))
    assert found.log_p_x == pytest.approx(float(log_p.mean()), rel=1e-5)
    assert found.log_p_x_error == pytest.approx(float(log_p.std()) / 5, rel=1e-4)
    assert found.pixel_diversity == pytest.approx(0, abs=1e-6)
    assert found.consistency == pytest.approx(0.1), "one image is taken for one class"


def test_samples_are_other_ones_for_every_class_and_seed(
    arrays: Arrays, by: Predictor, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int]] = []
    sample = Predictor.sample

    def noted(self: Predictor, y: np.ndarray, seed: int) -> np.ndarray:
        asked.append((int(y[0]), seed))
        return sample(self, y, seed)

    monkeypatch.setattr(Predictor, "sample", noted)
    few = replace(EFFORT, images=2, rows=2, samples=1)
    for seed in (0, 1):
        measured(predictor(recipe), recipe, arrays, by, few, seed)
    assert [k for k, _ in asked] == [*range(10), *range(10)]
    assert len({seed for _, seed in asked}) == 20


def test_a_likelihood_is_told_apart_by_its_symbol(recipe: Recipe) -> None:
    assert likelihood_of(recipe) == "gaussian, sigma = 0.4"
    assert likelihood_of(set_value(recipe, "likelihood", "bernoulli")) == "bernoulli"


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_keeps_its_pixels_and_names(channels: int, tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((2, 4, channels, 5, 3))
    sheet = Sheet("Title", images, ["a", "b"], ["1", "2", "3", "4"])
    again = generated._sheet(generated._png(sheet), generated._names(sheet))
    np.testing.assert_allclose(again.images, images, atol=0.5 / 255 + 1e-9)
    assert (again.title, again.rows, again.columns) == (sheet.title, sheet.rows, sheet.columns)


def test_an_examination_is_done_when_it_was_of_its_effort(tmp_path: Path) -> None:
    """A small run: its measures and pictures are kept, and read again."""
    of = Generation(replace(EFFORT, images=3, rows=5, judge_epochs=1), tmp_path / "judge")
    folder = tmp_path / "examined"
    settings = ("network=mlp", "network.hidden=8")
    request = Request(
        "digits", 20, rows=200, recipe="paper-m2", epochs=1, settings=settings, baseline=False
    )
    prepared = start(prepare(request), tmp_path / "run")
    finished = run(prepared, tmp_path / "run", Hooks(), Hooks())
    examined = json.loads(json.dumps(of(finished, folder)))  # as a result file has it
    assert of.done(examined) and not of.done({})
    assert not replace(of, effort=replace(of.effort, samples=4)).done(examined)
    result = RunResult("x", {}, {}, {}, {}, 1, None, {}, examined=examined)
    found, pictures = generated.read(result), generated.drawn(result, folder)
    assert found.images == 3 and found.likelihood == "gaussian, sigma = 0.5"
    assert all(math.isfinite(v) for v in vars(found).values() if isinstance(v, float))
    assert math.isfinite(found.boundary.gap) and 0 <= found.boundary.rank <= 1
    assert {name: sheet.images.shape for name, sheet in pictures.items()} == {
        "samples": (10, 8, *EVENT),
        "analogies": (10, 12, *EVENT),
        "traversals": (8, 7, *EVENT),
    }
    kept = {path.name for path in folder.iterdir()}
    assert kept == {"samples.png", "analogies.png", "traversals.png"}
