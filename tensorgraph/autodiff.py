"""Derivatives as functions of functions, after JAX, and `gradients`, after torch.autograd.grad.

Given arrays or numbers they return arrays, given at least one tensor they return tensors. They nest: where the function
uses something outside that requires a gradient, the result is a tensor that depends on it (but not under `no_grad`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tensorgraph import ops
from tensorgraph._backward import walk
from tensorgraph._context import current, enable_grad, located
from tensorgraph._tape import Leaf, Node, count_uses, expose
from tensorgraph.errors import GradError, ShapeError
from tensorgraph.tensor import Tensor, as_array, seed_gradient

# --- the gradients of recorded tensors -------------------------------------------------------------------------------


def gradients(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Any = None,
    *,
    create_graph: bool = False,
    retain_graph: bool | None = None,
) -> tuple[Tensor, ...]:
    """The gradients of outputs with respect to inputs, without touching any `.grad`.

    Arguments:
        outputs, inputs: tensors or sequences of tensors; the inputs may be intermediate results.
        grad_outputs: an upstream gradient for each output; None is 1 for a scalar.
        create_graph: record the gradients, for higher derivatives. retain_graph: keep the graph for another walk;
            None means as create_graph.

    Returns:
        One gradient for each input.

    Raises:
        GradError: an output or input requires no gradient, or an output does not depend on an input.
        ShapeError: an upstream gradient does not fit.

    Example:
        >>> import tensorgraph as tg
        >>> x = tg.tensor(3.0, requires_grad=True)
        >>> (dx,) = tg.gradients(x**3, x, create_graph=True)
        >>> tg.gradients(dx, x)
        (tensor(18.),)
    """
    outs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    ins = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    given = (
        [grad_outputs] if isinstance(outputs, Tensor) and not isinstance(grad_outputs, (tuple, list)) else grad_outputs
    )
    ups = [None] * len(outs) if given is None else list(given)
    if len(ups) != len(outs):
        raise located(ShapeError, "gradients", f"got {len(ups)} grad_outputs for {len(outs)} outputs")
    for kind, tensors in (("output", outs), ("input", ins)):
        for i, t in enumerate(tensors):
            if not isinstance(t, Tensor) or not t.requires_grad:
                raise located(
                    GradError, "gradients", f"{kind} {i} requires no gradient; create it with requires_grad=True"
                )
    seeds = [seed_gradient(out, up, "gradients") for out, up in zip(outs, ups, strict=True)]
    nodes = [t._node for t in ins if t._node is not None]
    reachable = count_uses((out._node for out in outs if out._node is not None), nodes)
    for i, node in enumerate(nodes):
        if node not in reachable:  # before the walk, which frees the graph
            raise located(GradError, "gradients", f"no output depends on input {i}")
    found = _pull(outs, seeds, ins, create_graph, create_graph if retain_graph is None else retain_graph)
    return tuple(g for g in found if g is not None)


def _pull(
    outputs: Sequence[Tensor], seeds: Sequence[Tensor], inputs: Sequence[Tensor], create_graph: bool, retain_graph: bool
) -> list[Tensor | None]:
    """The gradient of each input, None where no output depends on it."""
    upstream: dict[Node, Any] = {}
    for output, seed in zip(outputs, seeds, strict=True):
        node = output._node
        if node is not None:
            up: Any = seed if create_graph else seed._array
            upstream[node] = upstream[node] + up if node in upstream else up
    wanted = [t._node for t in inputs if t._node is not None]
    kind = Tensor if create_graph else None
    found = walk(upstream, wanted=wanted, retain_graph=retain_graph, create_graph=kind)
    gs = [None if t._node is None else found.get(t._node) for t in inputs]
    return [g if g is None else _own(g) for g in gs]


def _own(g: Any) -> Tensor:
    """A gradient as a tensor of its own: gradients may share an array, never a tensor."""
    return Tensor._wrap(g._array, g._node) if isinstance(g, Tensor) else Tensor._wrap(g)


# --- functions of functions: how their arguments go in and their results come out ------------------------------------


class _Call:
    """One call of a user's function with some arguments made differentiable."""

    def __init__(
        self, op: str, f: Callable[..., Any], args: Sequence[Any], argnums: Sequence[int], options: dict[str, Any]
    ) -> None:
        self.op = op
        self.traced = any(isinstance(arg, Tensor) for arg in args)
        for n in argnums:
            if not -len(args) <= n < len(args):
                raise located(TypeError, op, f"argnums {n} is out of range for {len(args)} arguments")
        inner = list(args)
        with enable_grad():
            for n in argnums:
                inner[n] = self._input(args[n], n)
            self.inputs: list[Tensor] = [inner[n] for n in argnums]
            out = f(*inner, **options)
        if isinstance(out, (tuple, list, dict)) or out is None:
            raise located(TypeError, op, f"the function must return one tensor, got {type(out).__name__}")
        self.out: Tensor = out if isinstance(out, Tensor) else Tensor(out)

    def _input(self, arg: Any, n: int) -> Tensor:
        """The argument as a fresh value to differentiate by, connected to where it came from."""
        if isinstance(arg, Tensor) and arg.requires_grad:
            return ops.copy(arg)
        if isinstance(arg, (Tensor, np.ndarray)) and arg.dtype.kind != "f":
            raise located(
                TypeError, self.op, f'argument {n} must hold floats, got {arg.dtype}; use x.astype("float32")'
            )
        values = arg._array if isinstance(arg, Tensor) else as_array(arg)
        floats = values.astype(np.float32) if values.dtype.kind != "f" else values.copy()
        fresh = Tensor._wrap(floats)
        fresh.requires_grad = True
        return fresh

    def connected(self) -> bool:
        """Whether the result depends on something outside that requires a gradient, so that it must be recorded."""
        if not current().recording or self.out._node is None:
            return False
        fresh = {t._node for t in self.inputs}
        return any(isinstance(node, Leaf) and node not in fresh for node in count_uses([self.out._node]))

    def pull(self, seed: Any, create_graph: bool, retain_graph: bool = False) -> list[Tensor]:
        """The gradient of each input for an upstream gradient, zeros where the result does not depend on it."""
        up = seed_gradient(self.out, seed, self.op)
        found = _pull([self.out], [up], self.inputs, create_graph, retain_graph or create_graph)
        return [Tensor(np.zeros(t.shape, t.dtype)) if g is None else g for t, g in zip(self.inputs, found, strict=True)]

    def give(self, value: Tensor, connected: bool) -> Any:
        """A result as the caller wants it: an array unless tensors came in, cut off unless connected to the outside."""
        if not (self.traced or connected):
            return expose(value)
        return value if connected else value.detach()


def _numbers(argnums: int | Sequence[int]) -> tuple[int, ...]:
    numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    if not all(isinstance(n, int) for n in numbers):
        raise TypeError(f"argnums must be a whole number or several, got {argnums!r}")
    return numbers


# --- reverse mode ----------------------------------------------------------------------------------------------------


def value_and_grad(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., tuple[Any, Any]]:
    """The function that returns f's value and its gradient.

    Arguments:
        f: a function with a scalar result. argnums: the position of the argument to differentiate by, or several.

    Returns:
        A function of f's arguments returning (value, gradient), a tuple of gradients for several argnums.

    Raises:
        GradError: the result is not a scalar.

    Example:
        >>> import tensorgraph as tg
        >>> tg.value_and_grad(lambda x: x * x)(tg.tensor(3.0))
        (tensor(9.), tensor(6.))

    Source: JAX's value_and_grad.
    """

    def call(*args: Any, **options: Any) -> tuple[Any, Any]:
        inner = _Call("grad", f, args, _numbers(argnums), options)
        connected = inner.connected()
        gs = tuple(inner.give(g, connected) for g in inner.pull(None, connected))
        return inner.give(inner.out, connected), gs[0] if isinstance(argnums, int) else gs

    return call


def grad(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """The gradient of f as a function; apply it again for higher derivatives.

    Arguments, errors: as `value_and_grad`.

    Example:
        >>> import tensorgraph as tg
        >>> tg.grad(tg.grad(lambda x: x**3))(tg.tensor(2.0))
        tensor(12.)

    Source: JAX's grad.
    """
    both = value_and_grad(f, argnums)
    return lambda *args, **options: both(*args, **options)[1]


def vjp(f: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """f's value, and the function that carries an upstream gradient v back to the arguments: v^T J.

    Returns:
        (value, pull); pull(v) returns a tuple with one gradient for each argument and can be called often.

    Example:
        >>> import tensorgraph as tg
        >>> value, pull = tg.vjp(lambda x: x * x, tg.tensor([1.0, 2.0]))
        >>> pull(tg.tensor([1.0, 10.0]))
        (tensor([ 2., 40.]),)

    Source: JAX's vjp.
    """
    inner = _Call("vjp", f, primals, range(len(primals)), {})
    connected = inner.connected()

    def pull(v: Any) -> tuple[Any, ...]:
        return tuple(inner.give(g, connected) for g in inner.pull(v, connected, retain_graph=True))

    return inner.give(inner.out, connected), pull


def jacobian(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """All derivatives of f: result[i, j] = d f(x)[i] / d x[j], by one reverse walk for each element of the result.

    Returns:
        A function of f's arguments; its result has the shape f(x).shape + x.shape.

    Example:
        >>> import tensorgraph as tg
        >>> tg.jacobian(lambda x: x * x)(tg.tensor([1.0, 2.0]))
        tensor([[2., 0.],
                [0., 4.]])

    Source: JAX's jacobian.
    """

    def call(*args: Any, **options: Any) -> Any:
        inner = _Call("jacobian", f, args, _numbers(argnums), options)
        connected = inner.connected()
        rows = []
        for position in np.ndindex(inner.out.shape):
            one = np.zeros(inner.out.shape, inner.out.dtype)
            one[position] = 1
            rows.append(inner.pull(one, connected, retain_graph=True))
        results = tuple(
            inner.give(_stacked([row[i] for row in rows], inner.out.shape + t.shape, t.dtype), connected)
            for i, t in enumerate(inner.inputs)
        )
        return results[0] if isinstance(argnums, int) else results

    return call


def _stacked(rows: list[Tensor], shape: tuple[int, ...], dtype: Any) -> Tensor:
    return ops.reshape(ops.stack(rows), shape=shape) if rows else Tensor(np.zeros(shape, dtype))


def hessian(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """The second derivatives of a scalar function: result[i, j] = d^2 f / dx[i] dx[j].

    For several argnums a tuple of tuples: result[a][b] has the derivatives by argument a and then by argument b.

    Example:
        >>> import tensorgraph as tg
        >>> tg.hessian(lambda x: (x**3).sum())(tg.tensor([1.0, 2.0]))
        tensor([[ 6.,  0.],
                [ 0., 12.]])

    Source: JAX's hessian.
    """
    if isinstance(argnums, int):
        return jacobian(grad(f, argnums), argnums)
    rows = [jacobian(grad(f, n), argnums) for n in argnums]
    return lambda *args, **options: tuple(row(*args, **options) for row in rows)


# --- forward mode ----------------------------------------------------------------------------------------------------


def jvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """f's value, and its derivative along a direction v: J v.

    Two reverse walks: v^T J is linear in the upstream gradient, and the derivative of that linear function is J v.

    Arguments:
        primals: the arguments of f. tangents: the direction, one array for each argument in its shape.

    Returns:
        (value, derivative), both in the shape of f's result.

    Raises:
        ShapeError: the tangents do not fit the primals.

    Example:
        >>> import tensorgraph as tg
        >>> tg.jvp(lambda x: x * x, (tg.tensor([1.0, 2.0]),), (tg.tensor([1.0, 10.0]),))
        (tensor([1., 4.]), tensor([ 2., 40.]))

    Source: Townsend, "A new trick for calculating Jacobian vector products", 2017.
    """
    if not isinstance(primals, (tuple, list)) or not isinstance(tangents, (tuple, list)):
        raise located(TypeError, "jvp", "primals and tangents must be tuples, with one array for each argument")
    inner = _Call("jvp", f, primals, range(len(primals)), {})
    connected = inner.connected() or any(isinstance(v, Tensor) and v.requires_grad for v in tangents)
    inner.traced = inner.traced or any(isinstance(v, Tensor) for v in tangents)
    directions = _directions("jvp", inner.inputs, tangents)
    with enable_grad():
        up = Tensor(np.zeros(inner.out.shape, inner.out.dtype), requires_grad=True)
        along = _inner_product(inner.pull(up, create_graph=True), directions)
        (derivative,) = _pull([along], [seed_gradient(along, None, "jvp")], [up], connected, connected)
    if derivative is None:
        derivative = Tensor(np.zeros(inner.out.shape, inner.out.dtype))
    return inner.give(inner.out, connected), inner.give(derivative, connected)


def hvp(f: Callable[..., Any], primals: Any, tangents: Any) -> Any:
    """The Hessian of a scalar function times a direction v, without the Hessian: the derivative of grad f along v.

    Arguments:
        primals: the argument of f, or a tuple of them. tangents: the direction in the same form.

    Returns:
        One array in the shape of the argument, or a tuple of them.

    Example:
        >>> import tensorgraph as tg
        >>> tg.hvp(lambda x: (x**3).sum(), tg.tensor([1.0, 2.0]), tg.tensor([1.0, 1.0]))
        tensor([ 6., 12.])

    Source: Pearlmutter, "Fast exact multiplication by the Hessian", 1994.
    """
    several = isinstance(primals, (tuple, list))
    points, vs = (primals, tangents) if several else ((primals,), (tangents,))
    inner = _Call("hvp", f, points, range(len(points)), {})
    connected = inner.connected()
    inner.traced = inner.traced or any(isinstance(v, Tensor) for v in vs)
    directions = _directions("hvp", inner.inputs, vs)
    with enable_grad():
        along = _inner_product(inner.pull(None, create_graph=True), directions)
        found = _pull([along], [seed_gradient(along, None, "hvp")], inner.inputs, connected, connected)
    results = tuple(
        inner.give(Tensor(np.zeros(t.shape, t.dtype)) if g is None else g, connected)
        for t, g in zip(inner.inputs, found, strict=True)
    )
    return results if several else results[0]


def _directions(op: str, inputs: Sequence[Tensor], tangents: Sequence[Any]) -> list[Any]:
    """The tangents as tensors in the shapes and types of the inputs."""
    if len(tangents) != len(inputs):
        raise located(ShapeError, op, f"got {len(tangents)} tangents for {len(inputs)} arguments")
    directions = [
        v if isinstance(v, Tensor) else Tensor(v, dtype=t.dtype) for v, t in zip(tangents, inputs, strict=True)
    ]
    for i, (v, t) in enumerate(zip(directions, inputs, strict=True)):
        if v.shape != t.shape:
            raise located(ShapeError, op, f"tangent {i} has shape {v.shape}, the argument has shape {t.shape}")
    return directions


def _inner_product(gs: Sequence[Tensor], directions: Sequence[Tensor]) -> Tensor:
    total = ops.sum(gs[0] * directions[0])
    for g, v in zip(gs[1:], directions[1:], strict=True):
        total = total + ops.sum(g * v)
    return total
