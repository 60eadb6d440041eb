"""`semivae sample`: images drawn from a trained model, class by class, as a PNG file; rows of a
table as a CSV file."""

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from semivae.cli.console import show
from semivae.cli.options import Force, Run, check_output
from semivae.errors import InputError

if TYPE_CHECKING:
    import numpy as np

VISIBLE = 64  # pixels: the least that the longer side of an image is drawn with
MOST = 10_000  # images of a class: a sheet of more is of no use to anyone


def sample(
    run: Run,
    out: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            show_default=False,
            help="What to write: a .png of images, a .csv of rows of a table.",
        ),
    ],
    wanted: Annotated[
        str | None,
        typer.Option(
            "--class", metavar="C", help="Which class (default: every one, in a row of its own)."
        ),
    ] = None,
    n: Annotated[int, typer.Option("-n", min=1, max=MOST, help="How many of each class.")] = 8,
    seed: Annotated[int, typer.Option(min=0, metavar="S", help="Decides what is drawn.")] = 0,
    force: Force = False,
) -> None:
    """Draw images of a class into a PNG file, or rows of a table into a CSV file.

    The latent z comes from the prior at temperature 1; each is the mean of p(x|z, y), without the
    noise of x, so that columns of a table spread less than in the data.
    """
    suffixes = (".png", ".csv")
    check_output(out, suffixes, "give a name that ends in .png, or .csv for a table", force)
    import numpy as np
    import torch

    from semivae import rundir
    from semivae.files import write_bytes

    config, predictor = rundir.load(run)
    of_images = len(config.event) == 3
    if out.suffix.lower() != (suffix := ".png" if of_images else ".csv"):
        kind = "images" if of_images else "tables"
        raise InputError(
            f"--out {out}: {run} is a model of {kind}, give a name that ends in {suffix}"
        )
    chosen = range(len(config.classes)) if wanted is None else [_class(config.classes, wanted)]
    y = np.repeat(chosen, n)
    x = predictor.sample(y, seed)
    if of_images:
        seen = predictor.scaling.apply(torch.from_numpy(x)).numpy()
        columns = n if wanted is None else math.ceil(math.sqrt(n))
        write_bytes(out, png(grid(seen.clip(0, 1), columns)))
    else:
        write_bytes(out, lines(x, [config.classes[code] for code in y]).encode())
    names = "each class" if wanted is None else f"class {config.classes[chosen[0]]}"
    show(f"{n} of {names}: {out}")


def _class(classes: tuple[str, ...], wanted: str) -> int:
    """The position of a class by its name; 07 and 7 are the same where names are whole numbers."""
    numbers = all(name.lstrip("-").isdecimal() for name in classes)
    for code, name in enumerate(classes):
        if name == wanted or (numbers and wanted.isdecimal() and int(name) == int(wanted)):
            return code
    raise InputError(f"--class {wanted}: choose one of {', '.join(classes)}")


def lines(x: "np.ndarray", y: Sequence[str]) -> str:
    """Rows x (M, D) as comma-separated values under x0, x1, ..., their class last."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*(f"x{d}" for d in range(x.shape[1])), "class"])
    writer.writerows([*row, name] for row, name in zip(x.tolist(), y, strict=True))
    return text.getvalue()


def grid(images: "np.ndarray", columns: int) -> "np.ndarray":
    """Images (M, C, H, W) from 0 to 1 as one of uint8 (height, width, C); a pixel is a block."""
    import numpy as np

    m, channels, height, width = images.shape
    zoom = max(1, math.ceil(VISIBLE / max(height, width)))
    gap = max(2, zoom)
    rows = math.ceil(m / columns)
    cell = (zoom * height + gap, zoom * width + gap)  # an image with white below and beside it
    tiles = np.full((rows * columns, *cell, channels), 255, np.uint8)
    drawn = np.rint(255 * images).astype(np.uint8).transpose(0, 2, 3, 1)
    tiles[:m, : zoom * height, : zoom * width] = drawn.repeat(zoom, 1).repeat(zoom, 2)
    rectangle = tiles.reshape(rows, columns, *cell, channels).transpose(0, 2, 1, 3, 4)
    sheet = rectangle.reshape(rows * cell[0], columns * cell[1], channels)
    return np.pad(sheet, ((gap, 0), (gap, 0), (0, 0)), constant_values=255)


def png(sheet: "np.ndarray") -> bytes:
    """The bytes of a PNG file: grey for one channel, colour for three."""
    from PIL import Image

    buffer = io.BytesIO()
    pixels = sheet[:, :, 0] if sheet.shape[2] == 1 else sheet
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()
