"""pictures.py: which rows and dimensions are shown, and that every model can show them."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from semivae.data.scaling import pixels
from semivae.generation import reconstructions
from semivae.pictures import ANALOGIES, SAMPLED, TRAVERSED, one_of_each, sheets
from semivae.predictor import Predictor
from semivae.recipe import DataFacts
from semivae.recipes import RECIPES

EVENT = (1, 8, 8)
FACTS = DataFacts(EVENT, 20, 180, 3)
NAMES = ("cat", "dog", "cow")
X = np.random.default_rng(0).integers(0, 17, (40, *EVENT)).astype(np.uint8)
Y = np.array([-1, 2, 2, 0, 1, *[0] * 35])


def predictor(recipe: str) -> Predictor:
    model = RECIPES[recipe].build(FACTS).model.build(EVENT, torch.zeros(3), seed=0)
    return Predictor(model, pixels(16.0), NAMES, EVENT, bfloat16=False)


def test_the_first_row_of_each_class_is_shown_and_no_unlabeled_one() -> None:
    found = one_of_each(X, Y)
    assert_array_equal(found.y, [0, 1, 2])
    assert_array_equal(found.x, X[[3, 4, 1]])
    many = one_of_each(X, np.arange(40) % 20)
    assert_array_equal(many.y, range(10))  # a page does not hold all twenty


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_model_has_all_pictures_with_pixels_from_0_to_1(recipe: str) -> None:
    found = sheets(predictor(recipe), X, one_of_each(X, Y), seed=0)
    shapes = {name: sheet.images.shape for name, sheet in found.items()}
    assert shapes == {
        SAMPLED: (3, 8, *EVENT),
        ANALOGIES: (3, 2 + 3, *EVENT),
        TRAVERSED: (8, 7, *EVENT),
    }
    assert all(0 <= s.images.min() <= s.images.max() <= 1 for s in found.values())


def test_the_row_of_an_image_begins_with_itself_and_its_reconstruction() -> None:
    ours = predictor("auto")
    sheet = sheets(ours, X, one_of_each(X, Y), seed=0)[ANALOGIES]
    assert sheet.columns == ("x", "decoded", *NAMES) and sheet.rows == list(NAMES)
    x = X[[3, 4, 1]] / 16
    assert_allclose(sheet.images[:, 0], x, atol=1e-6)
    decoded = reconstructions(ours.model, torch.from_numpy(x).float())
    assert_allclose(sheet.images[:, 1], decoded, atol=1e-6)


def test_the_dimensions_shown_are_those_whose_mean_varies_most() -> None:
    """Two of fifty are made to follow x, the third most is the least of these."""
    ours = predictor("auto")
    heads = ours.model.latent
    with torch.no_grad():
        heads.mean.weight.mul_(1e-3)
        heads.mean.weight[7].mul_(1e5)
        heads.mean.weight[31].mul_(1e4)
    sheet = sheets(ours, X, one_of_each(X, Y), seed=0)[TRAVERSED]
    assert sheet.rows[:2] == ["z7", "z31"]
    assert sheet.columns == ["-3", "-2", "-1", "0", "+1", "+2", "+3"]
    assert "class dog" in sheet.title
