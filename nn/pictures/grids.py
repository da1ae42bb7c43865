"""Tables of numbers in colours: what is taken for what, and studies of two settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import tensorgraph as tg
from nn.pictures.figure import Array, figure, values


def confusion_matrix(matrix: Any, classes: Sequence[str] | None = None) -> Any:
    """How many examples of each class (rows) were taken for each (columns), darker for a larger share of a row.

    A share is as dark as its square root is large, so that rare mistakes show too.

    Arguments:
        matrix: (C, C), counts, such as the result of `nn.training.ConfusionMatrix`. classes: their names; numbers if
            None.

    Returns:
        A matplotlib Figure.

    Raises:
        ShapeError: the matrix is not square, or there are more or fewer names than classes. ImportError: matplotlib is
            not installed.

    Example:
        >>> import nn
        >>> figure = nn.pictures.confusion_matrix([[8, 2], [1, 9]], ["cat", "dog"])
        >>> figure.axes[0].get_title()
        '85.0 % of 20 right'
    """
    counts = values(matrix)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise tg.ShapeError(f"confusion_matrix: expected counts (C, C), got shape {counts.shape}")
    names = _names("confusion_matrix", "classes", classes, len(counts))
    size = max(3.5, 0.5 * len(counts) + 1.5)
    made = figure(size, size)
    axes = made.subplots()
    total = counts.sum()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    _coloured(axes, shares, [[f"{n:,}" if n else "" for n in row] for row in counts.tolist()], power=0.5)
    _labelled(axes, names, names, "right class", "taken for")
    axes.set_title(f"{100 * counts.trace() / max(total, 1):.1f} % of {total:,} right")
    return made


def heat_map(
    grids: Mapping[str, Any],
    *,
    rows: Sequence[Any],
    columns: Sequence[Any],
    row_label: str = "",
    column_label: str = "",
    title: str = "",
) -> Any:
    """A study of two settings: a table of accuracies for each name, in the same colours; the best is framed.

    Arguments:
        grids: arrays (R, C) of shares in [0, 1] by name, such as "training" and "validation". rows, columns: the
            settings. row_label, column_label: what they are. title: above all.

    Returns:
        A matplotlib Figure.

    Raises:
        ShapeError: a grid does not have R rows and C columns. ImportError: matplotlib is not installed.

    Example:
        >>> import nn
        >>> figure = nn.pictures.heat_map({"validation": [[0.1, 0.9]]}, rows=[0.0], columns=[0.1, 1.0], row_label="L2")
        >>> figure.axes[0].get_ylabel()
        'L2'
    """
    shape = len(rows), len(columns)
    made = figure((0.75 * shape[1] + 1.0) * len(grids) + 0.3, 0.6 * shape[0] + 1.6)
    made.suptitle(title)
    for axes, (name, grid) in zip(made.subplots(1, len(grids), squeeze=False).flat, grids.items(), strict=True):
        numbers = values(grid)
        if numbers.shape != shape:
            raise tg.ShapeError(f"heat_map: {name} has shape {numbers.shape}, expected {shape}: a row for each of rows")
        _coloured(axes, numbers, [[f"{100 * n:.1f}" for n in row] for row in numbers.tolist()])
        _labelled(axes, rows, columns, row_label, column_label)
        axes.set_title(f"{name}, %")
        best = np.unravel_index(np.nanargmax(numbers), shape)
        axes.add_patch(_frame(best))
    return made


def _coloured(axes: Any, shares: Array, texts: Sequence[Sequence[str]], power: float = 1.0) -> None:
    """A cell for each share in [0, 1], the larger this power of it the darker, with its text."""
    from matplotlib.colors import PowerNorm

    axes.imshow(shares, cmap="Greens", norm=PowerNorm(power, 0.0, 1.0), aspect="auto")
    for i, row in enumerate(texts):
        for j, text in enumerate(row):
            axes.text(
                j,
                i,
                text,
                ha="center",
                va="center",
                fontsize=8,
                color="white" if shares[i, j] ** power > 0.6 else "black",
            )


def _labelled(axes: Any, rows: Sequence[Any], columns: Sequence[Any], row_label: str, column_label: str) -> None:
    slanted = max(len(str(column)) for column in columns) > 4
    axes.set_xticks(range(len(columns)), [str(column) for column in columns], rotation=45 if slanted else 0)
    axes.set_yticks(range(len(rows)), [str(row) for row in rows])
    axes.set_xlabel(column_label)
    axes.set_ylabel(row_label)
    axes.tick_params(length=0)


def _frame(cell: Any) -> Any:
    from matplotlib.patches import Rectangle

    row, column = cell
    return Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, linewidth=2, edgecolor="black")


def _names(owner: str, argument: str, given: Sequence[str] | None, number: int) -> Sequence[str]:
    if given is None:
        return [str(i) for i in range(number)]
    if len(given) != number:
        raise tg.ShapeError(f"{owner}: {argument} has {len(given)} names for {number} classes")
    return given
