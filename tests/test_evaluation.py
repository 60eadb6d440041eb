"""evaluation.py against hand counts, scikit-learn and the oracle V8."""

import json
from math import log

import numpy as np
import pytest
from sklearn.metrics import log_loss, recall_score

from semivae import evaluation
from semivae.errors import InputError

# Five rows, three classes. Predicted 0, 1, 2, 0, 1; true 0, 1, 1, 0, 0: three hits.
PROBS = np.array(
    [[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.1, 0.3, 0.6], [0.5, 0.25, 0.25], [0.4, 0.6, 0.0]]
)
Y = np.array([0, 1, 1, 0, 0])


def softmax(logits: np.ndarray) -> np.ndarray:
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def calibrated(n: int, seed: int, sharpen: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn from the very probabilities that are returned (unless sharpened after)."""
    rng = np.random.default_rng(seed)
    logits = 1.5 * rng.normal(size=(n, 10))
    y = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    return softmax(sharpen * logits), y


def test_tiny_case_by_hand():
    assert evaluation.accuracy(PROBS, Y) == pytest.approx(3 / 5)
    assert evaluation.confusion(PROBS, Y).tolist() == [[2, 1, 0], [0, 1, 1], [0, 0, 0]]
    # F1: class 0 has TP 2, FN 1; class 1 TP 1, FP 1, FN 1; class 2 only FP.
    assert evaluation.macro_f1(PROBS, Y) == pytest.approx((4 / 5 + 1 / 2 + 0) / 3)
    expected = -(log(0.8) + log(0.7) + log(0.3) + log(0.5) + log(0.4)) / 5
    assert evaluation.nll(PROBS, Y) == pytest.approx(expected)
    squares = 0.06 + 0.14 + 0.86 + 0.375 + 0.72
    assert evaluation.brier(PROBS, Y) == pytest.approx(squares / 5)
    recall = evaluation.classification_report(PROBS, Y).recall
    np.testing.assert_allclose(recall, [2 / 3, 1 / 2, np.nan])


def test_agrees_with_scikit_learn_where_it_has_the_metric():
    probs, y = calibrated(500, seed=1)
    assert evaluation.nll(probs, y) == pytest.approx(log_loss(y, probs, labels=np.arange(10)))
    recall = evaluation.classification_report(probs, y).recall
    np.testing.assert_allclose(recall, recall_score(y, probs.argmax(1), average=None))
    assert evaluation.confusion(probs, y).sum() == 500


def test_macro_f1_ignores_a_class_nobody_has():
    wider = np.pad(PROBS, ((0, 0), (0, 4)))
    assert evaluation.macro_f1(wider, Y) == pytest.approx(evaluation.macro_f1(PROBS, Y))


def test_wilson_interval_known_values():
    # Newcombe 1998, table I, method 3: 81/263, 15/148, 0/20, 1/29.
    for hits, n, low, high in [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ]:
        interval = evaluation.accuracy_interval(hits, n)
        assert interval == pytest.approx((low, high), abs=5e-5)
    low, high = evaluation.accuracy_interval(20, 20)
    assert high == 1.0
    assert low == pytest.approx(1 - 0.1611, abs=5e-5)


@pytest.mark.parametrize(("hits", "n"), [(3, 2), (-1, 5), (0, 0)])
def test_interval_of_impossible_counts_is_an_error(hits, n):
    with pytest.raises(InputError, match=f"{hits} hits in {n} rows"):
        evaluation.accuracy_interval(hits, n)


def test_nll_of_probability_zero_is_the_smallest_float32():
    assert evaluation.nll(np.array([[1.0, 0.0]]), np.array([1])) == pytest.approx(126 * log(2))


def test_brier_runs_from_0_to_2():
    certain = np.array([[1.0, 0.0]])
    assert evaluation.brier(certain, np.array([0])) == 0
    assert evaluation.brier(certain, np.array([1])) == 2


def test_v8_ece_of_confidence_7_and_accuracy_5_is_2():
    probs = np.tile([0.7, 0.2, 0.1], (10, 1))
    y = np.array([0, 1] * 5)
    assert evaluation.expected_calibration_error(probs, y) == pytest.approx(0.2)


def test_v8_ece_of_calibrated_draws_is_small_and_biased_upward_when_rows_are_few():
    few = [evaluation.expected_calibration_error(*calibrated(1_000, seed)) for seed in range(10)]
    many = evaluation.expected_calibration_error(*calibrated(200_000, seed=0))
    assert np.mean(few) == pytest.approx(0.039, abs=0.006)
    assert many < 0.006


def test_v8_ece_of_sharpened_softmax_is_large():
    assert evaluation.expected_calibration_error(*calibrated(20_000, 0, sharpen=2.0)) > 0.1


def test_v8_ece_of_sharpened_softmax_is_the_confidence_it_gained():
    """Twice the logits raise every confidence, so no bin cancels another: ECE is E[conf - p]."""
    rng = np.random.default_rng(0)
    logits = 1.5 * rng.normal(size=(200_000, 10))
    y = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    truth, said = softmax(logits).max(axis=1), softmax(2 * logits).max(axis=1)
    measured = evaluation.expected_calibration_error(softmax(2 * logits), y)
    assert measured == pytest.approx((said - truth).mean(), abs=0.004)  # 4 s.e. of the accuracy
    assert measured > 0.2


def test_ece_weighs_bins_by_their_rows():
    # Three rows at confidence .9 all right (gap .1), one at .6 wrong (gap .6).
    probs = np.array([[0.9, 0.1]] * 3 + [[0.6, 0.4]])
    y = np.array([0, 0, 0, 1])
    expected = 3 / 4 * 0.1 + 1 / 4 * 0.6
    assert evaluation.expected_calibration_error(probs, y) == pytest.approx(expected)


def test_bins_are_open_below_and_closed_above():
    upper = np.arange(8, 16) / 15  # every edge a two-class maximum can reach
    probs = np.stack([upper, 1 - upper], axis=1)
    bins = evaluation.reliability(probs, np.zeros(8, dtype=np.int64))
    assert bins.rows.tolist() == [0] * 7 + [1] * 8
    np.testing.assert_allclose(bins.confidence[7:], upper)
    above = np.nextafter(8 / 15, 1)
    bins = evaluation.reliability(np.array([[above, 1 - above]]), np.array([1]))
    assert bins.rows[8] == 1
    assert bins.accuracy[8] == 0
    assert np.isnan(bins.accuracy[0])


def test_float32_row_a_hair_above_one_falls_in_the_last_bin():
    probs = np.array([[np.nextafter(np.float32(1), np.float32(2)), 0]], dtype=np.float32)
    assert evaluation.reliability(probs, np.array([0])).rows[-1] == 1


def test_report_gathers_the_functions_and_survives_json():
    report = evaluation.classification_report(PROBS, Y)
    assert report.n == 5
    assert report.accuracy_interval == evaluation.accuracy_interval(3, 5)
    assert report.ece == evaluation.expected_calibration_error(PROBS, Y)
    assert report.macro_f1 == evaluation.macro_f1(PROBS, Y)
    plain = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert plain["accuracy"] == pytest.approx(0.6)
    assert plain["nll"] == evaluation.nll(PROBS, Y)
    assert plain["brier"] == evaluation.brier(PROBS, Y)
    assert plain["confusion"] == [[2, 1, 0], [0, 1, 1], [0, 0, 0]]
    assert plain["recall"] == [pytest.approx(2 / 3), 0.5, None]
    assert sum(plain["reliability"]["rows"]) == 5
    assert plain["reliability"]["confidence"][0] is None


@pytest.mark.parametrize(
    ("probs", "y", "message"),
    [
        (np.array([[2.0, -1.0]]), [0], "negative"),
        (np.array([[3.0, 1.0]]), [0], "sums to 4"),
        (np.array([[np.nan, 1.0]]), [0], "nan"),
        (np.array([[0.5, 0.5]]), [2], "give 0 to 1"),
        (np.array([[0.5, 0.5]]), [-1], "labels from -1"),
        (np.zeros((0, 2)), [], "at least one row"),
    ],
)
def test_what_is_no_probability_is_refused_with_the_fix(probs, y, message):
    with pytest.raises(InputError, match=message):
        evaluation.accuracy(probs, np.array(y, dtype=np.int64))


def test_bins_below_one_are_refused():
    with pytest.raises(InputError, match="bins=0"):
        evaluation.reliability(PROBS, Y, bins=0)
