"""Neighbouring layers that run as one operation: which layers stand for which operation, and with what arguments."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import tensorgraph as tg
from nn.activation import LeakyReLU, ReLU, Sigmoid, Tanh
from nn.conv import Conv2d
from nn.linear import Linear
from nn.module import Module
from nn.normalization import BatchNorm1d, BatchNorm2d
from nn.pooling import AvgPool2d, MaxPool2d

Arguments = Callable[[Any], tuple[tuple[Any, ...], dict[str, Any]]]  # from a layer: arrays and options of the operation

STEPS: dict[type, tuple[Any, Arguments | None]] = {  # None: it adds no arguments
    Linear: (tg.linear, lambda layer: ((layer.weight, layer.bias), {})),
    Conv2d: (tg.conv2d, lambda layer: ((layer.weight, layer.bias), layer._settings)),
    BatchNorm1d: (tg.batch_norm, None),  # calls it with what it has
    BatchNorm2d: (tg.batch_norm, None),
    ReLU: (tg.relu, None),
    LeakyReLU: (tg.leaky_relu, lambda layer: ((), {"negative_slope": layer.negative_slope})),
    Sigmoid: (tg.sigmoid, None),
    Tanh: (tg.tanh, None),
    AvgPool2d: (tg.avg_pool2d, lambda layer: ((), {"pool": layer._settings})),
    MaxPool2d: (tg.max_pool2d, lambda layer: ((), {"pool": layer._settings})),
}
LONGEST = 3


class Group(NamedTuple):
    """Layers first to last - 1 of a chain, which run as one operation; a layer alone if that is None."""

    first: int
    last: int
    fused: Any
    arguments: tuple[tuple[int, Arguments], ...]  # of the layers that add some, with their positions among these


def run_chain(layers: list[Module], x: Any) -> Any:
    """The layers one after another, and as one operation those that can be."""
    # Only the layers themselves are known: one with a forward of its own may compute something else.
    kinds = tuple([None if "forward" in vars(layer) else type(layer) for layer in layers])
    for first, last, fused, arguments in _groups(kinds):
        if fused is not None and tg.fusion.allowed():
            x = _run_fused(fused, arguments, layers[first:last], x)
        else:
            for layer in layers[first:last]:
                x = layer(x)
    return x


@lru_cache  # a network asks again and again, and all that the answer depends on is in the key
def _groups(kinds: tuple[type | None, ...]) -> tuple[Group, ...]:
    """How layers of these kinds run; None is a kind that nothing is known about."""
    groups: list[Group] = []
    while (first := groups[-1].last if groups else 0) < len(kinds):
        groups.append(_first_group(kinds, first))
    return tuple(groups)


def _first_group(kinds: tuple[type | None, ...], first: int) -> Group:
    for last in range(min(first + LONGEST, len(kinds)), first + 1, -1):
        steps = [STEPS[kind] for kind in kinds[first:last] if kind in STEPS]
        fused = tg.fusion.find([operation for operation, _ in steps]) if len(steps) == last - first else None
        if fused is not None:
            given = ((i, arguments) for i, (_, arguments) in enumerate(steps) if arguments is not None)
            return Group(first, last, fused, tuple(given))
    return Group(first, first + 1, None, ())


def _run_fused(fused: Any, arguments: Any, layers: list[Module], x: Any) -> Any:
    """These layers as one operation, recorded as the first one's."""
    arrays: tuple[Any, ...] = ()
    options: dict[str, Any] = {}
    for i, given in arguments:
        more, settings = given(layers[i])
        arrays += more
        options |= settings
    first = layers[0]
    call = partial(first._through, fused) if isinstance(first, (BatchNorm1d, BatchNorm2d)) else fused
    try:
        return first._run(call, (x, *arrays), options, layers)
    except Exception:  # noqa: BLE001 (one after the other, the layer at fault says what is wrong)
        for layer in layers:
            x = layer(x)
        return x
