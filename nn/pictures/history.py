"""The course of a training, epoch by epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from nn.pictures.figure import GREEN, GREY, RED, figure


def curves(history: Mapping[str, Sequence[float]]) -> Any:
    """Each figure of a training over the epochs: dashed over the examples for training, solid in validation.

    Arguments:
        history: lists with a number for each epoch, by name, such as "loss" and "val_loss", "accuracy" and
            "val_accuracy": what `nn.Trainer.fit` returns. "lr" gets an axis of its own.

    Returns:
        A matplotlib Figure with a panel for each name.

    Raises:
        ValueError: there is nothing to draw. ImportError: matplotlib is not installed.

    Example:
        >>> import nn
        >>> history = {"loss": [2.1, 0.7, 0.4], "val_loss": [1.0, 0.6, 0.5], "accuracy": [0.3, 0.8, 0.9]}
        >>> [axes.get_title() for axes in nn.pictures.curves(history).axes]
        ['loss', 'accuracy']
    """
    names = [name for name in history if not name.startswith("val_") and len(history[name])]
    names.sort(key=lambda name: name == "lr")  # last
    if not names:
        raise ValueError("curves: the history has no epoch yet; train first, history = trainer.fit(...)")
    widths = [2.4 if name == "lr" else 4.2 for name in names]
    made = figure(sum(widths), 3.2)
    panels = made.subplots(1, len(names), squeeze=False, width_ratios=widths)
    for axes, name in zip(panels.flat, names, strict=True):
        axes.set_title("learning rate" if name == "lr" else name)
        axes.set_xlabel("epoch")
        shown = [("training", RED, "--", history[name])]
        if name == "lr":
            shown = [("learning rate", GREY, "-", history[name])]
        elif f"val_{name}" in history:
            shown.append(("validation", GREEN, "-", history[f"val_{name}"]))
        for label, colour, line, numbers in shown:
            epochs = range(1, len(numbers) + 1)
            axes.plot(epochs, numbers, line, color=colour, label=label, marker="o", markersize=3)
        finite = [x for *_, numbers in shown for x in numbers if math.isfinite(x)]
        if ("accuracy" in name or "top_" in name) and finite:
            axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.4g} %")
        elif name == "loss" and finite and min(finite) > 0 and max(finite) > 20 * min(finite):
            _set_logarithmic(axes)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        if len(shown) > 1:
            axes.legend(frameon=False)
    return made


def _set_logarithmic(axes: Any) -> None:
    """A logarithmic axis with numbers as on the others, 0.02 instead of a power of ten."""
    axes.set_yscale("log", subs=[])
    axes.yaxis.get_major_locator().set_params(subs=(1, 2, 5))
    axes.yaxis.set_major_formatter("{x:g}")
