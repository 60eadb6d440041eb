"""views.py against every view that there is of a small image."""

import itertools

import numpy as np
import pytest
import torch

from semivae.data.views import AS_GIVEN, Views
from semivae.noise import Noise

CPU = torch.device("cpu")
ROWS = 400
IMAGE = torch.arange(2 * 4 * 5, dtype=torch.float32).view(2, 4, 5)


def noise(rows: int = ROWS, step: int = 0, rank: int = 0, processes: int = 1) -> Noise:
    return Noise(3, step, (("unlabeled", rows),), CPU, rank, processes)


def every(flips: bool, shifts: int) -> set[bytes]:
    """By NumPy: padded with its mirror image, cut at every place, mirrored or not."""
    pad = ((0, 0), (shifts, shifts), (shifts, shifts))
    padded = np.pad(IMAGE.numpy(), pad, mode="reflect")
    found = set()
    for down, right in itertools.product(range(2 * shifts + 1), repeat=2):
        cut = padded[:, down : down + 4, right : right + 5]
        found |= {cut.tobytes()} | ({cut[:, :, ::-1].tobytes()} if flips else set())
    return found


@pytest.mark.parametrize("flips", [False, True])
@pytest.mark.parametrize("shifts", [0, 1, 3])
def test_every_view_is_drawn_and_nothing_else(flips: bool, shifts: int) -> None:
    x = IMAGE.expand(ROWS * 5, -1, -1, -1)
    drawn = Views(flips, shifts)(x, noise(len(x)))
    assert {image.numpy().tobytes() for image in drawn} == every(flips, shifts)


def test_each_view_is_as_likely_as_any_other() -> None:
    x = IMAGE.expand(18 * ROWS, -1, -1, -1)
    counts: dict[bytes, int] = {}
    for image in Views(True, 1)(x, noise(len(x))):
        counts[image.numpy().tobytes()] = counts.get(image.numpy().tobytes(), 0) + 1
    assert len(counts) == 18
    assert max(abs(n - ROWS) for n in counts.values()) < 5 * ROWS**0.5


def test_a_step_has_its_own_and_processes_share_it() -> None:
    x = torch.rand(6, 3, 8, 8)
    views = Views(True, 2)
    whole = views(x, noise(6))
    torch.testing.assert_close(views(x, noise(6)), whole, rtol=0, atol=0)
    assert not torch.equal(views(x, noise(6, step=1)), whole)
    halves = [views(x[3 * r : 3 * r + 3], noise(6, rank=r, processes=2)) for r in (0, 1)]
    torch.testing.assert_close(torch.cat(halves), whole, rtol=0, atol=0)


def test_as_given_is_as_given() -> None:
    x = torch.rand(2, 3)
    assert AS_GIVEN(x, noise(2)) is x


@pytest.mark.parametrize(
    ("x", "views", "words"),
    [
        (torch.rand(2, 5), Views(flips=True), "are of images, and this stage reads none"),
        (torch.rand(2, 1, 8, 4), Views(shifts=4), "shifts=4: the images have 8 x 4 pixels"),
    ],
)
def test_what_has_no_views(x: torch.Tensor, views: Views, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        views(x, noise(2))


def test_a_move_has_no_sign() -> None:
    with pytest.raises(ValueError, match="shifts=-1"):
        Views(shifts=-1)
