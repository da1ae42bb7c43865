"""Element-wise operations: arithmetic, powers and exponentials, trigonometry, choices. One block an operation.

Every rule is the upstream gradient g times the local derivative, taken element by element.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tensorgraph import kernels
from tensorgraph._constant import constant
from tensorgraph._dtypes import promote
from tensorgraph._primitive import elementwise
from tensorgraph._tape import Array
from tensorgraph.kernels._choice import LARGE

ndarray = np.ndarray  # one look-up instead of two, in the most frequent operation

# --- arithmetic: the add gate distributes, the mul gate swaps ---------------------------------------------------------


@elementwise(gate="add")
def add(x: Array, y: Array, /) -> Array:
    """x + y. Distributes: both inputs receive the upstream gradient.

    Example:
        >>> import tensorgraph as tg
        >>> tg.add(tg.tensor([1.0, 2.0]), 10)
        tensor([11., 12.])

    Source: course, section 1, the add gate.
    """
    if type(x) is ndarray and type(y) is ndarray and x.size >= LARGE:
        return kernels.add(x, y)
    return np.add(x, y)


add.vjp(
    x=lambda g, out, x, y: g,
    y=lambda g, out, x, y: g,
)


@elementwise(gate="add")
def sub(x: Array, y: Array, /) -> Array:
    """x - y. Distributes: x receives the upstream gradient, y its negative.

    Example:
        >>> import tensorgraph as tg
        >>> tg.sub(tg.tensor([1.0, 2.0]), 10)
        tensor([-9., -8.])
    """
    return np.subtract(x, y)


sub.vjp(
    x=lambda g, out, x, y: g,
    y=lambda g, out, x, y: -g,
)


@elementwise(gate="mul")
def mul(x: Array, y: Array, /) -> Array:
    """x * y. Swaps: each input's gradient is the upstream gradient times the other input.

    Example:
        >>> import tensorgraph as tg
        >>> tg.mul(tg.tensor([1.0, 2.0]), 10)
        tensor([10., 20.])

    Source: course, section 1, the mul gate.
    """
    return np.multiply(x, y)


mul.vjp(
    x=lambda g, out, x, y: g * y,
    y=lambda g, out, x, y: g * x,
)


@elementwise(gate="mul")
def div(x: Array, y: Array, /) -> Array:
    """x / y. d/dx = 1/y, d/dy = -x/y^2.

    Example:
        >>> import tensorgraph as tg
        >>> tg.div(tg.tensor([1.0, 2.0]), 4)
        tensor([0.25, 0.5 ])
    """
    return np.true_divide(x, y)


div.vjp(
    x=lambda g, out, x, y: g / y,
    y=lambda g, out, x, y: -g * out / y,
)


@elementwise(gate="function")
def neg(x: Array, /) -> Array:
    """-x."""
    return np.negative(x)


neg.vjp(x=lambda g, out, x: -g)


@elementwise(gate="function")
def pow(x: Array, y: Array, /) -> Array:
    """x ** y. d/dx = y x^(y-1), which is 0 where y = 0; d/dy = x^y log x, which is 0 where x = 0 <= y.

    Example:
        >>> import tensorgraph as tg
        >>> tg.pow(tg.tensor([1.0, 2.0]), 3)
        tensor([1., 8.])
    """
    try:
        return np.power(x, y)
    except ValueError as error:
        if "negative" not in str(error):
            raise
        raise ValueError('integers have no negative powers; convert x with x.astype("float32")') from None


def _pow_base(g: Any, out: Any, x: Any, y: Any) -> Any:
    if isinstance(y, (int, float)):
        return g * (y * x ** (y - 1)) if y else g * 0.0
    return g * where(y == 0, 0.0, y * x ** where(y == 0, 1.0, y - 1))


def _pow_exponent(g: Any, out: Any, x: Any, y: Any) -> Any:
    if isinstance(x, (int, float)):
        if x == 0:
            return g * where(y >= 0, 0.0, out * -math.inf)
        return g * out * (math.log(x) if x > 0 else math.nan)
    return g * out * log(where(logical_and(x == 0, y >= 0), 1.0, x))


pow.vjp(x=_pow_base, y=_pow_exponent)

# --- powers, exponentials, logarithms --------------------------------------------------------------------------------


@elementwise(gate="function")
def abs(x: Array, /) -> Array:
    """|x|. The derivative is the sign of x, 0 at 0."""
    return np.abs(x)


abs.vjp(x=lambda g, out, x: g * sign(x))


@elementwise(gate="function")
def sqrt(x: Array, /) -> Array:
    """The square root of x. d/dx = 1 / (2 sqrt(x))."""
    return np.sqrt(x)


sqrt.vjp(x=lambda g, out, x: g / (2 * out))


@elementwise(gate="function")
def exp(x: Array, /) -> Array:
    """e^x, its own derivative."""
    return np.exp(x)


exp.vjp(x=lambda g, out, x: g * out)


@elementwise(gate="function")
def expm1(x: Array, /) -> Array:
    """e^x - 1, exact near 0. d/dx = e^x."""
    return np.expm1(x)


expm1.vjp(x=lambda g, out, x: g * (out + 1))


@elementwise(gate="function")
def log(x: Array, /) -> Array:
    """The natural logarithm of x. d/dx = 1/x."""
    return np.log(x)


log.vjp(x=lambda g, out, x: g / x)


@elementwise(gate="function")
def log1p(x: Array, /) -> Array:
    """log(1 + x), exact near 0. d/dx = 1 / (1 + x)."""
    return np.log1p(x)


log1p.vjp(x=lambda g, out, x: g / (1 + x))

# --- trigonometry and hyperbolic functions ---------------------------------------------------------------------------


@elementwise(gate="function")
def sin(x: Array, /) -> Array:
    """The sine of x in radians. d/dx = cos x."""
    return np.sin(x)


sin.vjp(x=lambda g, out, x: g * cos(x))


@elementwise(gate="function")
def cos(x: Array, /) -> Array:
    """The cosine of x in radians. d/dx = -sin x."""
    return np.cos(x)


cos.vjp(x=lambda g, out, x: -g * sin(x))


@elementwise(gate="function")
def tan(x: Array, /) -> Array:
    """The tangent of x in radians. d/dx = 1 + tan^2 x."""
    return np.tan(x)


tan.vjp(x=lambda g, out, x: g * (1 + out * out))


@elementwise(gate="function")
def arctan(x: Array, /) -> Array:
    """The angle in radians whose tangent is x. d/dx = 1 / (1 + x^2)."""
    return np.arctan(x)


arctan.vjp(x=lambda g, out, x: g / (1 + x * x))


@elementwise(gate="function")
def sinh(x: Array, /) -> Array:
    """The hyperbolic sine of x. d/dx = cosh x."""
    return np.sinh(x)


sinh.vjp(x=lambda g, out, x: g * cosh(x))


@elementwise(gate="function")
def cosh(x: Array, /) -> Array:
    """The hyperbolic cosine of x. d/dx = sinh x."""
    return np.cosh(x)


cosh.vjp(x=lambda g, out, x: g * sinh(x))


@elementwise(gate="function")
def tanh(x: Array, /) -> Array:
    """The hyperbolic tangent of x. d/dx = 1 - tanh^2 x."""
    return kernels.tanh(x)


tanh.vjp(x=lambda g, out, x: kernels.tanh_grad(g, out) if isinstance(g, np.ndarray) else g * (1 - out * out))

# --- choices: the max gate routes ------------------------------------------------------------------------------------


@elementwise(gate="max", promotes=False)
def where(condition: Array, x: Array, y: Array, /) -> Array:
    """x where the condition holds, y elsewhere. The chosen input receives the gradient, the other one exactly 0.

    Arguments:
        condition: bool array; x, y: arrays or numbers; all three broadcast.

    Example:
        >>> import tensorgraph as tg
        >>> x = tg.tensor([-1.0, 2.0])
        >>> tg.where(x > 0, x, 0.0)
        tensor([0., 2.])
    """
    if getattr(condition, "dtype", None) != np.bool_ and not isinstance(condition, bool):
        raise TypeError(
            f"condition must be bool, got {getattr(condition, 'dtype', condition)}; compare it with something first"
        )
    values = [value for value in (x, y) if isinstance(value, np.ndarray)]
    out = np.where(condition, x, y)
    if out.dtype == np.float64 and not any(isinstance(value, (np.ndarray, np.generic)) for value in (x, y)):
        return out.astype(np.float32)  # two of Python's numbers
    if values and out.dtype != promote(values):  # NumPy alone would widen float32 beside int64 or a float64 scalar
        dtype = promote(values)
        if out.dtype.kind == "f" and dtype.kind != "f":
            dtype = np.dtype(np.float32)  # a number with a fraction beside integers
        elif dtype.kind == "b":
            dtype = out.dtype  # a whole number beside bools
        out = out.astype(dtype)
    return out


where.vjp(
    condition=None,
    x=lambda g, out, condition, x, y: where(condition, g, 0.0),
    y=lambda g, out, condition, x, y: where(condition, 0.0, g),
)


@elementwise(gate="max")
def maximum(x: Array, y: Array, /) -> Array:
    """max(x, y) element by element. Routes: the winner receives the gradient, the first one on a tie.

    A NaN wins against any number.

    Example:
        >>> import tensorgraph as tg
        >>> tg.maximum(tg.tensor([1.0, 5.0]), 2.0)
        tensor([2., 5.])

    Source: course, section 1, the max gate.
    """
    return np.maximum(x, y)


maximum.vjp(
    x=lambda g, out, x, y: where(_first_wins(x >= y, x), g, 0.0),
    y=lambda g, out, x, y: where(_first_wins(x >= y, x), 0.0, g),
)


@elementwise(gate="max")
def minimum(x: Array, y: Array, /) -> Array:
    """min(x, y) element by element. Routes: the winner receives the gradient, the first one on a tie.

    A NaN wins against any number.
    """
    return np.minimum(x, y)


minimum.vjp(
    x=lambda g, out, x, y: where(_first_wins(x <= y, x), g, 0.0),
    y=lambda g, out, x, y: where(_first_wins(x <= y, x), 0.0, g),
)


@constant
def _first_wins(better: Array, x: Array) -> Array:
    return better | np.not_equal(x, x)  # NaN differs from itself


@elementwise(gate="max")
def clip(x: Array, min: Any = None, max: Any = None, /) -> Array:
    """x limited to min <= x <= max. The gradient passes on the closed interval; elsewhere it goes to the bound.

    Arguments:
        x: array. min, max: arrays or numbers that broadcast with it; None is no bound.
            The upper bound wins if min > max.

    Example:
        >>> import tensorgraph as tg
        >>> tg.clip(tg.tensor([-1.0, 0.5, 3.0]), 0.0, 1.0)
        tensor([0. , 0.5, 1. ])
    """
    if min is None and max is None:
        raise TypeError("needs min or max, both are None")
    return np.clip(x, min, max)


clip.vjp(
    x=lambda g, out, x, min, max: where(_at_least(x, min) & _at_most(x, max), g, 0.0),
    min=lambda g, out, x, min, max: where((x < min) & _at_most(min, max), g, 0.0),
    max=lambda g, out, x, min, max: where((x > max) | ~_at_least(max, min), g, 0.0),
)


@constant
def _at_least(x: Any, bound: Any) -> Any:
    return np.greater_equal(x, -np.inf if bound is None else bound)


@constant
def _at_most(x: Any, bound: Any) -> Any:
    return np.less_equal(x, np.inf if bound is None else bound)


# --- functions that carry no gradient --------------------------------------------------------------------------------


@constant
def sign(x: Array) -> Array:
    """-1, 0 or 1 with the sign of x."""
    return np.sign(x)


equal = constant(np.equal)
not_equal = constant(np.not_equal)
less = constant(np.less)
less_equal = constant(np.less_equal)
greater = constant(np.greater)
greater_equal = constant(np.greater_equal)
isnan = constant(np.isnan)
bitwise_and = constant(np.bitwise_and)
bitwise_or = constant(np.bitwise_or)
invert = constant(np.invert)
logical_and = constant(np.logical_and)
logical_or = constant(np.logical_or)
logical_not = constant(np.logical_not)
