"""A table of a model's layers, from what one forward pass records: shapes, parameters, arithmetic and memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorgraph as tg
from nn.module import Module, Parameter


class Row(NamedTuple):
    """One layer of a `Summary`."""

    name: str  # its path in the model, "" for the model itself
    kind: str  # its class
    output_shape: tuple[int, ...] | None  # of its last call, None if it computed nothing
    parameters: int  # its own; a shared one counts where it comes first
    multiply_adds: int  # of all its calls
    activation_bytes: int  # what it made and the backward pass keeps
    calls: int


class Summary:
    """The layers of a model; made by `nn.summary`, and printed as a table.

    `rows` has one for every layer that computes, in the order of definition. `parameters`, `trainable`, `multiply_adds`
    and `activation_bytes` are those of the whole model.
    """

    def __init__(self, model: Module, input_shape: tuple[int, ...], rows: list[Row], activation_bytes: int) -> None:
        self.model = type(model).__name__
        self.input_shape = input_shape
        self.rows = rows
        self.parameters = sum(p.size for p in model.parameters())
        self.trainable = sum(p.size for p in model.parameters() if p.requires_grad)
        self.multiply_adds = sum(row.multiply_adds for row in rows)
        self.activation_bytes = activation_bytes

    def __repr__(self) -> str:
        head = ("layer", "", "output shape", "parameters", "multiply-adds", "activation bytes")
        lines = [head, ("", "input", str(self.input_shape), "", "", "")]
        lines += [
            (
                row.name,
                row.kind + (f" x{row.calls}" if row.calls > 1 else ""),
                "-" if row.output_shape is None else str(row.output_shape),
                f"{row.parameters:,}" if row.parameters else "",
                f"{row.multiply_adds:,}" if row.multiply_adds else "",
                f"{row.activation_bytes:,}" if row.activation_bytes else "",
            )
            for row in self.rows
        ]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        table = ["  ".join(_aligned(line, widths)).rstrip() for line in lines]
        rule = "-" * max(map(len, table))
        frozen = "" if self.trainable == self.parameters else f" ({self.trainable:,} learn)"
        end = (
            f"{self.model}: {self.parameters:,} parameters{frozen}, {self.multiply_adds:,} multiply-adds, "
            f"{self.activation_bytes:,} bytes of activations"
        )
        return "\n".join([table[0], rule, *table[1:], rule, end])


def _aligned(line: tuple[str, ...], widths: list[int]) -> list[str]:
    """Words to the left, numbers to the right."""
    return [cell.ljust(width) if i < 3 else cell.rjust(width) for i, (cell, width) in enumerate(zip(line, widths))]


def summary(model: Module, input_shape: Sequence[int]) -> Summary:
    """The layers of a model with their output shapes, parameters, multiply-adds and bytes of activations.

    It runs the model forward once, on zeros and in evaluation mode, and reads what the tape has recorded; the model is
    left as it was. A layer that runs several times is one row, with its parameters counted once.

    Arguments:
        model: any module that takes one array.
        input_shape: the shape of one example, such as (1, 28, 28); with the batch axis, (32, 1, 28, 28), all figures
            but the parameters are those of the batch.

    Returns:
        A `Summary` with `rows parameters trainable multiply_adds activation_bytes`; printing it shows the table.

    Raises:
        ShapeError: the model does not take inputs of that shape. TypeError: not a model, or not a shape.

    Example:
        >>> import nn
        >>> nn.summary(nn.Sequential(nn.Conv2d(1, 8, 5), nn.ReLU(), nn.Flatten(), nn.Linear(4608, 10)), (1, 28, 28))
        layer           output shape    parameters  multiply-adds  activation bytes
        ---------------------------------------------------------------------------
               input    (1, 1, 28, 28)
        0      Conv2d   (1, 8, 24, 24)         208        115,200            18,432
        1      ReLU     (1, 8, 24, 24)                                       18,432
        2      Flatten  (1, 4608)
        3      Linear   (1, 10)             46,090         46,080                40
        ---------------------------------------------------------------------------
        Sequential: 46,298 parameters, 161,280 multiply-adds, 36,904 bytes of activations

    Source: Keras' Model.summary.
    """
    if not isinstance(model, Module):
        raise TypeError(f"summary: model must be a Module, got {type(model).__name__}")
    if isinstance(input_shape, int) or not all(isinstance(size, int) for size in input_shape):
        raise TypeError(f"summary: input_shape must be a tuple of integers such as (1, 28, 28), got {input_shape!r}")
    shape = tuple(input_shape)
    try:
        return _summary_of(model, (1, *shape))
    except tg.ShapeError:
        try:
            return _summary_of(model, shape)
        except tg.ShapeError:
            pass  # the first error is about the shape of one example, which most people give
        raise


def _summary_of(model: Module, shape: tuple[int, ...]) -> Summary:
    """The summary from one forward pass on zeros of that shape, all of which is recorded."""
    nodes: list[Any] = []
    modes = [(module, module.training) for _, module in model.named_modules()]
    x = tg.zeros(*shape, requires_grad=True)
    try:
        model.eval()
        with tg.enable_grad(), tg.hooks.watch(forward=nodes.append):  # watched, nothing is fused
            out = model(x)
    finally:
        for module, training in modes:
            module.training = training
    memory = tg.graph(out, grads=False).memory()
    runs: dict[Module, list[Any]] = {}
    for node in nodes:
        runs.setdefault(getattr(node.scope, "module", model), []).append(node)
    seen: set[int] = set()  # parameters that have been counted
    rows = []
    for path, module in model.named_modules():
        ran = runs.get(module, [])
        own = [value for _, value in module._own()]
        if ran or not any(isinstance(value, Module) for value in own):
            parameters = [p for p in own if isinstance(p, Parameter) and id(p) not in seen]
            seen.update(map(id, parameters))
            rows.append(
                Row(
                    path,
                    type(module).__name__,
                    ran[-1].out.shape if ran else None,
                    sum(p.size for p in parameters),
                    sum(node.multiply_adds for node in ran),
                    sum(memory.by_layer[layer] for layer in {str(node.scope) for node in ran}),
                    len({id(node.scope) for node in ran}),
                )
            )
    return Summary(model, shape, rows, memory.total)
