"""The facade: scikit-learn's contract, the -1 convention, and every bad input as one sentence."""

import copy
import dataclasses
import json
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import validation
from sklearn.utils.estimator_checks import parametrize_with_checks

from semivae import SemiVAEClassifier, rundir, runs
from semivae.assessment import log_p_x
from semivae.data.views import AS_GIVEN, Views
from semivae.errors import InputError
from semivae.files import write_text
from semivae.fitting import Hooks
from semivae.labels import Enumerated
from semivae.objective_specs import Equation8
from semivae.optimizers import Constant
from semivae.request import Request, prepare
from semivae.settings import recipe_of
from semivae.smoothness import Smoothness

pytestmark = pytest.mark.usefixtures("unchecked")

TRUTH = np.arange(120) % 3
BLOBS = np.random.default_rng(0).normal(0, 1, (120, 4)) + 4 * np.eye(3, 4)[TRUTH]
Y = np.where(np.arange(120) < 15, TRUTH, -1)
IMAGES = load_digits().images[:60]


def blobs_fit(**parameters: Any) -> SemiVAEClassifier:
    return SemiVAEClassifier(**({"epochs": 15} | parameters)).fit(BLOBS, Y)


@pytest.fixture(scope="module")
def fitted() -> SemiVAEClassifier:
    return blobs_fit()


# --- scikit-learn's own checks ---

EXPECTED_TO_FAIL = {
    "check_classifiers_classes": "its classes are -1 and 1, and -1 means unlabeled here",
    "check_supervised_y_2d": "y of shape (N, 1) is an error that says y.ravel(), not a warning",
    "check_dtype_object": "what is no number in an object array is an InputError, a ValueError",
}


@pytest.mark.filterwarnings("ignore:every row has a label")
@parametrize_with_checks(
    [SemiVAEClassifier(epochs=3)],
    expected_failed_checks=lambda estimator: EXPECTED_TO_FAIL,
    xfail_strict=True,
)
def test_scikit_learns_contract(estimator: SemiVAEClassifier, check: Any) -> None:
    check(estimator)


# --- fit and predict ---


def test_unlabeled_rows_are_learned_from_and_no_class(fitted: SemiVAEClassifier) -> None:
    assert fitted.classes_.tolist() == [0, 1, 2]
    probabilities = fitted.predict_proba(BLOBS)
    assert probabilities.shape == (120, 3)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    np.testing.assert_array_equal(fitted.predict(BLOBS), probabilities.argmax(1))
    assert fitted.score(BLOBS, TRUTH) > 0.85
    assert fitted.score(BLOBS, TRUTH) == (fitted.predict(BLOBS) == TRUTH).mean()
    assert fitted.n_features_in_ == 4
    assert len(fitted.history_) == 15
    assert fitted.history_[0].keys() >= {"epoch", "loss", "unlabeled/elbo", "labeled/elbo"}


@pytest.mark.parametrize("missing", [-1, None, np.nan], ids=["-1", "None", "NaN"])
def test_labels_of_text_come_back_as_text(missing: Any) -> None:
    names = np.array(["cat", "dog", "elephant"])
    y = np.where(Y < 0, missing, names[TRUTH].astype(object))
    clf = SemiVAEClassifier(epochs=15).fit(BLOBS, y)
    assert clf.classes_.tolist() == ["cat", "dog", "elephant"]
    assert set(clf.predict(BLOBS).tolist()) <= set(names)
    assert clf.score(BLOBS, names[TRUTH]) == blobs_fit().score(BLOBS, TRUTH)
    assert clf.sample(2, y="dog").shape == (2, 4)


def test_classes_need_not_be_0_to_k() -> None:
    y = np.where(Y < 0, -1, 10 * Y + 7)
    clf = SemiVAEClassifier(epochs=2).fit(BLOBS, y)
    assert clf.classes_.tolist() == [7, 17, 27]
    np.testing.assert_array_equal(clf.predict(BLOBS), 10 * blobs_fit(epochs=2).predict(BLOBS) + 7)


def test_transduction_keeps_given_labels_and_predicts_the_others() -> None:
    wrong = np.where(Y >= 0, (Y + 1) % 3, -1)
    wrong[15:40] = TRUTH[15:40]
    clf = SemiVAEClassifier(epochs=15).fit(BLOBS, wrong)
    given = wrong >= 0
    np.testing.assert_array_equal(clf.transduction_[given], wrong[given])
    np.testing.assert_array_equal(clf.transduction_[~given], clf.predict(BLOBS)[~given])
    assert (clf.predict(BLOBS)[given] != wrong[given]).any(), "the case tests nothing"


def test_transform_is_the_latent_mean_and_score_samples_a_repeatable_bound(
    fitted: SemiVAEClassifier,
) -> None:
    assert fitted.transform(BLOBS).shape == (120, fitted.predictor_.model.latent_size)
    scores = fitted.score_samples(BLOBS)
    np.testing.assert_array_equal(scores, fitted.score_samples(BLOBS))
    assert fitted.score_samples(BLOBS + 100).max() < scores.min()


def test_log_p_x_lies_above_the_bound_and_is_that_of_the_assessment(
    fitted: SemiVAEClassifier,
) -> None:
    found = fitted.log_p_x(BLOBS, n_samples=50, seed=3)
    np.testing.assert_array_equal(found, log_p_x(fitted.predictor_, BLOBS, 50, 3))
    assert found.shape == (len(BLOBS),)
    assert found.mean() > fitted.score_samples(BLOBS).mean()
    with pytest.raises(InputError, match="n_samples=0"):
        fitted.log_p_x(BLOBS, n_samples=0)


def test_samples_are_of_the_class_and_in_the_units_of_x() -> None:
    shifted = 1000 + 5 * BLOBS
    clf = SemiVAEClassifier(epochs=40).fit(shifted, Y)
    centres = np.array([shifted[k == TRUTH].mean(0) for k in range(3)])
    for k in range(3):
        distances = np.linalg.norm(clf.sample(200, y=k).mean(0) - centres, axis=1)
        assert distances.argmin() == k
        assert distances[k] < 15
    np.testing.assert_array_equal(clf.sample(3, seed=5), clf.sample(3, y=[0, 1, 2], seed=5))
    assert not np.array_equal(clf.sample(3, seed=5), clf.sample(3, seed=6))
    assert clf.sample().shape == (1, 4)
    assert clf.sample(5).shape == (5, 4)


def test_fitting_mutates_neither_x_nor_y_and_can_be_repeated() -> None:
    x, y = BLOBS.copy(), Y.copy()
    clf = SemiVAEClassifier(epochs=2).fit(x, y)
    np.testing.assert_array_equal(x, BLOBS)
    np.testing.assert_array_equal(y, Y)
    first = clf.predict_proba(x)
    np.testing.assert_array_equal(clf.fit(x, y).predict_proba(x), first)


def test_random_state_decides_everything_and_the_global_generators_nothing() -> None:
    runs_ = []
    for random_state, other in ((0, 1), (0, 2), (1, 1)):
        torch.manual_seed(other)
        np.random.seed(other)  # noqa: NPY002  (the global generator is the point)
        runs_.append(blobs_fit(epochs=2, random_state=random_state).predict_proba(BLOBS))
    np.testing.assert_array_equal(runs_[0], runs_[1])
    assert not np.array_equal(runs_[0], runs_[2])


def test_without_a_number_the_seed_is_drawn_and_kept(tmp_path: Path) -> None:
    drawn = [blobs_fit(epochs=1, random_state=np.random.RandomState(7)) for _ in range(2)]
    np.testing.assert_array_equal(*(clf.predict_proba(BLOBS) for clf in drawn))
    again = blobs_fit(epochs=1, random_state=drawn[0].seed_)
    np.testing.assert_array_equal(again.predict_proba(BLOBS), drawn[0].predict_proba(BLOBS))
    np.random.seed(0)  # noqa: NPY002  (None is the global generator)
    assert blobs_fit(epochs=1, random_state=None).seed_ != blobs_fit(random_state=None).seed_
    drawn[0].save(tmp_path / "run")
    assert SemiVAEClassifier.load(tmp_path / "run").random_state == drawn[0].seed_


def test_rows_without_a_label_do_not_count_in_the_score(fitted: SemiVAEClassifier) -> None:
    right = fitted.predict(BLOBS) == TRUTH
    assert fitted.score(BLOBS, TRUTH) == right.mean()
    assert fitted.score(BLOBS, Y) == right[Y >= 0].mean()
    weights = np.arange(120)
    weighted = fitted.score(BLOBS, Y, sample_weight=weights)
    assert weighted == pytest.approx(np.average(right[Y >= 0], weights=weights[Y >= 0]))
    named = [None if k < 0 else "abc"[k] for k in Y]
    clf = SemiVAEClassifier(epochs=2).fit(BLOBS, named)
    assert clf.score(BLOBS, named) == (clf.predict(BLOBS) == np.array(named))[Y >= 0].mean()
    scores = cross_val_score(SemiVAEClassifier(epochs=15), BLOBS, Y, cv=3)
    assert scores.min() > 0.5, "with the unlabeled rows as errors at most a tenth"
    for y, words in (
        (["a"] * 120, "y holds texts and the classes are"),
        (TRUTH[:-1], "X has 120 rows and y has 119"),
        (np.full(120, -1), "no labeled row"),
    ):
        with pytest.raises(InputError, match=words):
            fitted.score(BLOBS, y)
    for weights in (np.ones(119), np.zeros(120), [[1.0]] * 120):
        with pytest.raises(InputError, match=r"sample_weight has shape .*: give 120 weights"):
            fitted.score(BLOBS, Y, sample_weight=weights)


def test_what_is_given_overrides_the_recipe_and_none_keeps_it(fitted: SemiVAEClassifier) -> None:
    clf = blobs_fit(
        alpha=3, beta=0.5, gamma=2, epsilon=0.01, epochs=np.int64(1), smoothness=np.float32(4)
    )
    given = clf.recipe_.objective
    assert (given.alpha, given.beta, given.gamma, given.epsilon) == (3.0, 0.5, 2.0, 0.01)
    assert clf.recipe_.training.epochs == 1
    assert clf.recipe_.smoothness == Smoothness(weight=4.0)
    assert fitted.recipe_.objective != given
    assert fitted.recipe_.smoothness == Smoothness(), "a table"
    assert fitted.recipe_.labels == Enumerated()


def test_a_fully_labeled_set_warns_and_learns_from_its_labels() -> None:
    with pytest.warns(UserWarning, match="every row has a label"):
        clf = SemiVAEClassifier(epochs=20).fit(BLOBS, TRUTH)
    assert clf.score(BLOBS, TRUTH) > 0.85
    np.testing.assert_array_equal(clf.transduction_, TRUTH)


# --- images ---


def image_labels(n: int) -> np.ndarray:
    return np.where(np.arange(n) < 12, np.arange(n) % 3, -1)


@pytest.mark.parametrize(
    ("x", "event"),
    [
        (IMAGES, (1, 8, 8)),
        (IMAGES[:, None], (1, 8, 8)),
        (IMAGES[..., None], (1, 8, 8)),
        (np.repeat(IMAGES[..., None], 3, 3), (3, 8, 8)),
    ],
    ids=["NHW", "NCHW", "NHWC", "colour"],
)
def test_images_of_every_layout(x: np.ndarray, event: tuple[int, ...]) -> None:
    clf = SemiVAEClassifier(epochs=1).fit(x, image_labels(60))
    assert clf.predictor_.event == event
    assert clf.n_features_in_ == np.prod(event)
    assert clf.predict_proba(x[:5]).shape == (5, 3)
    samples = clf.sample(4)
    assert samples.shape == (4, *event)
    assert samples.min() >= 0
    assert samples.max() <= 16


def test_channels_last_settles_what_the_shape_does_not() -> None:
    x = np.random.default_rng(0).random((20, 8, 8, 8))
    y = image_labels(20)
    with pytest.raises(InputError, match="say which with channels_last"):
        SemiVAEClassifier(epochs=1).fit(x, y)
    first = SemiVAEClassifier(epochs=1, channels_last=False).fit(x, y)
    last = SemiVAEClassifier(epochs=1, channels_last=True).fit(np.moveaxis(x, 1, 3), y)
    np.testing.assert_allclose(
        first.predict_proba(x), last.predict_proba(np.moveaxis(x, 1, 3)), rtol=1e-6
    )


@pytest.mark.parametrize(
    ("x", "largest"),
    [
        (IMAGES.astype(np.uint8), 16.0),
        ((IMAGES * 12).astype(np.uint8), 255.0),
        (IMAGES > 8, 1.0),
        (IMAGES / 16, 1.0),
        (IMAGES, 16.0),
        (IMAGES / 32, 1.0),
    ],
    ids=["uint8 to 16", "uint8 to 192", "bool", "to 1", "to 16", "to 0.5"],
)
def test_pixels_are_mapped_to_0_to_1(x: np.ndarray, largest: float) -> None:
    clf = SemiVAEClassifier(epochs=1).fit(x, image_labels(60))
    assert float(clf.predictor_.scaling.scale) == largest
    assert float(clf.predictor_.scaling.shift) == 0.0


def test_views_are_the_recipes_unless_said_otherwise() -> None:
    colour = np.repeat(IMAGES[:, None], 3, 1)
    for x, views, expected in (
        (colour, None, Views(flips=True, shifts=1)),
        (colour, False, AS_GIVEN),
        (IMAGES, None, AS_GIVEN),
        (IMAGES, True, Views(flips=True, shifts=1)),
    ):
        clf = SemiVAEClassifier(epochs=1, views=views).fit(x, image_labels(60))
        assert clf.recipe_.training.views == expected
    with pytest.raises(InputError, match="are of images, and this stage reads none"):
        SemiVAEClassifier(epochs=1, views=True).fit(BLOBS, Y)


def test_images_in_other_units_than_those_of_training_are_warned_of() -> None:
    clf = SemiVAEClassifier(epochs=1).fit(IMAGES, image_labels(60))
    for x in (IMAGES, IMAGES / 2, 0 * IMAGES):
        clf.predict(x)  # no warning, which would be an error here
    for x, largest in ((IMAGES / 16, "1"), (IMAGES * 16, "256")):
        with pytest.warns(UserWarning, match=f"pixel of X is {largest}, and white was 16"):
            clf.predict_proba(x)
    for x in (IMAGES / 8 - 1, -IMAGES):
        with pytest.raises(InputError, match=r"images hold -.*: give pixels from 0 up"):
            clf.predict(x)


# --- save, load, pickle, copies ---


def same_predictions(a: SemiVAEClassifier, b: SemiVAEClassifier, x: np.ndarray) -> None:
    for method in ("predict", "predict_proba", "transform", "score_samples"):
        np.testing.assert_array_equal(getattr(a, method)(x), getattr(b, method)(x))
    np.testing.assert_array_equal(a.sample(6, seed=2), b.sample(6, seed=2))
    assert a.classes_.tolist() == b.classes_.tolist()
    assert a.classes_.dtype.kind == b.classes_.dtype.kind
    assert a.get_params() == b.get_params()
    assert a.history_ == b.history_


@pytest.mark.parametrize("names", [(0, 1, 2), ("a", "bb", "ccc"), (-7, 3, 100)], ids=str)
def test_save_and_load(tmp_path: Path, names: tuple[Any, ...]) -> None:
    y = [names[k] if k >= 0 else -1 for k in Y]
    clf = SemiVAEClassifier(epochs=np.int64(2), beta=np.float32(0.5), random_state=3)
    clf.fit(BLOBS, y).save(tmp_path / "run")
    loaded = SemiVAEClassifier.load(tmp_path / "run")
    same_predictions(clf, loaded, BLOBS)
    assert loaded.n_features_in_ == 4
    assert loaded.recipe_ == clf.recipe_
    files = sorted(path.name for path in (tmp_path / "run").iterdir())
    assert files == ["config.json", "metrics.jsonl", "model.safetensors"]
    config, predictor = rundir.load(tmp_path / "run")
    assert config.preprocessing == predictor.scaling.to_json()
    assert len(config.preprocessing["shift"]) == 4


def test_images_survive_save_and_load(tmp_path: Path) -> None:
    clf = SemiVAEClassifier(epochs=1).fit(IMAGES, image_labels(60))
    clf.save(str(tmp_path / "run"))
    same_predictions(clf, SemiVAEClassifier.load(str(tmp_path / "run")), IMAGES)


def test_a_run_of_the_command_line_can_be_loaded(tmp_path: Path) -> None:
    settings = ("network=mlp", "training.unlabeled_rows=300")
    request = Request("digits", labels=20, rows=200, settings=settings, epochs=2, baseline=False)
    prepared = runs.start(prepare(request), tmp_path / "run")
    finished = runs.run(prepared, tmp_path / "run", Hooks(), Hooks())
    clf = SemiVAEClassifier.load(tmp_path / "run")
    assert clf.classes_.tolist() == list(range(10))
    assert len(clf.history_) == 2
    x_test = prepared.arrays.x_test
    assert x_test is not None
    expected = finished.trained.predictor.predict_proba(x_test)
    np.testing.assert_array_equal(clf.predict_proba(x_test), expected)
    assert clf.get_params()["settings"] == settings
    data = prepared.training_set
    assert recipe_of(clf.get_params(), data.facts) == clf.recipe_ == prepared.recipe
    again = clone(clf).fit(data.x, data.y)
    np.testing.assert_array_equal(again.predict_proba(x_test), expected)


def test_the_parameters_of_a_run_are_those_of_its_recipe() -> None:
    """With its objective before what is set in it, and as many epochs as its minutes gave."""
    settings = ("objective.alpha=7",)
    request = Request("digits", labels=20, objective="equation_8", settings=settings, seed=4)
    prepared = prepare(request)
    made, facts = prepared.recipe, prepared.training_set.facts
    parameters = request.parameters(made)
    assert recipe_of(SemiVAEClassifier(**parameters).get_params(), facts) == made
    assert parameters["random_state"] == 4 and parameters["epochs"] is None


def test_the_parameters_of_a_timed_run_have_the_epochs_of_every_stage() -> None:
    request = Request("digits", labels=20, recipe="m1m2-refined", max_minutes=1.0)
    prepared = prepare(request)
    whole, facts = prepared.recipe, prepared.training_set.facts
    stages = ("pretraining", "training", "refining")
    fewer = {name: dataclasses.replace(getattr(whole, name), epochs=2) for name in stages}
    trained = dataclasses.replace(whole, **fewer)
    parameters = SemiVAEClassifier(**request.parameters(trained)).get_params()
    assert recipe_of(parameters, facts) == trained != whole


@pytest.mark.parametrize("record", [{}, {"data": "digits"}, {"new": 1, "settings": []}])
def test_a_run_whose_record_says_little_can_be_loaded(
    tmp_path: Path, fitted: SemiVAEClassifier, record: dict[str, Any]
) -> None:
    fitted.save(tmp_path / "run")
    path = tmp_path / "run" / "config.json"
    write_text(path, json.dumps(json.loads(path.read_text()) | {"settings": record}))
    loaded = SemiVAEClassifier.load(tmp_path / "run")
    np.testing.assert_array_equal(loaded.predict_proba(BLOBS), fitted.predict_proba(BLOBS))
    assert loaded.get_params() == SemiVAEClassifier(random_state=fitted.seed_).get_params()


def test_settings_change_the_recipe_and_parameters_go_over_them() -> None:
    settings = ["objective=equation_8", "objective.alpha=3", "training.learning_rate=constant"]
    clf = blobs_fit(epochs=2, alpha=5, settings=settings)
    assert clf.recipe_.objective == Equation8(alpha=5.0)
    assert clf.recipe_.training.learning_rate == Constant()
    assert clone(clf).settings == settings
    for wrong, words in (
        ("objective.alpha=3", r"settings='objective.alpha=3': give a list of texts"),
        ([3], r"settings=\[3\]: give a list of texts"),
        (None, "settings=None: give a list of texts"),
        ((text for text in settings), "settings=<generator.*: give a list of texts"),
        (np.array(settings), r"settings=array[\s\S]*: give a list of texts"),
        (["objective.alpha"], "^objective.alpha: write KEY=VALUE"),
        (["objective.alpha=x"], "^objective.alpha=x: not a value like"),
    ):
        with pytest.raises(InputError, match=words):
            blobs_fit(epochs=1, settings=wrong)


def test_each_epoch_is_told_as_it_ends() -> None:
    told: list[dict[str, Any]] = []
    clf = SemiVAEClassifier(epochs=3).fit(BLOBS, Y, on_epoch=told.append)
    assert told == clf.history_ and [line["epoch"] for line in told] == [1, 2, 3]

    def stop(line: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SemiVAEClassifier(epochs=3).fit(BLOBS, Y, on_epoch=stop)


def test_saving_into_a_folder_that_holds_something_is_refused(
    tmp_path: Path, fitted: SemiVAEClassifier
) -> None:
    write_text(tmp_path / "mine", "mine")
    with pytest.raises(InputError, match="exists and is not an empty folder"):
        fitted.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    with pytest.raises(InputError, match="is not a run"):
        SemiVAEClassifier.load(tmp_path)


def test_pickle_and_deepcopy_keep_a_fitted_estimator(fitted: SemiVAEClassifier) -> None:
    same_predictions(fitted, pickle.loads(pickle.dumps(fitted)), BLOBS)
    same_predictions(fitted, copy.deepcopy(fitted), BLOBS)


def test_clone_and_get_params(fitted: SemiVAEClassifier) -> None:
    assert SemiVAEClassifier().get_params() == {
        "recipe": "auto",
        "alpha": None,
        "beta": None,
        "gamma": None,
        "epsilon": None,
        "epochs": None,
        "random_state": 0,
        "channels_last": None,
        "smoothness": None,
        "views": None,
        "settings": (),
    }
    copied = clone(fitted)
    assert copied.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        copied.predict(BLOBS)


def test_in_a_pipeline_and_a_grid() -> None:
    pipeline = make_pipeline(StandardScaler(), SemiVAEClassifier(epochs=15)).fit(BLOBS, Y)
    assert pipeline.score(BLOBS, TRUTH) > 0.85
    assert pipeline.transform(BLOBS).shape[0] == 120
    grid = GridSearchCV(SemiVAEClassifier(epochs=2), {"beta": np.array([0.0, 1.0])}, cv=2)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "every row has a label")
        grid.fit(BLOBS[:40], TRUTH[:40])
    assert grid.best_params_["beta"] in (0.0, 1.0)


def test_labels_held_out_calibrate_and_change_no_label() -> None:
    """As the README has it, on classes that overlap under an objective that is too sure."""
    x = BLOBS - 3 * np.eye(3, 4)[TRUTH]
    sure = SemiVAEClassifier(epochs=60, alpha=10, beta=30, gamma=30).fit(x[:80], Y[:80])
    held, rest = slice(80, 100), slice(100, 120)
    calibrated = CalibratedClassifierCV(FrozenEstimator(sure), method="temperature")
    calibrated.fit(x[held], TRUTH[held])
    before, after = (
        -np.log(of.predict_proba(x[rest])[np.arange(20), TRUTH[rest]]).mean()
        for of in (sure, calibrated)
    )
    assert after < 0.8 * before
    np.testing.assert_array_equal(calibrated.predict(x), sure.predict(x))


# --- names of columns ---


class Frame:
    """Stands for a data frame, whose library need not be installed."""

    def __init__(self, names: list[str]) -> None:
        self.names, self.shape = np.array(names, dtype=object), BLOBS.shape

    def __len__(self) -> int:
        return len(BLOBS)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return BLOBS.copy()


def test_names_of_columns_are_kept_compared_and_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        validation, "_get_feature_names", lambda X: X.names if isinstance(X, Frame) else None
    )
    names = ["a", "b", "c", "d"]
    clf = SemiVAEClassifier(epochs=1).fit(Frame(names), Y)
    assert clf.feature_names_in_.tolist() == names
    clf.predict(Frame(names))
    with pytest.raises(InputError, match="feature names should match"):
        clf.predict(Frame(["b", "a", "c", "d"]))
    clf.save(tmp_path / "run")
    loaded = SemiVAEClassifier.load(tmp_path / "run")
    assert loaded.feature_names_in_.tolist() == names
    loaded.predict(Frame(names))
    assert not hasattr(blobs_fit(epochs=1), "feature_names_in_")


# --- bad input ---


def bad(values: Any, row: int = 3) -> np.ndarray:
    x = BLOBS.copy()
    x[row, 1] = values
    return x


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (bad(np.nan), "X contains 1 NaN and 0 infinite values, the first in row 3"),
        (bad(np.inf), "X contains 0 NaN and 1 infinite"),
        (BLOBS[:0], "X has no rows"),
        (BLOBS[:, :0], r"0 feature\(s\)"),
        (BLOBS[:, 0], r"X has shape \(120,\)"),
        (np.zeros((120, 2, 2, 2, 2)), "X has shape"),
        (np.zeros((120, 4, 4, 4)), "could be neither"),
        (np.zeros((120, 3, 4, 3)), "could be either"),
        (BLOBS.astype(str), "features must be numbers"),
        (BLOBS.astype(object).astype(str).astype(object), "row 0, column 0: features must be"),
        (BLOBS + 1j, "Complex data not supported"),
        (np.ma.masked_array(BLOBS), "masked array"),
        ([[1.0, 2.0], [3.0]], "cannot be read as one array of numbers"),
        (BLOBS[:-1], "X has 119 rows and y has 120: give one label per row"),
        (np.zeros((120, 8, 8)) - 1.0, "images hold -1: give pixels from 0 up"),
    ],
)
def test_features_that_cannot_be_used(x: Any, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        SemiVAEClassifier(epochs=1).fit(x, Y)
    assert isinstance(caught.value, ValueError)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (np.full(120, -1), "y has no labeled row"),
        (np.where(Y < 0, -1, 1), "one class only, 1: .*-1 means unlabeled here"),
        (np.where(TRUTH == 1, 1, -1), "recode the two classes"),
        (Y[:-1], "X has 120 rows and y has 119"),
        (Y[:, None], "give y.ravel"),
        (np.where(Y < 0, np.nan, Y), "Input y contains NaN"),
        (np.where(Y < 0, np.inf, Y), "Input y contains infinity"),
        (Y + 0.5, "not a whole number"),
        (np.array([*"ab", -1] * 40), 'y holds the text "-1"'),
        ([*"ab", 1] * 40, "give all labels as text or all as whole numbers"),
        (None, "1d array"),
    ],
)
def test_labels_that_cannot_be_used(y: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        SemiVAEClassifier(epochs=1).fit(BLOBS, y)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"recipe": "papr"}, "papr: choose one of auto, paper-m2"),
        ({"epochs": 0}, "epochs=0: give a whole number from 1"),
        ({"epochs": 1.5}, "epochs=1.5: give a whole number from 1"),
        ({"epochs": "3"}, "epochs='3'"),
        ({"random_state": "a"}, "random_state='a': give a whole number from 0"),
        ({"random_state": -1}, "random_state=-1"),
        ({"alpha": "big"}, "alpha='big': give a finite number, or None for the recipe's"),
        ({"beta": float("nan")}, "beta=nan: give a finite number"),
        ({"gamma": float("inf")}, "gamma=inf: give a finite number"),
        ({"smoothness": "some"}, "smoothness='some': give a finite number"),
        ({"views": "False"}, "views='False': give True, False"),
        ({"smoothness": -1}, "smoothness=-1: weight=-1.0: give 0 or more"),
        ({"recipe": "m1m2", "smoothness": 1}, "choose the recipe m1m2-refined or m1m2-joint"),
        ({"recipe": "paper-m2", "beta": 1.0}, "beta is no symbol of the objective, equation_8"),
    ],
)
def test_parameters_that_cannot_be_used(parameters: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        SemiVAEClassifier(**({"epochs": 1} | parameters)).fit(BLOBS, Y)


@pytest.mark.parametrize("epsilon", [-0.1, 0.7, 1.0])
def test_an_epsilon_out_of_range_is_an_input_error(epsilon: float) -> None:
    with pytest.raises(InputError, match="epsilon"):
        SemiVAEClassifier(epochs=1, epsilon=epsilon).fit(BLOBS, Y)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "transform", "score_samples"])
def test_rows_of_another_width_are_refused(method: str, fitted: SemiVAEClassifier) -> None:
    with pytest.raises(InputError, match="X has 5 features, but SemiVAEClassifier is expecting 4"):
        getattr(fitted, method)(np.zeros((3, 5)))
    with pytest.raises(InputError, match="NaN"):
        getattr(fitted, method)(bad(np.nan))
    with pytest.raises(InputError, match=r"rows of shape \(1, 2, 2\); this model reads \(4,\)"):
        getattr(fitted, method)(np.zeros((3, 2, 2)))


def test_images_of_another_size_are_refused() -> None:
    clf = SemiVAEClassifier(epochs=1).fit(IMAGES, image_labels(60))
    with pytest.raises(InputError, match=r"rows of shape \(1, 4, 4\); this model reads"):
        clf.predict(IMAGES[:, :4, :4])
    with pytest.raises(InputError, match=r"rows of shape \(64,\); this model reads \(1, 8, 8\)"):
        clf.predict(IMAGES.reshape(60, 64))


def test_what_is_wrong_is_said_without_the_options_of_the_command_line(
    fitted: SemiVAEClassifier, tmp_path: Path
) -> None:
    """Who works in Python has no `--set`."""
    (tmp_path / "notes.txt").touch()
    tries = {
        "recipe=papr: choose one of auto": lambda: SemiVAEClassifier("papr").fit(BLOBS, Y),
        "the recipe auto or set network=mlp": lambda: SemiVAEClassifier("paper-m2").fit(BLOBS, Y),
        "not an empty folder: choose another": lambda: fitted.save(tmp_path),
        "cannot be written": lambda: fitted.save(tmp_path / "notes.txt" / "model"),
    }
    for words, wrong in tries.items():
        with pytest.raises(InputError, match=words) as caught:
            wrong()
        assert "--" not in str(caught.value)


@pytest.mark.parametrize(
    ("n_samples", "y", "words"),
    [
        (0, None, "n_samples=0: give a whole number from 1"),
        ("3", None, "n_samples='3': give a whole number from 1"),
        (2.0, None, "n_samples=2.0: give a whole number from 1"),
        (1, 3, r"y=3 is no class: choose from \[0, 1, 2\]"),
        (1, -1, "y=-1 is no class"),
        (1, 0.5, "y=0.5 is no class"),
        (1, "cat", "y='cat' is no class"),
        (2, [0, 7], "y=7 is no class"),
        (3, [0, 1], r"y has shape \(2,\): give one class, or 3 of them"),
        (1, [[0]], "y has shape"),
    ],
)
def test_samples_that_cannot_be_drawn(
    n_samples: Any, y: Any, words: str, fitted: SemiVAEClassifier
) -> None:
    with pytest.raises(InputError, match=words):
        fitted.sample(n_samples, y=y)


@pytest.mark.parametrize("seed", ["a", None, 1.5, -1])
def test_seeds_that_are_none(seed: Any, fitted: SemiVAEClassifier) -> None:
    with pytest.raises(InputError, match=f"seed={seed!r}: give a whole number from 0"):
        fitted.sample(2, seed=seed)


def test_a_longer_name_is_not_cut_to_that_of_a_class() -> None:
    names = np.array(["cat", "dog", "emu"], dtype=object)
    clf = SemiVAEClassifier(epochs=1).fit(BLOBS, np.where(Y < 0, None, names[TRUTH]))
    with pytest.raises(InputError, match="y='catalogue' is no class"):
        clf.sample(1, y="catalogue")


def test_before_fit_every_method_says_so(tmp_path: Path) -> None:
    clf = SemiVAEClassifier()
    for method in ("predict", "predict_proba", "transform", "score_samples"):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            getattr(clf, method)(BLOBS)
    with pytest.raises(NotFittedError):
        clf.sample()
    with pytest.raises(NotFittedError):
        clf.save(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []
