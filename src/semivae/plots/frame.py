"""The look of every figure: colours, an empty figure, tidy axes, and its bytes."""

import io
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

INK, MUTED, RULE, PALE = "#2b2f36", "#7b818a", "#dfe2e6", "#c3c8cf"
BLUE, ORANGE, GREEN = "#3b6ea5", "#c9713a", "#4f8a6b"


def to_png(figure: "matplotlib.figure.Figure", dpi: int = 150) -> bytes:
    """The figure as the bytes of a PNG file, the same bytes for the same figure."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # A class name may be in a script the font lacks: it is drawn as a box, which is no error.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def new_figure(width: float, height: float, title: str) -> "matplotlib.figure.Figure":
    """An empty white figure of that size in inches, its title at the upper left."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    figure.suptitle(
        title, x=0.01, ha="left", size=10, weight="bold", color=INK, parse_math=False, wrap=True
    )
    return figure


def tidy(ax: "matplotlib.axes.Axes", xlabel: str = "", ylabel: str = "") -> None:
    """Two thin axes, small grey numbers and names, nothing else."""
    ax.set_xlabel(xlabel, size=8.5, color=MUTED)
    ax.set_ylabel(ylabel, size=8.5, color=MUTED)
    ax.set_facecolor("white")
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(PALE)
    ax.tick_params(colors=MUTED, labelsize=8, length=2.5, width=0.6)


def short(name: str, most: int = 20) -> str:
    """A name that leaves room for the figure."""
    return name if len(name) <= most else name[: most - 1] + "…"
