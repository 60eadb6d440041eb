"""What of a recipe does not go with a table is said before anything is trained."""

import pytest

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
