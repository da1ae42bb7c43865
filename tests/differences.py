"""Gradients by central differences, to check gradient rules against."""

from __future__ import annotations

import numpy as np


def gradient(f, arrays, i, upstream, step=1e-5):
    """The gradient of sum(upstream * f(*arrays)) by arrays[i], two calls of f for each of its elements."""
    out = np.zeros(arrays[i].shape)
    for place in np.ndindex(out.shape):
        values = []
        for sign in (1, -1):
            moved = [None if a is None else np.array(a) for a in arrays]
            moved[i][place] += sign * step
            values.append(float((np.asarray(f(*moved)) * upstream).sum()))
        out[place] = (values[0] - values[1]) / (2 * step)
    return out


def assert_close(actual, expected, tolerance=1e-7):
    """Equal up to a part of the largest element: differences have an absolute error."""
    scale = max(1.0, np.abs(expected).max(initial=0))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * scale)
