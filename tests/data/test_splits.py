"""Laws of the label draws (balanced, nested, disjoint, repeatable) and the -1 convention."""

import itertools
import json

import numpy as np
import pytest

from semivae.data.classes import encode_labels, labels_named
from semivae.data.splits import LabelSplit, as_unlabeled, balanced_split, holdout
from semivae.errors import InputError

NAType = type("NAType", (), {})  # as pandas calls the type of its missing value
K = 7
Y = np.random.default_rng(0).integers(-1, K, 1000)  # some rows have no label in the first place


def counts(y, rows):
    return np.bincount(y[rows], minlength=K)


# --- balanced_split ---


@pytest.mark.parametrize("n_labels", [7, 8, 13, 14, 100])
@pytest.mark.parametrize("n_validation", [0, 3, 50])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_split_is_balanced_disjoint_and_complete(n_labels, n_validation, seed):
    split = balanced_split(Y, n_labels, seed, n_validation, classes=K)
    assert len(split.labeled) == n_labels
    assert len(split.validation) == split.n_labels_used_to_choose == n_validation
    for rows in (split.labeled, split.validation):
        assert (Y[rows] >= 0).all()
        assert np.ptp(counts(Y, rows)) <= 1
        assert (np.diff(rows) > 0).all()
    assert not np.intersect1d(split.labeled, split.validation).size
    assert np.isin(split.validation, split.unlabeled).all()
    np.testing.assert_array_equal(np.union1d(split.labeled, split.unlabeled), np.arange(1000))
    assert not np.intersect1d(split.labeled, split.unlabeled).size
    assert split.seed == seed


def test_the_labeled_rows_do_not_depend_on_validation():
    alone = balanced_split(Y, 20, seed=3)
    for n_validation in (1, 7, 100):
        with_validation = balanced_split(Y, 20, seed=3, n_validation=n_validation)
        np.testing.assert_array_equal(alone.labeled, with_validation.labeled)


def test_more_labels_keep_the_rows_of_fewer():
    splits = [balanced_split(Y, n, seed=5).labeled for n in range(K, 60)]
    for fewer, more in itertools.pairwise(splits):
        assert np.isin(fewer, more).all()


def test_a_seed_repeats_and_another_differs():
    first, again = balanced_split(Y, 50, seed=0), balanced_split(Y, 50, seed=0)
    np.testing.assert_array_equal(first.labeled, again.labeled)
    assert not np.array_equal(first.labeled, balanced_split(Y, 50, seed=1).labeled)


def test_the_remainder_goes_to_classes_by_seed():
    extra = {int(counts(Y, balanced_split(Y, K + 1, seed).labeled).argmax()) for seed in range(60)}
    assert extra == set(range(K))


def test_every_row_of_a_class_is_as_likely():
    y = np.repeat([0, 1], 5)
    drawn = np.zeros(10)
    for seed in range(1000):
        drawn[balanced_split(y, 4, seed).labeled] += 1
    # Binomial(1000, 2/5): mean 400, standard deviation 15.5
    assert np.abs(drawn - 400).max() < 5 * 15.5


def test_all_rows_can_be_labeled():
    split = balanced_split(np.array([0, 1, 1, 0]), 4, seed=0)
    np.testing.assert_array_equal(split.labeled, [0, 1, 2, 3])
    assert len(split.unlabeled) == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"n_labels": 6}, "6 is fewer labels than classes: give at least 7"),
        ({"n_labels": 0}, "fewer labels than classes"),
        ({"n_labels": 8, "classes": 9}, "fewer labels than classes: give at least 9"),
        ({"n_labels": 9, "classes": 9}, "class 7 has 0 labeled rows"),
        ({"n_labels": 7, "classes": 3}, "labels must be from 0 to 2"),
        ({"n_labels": 900}, r"class \d has \d+ labeled rows, and 12\d are needed"),
        ({"n_labels": 900, "names": tuple("abcdefg")}, r"class [a-g] has \d+ labeled rows"),
        ({"n_labels": 7, "n_validation": 990}, r"class \d has .* 7 labels and 990 validation"),
        ({"n_labels": 7, "n_validation": -1}, "n_validation=-1"),
        ({"n_labels": 7, "seed": -1}, "seed=-1"),
    ],
)
def test_draws_that_cannot_be_made(arguments, complaint):
    with pytest.raises(InputError, match=complaint):
        balanced_split(Y, **{"seed": 0, **arguments})


@pytest.mark.parametrize("y", [np.array([-1, -1]), np.zeros(0, np.int64), np.array([-2, 0, 1])])
def test_labels_that_cannot_be_drawn_from(y):
    with pytest.raises(InputError, match="labels must be from 0"):
        balanced_split(y, 2, seed=0)


# --- LabelSplit ---


def test_json_round_trip():
    split = balanced_split(Y, 20, seed=3, n_validation=11)
    again = LabelSplit.from_json(json.loads(json.dumps(split.to_json())))
    for field in ("labeled", "validation", "unlabeled"):
        np.testing.assert_array_equal(getattr(again, field), getattr(split, field))
    assert again.seed == split.seed


def rows(*numbers):
    return np.array(numbers, dtype=np.int64)


@pytest.mark.parametrize(
    ("labeled", "validation", "unlabeled"),
    [
        (rows(0, 1), rows(), rows(1, 2)),
        (rows(0, 1), rows(), rows(3)),
        (rows(0, 0), rows(), rows(1)),
        (rows(0, 1), rows(1), rows(2)),
        (rows(0, 1), rows(2, 2), rows(2)),
        (rows(0, 1), rows(9), rows(2)),
    ],
)
def test_rows_that_are_no_split(labeled, validation, unlabeled):
    with pytest.raises(InputError, match="a split needs"):
        LabelSplit(labeled, validation, unlabeled, seed=0)


GOOD = {"n_rows": 5, "labeled": [0, 3], "validation": [1], "seed": 0}


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ([], "a JSON object, not list"),
        ({}, "'n_rows' of a split must be a whole number"),
        (GOOD | {"seed": "0"}, "'seed' of a split must be a whole number"),
        (GOOD | {"n_rows": -1}, "not -1"),
        (GOOD | {"labeled": 3}, "'labeled' of a split must be a list"),
        (GOOD | {"labeled": [0, 1.5]}, "'labeled' of a split must be a list"),
        (GOOD | {"labeled": [0, 5]}, "outside of 0 to 4"),
        (GOOD | {"validation": [-1]}, "outside of 0 to 4"),
        (GOOD | {"labeled": [3, 0, 3]}, "names a row twice"),
        (GOOD | {"validation": [3]}, "none of them in labeled"),
    ],
)
def test_json_that_is_no_split(values, complaint):
    with pytest.raises(InputError, match=complaint):
        LabelSplit.from_json(values)


# --- holdout ---


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.2, 0.5, 0.9])
def test_holdout_is_stratified_and_a_partition(fraction):
    labeled = balanced_split(Y, 100, seed=0).labeled
    train, validation = holdout(labeled, Y, fraction, seed=1)
    np.testing.assert_array_equal(np.union1d(train, validation), labeled)
    assert len(train) + len(validation) == 100
    assert len(validation) == round(100 * fraction)
    assert (np.abs(counts(Y, validation) - fraction * counts(Y, labeled)) < 1).all()


def test_holdout_leaves_each_class_a_row_to_train_on():
    y = np.array([0] * 50 + [1, 2, 2])
    for seed in range(20):
        train, validation = holdout(np.arange(53), y, 0.97, seed)
        assert set(y[train]) == {0, 1, 2}
        assert len(train) + len(validation) == 53
    one_each = rows(3, 50, 51)
    train, validation = holdout(one_each, y, 0.5, seed=0)
    np.testing.assert_array_equal(train, one_each)
    assert validation.dtype == np.int64
    assert len(validation) == 0


def test_holdout_of_no_rows():
    train, validation = holdout(rows(), Y, 0.5, seed=0)
    assert len(train) == len(validation) == 0


def test_holdout_repeats_by_seed_and_settles_ties_by_seed():
    y = np.repeat(np.arange(4), 4)
    draws = [holdout(np.arange(16), y, 0.125, seed)[1] for seed in range(40)]
    assert all(len(draw) == 2 for draw in draws)
    assert {int(label) for draw in draws for label in y[draw]} == {0, 1, 2, 3}
    np.testing.assert_array_equal(draws[7], holdout(np.arange(16), y, 0.125, 7)[1])


@pytest.mark.parametrize("fraction", [-0.1, 1.0, 2.0, float("nan")])
def test_holdout_fraction(fraction):
    with pytest.raises(InputError, match="hold out at least 0 and less than 1"):
        holdout(rows(0), np.array([0]), fraction, seed=0)


def test_holdout_of_a_row_without_label():
    with pytest.raises(InputError, match="row 2 has no label"):
        holdout(rows(0, 2), np.array([0, 1, -1]), 0.5, seed=0)


def test_as_unlabeled_copies():
    y = np.array([4, 5, 6, -1])
    hidden = as_unlabeled(y, rows(0, 2))
    np.testing.assert_array_equal(hidden, [4, -1, 6, -1])
    np.testing.assert_array_equal(y, [4, 5, 6, -1])
    assert hidden.dtype == np.int64


# --- encode_labels ---


@pytest.mark.parametrize(
    ("y", "codes", "classes"),
    [
        ([3, -1, 1, 3], [1, -1, 0, 1], [1, 3]),
        (np.array([3.0, -1.0, 1.0]), [1, -1, 0], [1, 3]),
        (np.array([200, 3], np.uint8), [1, 0], [3, 200]),
        (np.array([True, False]), [1, 0], [False, True]),
        ([-5, -1, 5], [0, -1, 1], [-5, 5]),
        (["dog", "cat", "dog"], [1, 0, 1], ["cat", "dog"]),
        (["dog", -1, "cat", None], [1, -1, 0, -1], ["cat", "dog"]),
        (("dog", -1, "cat"), [1, -1, 0], ["cat", "dog"]),
        (["dog", "", "cat", " "], [1, -1, 0, -1], ["cat", "dog"]),
        (np.array(["dog", "", "cat"]), [1, -1, 0], ["cat", "dog"]),
        (np.array([3, NAType(), 1], object), [1, -1, 0], [1, 3]),
        (np.array(["dog", "cat"]), [1, 0], ["cat", "dog"]),
        (np.array(["dog", np.nan, "caterpillar"], object), [1, -1, 0], ["caterpillar", "dog"]),
        (np.array(["dog", -1.0, "nan"], object)[[0, 1, 0]], None, None),
        (np.array([0, None, 2, -1, np.nan], object), [0, -1, 1, -1, -1], [0, 2]),
        (np.array([np.uint8(7), None, np.uint8(9)], object), [0, -1, 1], [7, 9]),
    ],
)
def test_labels_become_codes(y, codes, classes):
    if codes is None:
        with pytest.raises(InputError, match="one class only, dog"):
            encode_labels(y)
        return
    found, names = encode_labels(y)
    np.testing.assert_array_equal(found, codes)
    assert found.dtype == np.int64
    assert names.tolist() == classes


def test_classes_at_codes_give_the_labels_back():
    y = np.random.default_rng(0).choice([-1, 2, 30, 400], 100)
    codes, classes = encode_labels(y)
    np.testing.assert_array_equal(np.where(codes < 0, -1, classes[codes]), y)


@pytest.mark.parametrize(
    "y", [[-1, 1, 1], np.array([-1.0, 1.0]), [1, 1], np.array([-1, 1], object)]
)
def test_minus_one_as_a_class_is_noticed(y):
    with pytest.raises(InputError, match=r"two classes; -1 means unlabeled here.*recode"):
        encode_labels(y)


@pytest.mark.parametrize(
    ("y", "complaint"),
    [
        ([], "no labeled row"),
        ([-1, -1], "no labeled row"),
        (np.array([None, None]), "no labeled row"),
        ([5, 5, -1], "one class only, 5: need at least two classes$"),
        (["a", "a", None], "one class only, a: need at least two classes$"),
        ([0.5, 1, 2], "y is 0.5 in row 0, which is not a whole number"),
        (np.array([None, 1, 0.5], object), "y is 0.5 in row 2, which is not a whole number"),
        ([0, 1e300], "not a whole number"),
        ([0.0, np.nan, 1.0], "Input y contains NaN, the first in row 1: give -1"),
        ([0.0, 1.0, np.inf], "Input y contains infinity, the first in row 2"),
        ([[0], [1]], r"1d array.*shape \(2, 1\).*y.ravel"),
        (None, r"shape \(\)"),
        ([[0], [1, 2]], "one label per row"),
        (["a", 3], "types int, str"),
        (np.array([b"a", b"b"]), r"dtype \|S1"),
        (np.array([b"a", b"b"], object), "types bytes"),
        (np.array([1j, 2]), "dtype complex128"),
        (np.array(["cat", -1, "dog"]), 'the text "-1"'),
        (np.array(["cat", np.nan, "dog"]), 'the text "nan"'),
        (np.array(["cat", "-1", "dog"], object), 'the text "-1"'),
    ],
)
def test_labels_that_are_refused(y, complaint):
    with pytest.raises(InputError, match=complaint):
        encode_labels(y)


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (("0", "10", "-3"), [0, 10, -3]),
        (("0", "07"), ["0", "07"]),
        (("1", "--5"), ["1", "--5"]),
        (("cat", "2"), ["cat", "2"]),
    ],
)
def test_labels_behind_names_are_numbers_if_all_are(names, labels):
    assert labels_named(names) == labels
