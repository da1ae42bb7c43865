"""The geometry of sliding windows: how many fit, and what a user's spelling of stride, padding and dilation comes to.

Everything works for any number of spatial axes. Resolved, a kernel size, a stride and a dilation are one number for
each spatial axis, a padding is a pair (before, after) for each. Errors name the argument, the caller the operation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, TypeVar, cast

import numpy as np

from tensorgraph.errors import ShapeError

Sizes = tuple[int, ...]
Pads = tuple[tuple[int, int], ...]
F = TypeVar("F", bound=Callable[..., Any])

_SPELLINGS = {1: "an integer", 2: "an integer or a pair (height, width)"}
_CHANNELS_LAST = {
    1: "; signals are (N, C, L), not (N, L, C): use x.transpose(0, 2, 1)",
    2: "; images are (N, C, H, W), not (N, H, W, C): use x.transpose(0, 3, 1, 2)",
}

# --- how many windows fit --------------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)  # layers ask the same at every step, forward and backward
def window_sizes(
    sizes: Sizes, kernel: Sizes, stride: Sizes, padding: Pads, dilation: Sizes, *, ceil_mode: bool = False
) -> Sizes:
    """How many windows fit along each spatial axis: floor((I + P0 + P1 - D(K-1) - 1) / S) + 1.

    With ceil_mode the quotient is rounded up: a last window may reach over the end, but must start inside the input or
    the padding before it (PyTorch's rule).
    """
    counts = []
    for i, k, s, (before, after), d in zip(sizes, kernel, stride, padding, dilation, strict=True):
        room = i + before + after - d * (k - 1) - 1
        if ceil_mode:
            last = -(-room // s)
            counts.append(last if last * s >= i + before else last + 1)
        else:
            counts.append(room // s + 1)
    return tuple(counts)


def covered_sizes(counts: Sizes, kernel: Sizes, stride: Sizes, padding: Pads, dilation: Sizes, extra: Sizes) -> Sizes:
    """The input sizes that give so many windows: S(O-1) + D(K-1) + 1 - P0 - P1 + extra, `window_sizes` solved for I.

    `extra`, less than the stride, picks one of the S input sizes that give the same number of windows.
    """
    return tuple(
        s * (o - 1) + d * (k - 1) + 1 - before - after + e
        for o, k, s, (before, after), d, e in zip(counts, kernel, stride, padding, dilation, extra, strict=True)
    )


# --- what the user wrote ---------------------------------------------------------------------------------------------


def _remembered(resolve: F) -> F:
    """The function with a memory, for plain integers: 1.0 and True equal 1 but are refused, also after 1."""
    known = lru_cache(maxsize=1024, typed=True)(resolve)

    @wraps(resolve)
    def look_up(x_shape: Sizes, *settings: Any, **named: Any) -> Any:
        if named:
            return resolve(x_shape, *settings, **named)
        for value in settings:
            if not (_INTEGERS.issuperset(map(type, value)) if type(value) is tuple else type(value) in _PLAIN):
                return resolve(x_shape, *settings)
        return known(x_shape, *settings)

    return cast("F", look_up)


_INTEGERS = frozenset({int})
_PLAIN = frozenset({int, bool, str, type(None)})


@_remembered
def conv_window(
    x_shape: Sizes, w_shape: Sizes, stride: Any, padding: Any, dilation: Any, groups: int
) -> tuple[Sizes, Pads, Sizes]:
    """Check the sizes of a convolution and resolve its (stride, padding, dilation).

    Arguments:
        x_shape: (N, C, *spatial). w_shape: (F, C/groups, *kernel), with as many spatial axes.
        stride, dilation: a number, or one for each spatial axis.
        padding: the same; "valid": none; "same": so much that ceil(I/S) windows fit, an odd pixel at the end; "full":
            all but one element of the kernel on every side.
    """
    if 0 in w_shape:
        raise ShapeError(f"w of shape {w_shape} is empty")
    count = len(x_shape) - 2
    kernel = w_shape[2:]
    steps = numbers("stride", stride, count, 1)
    spread = numbers("dilation", dilation, count, 1)
    _check_groups(groups, w_shape[0], "output", w_shape)
    _check_channels(x_shape, w_shape[1] * groups)
    if isinstance(padding, str):
        pads = _named_padding(padding, x_shape[2:], kernel, steps, spread)
    else:
        pads = _both_sides(numbers("padding", padding, count, 0, ', "valid", "same" or "full"'))
    counts = window_sizes(x_shape[2:], kernel, steps, pads, spread)
    _check_fit(f"x of shape {x_shape}", x_shape[2:], kernel, pads, spread, counts)
    return steps, pads, spread


def transpose_window(
    x_shape: Sizes, w_shape: Sizes, stride: Any, padding: Any, output_padding: Any, groups: int, dilation: Any
) -> tuple[Sizes, Sizes, Pads, Sizes]:
    """Check the sizes of a transposed convolution; resolve its (output shape, stride, padding, dilation).

    Arguments:
        x_shape: (N, C, *spatial). w_shape: (C, F/groups, *kernel), with as many spatial axes.
    """
    count = len(x_shape) - 2
    steps = numbers("stride", stride, count, 1)
    spread = numbers("dilation", dilation, count, 1)
    pads = _both_sides(numbers("padding", padding, count, 0))
    extra = numbers("output_padding", output_padding, count, 0)
    _check_groups(groups, w_shape[0], "input", w_shape)
    _check_channels(x_shape, w_shape[0])
    if any(e >= max(s, d) for e, s, d in zip(extra, steps, spread, strict=True)):
        raise ShapeError(
            f"output_padding = {output_padding} must be smaller than stride = {stride} or dilation = {dilation}"
        )
    sizes = covered_sizes(x_shape[2:], w_shape[2:], steps, pads, spread, extra)
    if min(sizes) < 1:
        raise ShapeError(f"padding = {padding} leaves nothing of the output of x of shape {x_shape}; use less padding")
    return (x_shape[0], w_shape[1] * groups, *sizes), steps, pads, spread


@_remembered
def pool_window(
    x_shape: Sizes, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> tuple[Sizes, Sizes, Pads, Sizes]:
    """Check the sizes of a pooling; resolve its (kernel, stride, padding, dilation); a stride of None is the kernel."""
    if 0 in x_shape[1:]:
        raise ShapeError(f"x of shape {x_shape} is empty; only the batch axis may have size 0")
    window = _window(x_shape[2:], kernel_size, kernel_size if stride is None else stride, padding, dilation)
    kernel, _, pads, spread = window
    if any(2 * before > k for (before, _), k in zip(pads, kernel, strict=True)):
        raise ShapeError(f"padding = {padding} is more than half of kernel_size = {kernel_size}")
    counts = window_sizes(x_shape[2:], *window, ceil_mode=ceil_mode)
    _check_fit(f"x of shape {x_shape}", x_shape[2:], kernel, pads, spread, counts)
    return window


def unfold_window(
    x_shape: Sizes, kernel_size: Any, dilation: Any, padding: Any, stride: Any
) -> tuple[Sizes, Sizes, Pads, Sizes]:
    """Check the sizes of an unfolding; resolve its (kernel, stride, padding, dilation)."""
    window = _window(x_shape[2:], kernel_size, stride, padding, dilation)
    kernel, _, pads, spread = window
    _check_fit(f"x of shape {x_shape}", x_shape[2:], kernel, pads, spread, window_sizes(x_shape[2:], *window))
    return window


def fold_window(
    x_shape: Sizes, output_size: Any, kernel_size: Any, dilation: Any, padding: Any, stride: Any
) -> tuple[Sizes, tuple[Sizes, Sizes, Pads, Sizes]]:
    """Check the sizes of a folding, x of shape (N, C*KH*KW, L); resolve its output shape and its window."""
    sizes = numbers("output_size", output_size, 2, 1)
    window = _window(sizes, kernel_size, stride, padding, dilation)
    kernel, _, pads, spread = window
    counts = window_sizes(sizes, *window)
    _check_fit(f"output_size = {output_size}", sizes, kernel, pads, spread, counts)
    taps = math.prod(kernel)
    if x_shape[1] % taps:
        raise ShapeError(f"axis 1 of x of shape {x_shape} must be a multiple of {taps}, the size of kernel {kernel}")
    if x_shape[2] != math.prod(counts):
        fitting = f"{' x '.join(map(str, counts))} windows fit into output_size = {output_size}"
        raise ShapeError(f"axis 2 of x of shape {x_shape} must be {math.prod(counts)}: {fitting}")
    return (x_shape[0], x_shape[1] // taps, *sizes), window


def bin_sizes(x_shape: Sizes, output_size: Any) -> Sizes:
    """Check the sizes of an adaptive pooling; resolve how many bins each spatial axis is cut into, by None into all."""
    pair = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size, output_size)
    if len(pair) == 2:
        pair = tuple(size if bins is None else bins for bins, size in zip(pair, x_shape[2:], strict=True))
    if 0 in x_shape[1:]:
        raise ShapeError(f"x of shape {x_shape} is empty; only the batch axis may have size 0")
    return numbers("output_size", pair, 2, 1)


def _window(
    sizes: Sizes, kernel_size: Any, stride: Any, padding: Any, dilation: Any
) -> tuple[Sizes, Sizes, Pads, Sizes]:
    """(kernel, stride, padding, dilation), each checked by itself."""
    count = len(sizes)
    return (
        numbers("kernel_size", kernel_size, count, 1),
        numbers("stride", stride, count, 1),
        _both_sides(numbers("padding", padding, count, 0)),
        numbers("dilation", dilation, count, 1),
    )


def _named_padding(name: str, sizes: Sizes, kernel: Sizes, stride: Sizes, dilation: Sizes) -> Pads:
    if name == "valid":
        return _both_sides((0,) * len(kernel))
    reach = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    if name == "full":
        return tuple((r, r) for r in reach)
    if name == "same":  # (ceil(I/S) - 1) S + D(K-1) + 1 elements are needed
        totals = [max(-(-i // s) * s - s + r + 1 - i, 0) for i, s, r in zip(sizes, stride, reach, strict=True)]
        return tuple((total // 2, total - total // 2) for total in totals)
    raise ShapeError(f'padding must be {_SPELLINGS[len(kernel)]}, "valid", "same" or "full", got {name!r}')


def _both_sides(padding: Sizes) -> Pads:
    return tuple((p, p) for p in padding)


# --- checks ----------------------------------------------------------------------------------------------------------


def numbers(name: str, value: Any, count: int, least: int, otherwise: str = "") -> Sizes:
    """`count` integers of at least `least`, spelled as one for all or as a sequence of so many."""
    if type(value) is int and value >= least:
        return (value,) * count
    result = tuple(value) if isinstance(value, (tuple, list)) else (value,) * count
    for number in result:
        if type(number) is not int and not isinstance(number, np.integer):
            raise TypeError(f"{name} must be {_SPELLINGS[count]}{otherwise}, got {value!r}")
    if len(result) != count:
        raise ShapeError(f"{name} must be {_SPELLINGS[count]}{otherwise}, got {value!r}")
    if min(result) < least:
        raise ShapeError(f"{name} must be {'positive' if least else '0 or more'}, got {value!r}")
    return tuple(int(number) for number in result)


def _check_groups(groups: int, channels: int, which: str, w_shape: Sizes) -> None:
    if type(groups) is not int and not isinstance(groups, np.integer):
        raise TypeError(f"groups must be an integer, got {groups!r}")
    if groups < 1:
        raise ShapeError(f"groups must be positive, got {groups}")
    if channels % groups:
        raise ShapeError(f"groups = {groups} does not divide the {channels} {which} channels of w of shape {w_shape}")


def _check_channels(x_shape: Sizes, expected: int) -> None:
    if x_shape[1] != expected:
        fix = _CHANNELS_LAST.get(len(x_shape) - 2, "") if x_shape[-1] == expected else ""
        raise ShapeError(f"expected {expected} input channels, got x of shape {x_shape}{fix}")


def _check_fit(where: str, sizes: Sizes, kernel: Sizes, padding: Pads, dilation: Sizes, counts: Sizes) -> None:
    if min(counts) >= 1:
        return
    padded = tuple(i + before + after for i, (before, after) in zip(sizes, padding, strict=True))
    spans = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
    what = f"a kernel of size {kernel}" + (f" with dilation {dilation} spans {spans} and" if spans != kernel else "")
    raised = f"{where}, padded to {padded}" if padded != sizes else where
    raise ShapeError(f"{what} does not fit into {raised}; use a smaller kernel or more padding")
