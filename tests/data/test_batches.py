"""data/batches.py: what each stream gives in an epoch, and that a step's rows are a function of
its number."""

from collections import Counter

import numpy as np
import pytest
import torch

from semivae.data.batches import SemiSupervisedBatches
from semivae.data.scaling import pixels

CPU = torch.device("cpu")


def some_batches(
    labeled: int = 7,
    unlabeled: int = 50,
    labeled_rows: int = 3,
    unlabeled_rows: int = 16,
    seed: int = 0,
) -> SemiSupervisedBatches:
    """Rows whose one feature is their number, labeled and unlabeled ones shuffled together."""
    n = labeled + unlabeled
    y = np.full(n, -1)
    where = np.random.default_rng(1).permutation(n)[:labeled]
    y[where] = np.arange(labeled) % 3
    x = np.arange(n, dtype=np.float32)[:, None]
    return SemiSupervisedBatches(x, y, 3, pixels(1.0), labeled_rows, unlabeled_rows, seed)


@pytest.mark.parametrize("unlabeled_rows", [1, 7, 16, 49, 50, 128])
def test_each_unlabeled_row_is_seen_once_an_epoch(unlabeled_rows: int) -> None:
    """Whatever the batch size, and in another order in the next epoch."""
    batches = some_batches(unlabeled_rows=unlabeled_rows)
    n = batches.steps_per_epoch
    epochs = [
        np.concatenate([batches.unlabeled_at(epoch * n + step) for step in range(n)])
        for epoch in range(3)
    ]
    for rows in epochs:
        assert sorted(rows.tolist()) == batches.unlabeled.tolist()
    assert not np.array_equal(epochs[0], epochs[1]) and not np.array_equal(epochs[1], epochs[2])


@pytest.mark.parametrize("unlabeled_rows", [1, 7, 16, 49, 50, 128])
def test_no_batch_is_tiny_or_too_large(unlabeled_rows: int) -> None:
    """An epoch is cut into equal batches: sizes differ by one at most, none above the bound."""
    batches = some_batches(unlabeled_rows=unlabeled_rows)
    sizes = [len(batches.unlabeled_at(step)) for step in range(batches.steps_per_epoch)]
    assert sum(sizes) == 50 and max(sizes) <= unlabeled_rows and max(sizes) - min(sizes) <= 1
    assert batches.fewest_unlabeled == min(sizes)


@pytest.mark.parametrize(
    ("unlabeled_rows", "steps"), [(16, 4), (25, 2), (50, 1), (128, 1), (1, 50)]
)
def test_steps_per_epoch(unlabeled_rows: int, steps: int) -> None:
    """The fewest batches that hold the unlabeled rows."""
    assert some_batches(unlabeled_rows=unlabeled_rows).steps_per_epoch == steps


def test_without_unlabeled_rows_an_epoch_is_a_pass_over_the_labels() -> None:
    """7 labels in batches of at most 3 are 3 steps."""
    batches = some_batches(unlabeled=0)
    assert batches.steps_per_epoch == 3 and len(batches.unlabeled) == 0
    assert batches.fewest_unlabeled == 0


@pytest.mark.parametrize("labeled_rows", [1, 3, 7, 100])
def test_the_labeled_stream_cycles_evenly(labeled_rows: int) -> None:
    """Over any stretch no label is seen twice more often than another, and every batch is full."""
    batches, seen = some_batches(labeled_rows=labeled_rows), Counter()
    for step in range(40):
        rows = batches.labeled_at(step)
        assert len(rows) == min(labeled_rows, 7)
        seen.update(rows.tolist())
        counts = [seen[row] for row in batches.labeled.tolist()]
        assert max(counts) - min(counts) <= 1
    assert set(seen) == set(batches.labeled.tolist())


def test_the_passes_of_the_labeled_stream_are_reshuffled() -> None:
    """One label at a time: the order of a pass is not that of the pass before."""
    batches = some_batches(labeled_rows=1)
    rows = np.concatenate([batches.labeled_at(step) for step in range(70)]).reshape(10, 7)
    assert len({tuple(order) for order in rows.tolist()}) > 5


def test_a_step_does_not_depend_on_the_steps_before_it() -> None:
    """Backwards, at random, or from a fresh object: the same rows, so that a run resumes
    anywhere."""
    batches = some_batches()
    forward = [(batches.labeled_at(s), batches.unlabeled_at(s)) for s in range(20)]
    for s in [*reversed(range(20)), 3, 17, 3, 0]:
        for one in (batches, some_batches()):
            assert np.array_equal(one.labeled_at(s), forward[s][0])
            assert np.array_equal(one.unlabeled_at(s), forward[s][1])


def test_the_order_is_keyed_by_the_seed() -> None:
    """Another seed, another order of both streams."""
    a, b = some_batches(unlabeled_rows=50), some_batches(unlabeled_rows=50, seed=1)
    assert not np.array_equal(a.unlabeled_at(0), b.unlabeled_at(0))
    labeled = [np.concatenate([one.labeled_at(s) for s in range(14)]) for one in (a, b)]
    assert not np.array_equal(*labeled)


def test_numpy_s_global_generator_is_not_touched() -> None:
    """Neither read nor advanced."""
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    some_batches().unlabeled_at(0)
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_the_two_streams_share_no_row() -> None:
    """A row is labeled or unlabeled, by its label alone."""
    batches = some_batches()
    assert not set(batches.labeled) & set(batches.unlabeled)
    assert (batches.y[batches.labeled] >= 0).all() and (batches.y[batches.unlabeled] == -1).all()


def test_x_is_scaled_and_y_is_one_hot() -> None:
    """float32 x / scale in the rows' order; labels in the same order, K columns."""
    x = np.arange(24, dtype=np.uint8).reshape(6, 1, 2, 2)
    y = np.array([0, -1, 2, -1, 1, -1])
    batches = SemiSupervisedBatches(x, y, 4, pixels(255.0), 2, 2, seed=0)
    rows = np.array([4, 0])
    expected = torch.from_numpy(x[rows]).float() / 255
    assert batches.x_at(rows, CPU).dtype == torch.float32
    torch.testing.assert_close(batches.x_at(rows, CPU), expected)
    assert batches.y_at(rows, CPU).tolist() == [[0, 1, 0, 0], [1, 0, 0, 0]]


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.int16, np.int8])
def test_labels_may_have_any_signed_integer_type(dtype: type) -> None:
    """A label array in a smaller type is as good."""
    y = np.array([0, -1, 2, -1], dtype=dtype)
    batches = SemiSupervisedBatches(np.zeros((4, 2), np.float32), y, 3, pixels(1.0), 2, 2, seed=0)
    assert batches.y_at(np.array([2, 0]), CPU).tolist() == [[0, 0, 1], [1, 0, 0]]


def test_x_may_be_memory_mapped(tmp_path: object) -> None:
    """Only the rows of a batch are read, and the file is left as it is."""
    x = np.arange(40, dtype=np.uint8).reshape(20, 2)
    np.save(f"{tmp_path}/x.npy", x)
    mapped = np.load(f"{tmp_path}/x.npy", mmap_mode="r")
    batches = SemiSupervisedBatches(mapped, np.arange(20) % 3, 3, pixels(1.0), 4, 4, seed=0)
    assert batches.x is mapped
    rows = batches.labeled_at(0)
    assert batches.x_at(rows, CPU).tolist() == x[rows].tolist()


def test_without_any_label_the_unlabeled_stream_is_all_there_is() -> None:
    """M1 trains so; an objective that reads labels refuses such rows (tests/test_fitting.py)."""
    batches = some_batches(labeled=0)
    seen = [batches.unlabeled_at(step) for step in range(batches.steps_per_epoch)]
    assert sorted(np.concatenate(seen)) == sorted(batches.unlabeled)
    assert len(batches.unlabeled) == len(batches.y)
