"""Gradient clipping: between `backward` and `step`, gradients that are too large are made smaller."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

import tensorgraph as tg
from nn.module import Module


def clip_grad_norm_(
    parameters: Any, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> tg.Tensor:
    """Scale all gradients by min(1, max_norm / (norm + 1e-6)), where norm is that of all their elements together.

    Arguments:
        parameters: tensors, or one; those without a gradient count as zeros. max_norm: >= 0.
        norm_type: a positive number or inf. error_if_nonfinite: raise if the norm is NaN or inf.

    Returns:
        The norm before clipping, a tensor without axes.

    Raises:
        TypeError, ValueError: an argument is impossible. RuntimeError: the norm is NaN or inf, and that is an error.

    Example:
        >>> import nn, tensorgraph as tg
        >>> w = nn.Parameter([3.0, 4.0])
        >>> (w * w).sum().backward()
        >>> nn.optim.clip_grad_norm_([w], 5.0)
        tensor(10.)
        >>> bool(abs(tg.norm(w.grad) - 5) < 1e-5)
        True

    Source: Pascanu, Mikolov, Bengio, "On the difficulty of training recurrent neural networks", 2013; PyTorch's
    torch.nn.utils.clip_grad_norm_.
    """
    most = _at_least_0("clip_grad_norm_", "max_norm", max_norm)
    if isinstance(norm_type, bool) or not isinstance(norm_type, (int, float)) or not norm_type > 0:
        raise ValueError(f"clip_grad_norm_: norm_type must be a positive number or inf, got {norm_type!r}")
    learned = _with_gradients("clip_grad_norm_", parameters)
    norms = [tg.norm(p.grad.detach(), norm_type).item() for p in learned]
    norm = max(norms, default=0.0) if norm_type == math.inf else sum(n**norm_type for n in norms) ** (1 / norm_type)
    if any(math.isnan(n) for n in norms):  # which `max` overlooks
        norm = math.nan
    if error_if_nonfinite and not math.isfinite(norm):
        raise RuntimeError(f"clip_grad_norm_: the norm of the gradients is {norm}; tg.detect_nan() finds where from")
    if not (scale := most / (norm + 1e-6)) >= 1:
        with np.errstate(invalid="ignore"):  # an infinite norm makes NaN of what is infinite, and 0 of the rest
            _replace(learned, lambda gradient: gradient * scale)
    return tg.tensor(np.asarray(norm, learned[0].grad.dtype if learned else np.float32))


def clip_grad_value_(parameters: Any, clip_value: float) -> None:
    """Bring every element of the gradients into [-clip_value, clip_value].

    Arguments:
        parameters: tensors, or one; those without a gradient are left alone. clip_value: >= 0.

    Raises:
        TypeError, ValueError: an argument is impossible.

    Example:
        >>> import nn, tensorgraph as tg
        >>> w = nn.Parameter([3.0, 0.25])
        >>> (w * w).sum().backward()
        >>> nn.optim.clip_grad_value_([w], 1.0)
        >>> w.grad
        tensor([1. , 0.5])

    Source: PyTorch's torch.nn.utils.clip_grad_value_.
    """
    most = _at_least_0("clip_grad_value_", "clip_value", clip_value)
    _replace(_with_gradients("clip_grad_value_", parameters), lambda gradient: tg.clip(gradient, -most, most))


def _at_least_0(function: str, name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{function}: {name} must be a number, got {value!r}")
    if not value >= 0:
        raise ValueError(f"{function}: {name} must be at least 0, got {value!r}")
    return float(value)


def _with_gradients(function: str, parameters: Any) -> list[Any]:
    if isinstance(parameters, Module) or not isinstance(parameters, (tg.Tensor, Iterable)):
        fix = "; pass model.parameters()" if isinstance(parameters, Module) else ""
        raise TypeError(f"{function}: parameters must be tensors, got {type(parameters).__name__}{fix}")
    found = [parameters] if isinstance(parameters, tg.Tensor) else list(parameters)
    if wrong := [p for p in found if not isinstance(p, tg.Tensor)]:
        raise TypeError(f"{function}: parameters must be tensors, got {type(wrong[0]).__name__}")
    return [p for p in found if p.grad is not None and p.size]


def _replace(parameters: list[Any], change: Any) -> None:
    """New gradients for old: two parameters may share one array, so that nothing is changed in place."""
    for p in parameters:
        p.grad = change(p.grad.detach())
