"""Fused operations: neighbours that run as one where nothing looks at the values in between.

Of what is in between only what the gradients need is kept, so a fused operation saves memory, passes over memory, and
nodes. Its gradients on arrays are written out here; those of higher order go through the operations it is made of
(`opened`), as do pictures and checks of the graph.
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
from tensorgraph.ops._checks import REFUSALS
from tensorgraph.ops.activations import leaky_relu, relu, sigmoid
from tensorgraph.ops.conv import check_convolution, conv2d, conv2d_gradients, convolve, window_of
from tensorgraph.ops.elementwise import tanh
from tensorgraph.ops.linalg import apply_linear, linear, linear_gradients
from tensorgraph.ops.norm import (
    apply_standardize,
    batch_norm,
    check_channels,
    standardize,
    standardize_gradients,
    updating,
)
from tensorgraph.ops.pool import avg_pool2d, max_pool2d, pooled_activation_grad
from tensorgraph.ops.shape import flatten, flattened


class _state:  # noqa: N801 (one namespace for all)
    fusion = True


class fusion(Switch):  # noqa: N801 (a function that is also a context manager)
    """Allow or forbid fused operations, from now on or inside a `with` block. Everybody's, in all threads.

    Where it is allowed, as it is at first, `nn.Sequential` runs layers that follow one another, such as a convolution,
    a ReLU and a max pooling, as one operation, if nobody watches: no hook, no `tg.record()`. The numbers are the same.

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
    def find(operations: Sequence[Any]) -> Callable[..., Any] | None:
        """The fused operation for these, None if there is none."""
        return FUSIONS.get(tuple(operations)) or _dense_layers(operations)

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

    if fused.variadic:
        fused.vjp(**{fused.arguments[0]: lambda i, g, out, *arrays, **options: rule(i)(g, out, *arrays, **options)})
    else:
        fused.vjp(**{name: rule(i) for i, name in enumerate(fused.arguments)})


FUSIONS: dict[tuple[Any, ...], Callable[..., Any]] = {}  # a chain of operations: what runs in its place

# --- activations whose gradient follows from their result, applied as that is stored ----------------------------------


def _fuse_linear(activation: Primitive) -> None:
    @primitive(gate="function", name=f"linear_{activation.name}")
    def fused(x: Array, w: Array, b: Array | None = None) -> Array:
        return apply_linear(x, w, b, activation.name)

    fused.vjp_arrays = lambda wanted, g, out, x, w, b: linear_gradients(wanted, g, x, w, out, activation.name)
    _opens_into(fused, lambda x, w, b: activation(linear(x, w, b)))
    FUSIONS[linear, activation] = fused


def _fuse_conv2d(activation: Primitive, slope: Callable[[Array, Array], Array]) -> None:
    @primitive(gate="function", name=f"conv2d_{activation.name}")
    def fused(x: Array, w: Array, b: Array | None = None, **settings: Any) -> Array:
        return convolve(x, w, b, activation.name, **settings)

    fused.vjp_arrays = lambda wanted, g, out, x, w, b, **settings: conv2d_gradients(
        wanted, slope(g, out), x, w, **settings
    )
    _opens_into(fused, lambda x, w, b, **settings: activation(conv2d(x, w, b, **settings)))
    FUSIONS[conv2d, activation] = fused


def _fuse_conv2d_avg_pool2d(activation: Primitive) -> None:
    """What pays is the way back, from the averages to what the activation was given; it needs the maps."""

    @primitive(gate="function", name=f"conv2d_{activation.name}_avg_pool2d", saves=("maps",))
    def fused(
        x: Array, w: Array, b: Array | None = None, *, pool: dict[str, Any], **settings: Any
    ) -> tuple[Array, Array]:
        maps = convolve(x, w, b, activation.name, **settings)
        return avg_pool2d.forward(maps, **pool), maps

    def gradients(
        wanted: Sequence[bool],
        g: Array,
        out: Array,
        x: Array,
        w: Array,
        b: Any,
        *,
        pool: Any,
        maps: Array,
        **settings: Any,
    ) -> Any:
        g = pooled_activation_grad(g, maps, activation.name, **pool)
        return conv2d_gradients(wanted, g, x, w, **settings)

    fused.vjp_arrays = gradients
    _opens_into(
        fused,
        lambda x, w, b, *, pool, maps=None, **settings: avg_pool2d(activation(conv2d(x, w, b, **settings)), **pool),
    )
    FUSIONS[conv2d, activation, avg_pool2d] = fused


for _activation, _slope in ((relu, kernels.relu_grad), (tanh, kernels.tanh_grad), (sigmoid, kernels.sigmoid_grad)):
    _fuse_linear(_activation)
    _fuse_conv2d(_activation, _slope)
    _fuse_conv2d_avg_pool2d(_activation)

# --- linear layers one after another, with or without such activations, maybe after a flatten -------------------------

_ACTIVATIONS: dict[str, Callable[..., Any]] = {"none": lambda x: x, "relu": relu, "tanh": tanh, "sigmoid": sigmoid}


@primitive(gate="function", saves=("inputs",))
def linear_layers(
    *arrays: Array, biased: tuple[bool, ...], activations: tuple[str, ...], flat: tuple[int, int] | None = None
) -> Any:
    """For every layer x <- activation(linear(x, w, b)), after x <- flatten(x, *flat) if that is given.

    The arrays are x, then w, and b where the layer has one. Kept is what each layer gets.
    """
    x, *parameters = arrays
    if flat is not None:
        x = x.reshape(flattened(x.shape, *flat))
    given = iter(parameters)
    inputs = []
    for has_bias, activation in zip(biased, activations, strict=True):
        inputs.append(x)
        w = next(given)
        x = apply_linear(x, w, next(given) if has_bias else None, activation)
    return x, inputs


def _layers_gradients(
    wanted: Sequence[bool],
    g: Any,
    out: Array,
    *arrays: Array,
    biased: tuple[bool, ...],
    activations: tuple[str, ...],
    flat: tuple[int, int] | None = None,
    inputs: list[Array],
) -> list[Any]:
    found: list[Any] = [None] * len(arrays)
    first, end = wanted.index(True), len(arrays)
    for has_bias, activation, x in zip(biased[::-1], activations[::-1], inputs[::-1], strict=True):
        w = end - 1 - has_bias  # its place
        asked = (first < w, wanted[w], has_bias and wanted[w + 1])
        g, found[w], bias_grad = linear_gradients(asked, g, x, arrays[w], out, activation)
        if has_bias:
            found[w + 1] = bias_grad
        if g is None:
            return found
        out, end = x, w
    found[0] = g.reshape(arrays[0].shape)
    return found


def _layers_opened(
    *arrays: Any,
    biased: tuple[bool, ...],
    activations: tuple[str, ...],
    flat: tuple[int, int] | None = None,
    inputs: Any = None,
) -> Any:
    x, *parameters = arrays
    if flat is not None:
        x = flatten(x, *flat)
    given = iter(parameters)
    for has_bias, activation in zip(biased, activations, strict=True):
        w = next(given)
        x = _ACTIVATIONS[activation](linear(x, w, next(given) if has_bias else None))
    return x


linear_layers.vjp_arrays = _layers_gradients
_opens_into(linear_layers, _layers_opened)


def _dense_layers(operations: Sequence[Any]) -> Callable[..., Any] | None:
    """`linear_layers` as a function of x, w, b, w, b, ... for two linear layers or more, maybe after a flatten.

    None for other operations.
    """
    activations: list[str] = []
    flattens = operations[0] is flatten
    for operation in operations[flattens:]:
        name = getattr(operation, "name", "")
        if operation is linear:
            activations.append("none")
        elif activations and activations[-1] == "none" and _ACTIVATIONS.get(name) is operation:
            activations[-1] = name
        else:
            return None
    if len(activations) < 2:
        return None
    names = tuple(activations)

    def run(x: Any, *parameters: Any, **flat: tuple[int, int]) -> Any:
        biased = tuple([b is not None for b in parameters[1::2]])
        if False in biased:
            parameters = tuple([p for p in parameters if p is not None])
        return linear_layers(x, *parameters, biased=biased, activations=names, **flat)

    return run


# --- batch normalization in training, ReLU ----------------------------------------------------------------------------


@primitive(gate="function", saves=("mean", "var"))
def batch_norm_relu(
    x: Array, weight: Array | None = None, bias: Array | None = None, *, eps: float, report: Any = None
) -> tuple[Array, Array, Array]:
    """relu(standardize(x, weight, bias))."""
    return apply_standardize(x, weight, bias, eps, report, "relu")


batch_norm_relu.vjp_arrays = lambda wanted, g, out, x, weight, bias, **saved: standardize_gradients(
    "relu", g, x, weight, bias, **saved
)
_opens_into(batch_norm_relu, lambda x, weight, bias, *, eps, **saved: relu(standardize(x, weight, bias, eps=eps)))


def _normalize_relu(
    x: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """relu(batch_norm(...)), with its arguments."""
    if not training:
        return relu(batch_norm(x, running_mean, running_var, weight, bias, eps=eps))
    check_channels(x, running_mean, running_var, weight, bias)
    return batch_norm_relu(x, weight, bias, eps=eps, report=updating(x, running_mean, running_var, momentum))


FUSIONS[batch_norm, relu] = _normalize_relu

# --- convolution, ReLU or leaky ReLU, max pooling ---------------------------------------------------------------------
#
# What rises with its argument does not change which element of a window is the first maximum; ReLU does where it cuts
# off all of them, but then none gets a gradient. So it is applied to the few numbers that are left after pooling.


def _slide(
    sizes: tuple[int, ...],
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> Any:
    """The window of max_pool2d, with its arguments, over maps of these sizes."""
    return shapes.pool_window(sizes, kernel_size, stride, padding, dilation, ceil_mode)


@primitive(gate="function", saves=("winners", "between"))
def conv2d_relu_max_pool2d(
    x: Array, w: Array, b: Array | None = None, *, pool: dict[str, Any], negative_slope: float = 0.0, **settings: Any
) -> tuple[Array, Array, tuple[int, ...]]:
    """max_pool2d(leaky_relu(conv2d(x, w, b)), **pool), with conv2d's settings; a slope of 0 is relu."""
    if negative_slope < 0:
        raise ValueError(f"negative_slope must not be negative, got {negative_slope}: it would turn the order round")
    groups, ceil_mode = settings.get("groups", 1), pool.get("ceil_mode", False)
    try:
        window = window_of(x.shape, w.shape, **settings)
        between = (len(x), len(w), *shapes.window_sizes(x.shape[2:], w.shape[2:], *window))
        slide = _slide(between, **pool)
        return *kernels.conv2d_max_pool2d(x, w, b, window, groups, slide, ceil_mode, negative_slope), between
    except REFUSALS:
        check_convolution(x, w, b, **settings)
        raise


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
    window, groups = window_of(x.shape, w.shape, **settings), settings.get("groups", 1)
    slide = _slide(between, **pool)
    dx: Any = None
    maps_grad: Any = None
    if wanted[0] or not wanted[1]:
        maxima_grad = kernels.leaky_relu_grad(g, out, negative_slope) if negative_slope else g
        maps_grad = kernels.max_pool2d_grad(maxima_grad, winners, between, *slide)
    if wanted[0]:
        dx = kernels.conv2d_input_grad(maps_grad, w, x.shape, *window, groups)
    if not wanted[1]:
        return dx, None, maps_grad.sum(axis=(0, 2, 3)) if wanted[2] else None
    conv = window, groups, slide, negative_slope
    pooled = out if negative_slope else None
    return dx, *kernels.conv2d_max_pool2d_weight_grad(g, pooled, winners, maps_grad, x, w.shape, *conv)


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
FUSIONS[conv2d, relu, max_pool2d] = FUSIONS[conv2d, leaky_relu, max_pool2d] = conv2d_relu_max_pool2d
