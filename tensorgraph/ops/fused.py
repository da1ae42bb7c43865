"""Fused operations: neighbours that run as one where nothing looks at the values in between.

What is in between is never kept, so a fused operation saves memory, passes over memory, and nodes. Its gradients on
arrays are written out here; those of higher order go through the operations it is made of (`opened`), as do pictures
and checks of the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tensorgraph import hooks, kernels
from tensorgraph._backward import walk
from tensorgraph._context import current
from tensorgraph._primitive import Primitive, primitive
from tensorgraph._tape import Array
from tensorgraph.config import Switch
from tensorgraph.kernels import shapes
from tensorgraph.ops.activations import leaky_relu, relu
from tensorgraph.ops.conv import checked_window, conv2d, conv2d_gradients, convolve
from tensorgraph.ops.linalg import apply_linear, linear, linear_gradients
from tensorgraph.ops.pool import max_pool2d, max_pool2d_grad


class _state:  # noqa: N801 (one namespace for all)
    fusion = True


class fusion(Switch):  # noqa: N801 (a function that is also a context manager)
    """Allow or forbid fused operations, from now on or inside a `with` block. Everybody's, in all threads.

    Where it is allowed, as it is at first, `nn.Sequential` runs a convolution, a ReLU and a max pooling that follow
    one another as one operation, if nobody watches: no hook, no `tg.record()`. The numbers are the same.

    Arguments:
        allowed: whether.

    Example:
        >>> import nn, tensorgraph as tg
        >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2))
        >>> net(tg.zeros(1, 1, 6, 6))._node.op
        'conv2d_relu_max_pool2d'
        >>> with tg.fusion(False):
        ...     net(tg.zeros(1, 1, 6, 6))._node.op
        'max_pool2d'
    """

    owner, name = _state, "fusion"

    @staticmethod
    def find(operations: Sequence[Any]) -> Primitive | None:
        """The fused operation for these, None if there is none."""
        return FUSIONS.get(tuple(operations))

    @staticmethod
    def allowed() -> bool:
        """Whether fused operations may run now: nobody forbids it, and nobody watches."""
        return _state.fusion and not (hooks.on_forward or hooks.on_backward or current().lines)


def _opens_into(fused: Primitive, chain: Callable[..., Any]) -> None:
    """Say what a fused operation is made of, and give it rules for tensors: walk back through that."""
    fused.opened = chain

    def rule(i: int) -> Any:
        def gradient(g: Any, out: Any, *arrays: Any, **options: Any) -> Any:
            kind = type(g)
            # Aliases, because one argument may depend on another: what is asked for is the way through this operation.
            aliases = [x.reshape(x.shape) if isinstance(x, kind) else x for x in arrays]
            opened = chain(*aliases, **options)
            node = aliases[i]._node
            return walk({opened._node: g}, wanted=[node], retain_graph=True, create_graph=kind)[node]

        return gradient

    fused.vjp(**{name: rule(i) for i, name in enumerate(fused.arguments)})


# --- ReLU, applied as the result is stored ----------------------------------------------------------------------------


@primitive(gate="function")
def linear_relu(x: Array, w: Array, b: Array | None = None) -> Array:
    """relu(linear(x, w, b))."""
    return apply_linear(x, w, b, "relu")


linear_relu.vjp_arrays = lambda wanted, g, out, x, w, b: linear_gradients(wanted, kernels.relu_grad(g, out), x, w)
_opens_into(linear_relu, lambda x, w, b: relu(linear(x, w, b)))


@primitive(gate="function")
def conv2d_relu(x: Array, w: Array, b: Array | None = None, **settings: Any) -> Array:
    """relu(conv2d(x, w, b)), with conv2d's settings."""
    return convolve(x, w, b, "relu", **settings)


conv2d_relu.vjp_arrays = lambda wanted, g, out, x, w, b, **settings: conv2d_gradients(
    wanted, kernels.relu_grad(g, out), x, w, **settings
)
_opens_into(conv2d_relu, lambda x, w, b, **settings: relu(conv2d(x, w, b, **settings)))

# --- convolution, ReLU or leaky ReLU, max pooling ---------------------------------------------------------------------
#
# What rises with its argument does not change which element of a window is the first maximum; ReLU does where it cuts
# off all of them, but then none gets a gradient. So it is applied to the few numbers that are left after pooling.


_POOL = {"stride": None, "padding": 0, "dilation": 1, "ceil_mode": False}  # max_pool2d's defaults


@primitive(gate="function", saves=("winners", "between"))
def conv2d_relu_max_pool2d(
    x: Array, w: Array, b: Array | None = None, *, pool: dict[str, Any], negative_slope: float = 0.0, **settings: Any
) -> tuple[Array, Array, tuple[int, ...]]:
    """max_pool2d(leaky_relu(conv2d(x, w, b)), **pool), with conv2d's settings; a slope of 0 is relu."""
    if negative_slope < 0:
        raise ValueError(f"negative_slope must not be negative, got {negative_slope}: it would turn the order round")
    window = checked_window(x, w, b, **settings)
    between = (len(x), len(w), *shapes.window_sizes(x.shape[2:], w.shape[2:], *window))
    ceil_mode = pool.get("ceil_mode", False)
    slide = shapes.pool_window(between, **(_POOL | pool))
    out, winners = kernels.conv2d_max_pool2d(x, w, b, window, settings.get("groups", 1), slide, ceil_mode)
    return kernels.leaky_relu(out, negative_slope) if negative_slope else kernels.relu(out), winners, between


def _gradients(
    wanted: Sequence[bool],
    g: Array,
    out: Array,
    x: Array,
    w: Array,
    b: Array | None,
    *,
    pool: dict[str, Any],
    winners: Array,
    between: tuple[int, ...],
    negative_slope: float = 0.0,
    **settings: Any,
) -> tuple[Any, Any, Any]:
    g = kernels.leaky_relu_grad(g, out, negative_slope) if negative_slope else kernels.relu_grad(g, out)
    maps_grad = dx = None
    if wanted[0] or not wanted[1]:
        maps_grad = max_pool2d_grad.forward(g, winners=winners, x_shape=between, **pool)
        dx, _, db = conv2d_gradients((wanted[0], False, wanted[2] and not wanted[1]), maps_grad, x, w, **settings)
    if not wanted[1]:
        return dx, None, db
    window, groups = checked_window(x, w, b, **settings), settings.get("groups", 1)
    slide = shapes.pool_window(between, **(_POOL | pool))
    return dx, *kernels.conv2d_max_pool2d_weight_grad(g, winners, maps_grad, x, w.shape, window, groups, slide)


def _chain(
    x: Any,
    w: Any,
    b: Any,
    *,
    pool: Any,
    winners: Any = None,
    between: Any = None,
    negative_slope: float = 0.0,
    **settings: Any,
) -> Any:
    maps = conv2d(x, w, b, **settings)
    return max_pool2d(leaky_relu(maps, negative_slope=negative_slope) if negative_slope else relu(maps), **pool)


conv2d_relu_max_pool2d.vjp_arrays = _gradients
_opens_into(conv2d_relu_max_pool2d, _chain)

# --- what is known ----------------------------------------------------------------------------------------------------

FUSIONS: dict[tuple[Any, ...], Primitive] = {
    (linear, relu): linear_relu,
    (conv2d, relu): conv2d_relu,
    (conv2d, relu, max_pool2d): conv2d_relu_max_pool2d,
    (conv2d, leaky_relu, max_pool2d): conv2d_relu_max_pool2d,
}
