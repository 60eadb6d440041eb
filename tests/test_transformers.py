"""M1Transformer: scikit-learn's contract, and M1 below an SVM and below logistic regression."""

from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import parametrize_with_checks

from semivae import M1Transformer
from semivae.errors import InputError

pytestmark = pytest.mark.usefixtures("unchecked")

X, Y = load_digits(return_X_y=True)
TRAIN, TEST = X[:1300], X[1300:]


@pytest.fixture(scope="module")
def fitted() -> M1Transformer:
    return M1Transformer(n_components=16, hidden=128, epochs=80).fit(TRAIN)


EXPECTED_TO_FAIL = {
    "check_dtype_object": "what is no number in an object array is an InputError, a ValueError",
}


@parametrize_with_checks(
    [M1Transformer(n_components=2, hidden=8, epochs=3)],
    expected_failed_checks=lambda estimator: EXPECTED_TO_FAIL,
    xfail_strict=True,
)
def test_scikit_learns_contract(estimator: M1Transformer, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize(
    "classifier", [SVC(C=10.0), LogisticRegression(max_iter=2000)], ids=["svm", "logistic"]
)
def test_m1_below_a_classifier_tells_the_digits(fitted: M1Transformer, classifier: Any) -> None:
    """M1 reads every row and no label; the classifier sees 20 labels per class."""
    rows = np.concatenate([np.flatnonzero(Y[:1300] == k)[:20] for k in range(10)])
    classifier.fit(fitted.transform(TRAIN)[rows], Y[rows])
    assert classifier.score(fitted.transform(TEST), Y[1300:]) > 0.8


@pytest.mark.parametrize(
    "classifier", [SVC(), LogisticRegression(max_iter=2000)], ids=["svm", "logistic"]
)
def test_it_works_in_a_pipeline(classifier: Any) -> None:
    pipeline = make_pipeline(M1Transformer(n_components=16, hidden=128, epochs=80), classifier)
    pipeline.fit(TRAIN, Y[:1300])
    assert pipeline.score(TEST, Y[1300:]) > 0.85
    names = pipeline[0].get_feature_names_out()
    assert names[0] == "m1transformer0" and len(names) == 16


def test_labels_are_not_read(fitted: M1Transformer) -> None:
    again = clone(fitted).fit(TRAIN, Y[:1300])
    np.testing.assert_array_equal(again.transform(TEST), fitted.transform(TEST))


def test_it_learns_and_scores_and_samples_in_the_units_of_x(fitted: M1Transformer) -> None:
    elbo = [epoch["unlabeled/elbo"] for epoch in fitted.history_]
    assert len(elbo) == 80 and elbo[-1] > elbo[0] + 10
    assert fitted.transform(TEST).shape == (len(TEST), 16)
    scores = fitted.score_samples(TEST)
    np.testing.assert_array_equal(scores, fitted.score_samples(TEST))
    assert fitted.score_samples(TEST[:, ::-1].copy()).mean() < scores.mean()
    assert fitted.log_p_x(TEST, n_samples=50).mean() > scores.mean()
    samples = fitted.sample(200, seed=1)
    assert samples.shape == (200, 64)
    np.testing.assert_array_equal(samples, fitted.sample(200, seed=1))
    assert abs(samples.mean() - X.mean()) < 1.0  # pixels go to 16


def test_images_are_read_as_images() -> None:
    images = load_digits().images[:60]
    transformer = M1Transformer(n_components=3, hidden=8, epochs=2).fit(images)
    assert transformer.transform(images).shape == (60, 3)
    assert transformer.sample(2).shape == (2, 1, 8, 8)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_components": 0}, "n_components=0: give a whole number from 1"),
        ({"hidden": 2.5}, "hidden=2.5: give a whole number from 1"),
        ({"epochs": 0}, "epochs=0: give a whole number from 1"),
        ({"random_state": -1}, "random_state=-1: give a whole number from 0"),
    ],
)
def test_a_bad_parameter_is_one_sentence(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        M1Transformer(**parameters).fit(TRAIN)


def test_nothing_works_before_fit() -> None:
    for use in (lambda m: m.transform(X), lambda m: m.sample(), lambda m: m.score_samples(X)):
        with pytest.raises(NotFittedError):
            use(M1Transformer())


def test_another_number_of_columns_is_an_error(fitted: M1Transformer) -> None:
    with pytest.raises(InputError, match="64 features"):
        Pipeline([("m1", fitted)]).transform(X[:, :5])


def test_each_epoch_is_told_as_it_ends() -> None:
    told: list[dict[str, Any]] = []
    m1 = M1Transformer(n_components=2, hidden=8, epochs=2).fit(TRAIN, on_epoch=told.append)
    assert told == m1.history_ and len(told) == 2
