"""The mode of a model, and its weights of now."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import tensorgraph as tg
from nn.module import Module


@contextmanager
def mode(model: Module, *, training: bool) -> Iterator[None]:
    """The model in the mode for training or for use, and then each of its modules in the mode it had."""
    before = [(module, module.training) for _, module in model.named_modules()]
    model.train(training)
    try:
        yield
    finally:
        for module, mode in before:
            module.training = mode


def weights(model: Module) -> dict[str, tg.Tensor]:
    """A `state_dict` of copies: nothing that is done to the model changes it."""
    return {name: value.copy() for name, value in model.state_dict().items()}
