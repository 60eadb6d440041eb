"""Images in rows under names: samples, reconstructions, analogies."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from semivae.errors import InputError
from semivae.plots.frame import INK, new_figure, short

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure


@dataclass(frozen=True, eq=False)  # eq: comparing arrays has no single truth value
class Sheet:
    """Images in named rows under a title; C = 1 is grey, C = 3 colour.

    Values are in [0, 1]; a decoder that is free to leave that range is shown clipped to it.
    `columns` are names above the images, or none.
    """

    title: str
    images: Float[np.ndarray, "R n C H W"]
    rows: Sequence[str]
    columns: Sequence[str] = ()

    def __post_init__(self) -> None:
        rows, columns, channels = self.images.shape[:3]
        if channels not in (1, 3):
            raise InputError(f"images of {channels} channels: give 1 (grey) or 3 (colour)")
        if not self.images.size or not np.isfinite(self.images).all():
            raise InputError(
                f"images of shape {self.images.shape}, empty or not finite: give numbers"
            )
        if len(self.rows) != rows or len(self.columns) not in (0, columns):
            raise InputError(
                f"{len(self.rows)} names of rows and {len(self.columns)} of columns for "
                f"{rows} x {columns} images: give one name each"
            )


def tiles(images: Float[np.ndarray, "R n C H W"], gap: int) -> Float[np.ndarray, "h w C"]:
    """All images as one, `gap` white pixels between them."""
    rows, n, channels, height, width = images.shape
    cells = np.ones((rows, height + gap, n, width + gap, channels))
    cells[:, :height, :, :width] = images.clip(0, 1).transpose(0, 3, 1, 4, 2)
    sheet = cells.reshape(rows * (height + gap), n * (width + gap), channels)
    return sheet[: sheet.shape[0] - gap, : sheet.shape[1] - gap]


def image_sheet(sheet: Sheet) -> "matplotlib.figure.Figure":
    """The sheet as a figure of its own."""
    return image_sheets(sheet.title, [replace(sheet, title="")])


def image_sheets(title: str, sheets: Sequence[Sheet]) -> "matplotlib.figure.Figure":
    """Sheets side by side, each under its own title."""
    # A tile's height: a sheet is no wider than a page.
    inches = [min(0.62, 7.2 / len(s.images[0]), 40 / len(s.images)) for s in sheets]
    widths = [
        max(
            high * sheet.images.shape[1] * sheet.images.shape[4] / sheet.images.shape[3]
            + 0.095 * max(len(short(name)) for name in sheet.rows)
            + 0.4,
            4.2,
        )
        for high, sheet in zip(inches, sheets, strict=True)
    ]
    height = max(high * len(sheet.images) for high, sheet in zip(inches, sheets, strict=True))
    figure = new_figure(sum(widths), height + 0.5, title)
    (axes,) = figure.subplots(1, len(sheets), squeeze=False, width_ratios=widths)
    for ax, high, sheet in zip(axes, inches, sheets, strict=True):
        _sheet(ax, sheet, size=min(9.0, 60 * high))
    return figure


def _sheet(ax: "matplotlib.axes.Axes", sheet: Sheet, size: float) -> None:
    rows, columns, channels, height, width = sheet.images.shape
    gap = max(1, height // 14)
    image = tiles(sheet.images, gap).repeat(3 // channels, axis=2)
    ax.imshow(image, interpolation="nearest")
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    ax.xaxis.tick_top()
    ax.set_xticks([])
    if sheet.columns:
        across = np.arange(columns) * (width + gap) + (width - 1) / 2
        ax.set_xticks(
            across, [short(name, 8) for name in sheet.columns], size=size, parse_math=False
        )
    down = np.arange(rows) * (height + gap) + (height - 1) / 2
    names = [short(name) for name in sheet.rows]
    ax.set_yticks(down, names, size=size, color=INK, parse_math=False)
    ax.set_title(sheet.title, loc="left", size=9, weight="bold", color=INK, parse_math=False)
