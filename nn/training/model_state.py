"""The mode of a model, and its weights of now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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


class Buffers:
    """The values of the buffers of a model as they are now, such as the running means of batch norm."""

    def __init__(self, modules: Iterable[Module]) -> None:
        places = [(module, name, getattr(module, name)) for module in modules for name in module._buffers]
        self.values = [(*place, place[-1].copy()) for place in places if place[-1] is not None]

    def restore(self) -> None:
        """Put them back."""
        with tg.no_grad():
            for module, name, buffer, value in self.values:
                buffer[...] = value
                setattr(module, name, buffer)  # a module may have made a new one in its place
