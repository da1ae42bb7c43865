"""Pictures of a training and of what a network has learned, drawn with matplotlib.

Each function returns a matplotlib Figure: `figure.savefig("curves.png")` writes it, and a notebook shows it. matplotlib
is imported when the first picture is drawn; `pip install matplotlib` where it is missing.
"""

from nn.pictures.grids import confusion_matrix, heat_map
from nn.pictures.history import curves
from nn.pictures.images import feature_maps, filters, mistakes, saliency

__all__ = ["confusion_matrix", "curves", "feature_maps", "filters", "heat_map", "mistakes", "saliency"]
