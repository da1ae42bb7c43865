"""Modules made of modules: `Sequential` runs them one after another, `ModuleList` only holds them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

from nn._fusion import run_chain
from nn.module import Module


class _Container(Module):
    """Modules under the names "0", "1", ... or under names of their own."""

    def __init__(self, modules: Iterable[Module] | Mapping[str, Module]) -> None:
        named = modules.items() if isinstance(modules, Mapping) else ((str(i), m) for i, m in enumerate(modules))
        for name, module in named:
            self._add(name, module)

    def _add(self, name: str, module: Module) -> None:
        if not isinstance(module, Module):
            raise TypeError(f"{type(self).__name__}: item {name} must be a Module, got {_instead_of_a_module(module)}")
        if not isinstance(name, str) or hasattr(type(self), name):
            raise ValueError(f"{type(self).__name__}: an item cannot be called {name!r}")
        setattr(self, name, module)

    def append(self, module: Module) -> Self:
        """Add a module at the end."""
        self._add(str(len(self)), module)
        return self

    def _items(self) -> list[Module]:
        return [value for value in vars(self).values() if isinstance(value, Module)]

    def __iter__(self) -> Iterator[Module]:
        return iter(self._items())

    def __len__(self) -> int:
        return len(self._items())

    def __getitem__(self, index: Any) -> Any:
        """The module at a position; a slice gives a container of the same modules."""
        modules = self._items()
        if isinstance(index, slice):
            return type(self)._of(modules[index])
        try:
            return modules[index]
        except IndexError:
            raise IndexError(f"{type(self).__name__}: no item {index}, there are {len(modules)}") from None

    @classmethod
    def _of(cls, modules: list[Module]) -> _Container:
        return cls(modules)


def _instead_of_a_module(value: Any) -> str:
    """What was given, in words, and what was likely meant."""
    if isinstance(value, type):
        return f"the class {value.__name__}; write {value.__name__}(...)"
    if isinstance(value, (list, tuple)):
        return f"a {type(value).__name__}; put * before it: Sequential(*layers)"
    name = getattr(value, "__name__", "")
    layers = (kind.__name__ for kind in Module.__subclasses__() if kind.__module__ == "nn.activation")
    layer = next((layer for layer in layers if layer.lower() == name.replace("_", "")), None)
    return f"the function {name}; write nn.{layer}()" if layer else repr(value)


class Sequential(_Container):
    """Modules run one after another, each on the result of the one before.

    Arguments:
        modules: one argument each, or one dict of them by name.

    Raises:
        TypeError: an item is not a module.

    Example:
        >>> import nn
        >>> net = nn.Sequential(nn.Linear(4, 2), nn.ReLU())
        >>> net
        Sequential(
          (0): Linear(in_features=4, out_features=2, bias=True)
          (1): ReLU()
        )
        >>> net[0].weight.shape
        (2, 4)

    Source: PyTorch's torch.nn.Sequential.
    """

    def __init__(self, *modules: Module | Mapping[str, Module]) -> None:
        first = modules[0] if len(modules) == 1 else None
        super().__init__(first if isinstance(first, Mapping) else modules)  # type: ignore[arg-type]  # checked in _add

    def forward(self, x: Any) -> Any:
        return run_chain(self._items(), x)

    @classmethod
    def _of(cls, modules: list[Module]) -> Sequential:
        return Sequential(*modules)


class ModuleList(_Container):
    """A list of modules, for a `forward` that goes through them by itself.

    Arguments:
        modules: any iterable of modules.

    Raises:
        TypeError: an item is not a module.

    Example:
        >>> import nn
        >>> layers = nn.ModuleList(nn.Linear(2, 2) for _ in range(3))
        >>> len(layers), [name for name, _ in layers.named_parameters()][:2]
        (3, ['0.weight', '0.bias'])

    Source: PyTorch's torch.nn.ModuleList. A plain Python list as an attribute does as well.
    """

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        super().__init__(modules)
