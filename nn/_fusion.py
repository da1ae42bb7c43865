"""Neighbouring layers that run as one operation: which layers stand for which operation, and with what arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorgraph as tg
from nn.activation import LeakyReLU, ReLU
from nn.conv import Conv2d
from nn.linear import Linear
from nn.module import Module
from nn.pooling import MaxPool2d

Step = Callable[[Any], tuple[tuple[Any, ...], dict[str, Any]]]  # from a layer: arrays and options of the operation

STEPS: dict[type, tuple[Any, Step]] = {
    Linear: (tg.linear, lambda layer: ((layer.weight, layer.bias), {})),
    Conv2d: (tg.conv2d, lambda layer: ((layer.weight, layer.bias), layer._settings)),
    ReLU: (tg.relu, lambda layer: ((), {})),
    LeakyReLU: (tg.leaky_relu, lambda layer: ((), {"negative_slope": layer.negative_slope})),
    MaxPool2d: (tg.max_pool2d, lambda layer: ((), {"pool": layer._settings})),
}
LONGEST = 3


def find_fused(modules: list[Module]) -> tuple[Any, int]:
    """The operation that the first of these layers run as, and how many they are; (None, 1) if there is none.

    Only the layers themselves are known: a class derived from one may compute something else.
    """
    operations: list[Any] = []
    for module in modules[:LONGEST]:
        step = STEPS.get(type(module))
        if step is None or "forward" in vars(module):
            break
        operations.append(step[0])
    for count in range(len(operations), 1, -1):
        if (fused := tg.fusion.find(operations[:count])) is not None:
            return fused, count
    return None, 1


def run_fused(fused: Any, layers: list[Module], x: Any) -> Any:
    """The layers as one operation, recorded as the first one's."""
    arrays: tuple[Any, ...] = ()
    options: dict[str, Any] = {}
    for layer in layers:
        more, settings = STEPS[type(layer)][1](layer)
        arrays += more
        options |= settings
    try:
        return layers[0]._run(fused, x, *arrays, **options)
    except Exception:  # noqa: BLE001 (one after the other, the layer at fault says what is wrong)
        for layer in layers:
            x = layer(x)
        return x
