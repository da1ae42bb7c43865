"""Kernels that give wrong gradients in single precision only, as a compiled one may, for the tests of graph.check.

The checks run in double precision; these kernels are right there. What finds them is the comparison of the gradients
that were sent with the rules in double precision.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

import nn
import tensorgraph as tg
from tensorgraph import kernels
from tensorgraph.testing import GradientError


def moved(d: Any) -> Any:
    return np.roll(d, 1, axis=-1)


def one_element(d: Any) -> Any:
    d = d.copy()
    d.ravel()[np.abs(d).argmax()] *= 1.01
    return d


KINDS: dict[str, Callable[[Any], Any]] = {
    "the sign flipped": lambda d: -d,
    "a factor of 1.001": lambda d: d * np.float32(1.001),
    "zero": lambda d: d * 0,
    "one element 1 % off": one_element,
    "reversed along the last axis": lambda d: d[..., ::-1],
    "the padding off by one": moved,
}


class Use(NamedTuple):
    """A program that calls a kernel, and the operations that may be blamed for what it returns."""

    kernel: str
    run: Callable[[], tg.Tensor]
    blamed: tuple[str, ...]


def numbers(*shape: int, seed: int = 0) -> tg.Tensor:
    values = np.random.default_rng(seed).uniform(-1.0, 1.0, shape).astype(np.float32)
    return tg.tensor(values, requires_grad=True)


def weighted(out: tg.Tensor) -> tg.Tensor:
    """A sum whose gradient is not the same everywhere."""
    return (out * np.random.default_rng(9).uniform(0.5, 1.5, out.shape).astype(np.float32)).sum()


def layers(*chain: nn.Module) -> Callable[[], tg.Tensor]:
    return lambda: weighted(nn.Sequential(*chain)(numbers(2, 2, 9, 9)))


def conv(**settings: Any) -> nn.Conv2d:
    return nn.Conv2d(2, 3, 3, rng=np.random.default_rng(1), **settings)


def of_one(name: str, *shape: int, op: str | None = None, **options: Any) -> Use:
    op = op or name
    return Use(f"{name}_grad", lambda: weighted(getattr(tg, op)(numbers(*shape), **options)), (op,))


USES = [
    *(of_one(name, 4, 5) for name in ("relu", "leaky_relu", "elu", "gelu", "sigmoid", "softplus", "tanh")),
    *(of_one(name, 4, 5, axis=1) for name in ("softmax", "log_softmax")),
    *(of_one(name, 2, 2, 6, 6, kernel_size=2) for name in ("max_pool2d", "avg_pool2d")),
    of_one("adaptive_avg_pool2d", 1, 2, 5, 5, output_size=3),
    Use(
        "softmax_cross_entropy_grad",
        lambda: tg.softmax_cross_entropy(numbers(4, 5), np.array([0, 4, 2, 2])),
        ("softmax_cross_entropy",),
    ),
    Use("batch_norm_grad", lambda: weighted(nn.BatchNorm2d(2)(numbers(3, 2, 4, 4))), ("batch_norm", "standardize")),
    *(
        Use(kernel, lambda w=w: weighted(tg.linear(numbers(4, 5), w())), ("linear",))
        for kernel, w in (
            ("linear_input_grad", lambda: numbers(3, 5, seed=1).detach()),  # else its gradient comes with that of w
            ("linear_grads", lambda: numbers(3, 5, seed=1)),
        )
    ),
    *(
        Use(f"conv2d_{side}_grad", lambda: weighted(tg.conv2d(numbers(2, 2, 6, 6), numbers(3, 2, 3, 3))), ("conv2d",))
        for side in ("input", "weight")
    ),
    Use("matmul", lambda: weighted(numbers(4, 5) @ numbers(5, 3, seed=1)), ("matmul",)),
    Use("fold", lambda: weighted(tg.unfold(numbers(1, 2, 5, 5), 3)), ("unfold",)),
    Use("conv2d_max_pool2d_weight_grad", layers(conv(), nn.ReLU(), nn.MaxPool2d(2)), ("conv2d",)),
    Use("pooled_activation_grad", layers(conv(), nn.Tanh(), nn.AvgPool2d(2)), ("conv2d",)),
    Use("add", lambda: _used_twice(numbers(128, 128)), ("copy",)),
]


def _used_twice(x: tg.Tensor) -> tg.Tensor:
    return weighted(tg.exp(x) * 0.5 + tg.sin(x))


class Outcome(NamedTuple):
    changed: bool
    verdict: str
    op: str | None


def outcome(use: Use, wrong: Callable[[Any], Any]) -> Outcome:
    """What graph.check says when the kernel is wrong in single precision, on the way back."""
    right, changed = getattr(kernels, use.kernel), False

    def change(d: Any) -> Any:
        nonlocal changed
        if not isinstance(d, np.ndarray) or d.dtype != np.float32:
            return d
        spoiled = np.ascontiguousarray(wrong(d))
        changed |= not np.allclose(d, spoiled, rtol=5e-4, atol=0.0)
        return spoiled

    def spoiled(*args: Any, **options: Any) -> Any:
        found = right(*args, **options)
        return tuple(map(change, found)) if isinstance(found, tuple) else change(found)

    out = use.run()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, use.kernel, spoiled)
        graph = tg.graph(out)
    try:
        graph.check()
    except GradientError as error:
        return Outcome(changed, error.verdict, error.op)
    return Outcome(changed, "right", None)


def outcomes() -> Iterator[tuple[str, Use, Outcome]]:
    return ((kind, use, outcome(use, wrong)) for kind, wrong in KINDS.items() for use in USES)


all_outcomes = functools.cache(lambda: tuple(found for found in outcomes() if found[2].changed))
