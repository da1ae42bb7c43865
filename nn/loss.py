"""Losses as layers: how far outputs are from targets, one number (reduction "mean" or "sum") or one a case ("none")."""

from __future__ import annotations

from typing import Any

import tensorgraph as tg
from nn._checks import choice, for_the_caller
from nn.module import Module


class _Loss(Module):
    @for_the_caller
    def __init__(self, *, reduction: str = "mean") -> None:
        self.reduction = choice(self, "reduction", reduction, ("mean", "sum", "none"))

    def extra_repr(self) -> str:
        return "" if self.reduction == "mean" else f"reduction={self.reduction!r}"


class CrossEntropyLoss(_Loss):
    """-log(softmax(logits)[target]): the loss for choosing one of C classes.

    Input: logits (N, C); target (N,) class numbers, or (N, C) probabilities.

    Raises:
        ShapeError, TypeError, ValueError: the target does not fit; the reduction is unknown.

    Example:
        >>> import nn, tensorgraph as tg
        >>> nn.CrossEntropyLoss(reduction="none")(tg.tensor([[0.0, 1e30]]), [0])
        tensor([1.e+30])

    Source: PyTorch's torch.nn.CrossEntropyLoss; course, section 1.
    """

    def forward(self, logits: Any, target: Any) -> Any:
        return tg.softmax_cross_entropy(logits, target, reduction=self.reduction)


class NLLLoss(_Loss):
    """-log_probs[target], the negative log-likelihood of the right classes.

    Input: log_probs (N, C), such as those of `log_softmax`; target (N,) class numbers.

    Raises:
        ShapeError, TypeError, ValueError: the target does not fit; the reduction is unknown.

    Example:
        >>> import nn, tensorgraph as tg
        >>> nn.NLLLoss()(tg.tensor([[-0.5, -1.0]]), [1])
        tensor(1.)
    """

    def forward(self, log_probs: Any, target: Any) -> Any:
        return tg.nll_loss(log_probs, target, reduction=self.reduction)


class MSELoss(_Loss):
    """(x - target)^2.

    Input: x and target of the same shape.

    Raises:
        ShapeError: the shapes differ, even if they would broadcast. ValueError: the reduction is unknown.

    Example:
        >>> import nn, tensorgraph as tg
        >>> nn.MSELoss()(tg.tensor([1.0, 4.0]), tg.tensor([1.0, 2.0]))
        tensor(2.)
    """

    def forward(self, x: Any, target: Any) -> Any:
        return tg.mse_loss(x, target, reduction=self.reduction)


class BCELoss(_Loss):
    """-(t log p + (1 - t) log(1 - p)), the log loss of probabilities.

    Input: p in [0, 1] and target t, of the same shape.

    Raises:
        ShapeError: the shapes differ. ValueError: p is not in [0, 1]; the reduction is unknown.

    Example:
        >>> import nn, tensorgraph as tg
        >>> nn.BCELoss()(tg.tensor([1.0, 0.0]), tg.tensor([1.0, 0.0]))
        tensor(0.)
    """

    def forward(self, p: Any, target: Any) -> Any:
        return tg.binary_cross_entropy(p, target, reduction=self.reduction)


class BCEWithLogitsLoss(_Loss):
    """The log loss of sigmoid(x), exact for logits of any size.

    Input: logits x and target, of the same shape.

    Raises:
        ShapeError: the shapes differ. ValueError: the reduction is unknown.

    Example:
        >>> import nn, tensorgraph as tg
        >>> nn.BCEWithLogitsLoss(reduction="sum")(tg.tensor([1000.0, -1000.0]), tg.tensor([1.0, 0.0]))
        tensor(0.)
    """

    def forward(self, x: Any, target: Any) -> Any:
        return tg.binary_cross_entropy_with_logits(x, target, reduction=self.reduction)
