"""What of a recipe does not go with a table is said before anything is trained."""

import numpy as np
import pytest

from semivae import SemiVAEClassifier
from semivae.errors import InputError
from semivae.models.specs import LearnedSigma
from semivae.request import Request, prepare


@pytest.mark.parametrize(
    ("recipe", "settings", "words"),
    [
        ("paper-m2", (), "convolutional network reads images: use the recipe auto"),
        ("auto", ("network=paper-cnn",), "or set network=mlp"),
        ("auto", ("likelihood=bernoulli",), "of pixels from 0 to 1: set likelihood=learned"),
        ("kingma-m2", ("likelihood=binarized",), "whose columns are standardized"),
        ("auto", ("training.views.flips=true",), "are of images, and this stage reads none"),
        ("auto", ("baseline.views.shifts=1",), "are of images, and this stage reads none"),
        ("auto", ("likelihood=rectified-gaussian",), "never below 0: set likelihood=gaussian"),
    ],
)
def test_what_is_for_images_is_refused_for_a_table(
    recipe: str, settings: tuple[str, ...], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        prepare(Request("wine", labels=9, recipe=recipe, settings=settings))


@pytest.mark.parametrize("recipe", ["auto", "kingma-m2", "m1m2", "adgm", "sdgm"])
def test_every_other_recipe_takes_a_table(recipe: str) -> None:
    assert prepare(Request("wine", labels=9, recipe=recipe)).recipe.likelihood == LearnedSigma()


def fit(y: list[int], recipe: str = "auto", gamma: float | None = None) -> None:
    x = np.random.default_rng(0).normal(size=(len(y), 4))
    SemiVAEClassifier(recipe=recipe, gamma=gamma, epochs=1).fit(x, y)


def test_unequal_classes_are_warned_of_where_they_are_drawn_to_be_equal() -> None:
    unlabeled = [-1] * 40
    with pytest.warns(UserWarning, match=r"labels: 40 of 0, 10 of 1\), and the mutual"):
        fit([0] * 40 + [1] * 10 + unlabeled)
    fit([0] * 4 + [1] + unlabeled)  # too few to know
    fit([0] * 40 + [1] * 25 + unlabeled)
    fit([0] * 40 + [1] * 10 + unlabeled, recipe="m1m2")
    fit([0] * 40 + [1] * 10 + unlabeled, gamma=0.0)
