"""paper.judge: what it says of images whose answer is known, and that it is trained once."""

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch

from semivae.data.datasets import load
from semivae.data.published import Arrays
from semivae.evaluation import accuracy
from semivae.fitting import Hooks, Trained, train_supervised
from semivae.paper import judge as module
from semivae.paper.generated import compared, real_images
from semivae.paper.judge import SEED, judge, judged, mean_distance
from semivae.predictor import Predictor, TrainingSet
from semivae.rundir import CONFIG


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    """Digits, their test set with as many rows of every class."""
    digits = load("digits")
    assert digits.x_test is not None and digits.y_test is not None
    kept = np.concatenate([np.flatnonzero(digits.y_test == k)[:40] for k in range(10)])
    return replace(digits, x_test=digits.x_test[kept], y_test=digits.y_test[kept])


@pytest.fixture(scope="module")
def by(arrays: Arrays, tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return judge(arrays, 6, tmp_path_factory.mktemp("judge") / "here", Hooks())


def test_the_mean_distance_is_that_over_all_pairs() -> None:
    points = np.random.default_rng(0).normal(size=(6, 3))
    pairs = [float(np.linalg.norm(a - b)) for a, b in combinations(points, 2)]
    assert mean_distance(points) == pytest.approx(np.mean(pairs))
    assert mean_distance(np.ones((5, 4))) == 0
    assert mean_distance(3 * points) == pytest.approx(3 * mean_distance(points))


def test_a_generator_that_copies_real_images_is_as_good_as_they_are(
    by: Predictor, arrays: Arrays
) -> None:
    """Its consistency is the judge's accuracy, its diversity 1."""
    x, y = arrays.x_test, arrays.y_test
    assert x is not None and y is not None
    real = judged(by, real_images(x, y, 100))
    found = compared(judged(by, real_images(x, y, 100)), real)
    assert found["consistency"] == pytest.approx(accuracy(by.predict_proba(x), y))
    assert 0.8 < found["consistency"] < 1, "the judge makes an error, so that this says something"
    assert found["consistency"] == found["real_consistency"]
    for of in ("feature_distance", "pixel_distance"):
        assert found[of] == found[f"real_{of}"] > 0


def test_a_generator_of_one_image_per_class_has_no_diversity(
    by: Predictor, arrays: Arrays
) -> None:
    x, y = arrays.x_test, arrays.y_test
    assert x is not None and y is not None
    real = real_images(x, y, 30)
    found = compared(judged(by, [part[:1].repeat(30, 0) for part in real]), judged(by, real))
    assert found["feature_distance"] == found["pixel_distance"] == 0
    assert (judged(by, [part[:1].repeat(2, 0) for part in real]).consistency % 1 == 0).all()


def test_images_of_the_next_class_are_not_consistent(by: Predictor, arrays: Arrays) -> None:
    """Each class is asked for its own: what is taken for k counts only at k."""
    x, y = arrays.x_test, arrays.y_test
    assert x is not None and y is not None
    shifted = [*real_images(x, y, 40)[1:], real_images(x, y, 40)[0]]
    assert judged(by, shifted).consistency.mean() < 0.1


def test_distances_are_in_the_last_hidden_layer_and_in_pixels_from_0_to_1(
    by: Predictor, arrays: Arrays
) -> None:
    images = [arrays.x[:4], arrays.x[4:9]]
    found = judged(by, images)
    for k, x in enumerate(images):
        scaled = torch.from_numpy(x).float() / 16
        with torch.inference_mode():
            features = by.model.features(scaled).numpy()
        assert found.in_features[k] == pytest.approx(mean_distance(features), rel=1e-5)
        assert found.in_pixels[k] == pytest.approx(mean_distance(scaled.flatten(1).numpy()))


def test_as_many_real_images_of_every_class_as_of_the_rarest() -> None:
    x = np.arange(7)[:, None, None, None].astype(np.uint8)
    parts = real_images(x, np.array([0, 1, 0, 1, 0, 1, 1]), 9)
    assert [part.ravel().tolist() for part in parts] == [[0, 2, 4], [1, 3, 5]]
    assert [len(part) for part in real_images(x, np.array([0, 1, 0, 1, 0, 1, 1]), 2)] == [2, 2]


def counting(calls: list[TrainingSet]) -> Callable[..., Trained]:
    def trained(data: TrainingSet, *rest: object) -> Trained:
        calls.append(data)
        return train_supervised(data, *rest)  # type: ignore[arg-type]

    return trained


def test_it_learns_from_every_labeled_training_row_and_is_trained_once(
    arrays: Arrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[TrainingSet] = []
    monkeypatch.setattr(module, "train_supervised", counting(calls))
    some = replace(arrays, y=np.where(np.arange(len(arrays.y)) % 3, arrays.y, -1))
    first = judge(some, 1, tmp_path / "judge", Hooks())
    assert len(calls[0].y) == (some.y >= 0).sum() and calls[0].y.min() == 0
    again = judge(some, 1, tmp_path / "judge", Hooks())
    assert len(calls) == 1
    np.testing.assert_array_equal(
        first.predict_proba(arrays.x[:9]), again.predict_proba(arrays.x[:9])
    )
    config = tmp_path / "judge" / CONFIG
    older = json.loads(config.read_text())
    del older["preprocessing"]
    config.write_text(json.dumps(older))
    judge(some, 1, tmp_path / "judge", Hooks())
    assert len(calls) == 1, "a file of before"
    judge(some, 2, tmp_path / "judge", Hooks())
    judge(arrays, 2, tmp_path / "judge", Hooks())
    assert len(calls) == 3, "another judge under the same name"
    (tmp_path / "judge" / CONFIG).unlink()  # killed between the two files
    judge(arrays, 2, tmp_path / "judge", Hooks())
    assert len(calls) == 4


def test_its_weights_are_those_of_no_run(arrays: Arrays) -> None:
    """Runs have small seeds: the networks that it judges do not begin where it began."""
    assert SEED > 2**32
