"""Arrays in, matplotlib figures out: the pictures of a report; no file and no window is opened.

Nothing here touches pyplot or its global list of figures, and matplotlib (half a second) is only
imported when something is drawn. `to_png` turns a figure into bytes.
"""

from typing import TYPE_CHECKING

from semivae.plots.classes import ReliabilityBins, confusion_matrix, reliability_diagram
from semivae.plots.comparisons import Dots, EstimatorPoint, dots, estimator_planes
from semivae.plots.frame import to_png
from semivae.plots.histories import curves, probe_curves, probe_names, term_names
from semivae.plots.images import Sheet, image_sheet, image_sheets, tiles
from semivae.plots.results import ResultRow, results_bars

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Figure  # for those who annotate with it

__all__ = [
    "confusion_matrix",
    "curves",
    "Dots",
    "dots",
    "estimator_planes",
    "EstimatorPoint",
    "image_sheet",
    "image_sheets",
    "probe_curves",
    "probe_names",
    "reliability_diagram",
    "ReliabilityBins",
    "ResultRow",
    "results_bars",
    "Sheet",
    "term_names",
    "tiles",
    "to_png",
]
