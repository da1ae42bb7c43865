"""What all pictures have in common: the figure, the colours, and images as matplotlib shows them."""

from __future__ import annotations

from typing import Any

import numpy as np

import tensorgraph as tg

Array = np.ndarray[Any, np.dtype[Any]]

# The colours of the pictures of graphs, which colour-blind readers tell apart.
GREEN, RED, GREY = "#00694A", "#B33C00", "#555555"
VALUES = "#762A83", "white", "#006837"  # purple below 0, white, green above
GRADS = "#054282", "white", "#B33C00"  # blue, white, orange


def figure(width: float, height: float) -> Any:
    """An empty figure of that size in inches, which belongs to no window.

    Raises:
        ImportError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure  # here, because importing nn should not wait for it
    except ImportError:
        raise ImportError("nn.pictures draws with matplotlib, which is not installed: pip install matplotlib") from None
    return Figure(figsize=(width, height), dpi=120, layout="constrained")


def axes_grid(rows: int, columns: int, size: float, title: float = 0.0, around: float = 0.0) -> tuple[Any, list[Any]]:
    """A figure with a grid of empty squares for images, row by row: of `size` inches each, below `title` inches.

    Above and below all of them there are `around` inches.
    """
    made = figure(columns * size, rows * (size + title) + around)
    axes = list(made.subplots(rows, columns, squeeze=False).flat)
    for place in axes:
        place.set_axis_off()
    return made, axes


def values(array: Any) -> Array:
    """The numbers of an array, a tensor or a list."""
    return np.asarray(array.detach().data if isinstance(array, tg.Tensor) else array)


def checked_image(owner: str, image: Any) -> Array:
    """One image (C, H, W) of 1 or 3 channels."""
    found = values(image)
    if found.ndim == 4 and len(found) == 1:
        found = found[0]
    if found.ndim != 3 or found.shape[0] not in (1, 3):
        raise tg.ShapeError(f"{owner}: expected one image (C, H, W) of 1 or 3 channels, got shape {found.shape}")
    return found


def show_image(place: Any, image: Array) -> None:
    """An image (C, H, W) in grey or colour, from its least value to its largest; an image of bytes as it is."""
    if image.dtype == np.uint8:
        shown = image / 255.0
    else:
        low, high = float(image.min()), float(image.max())
        shown = (image - low) / (high - low) if high > low else np.zeros(image.shape)
    if len(shown) == 1:
        place.imshow(shown[0], cmap="gray", vmin=0.0, vmax=1.0, interpolation="nearest")
    else:
        place.imshow(shown.transpose(1, 2, 0), interpolation="nearest")


def show_signed(place: Any, plane: Array, most: float, colours: tuple[str, str, str]) -> Any:
    """Numbers (H, W) of both signs, in the colours for below 0, 0 and above; at `most` they are the darkest."""
    from matplotlib.colors import LinearSegmentedColormap

    scale = LinearSegmentedColormap.from_list("signed", colours)
    return place.imshow(plane, cmap=scale, vmin=-most, vmax=most, interpolation="nearest")


def say_colours(made: Any, axes: list[Any], below: str, above: str) -> None:
    """Say below the axes what the colours of the last of them mean, at both ends of a bar with all colours."""
    shown = next(image for place in reversed(axes) for image in place.get_images())
    bar = made.colorbar(
        shown, ax=axes, location="bottom", shrink=0.4, aspect=16, ticks=[shown.norm.vmin, 0, shown.norm.vmax]
    )
    bar.set_ticklabels([below, "0", above], fontsize=8)
    bar.ax.tick_params(length=0)
    bar.outline.set_visible(False)
