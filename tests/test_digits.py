"""End to end on scikit-learn's digits: unlabeled rows must pay, 5 labels per class."""

import numpy as np
import pytest

from semivae import SemiVAEClassifier
from semivae.data.datasets import load
from semivae.data.scaling import pixels
from semivae.data.splits import as_unlabeled, balanced_split
from semivae.fitting import Hooks, train_supervised
from semivae.predictor import TrainingSet

pytestmark = pytest.mark.usefixtures("unchecked")

LABELS = 50


def accuracies(seed: int) -> tuple[float, float]:
    """Test accuracy in percent of `SemiVAEClassifier` and of its network on the labels alone."""
    digits = load("digits")
    assert digits.x_test is not None
    assert digits.y_test is not None
    x, x_test = digits.x / digits.pixel_max, digits.x_test / digits.pixel_max
    y = as_unlabeled(digits.y, balanced_split(digits.y, LABELS, seed).labeled)
    clf = SemiVAEClassifier(random_state=seed).fit(x, y)
    given = TrainingSet(x, y, digits.classes, pixels(1.0))
    alone = train_supervised(given, clf.recipe_, seed, Hooks()).predictor.predict_proba(x_test)
    return (
        100 * float(clf.score(x_test, digits.y_test)),
        100 * float((alone.argmax(1) == digits.y_test).mean()),
    )


def test_the_classifier_beats_its_network_on_the_labels_alone() -> None:
    ours, alone = accuracies(seed=0)
    assert ours > 80
    assert ours > alone


@pytest.mark.slow
def test_it_does_so_on_average_over_splits() -> None:
    ours, alone = np.mean([accuracies(seed) for seed in range(3)], axis=0)
    assert ours > 85
    assert ours > alone + 3
