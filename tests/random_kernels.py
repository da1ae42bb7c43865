"""Random calls of every compiled kernel and of its NumPy twin: python tests/random_kernels.py COUNT [SEED].

Made for builds with sanitizers, where the calls count more than the numbers. tests/kernel_cases.py draws the arguments;
each call has one of the instruction sets and one to three threads. The twin computes in float64. tests/wrong_calls.py
has the impossible arguments.
"""

from __future__ import annotations

import copy
import sys

import numpy as np
from kernel_cases import CASES, floats, integer, integers, pick

from tensorgraph.kernels import native, reference
from tensorgraph.kernels._choice import extension
from tensorgraph.kernels.shapes import window_sizes

TOLERANCE = 1e-5  # of the largest number of a result; or of 1, or of what a sum of so many terms would be about

# --- variants that no name of the library reaches for certain --------------------------------------------------------


def by_winograd(rng):
    """Winograd's algorithm also where it is slower than sums: the results of a call, and the twin's in float64."""
    k, *tiling = pick(rng, [(3, 2, 0), (3, 4, 0), (5, 2, 0), (3, 4, 1), (5, 2, 1)])
    padding = integers(rng, 0, k - 1), integers(rng, 0, k - 1)
    n, c, f, size = integer(rng, 1, 3), integer(rng, 1, 40), integer(rng, 1, 70), integers(rng, k, 20)
    counts = window_sizes(size, (k, k), (1, 1), padding, (1, 1))
    x, w, b, g = floats(rng, n, c, *size), floats(rng, f, c, k, k), floats(rng, f), floats(rng, n, f, *counts)
    settings = 1, 1, padding[0][0], padding[1][0], 1, 1, 1
    results = (
        extension.conv2d_winograd(x, w, b, *counts, *settings, 0, *tiling),
        extension.conv2d_winograd_input_grad(g, w, *x.shape[1:], *settings, *tiling),
        *extension.conv2d_winograd_weight_grad(g, x, *w.shape[1:], *settings, tiling[0]),
    )
    window = (1, 1), padding, (1, 1), 1
    x, w, b, g = (np.float64(array) for array in (x, w, b, g))
    return results, (
        reference.conv2d(x, w, b, *window),
        reference.conv2d_input_grad(g, w, x.shape, *window),
        *reference.conv2d_weight_grad(g, x, w.shape, *window),
    )


# --- calls -----------------------------------------------------------------------------------------------------------


def widened(value):
    """The same in float64, where it holds arrays of float32."""
    if isinstance(value, np.ndarray) and value.dtype == np.float32:
        return value.astype(np.float64)
    return [widened(item) for item in value] if isinstance(value, list) else copy.copy(value)


def arrays_in(results):
    """All arrays of nested tuples and lists."""
    if isinstance(results, (tuple, list)):
        return [array for result in results for array in arrays_in(result)]
    return [] if results is None else [results]


def compare(what, got, expected, terms=1):
    for a, b in zip(arrays_in(got), arrays_in(expected), strict=True):
        if np.shape(a) != np.shape(b):
            raise AssertionError(f"{what}: shape {np.shape(a)}, not {np.shape(b)}")
        slack = TOLERANCE * max(terms**0.5, np.abs(np.where(np.isfinite(b), b, 0)).max(initial=0.0))
        with np.errstate(invalid="ignore"):
            far = ~((a == b) | (np.abs(a - b) <= slack))
        if np.any(far):
            raise AssertionError(f"{what}: differs by {np.max(np.abs(a - b)[far])}")


def check(rng, name):
    """One random call of a kernel; the same as its twin's."""
    if name == "winograd":
        return compare(name, *by_winograd(rng))
    if (drawn := CASES[name](rng)) is None:
        return None
    arguments, options, settle, terms = drawn
    wide = tuple(widened(argument) for argument in arguments)
    what = f"{name}{[getattr(a, 'shape', a) for a in arguments]} {options}"
    got = settle(getattr(native, name)(*arguments, **options), arguments)
    return compare(what, got, settle(getattr(reference, name)(*wide, **options), wide), terms)


NAMES = (*CASES, "winograd")


def main() -> None:
    count, seed = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    rng = np.random.default_rng(seed)
    extension.poison(True)
    for i in range(count):
        extension.choose_isa(pick(rng, extension.isas()))
        extension.set_num_threads(integer(rng, 1, 3))
        check(rng, NAMES[i % len(NAMES)])
        if (i + 1) % max(1, count // 10) == 0:
            sys.stdout.write(f"{i + 1:,} of {count:,} random calls\n")


if __name__ == "__main__":
    main()
