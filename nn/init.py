"""Initial values. Each function writes into a tensor, whether it requires a gradient or not, and returns it.

Names, arguments and formulas are those of PyTorch's torch.nn.init, `rng` where PyTorch has `generator`. With fan_in the
number of inputs that one output sees and fan_out the number of outputs that one input reaches, for a tensor (F_out,
F_in, *kernel): fan_in = F_in * kernel size, fan_out = F_out * kernel size.
"""

from __future__ import annotations

import math

import numpy as np

import tensorgraph as tg

_GAINS = {
    "linear": 1.0,
    "sigmoid": 1.0,
    "tanh": 5.0 / 3.0,
    "relu": math.sqrt(2.0),
    "conv1d": 1.0,
    "conv2d": 1.0,
    "conv_transpose2d": 1.0,
}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """How much larger the weights before a nonlinearity must be to keep the variance through it.

    Arguments:
        nonlinearity: "linear", "conv1d", "conv2d", "conv_transpose2d", "sigmoid", "tanh", "relu" or "leaky_relu".
        param: the negative slope of the leaky ReLU, 0.01 if None.

    Raises:
        ValueError: another nonlinearity.
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        return math.sqrt(2.0 / (1.0 + slope * slope))
    if nonlinearity not in _GAINS:
        known = ", ".join([*_GAINS, "leaky_relu"])
        raise ValueError(f"calculate_gain: nonlinearity must be one of {known}, got {nonlinearity!r}")
    return _GAINS[nonlinearity]


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """(fan_in, fan_out) of a weight of shape (F_out, F_in, *kernel).

    Raises:
        ShapeError: the shape has fewer than 2 axes.
    """
    if len(shape) < 2:
        raise tg.ShapeError(f"init: fan_in and fan_out need at least 2 axes (F_out, F_in), got shape {shape}")
    taps = math.prod(shape[2:])
    return shape[1] * taps, shape[0] * taps


# --- plain distributions ---------------------------------------------------------------------------------------------


def uniform_(tensor: tg.Tensor, a: float = 0.0, b: float = 1.0, *, rng: np.random.Generator | None = None) -> tg.Tensor:
    """Uniform numbers in [a, b).

    Example:
        >>> import nn, tensorgraph as tg
        >>> t = nn.init.uniform_(tg.zeros(1000), 2.0, 3.0)
        >>> bool(t.min() >= 2.0 and t.max() <= 3.0)
        True
    """
    values = (rng or tg.default_rng()).random(tensor.shape, _drawn(tensor))
    values *= b - a
    values += a
    return _write(tensor, values)


def normal_(
    tensor: tg.Tensor, mean: float = 0.0, std: float = 1.0, *, rng: np.random.Generator | None = None
) -> tg.Tensor:
    """Normal numbers.

    Raises:
        ValueError: std is negative.
    """
    if std < 0:
        raise ValueError(f"normal_: std must not be negative, got {std}")
    values = (rng or tg.default_rng()).standard_normal(tensor.shape, _drawn(tensor))
    values *= std
    values += mean
    return _write(tensor, values)


def constant_(tensor: tg.Tensor, val: float) -> tg.Tensor:
    """One number everywhere."""
    return _write(tensor, val)


def zeros_(tensor: tg.Tensor) -> tg.Tensor:
    """Zeros."""
    return _write(tensor, 0)


def ones_(tensor: tg.Tensor) -> tg.Tensor:
    """Ones."""
    return _write(tensor, 1)


# --- scaled so that signals keep their variance ----------------------------------------------------------------------


def xavier_uniform_(tensor: tg.Tensor, gain: float = 1.0, *, rng: np.random.Generator | None = None) -> tg.Tensor:
    """Uniform numbers in [-a, a), a = gain sqrt(6 / (fan_in + fan_out)): for tanh and sigmoid.

    Raises:
        ShapeError: the tensor has fewer than 2 axes.

    Source: Glorot, Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010.
    """
    bound = gain * math.sqrt(6.0 / sum(fans(tensor.shape)))
    return uniform_(tensor, -bound, bound, rng=rng)


def xavier_normal_(tensor: tg.Tensor, gain: float = 1.0, *, rng: np.random.Generator | None = None) -> tg.Tensor:
    """Normal numbers of standard deviation gain sqrt(2 / (fan_in + fan_out)); else as `xavier_uniform_`."""
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / sum(fans(tensor.shape))), rng=rng)


def kaiming_uniform_(
    tensor: tg.Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    *,
    rng: np.random.Generator | None = None,
) -> tg.Tensor:
    """Uniform numbers in [-b, b), b = gain sqrt(3 / fan): for ReLU and its relatives.

    Arguments:
        a: the negative slope of the leaky ReLU that follows. mode: "fan_in" keeps the variance forward, "fan_out"
            backward. nonlinearity: what follows, as in `calculate_gain`.

    Raises:
        ShapeError: the tensor has fewer than 2 axes. ValueError: another mode or nonlinearity.

    Source: He et al., "Delving deep into rectifiers", 2015.
    """
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, rng=rng)


def kaiming_normal_(
    tensor: tg.Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    *,
    rng: np.random.Generator | None = None,
) -> tg.Tensor:
    """Normal numbers of standard deviation gain / sqrt(fan); else as `kaiming_uniform_`."""
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), rng=rng)


def _kaiming_std(tensor: tg.Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f'kaiming: mode must be "fan_in" or "fan_out", got {mode!r}')
    fan_in, fan_out = fans(tensor.shape)
    return calculate_gain(nonlinearity, a) / math.sqrt(fan_in if mode == "fan_in" else fan_out)


# --- helpers ---------------------------------------------------------------------------------------------------------


def _drawn(tensor: tg.Tensor) -> type[np.float32] | type[np.float64]:
    """The type in which numbers are drawn: the generator knows two."""
    return np.float64 if tensor.dtype == np.float64 else np.float32


def _write(tensor: tg.Tensor, values: np.ndarray | float) -> tg.Tensor:
    with tg.no_grad():
        tensor[...] = values
    return tensor
