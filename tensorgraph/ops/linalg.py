"""Products of matrices: the mul gate swaps, with a transposition. Also einsum, dot and the linear layer's product."""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from typing import Any

import numpy as np

from tensorgraph import kernels
from tensorgraph._broadcast import sum_to
from tensorgraph._context import located
from tensorgraph._primitive import primitive
from tensorgraph._tape import Array, Traced
from tensorgraph.errors import ShapeError
from tensorgraph.ops._checks import REFUSALS, check_floats, check_same_type
from tensorgraph.ops.shape import expand_dims, swapaxes

# --- matmul ----------------------------------------------------------------------------------------------------------


@primitive(gate="mul")
def matmul(x: Array, y: Array, /) -> Array:
    """The matrix product x @ y; leading axes are a batch and broadcast. A vector is a row on the left, a column on the
    right.

    d/dx = g y^T, d/dy = x^T g.

    Arguments:
        x: (..., n, k) or (k,). y: (..., k, m) or (k,).

    Returns:
        (..., n, m), without n or m where x or y was a vector.

    Raises:
        ShapeError: the inner sizes differ, or an argument is a scalar.

    Example:
        >>> import tensorgraph as tg
        >>> tg.matmul(tg.tensor([[1.0, 2.0], [3.0, 4.0]]), tg.tensor([1.0, 1.0]))
        tensor([3., 7.])
    """
    if not (np.ndim(x) and np.ndim(y)):
        raise ShapeError(
            f"needs at least one axis on both sides, got x of shape {np.shape(x)} and y of shape {np.shape(y)}; use *"
        )
    try:
        return kernels.matmul(x, y) if type(x) is type(y) is np.ndarray else np.matmul(x, y)
    except ValueError:
        raise ShapeError(f"x of shape {np.shape(x)} and y of shape {np.shape(y)} do not fit: {_misfit(x, y)}") from None


def _misfit(x: Array, y: Array) -> str:
    rows = y.shape[-2] if y.ndim > 1 else y.shape[0]
    if x.shape[-1] != rows:
        which = "second to last" if y.ndim > 1 else "only"
        return f"the last axis of x has size {x.shape[-1]}, the {which} axis of y {rows}"
    return "their batch axes do not broadcast"


def _matmul_x(g: Any, out: Any, x: Any, y: Any) -> Any:
    g, rows, columns = _as_matrices(g, x, y)
    return sum_to(matmul(g, swapaxes(columns, -1, -2)), shape=rows.shape).reshape(x.shape)


def _matmul_y(g: Any, out: Any, x: Any, y: Any) -> Any:
    g, rows, columns = _as_matrices(g, x, y)
    return sum_to(matmul(swapaxes(rows, -1, -2), g), shape=columns.shape).reshape(y.shape)


def _as_matrices(g: Any, x: Any, y: Any) -> tuple[Any, Any, Any]:
    """g, x and y with the axes that a vector lacks: x as a row, y as a column."""
    if x.ndim == 1:
        g = expand_dims(g, -1 if y.ndim == 1 else -2)
        x = expand_dims(x, 0)
    if y.ndim == 1:
        g = expand_dims(g, -1)
        y = expand_dims(y, 1)
    return g, x, y


matmul.vjp(x=_matmul_x, y=_matmul_y)
matmul.multiply_adds = lambda out, x, y: out.size * x.shape[-1]


def dot(x: Any, y: Any) -> Any:
    """The dot product as `numpy.dot`: of vectors their inner product, of matrices the matrix product.

    Raises:
        ShapeError: the sizes do not fit; y has more than two axes (NumPy's rule for those is not a product of stacks;
            write it with `einsum`).

    Example:
        >>> import tensorgraph as tg
        >>> tg.dot(tg.tensor([1.0, 2.0]), tg.tensor([3.0, 4.0]))
        tensor(11.)
    """
    if np.ndim(x) == 0 or np.ndim(y) == 0:
        return x * y
    if np.ndim(y) > 2:
        raise located(ShapeError, "dot", f"y of shape {np.shape(y)} has more than two axes; use matmul or einsum")
    return matmul(x, y)


# --- linear ----------------------------------------------------------------------------------------------------------


@primitive(gate="mul")
def linear(x: Array, w: Array, b: Array | None = None) -> Array:
    """x w^T + b: every output is a weighted sum of the inputs and a bias.

    d/dx = g w, d/dw = g^T x, d/db = sum of g over all but the last axis.

    Arguments:
        x: (..., F_in). w: (F_out, F_in). b: (F_out,) or None.

    Returns:
        (..., F_out).

    Raises:
        ShapeError: the sizes do not fit. TypeError: x, w and b are not floats of one type.

    Example:
        >>> import tensorgraph as tg
        >>> tg.linear(tg.tensor([[1.0, 2.0]]), tg.tensor([[3.0, 4.0]]), tg.tensor([0.5]))
        tensor([[11.5]])

    Source: PyTorch's torch.nn.functional.linear.
    """
    return apply_linear(x, w, b, "none")


def apply_linear(x: Array, w: Array, b: Array | None, activation: str) -> Array:
    """`linear` of arrays with an activation, as kernels name it, that is applied as the result is stored."""
    try:
        return kernels.linear(x, w, b, activation)
    except REFUSALS:
        _check_linear(x, w, b)
        raise


def _check_linear(x: Any, w: Any, b: Any) -> None:
    for name, array in (("x", x), ("w", w), ("b", x if b is None else b)):
        check_floats(name, array)
        check_same_type(name, array, x)
    if w.ndim != 2:
        raise ShapeError(f"w must have 2 axes (F_out, F_in), got shape {w.shape}")
    outputs, inputs = w.shape
    if x.ndim == 0 or x.shape[-1] != inputs:
        features = x.shape[-1] if x.ndim else "no"
        flat = math.prod(x.shape[1:]) == inputs and x.ndim > 2
        fix = f"; flatten it first, x.reshape({x.shape[0]}, {inputs})" if flat else ""
        raise ShapeError(
            f"x of shape {x.shape} does not fit w of shape {w.shape}: "
            f"Linear({inputs}, {outputs}) got {features} features{fix}"
        )
    if b is not None and b.shape != (outputs,):
        raise ShapeError(f"b must have shape ({outputs},) like the rows of w of shape {w.shape}, got {b.shape}")


def _flat(x: Any) -> Any:
    """(..., F) -> (N, F)"""
    return x.reshape((math.prod(x.shape[:-1]), x.shape[-1])) if x.ndim != 2 else x


linear.vjp(
    x=lambda g, out, x, w, b: matmul(g, w),
    w=lambda g, out, x, w, b: matmul(_flat(g).T, _flat(x)),
    b=lambda g, out, x, w, b: _flat(g).sum(axis=0),
)


def linear_gradients(
    wanted: Sequence[bool], g: Array, x: Array, w: Array, out: Array | None = None, activation: str = "none"
) -> tuple[Any, Any, Any]:
    """The gradients of x, w and b from arrays: that of b comes with that of w. An activation was applied to out."""
    if wanted[1]:
        return kernels.linear_grads(g, x, w, wanted[0], out, activation)
    if activation != "none":
        g = _SLOPES[activation](g, out)
    dx = kernels.linear_input_grad(g, w) if wanted[0] else None
    return dx, None, _flat(g).sum(axis=0) if wanted[2] else None


_SLOPES: dict[str, Any] = {"relu": kernels.relu_grad, "tanh": kernels.tanh_grad, "sigmoid": kernels.sigmoid_grad}
linear.multiply_adds = lambda out, x, w, b: out.size * w.shape[1]
linear.vjp_arrays = lambda wanted, g, out, x, w, b: linear_gradients(wanted, g, x, w)


def _flattened_from(x: Any, *_: Any) -> str:
    """ ": flatten of (16, 4, 4) = 256" if x is known to come from a flatten: it often made the wrong feature count."""
    node = x._node if isinstance(x, Traced) else None
    if node is None or node.op != "reshape" or node.freed:
        return ""
    before = node.arrays[0].shape
    if len(before) < 3 or before[0] != x._array.shape[0]:
        return ""
    return f": flatten of {before[1:]} = {int(np.prod(before[1:]))}"


linear.hint = _flattened_from

# --- einsum ----------------------------------------------------------------------------------------------------------


@primitive(gate="mul", name="einsum")
def _einsum(*operands: Array, subscripts: str) -> Array:
    try:
        return np.einsum(subscripts, *operands, optimize=len(operands) > 2)
    except ValueError:
        shapes = ", ".join(str(np.shape(operand)) for operand in operands)
        reason = _einsum_misfit(subscripts, operands)
        raise ShapeError(f"subscripts {subscripts!r} do not fit operands of shapes {shapes}{reason}") from None


def _einsum_misfit(subscripts: str, operands: Sequence[Array]) -> str:
    """ ": j is 3 and 4" for a letter that stands for two sizes."""
    sizes: dict[str, int] = {}
    for term, operand in zip(subscripts.partition("->")[0].split(","), operands, strict=True):
        for letter, size in zip(term, operand.shape, strict=True):
            before = sizes.setdefault(letter, size)
            if 1 not in (before, size) and before != size:
                return f": {letter} is {before} and {size}"
            sizes[letter] = max(before, size)
    return ""


def einsum(subscripts: str, *operands: Any) -> Any:
    """Einstein's sum: multiply the operands and sum over the letters missing in the output, as `numpy.einsum`.

    Its gradient with respect to an operand is again an einsum, of the upstream gradient and the other operands.

    Arguments:
        subscripts: such as "ij,jk->ik"; "..." stands for any axes. operands: one array for each term.

    Raises:
        ShapeError: the subscripts do not fit the operands.

    Example:
        >>> import tensorgraph as tg
        >>> tg.einsum("ij,j->i", tg.tensor([[1.0, 2.0], [3.0, 4.0]]), tg.tensor([1.0, 1.0]))
        tensor([3., 7.])
    """
    if not isinstance(subscripts, str):
        raise located(
            TypeError,
            "einsum",
            f'the subscripts come first, as a string like "ij,jk->ik", got {type(subscripts).__name__}',
        )
    return _einsum(*operands, subscripts=_spell_out(subscripts, [np.ndim(operand) for operand in operands]))


def _spell_out(subscripts: str, ndims: list[int]) -> str:
    """The subscripts with letters for every "..." and with the output that NumPy would imply."""
    text = subscripts.replace(" ", "")
    inputs, arrow, output = text.partition("->")
    terms = inputs.split(",")
    if len(terms) != len(ndims):
        raise located(ShapeError, "einsum", f"{subscripts!r} has {len(terms)} terms for {len(ndims)} operands")
    free = [letter for letter in string.ascii_letters if letter not in text]
    widths = [ndim - len(term.replace("...", "")) for term, ndim in zip(terms, ndims, strict=True)]
    for term, width, ndim in zip(terms, widths, ndims, strict=True):
        if width < 0 or (width and "..." not in term):
            raise located(
                ShapeError, "einsum", f"term {term!r} of {subscripts!r} does not fit an operand of {ndim} axes"
            )
    longest = max((width for term, width in zip(terms, widths, strict=True) if "..." in term), default=0)
    dots = "".join(free[:longest])
    spelled = [term.replace("...", dots[longest - width :]) for term, width in zip(terms, widths, strict=True)]
    if not arrow:
        letters = inputs.replace("...", "").replace(",", "")
        output = "..." * ("..." in inputs) + "".join(sorted(x for x in set(letters) if letters.count(x) == 1))
    return ",".join(spelled) + "->" + output.replace("...", dots)


def _einsum_rule(i: int, g: Any, out: Any, *operands: Any, subscripts: str) -> Any:
    """The gradient of operand i is the einsum of g with the other operands, towards the letters of operand i.

    A letter that only operand i has was summed over: ones put it back. A letter that stands twice in operand i took a
    diagonal: an identity matrix puts it back there.
    """
    inputs, output = subscripts.split("->")
    terms = inputs.split(",")
    x = operands[i]
    sizes: dict[str, int] = {}
    for term, operand in zip(terms, operands, strict=True):
        for letter, size in zip(term, operand.shape, strict=True):
            sizes[letter] = max(size, sizes.get(letter, 1)) if size else 0
    factors = [g, *operands[:i], *operands[i + 1 :]]
    factor_terms = [output, *terms[:i], *terms[i + 1 :]]
    free = (letter for letter in string.ascii_letters if letter not in subscripts)
    target = ""
    for letter in terms[i]:
        if letter in target:
            other = next(free)
            factors.append(np.eye(sizes[letter], dtype=x.dtype))
            factor_terms.append(letter + other)
            letter = other
        target += letter
    known: set[str] = set()  # letters that a factor has in full: an axis of size 1 that was broadcast does not count
    for term, factor in zip(factor_terms, factors, strict=True):
        known.update(letter for letter, size in zip(term, factor.shape, strict=True) if size == sizes.get(letter, size))
    for letter in target:
        if letter not in known:
            factors.append(np.ones(sizes[letter], x.dtype))
            factor_terms.append(letter)
    spread = _einsum(*factors, subscripts=",".join(factor_terms) + "->" + target)
    return sum_to(spread, shape=x.shape)  # an axis of size 1 may have been broadcast


_einsum.vjp(operands=_einsum_rule)
