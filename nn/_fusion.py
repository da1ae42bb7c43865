"""Neighbouring layers that run as one operation: which layers stand for which operation, and with what arguments."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from operator import attrgetter
from typing import Any, NamedTuple

import tensorgraph as tg
from nn.activation import LeakyReLU, ReLU, Sigmoid, Tanh
from nn.conv import Conv2d
from nn.linear import Linear
from nn.module import Module
from nn.normalization import BatchNorm1d, BatchNorm2d
from nn.pooling import AvgPool2d, MaxPool2d
from nn.shape import Flatten

Arrays = Callable[[Any], tuple[Any, ...]]  # from a layer: what the operation takes beside its input
Options = Callable[[Any], dict[str, Any]]


class Step(NamedTuple):
    """The operation that a layer of some kind stands for."""

    operation: Any
    arrays: Arrays | None = None  # None: it adds none
    options: Options | None = None


STEPS: dict[type[Module], Step] = {
    Flatten: Step(tg.flatten, None, lambda layer: {"flat": (layer.start_dim, layer.end_dim)}),
    Linear: Step(tg.linear, attrgetter("weight", "bias")),
    Conv2d: Step(tg.conv2d, attrgetter("weight", "bias"), attrgetter("_settings")),
    BatchNorm1d: Step(tg.batch_norm),  # calls it with what it has
    BatchNorm2d: Step(tg.batch_norm),
    ReLU: Step(tg.relu),
    LeakyReLU: Step(tg.leaky_relu, None, lambda layer: {"negative_slope": layer.negative_slope}),
    Sigmoid: Step(tg.sigmoid),
    Tanh: Step(tg.tanh),
    AvgPool2d: Step(tg.avg_pool2d, None, lambda layer: {"pool": layer._settings}),
    MaxPool2d: Step(tg.max_pool2d, None, lambda layer: {"pool": layer._settings}),
}
LONGEST = 8
_Kind = tuple[type[Module], Any]  # a class and the function that is its forward
_KNOWN: dict[_Kind | None, Step] = {(kind, kind.forward): step for kind, step in STEPS.items()}  # as they are written


class Group(NamedTuple):
    """Layers first to last - 1 of a chain, which run as one operation; a layer alone if that is None."""

    first: int
    last: int
    fused: Any = None
    arrays: tuple[tuple[int, Arrays], ...] = ()  # of the layers that add some, with their positions among these
    options: tuple[tuple[int, Options], ...] = ()


def run_chain(layers: list[Module], x: Any) -> Any:
    """The layers one after another, and as one operation those that can be."""
    # Only the layers themselves are known: one with another forward, be it given to the class, may compute anything.
    kinds = tuple([None if "forward" in layer.__dict__ else ((kind := type(layer)), kind.forward) for layer in layers])
    for group in _groups(kinds):
        if group.fused is not None and tg.fusion.allowed():
            x = _run_fused(group, layers[group.first : group.last], x)
        else:
            for layer in layers[group.first : group.last]:
                x = layer(x)
    return x


@lru_cache  # a network asks again and again, and all that the answer depends on is in the key
def _groups(kinds: tuple[_Kind | None, ...]) -> tuple[Group, ...]:
    """How layers of these kinds run; None is a kind that nothing is known about."""
    groups: list[Group] = []
    while (first := groups[-1].last if groups else 0) < len(kinds):
        groups.append(_first_group(kinds, first))
    return tuple(groups)


def _first_group(kinds: tuple[_Kind | None, ...], first: int) -> Group:
    for last in range(min(first + LONGEST, len(kinds)), first + 1, -1):
        steps = [_KNOWN[kind] for kind in kinds[first:last] if kind in _KNOWN]
        fused = tg.fusion.find([step.operation for step in steps]) if len(steps) == last - first else None
        if fused is not None:
            arrays = tuple((i, step.arrays) for i, step in enumerate(steps) if step.arrays is not None)
            options = tuple((i, step.options) for i, step in enumerate(steps) if step.options is not None)
            return Group(first, last, fused, arrays, options)
    return Group(first, first + 1)


def _run_fused(group: Group, layers: list[Module], x: Any) -> Any:
    """These layers as one operation, recorded as the first one's."""
    given = (x,)
    for i, arrays in group.arrays:
        given += arrays(layers[i])
    settings: dict[str, Any] = {}
    for i, options in group.options:
        settings |= options(layers[i])
    first = layers[0]
    call = partial(first._through, group.fused) if isinstance(first, (BatchNorm1d, BatchNorm2d)) else group.fused
    try:
        return first._run(call, given, settings, layers)
    except Exception:  # noqa: BLE001 (one after the other, the layer at fault says what is wrong)
        for layer in layers:
            x = layer(x)
        return x
