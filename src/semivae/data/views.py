"""Images as they might also have been taken, drawn anew whenever a step reads them: a batch at a
time, on its device."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from semivae.noise import Noise


@dataclass(frozen=True)
class Views:
    """What is done to an image before a step reads it: what q reads and the decoder explains.

    `flips`: mirrored left to right, one time in two. `shifts`: moved by up to so many pixels each
    way, what comes in at the border being mirrored there. Neither is for images whose class it
    changes: a mirrored digit is none.
    """

    flips: bool = False
    shifts: int = 0

    def __post_init__(self) -> None:
        if self.shifts < 0:
            raise ValueError(f"shifts={self.shifts}: give 0 (none) or a number of pixels")

    def __call__(self, x: Float[Tensor, "B *X"], noise: Noise) -> Float[Tensor, "B *X"]:
        """x (B, C, H, W), each image in a view of its own; x itself if there are none.

        Raises `ValueError` for what is no image, and for one that is too small to be moved so far.
        """
        if not self.flips and not self.shifts:
            return x
        if x.dim() != 4:
            raise ValueError(
                "views.flips and views.shifts are of images, and this stage reads none: of an "
                "M1+M2 set those of pretraining or refining, for a table neither"
            )
        height, width = x.shape[2:]
        if self.shifts >= min(height, width):
            raise ValueError(
                f"views.shifts={self.shifts}: the images have {height} x {width} pixels"
            )
        draws = noise.uniform("views", 3).to(x.device)
        down, right = ((2 * self.shifts + 1) * draws[:, :2]).floor().long().unbind(1)
        rows = _mirrored(_places(height, down - self.shifts), height)
        columns = _mirrored(_places(width, right - self.shifts), width)
        if self.flips:
            columns = torch.where(draws[:, 2:] < 0.5, width - 1 - columns, columns)
        x = x.gather(2, rows[:, None, :, None].expand_as(x))
        return x.gather(3, columns[:, None, None, :].expand_as(x))


AS_GIVEN = Views()


def usual(event: tuple[int, ...]) -> Views:
    """For photographs of shape (C, H, W): mirrored, and moved by up to an eighth of a side."""
    return Views(flips=True, shifts=min(event[1:], default=0) // 8)


def _places(n: int, by: Int[Tensor, "B"]) -> Int[Tensor, "B n"]:
    """Where each of n pixels comes from, of an image moved by so many."""
    return torch.arange(n, device=by.device) - by[:, None]


def _mirrored(places: Int[Tensor, "B n"], n: int) -> Int[Tensor, "B n"]:
    """Places beyond the border as those as far on this side of it, the border itself once."""
    inside = places.abs()
    return torch.where(inside < n, inside, 2 * (n - 1) - inside)
