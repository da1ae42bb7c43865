"""Random calls of the native kernels, against their NumPy twins: python tests/random_kernels.py COUNT [SEED].

Made for builds with sanitizers, where the calls count more than the numbers. Settings are possible ones of all kinds:
strides, paddings, dilations, groups, empty batches, every instruction set, one to three threads.
"""

from __future__ import annotations

import sys

import numpy as np

from tensorgraph.kernels import native, reference
from tensorgraph.kernels._choice import extension
from tensorgraph.kernels.shapes import window_sizes


def integers(rng, low, high, count=2):
    """So many numbers from low to high - 1."""
    return tuple(int(i) for i in rng.integers(low, high, count))


def floats(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def compare(what, got, expected):
    """The results of a kernel and of its twin, which ran in float64."""
    for a, b in zip(got, expected, strict=True):
        if not np.abs(a - b).max(initial=0.0) <= 1e-5 * max(1.0, np.abs(b).max(initial=0.0)):
            raise AssertionError(f"{what}: differs by {np.abs(a - b).max()}")


def convolution(rng):
    groups = int(rng.choice([1, 1, 1, 2, 3]))
    c, f = groups * int(rng.integers(1, 20)), groups * int(rng.choice([1, 2, 5, 8, 16, 17, 33, 40]))
    stride = integers(rng, 1, 5) if rng.random() < 0.5 else (1, 1)
    dilation = integers(rng, 1, 4) if rng.random() < 0.3 else (1, 1)
    padding = tuple(integers(rng, 0, 4) for _ in range(2))
    x_shape, kernel = (int(rng.integers(0, 5)), c, *integers(rng, 1, 20)), integers(rng, 1, 8)
    counts = window_sizes(x_shape[2:], kernel, stride, padding, dilation)
    if min(counts) < 1:
        return
    x, w, b = floats(rng, *x_shape), floats(rng, f, c // groups, *kernel), floats(rng, f)
    g = floats(rng, x_shape[0], f, *counts)
    settings = (stride, padding, dilation, groups)

    def results(kernels, x, w, b, g):
        return (
            kernels.conv2d(x, w, b, *settings),
            kernels.conv2d_input_grad(g, w, x_shape, *settings),
            *kernels.conv2d_weight_grad(g, x, w.shape, *settings),
        )

    arrays = (x, w, b, g)
    twins = results(reference, *(array.astype(np.float64) for array in arrays))
    compare(f"convolution {x_shape} {w.shape} {settings}", results(native, *arrays), twins)


def pooled_weight_gradient(rng):
    groups = int(rng.choice([1, 1, 1, 2, 3]))
    c, f = groups * int(rng.integers(1, 9)), groups * int(rng.choice([1, 2, 5, 8, 17]))
    window = (integers(rng, 1, 3), tuple(integers(rng, 0, 3) for _ in range(2)), integers(rng, 1, 3))
    kernel = integers(rng, 1, 4) if rng.random() < 0.5 else (2, 2)
    stride, dilation = (kernel, integers(rng, 1, 3)) if rng.random() < 0.5 else ((2, 2), (1, 1))
    padding = ((kernel[0] // 2,) * 2, (0, 0)) if rng.random() < 0.3 else ((0, 0), (0, 0))
    x_shape, w_kernel = (int(rng.integers(0, 7)), c, *integers(rng, 4, 40)), integers(rng, 1, 8)
    maps = window_sizes(x_shape[2:], w_kernel, *window)
    if min(maps) < 1 or min(window_sizes(maps, kernel, stride, padding, dilation)) < 1:
        return
    counts = window_sizes(maps, kernel, stride, padding, dilation)
    x, g = floats(rng, *x_shape), floats(rng, x_shape[0], f, *counts)
    most = kernel[0] * kernel[1] + (rng.random() < 0.2)
    winners = rng.integers(0, 256 if rng.random() < 0.1 else most, g.shape).astype(np.uint8)
    settings = ((f, c // groups, *w_kernel), window, groups, (kernel, stride, padding, dilation))
    got = native.conv2d_max_pool2d_weight_grad(g, winners, None, x, *settings)
    twin = reference.conv2d_max_pool2d_weight_grad(g.astype("f8"), winners, None, x.astype("f8"), *settings)
    compare(f"pooled weight gradient {x_shape} {settings}", got, twin)


CASES = [convolution, pooled_weight_gradient]


def main() -> None:
    count, seed = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    rng = np.random.default_rng(seed)
    extension.poison(True)
    for i in range(count):
        extension.choose_isa(str(rng.choice(extension.isas())))
        extension.set_num_threads(int(rng.integers(1, 4)))
        CASES[i % len(CASES)](rng)
        if (i + 1) % max(1, count // 10) == 0:
            sys.stdout.write(f"{i + 1:,} of {count:,} random calls\n")


if __name__ == "__main__":
    main()
