"""Module: an object with parameters, buffers and sub-modules, which are found by looking at its attributes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np

import tensorgraph as tg


class Parameter(tg.Tensor):
    """A tensor that a module learns: a leaf that requires a gradient, found as an attribute of a module.

    Arguments:
        data: floats, as an array, a number, nested lists or a Tensor; copied. requires_grad: False freezes it.

    Raises:
        TypeError: the data are not floats.

    Example:
        >>> import nn
        >>> nn.Parameter([1.0, 2.0])
        tensor([1., 2.], requires_grad=True)
    """

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        super().__init__(data.data if isinstance(data, tg.Tensor) else data, requires_grad=requires_grad)


class Keys(NamedTuple):
    """What `load_state_dict` with strict=False found no use for, or missed."""

    missing_keys: list[str]
    unexpected_keys: list[str]


_new = tuple.__new__  # _Place(...) by name takes twice as long


class Module:
    """A part of a network: give it parameters and sub-modules as attributes, and say in `forward` what it computes.

    Whatever an attribute holds is found, in lists, tuples and dicts too, in the order of definition: every `Parameter`,
    every tensor registered by `register_buffer` and every `Module`. What is shared is found once, at its first place.

    Example:
        >>> import nn, tensorgraph as tg
        >>> class Affine(nn.Module):
        ...     def __init__(self):
        ...         self.scale = nn.Parameter([2.0])
        ...         self.shifts = [nn.Parameter([0.0]), nn.Parameter([1.0])]
        ...
        ...     def forward(self, x):
        ...         return x * self.scale + self.shifts[0] + self.shifts[1]
        >>> [name for name, _ in Affine().named_parameters()]
        ['scale', 'shifts.0', 'shifts.1']
        >>> Affine()(tg.tensor([1.0, 2.0])).detach()
        tensor([3., 5.])

    Source: PyTorch's torch.nn.Module. A module's `__init__` need not call this class's.
    """

    training: bool = True
    _buffers: tuple[str, ...] = ()  # the names of the attributes that are buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; subclasses say it."""
        raise NotImplementedError(f"{type(self).__name__}: define forward(self, x)")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run `forward`; what it records, and the errors it raises, carry the path of this module."""
        return tg.scope.call(_new(_Place, (self, tg.current_scope(), ())), self.forward, args, kwargs)

    def _run(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], layers: Sequence[Module]) -> Any:
        """Run an operation that stands for `layers`, of which this is the first."""
        return tg.scope.call(_new(_Place, (self, tg.current_scope(), layers)), function, args, kwargs)

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(vars(self).get(name), Parameter) and not isinstance(value, (Parameter, type(None))):
            raise TypeError(
                f"{type(self).__name__}.{name} is a Parameter, got {type(value).__name__}; assign an nn.Parameter, "
                f"or change its values: with tg.no_grad(): layer.{name}[...] = values"
            )
        super().__setattr__(name, value)

    # --- what is inside ---

    def _own(self) -> Iterator[tuple[str, Any]]:
        """The parameters, buffers and sub-modules of this module, not those below: (name, value)."""
        for name, value in vars(self).items():
            if name in self._buffers:
                if value is not None:
                    yield name, value
            else:
                yield from _opened(name, value)

    def _walk(self, prefix: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
        """Everything below, depth first, each once: (path, value)."""
        for name, value in self._own():
            if id(value) not in seen:
                seen.add(id(value))
                yield prefix + name, value
                if isinstance(value, Module):
                    yield from value._walk(f"{prefix}{name}.", seen)

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """This module under the path "", then all modules below: (path, module)."""
        yield "", self
        for path, value in self._walk("", {id(self)}):
            if isinstance(value, Module):
                yield path, value

    def modules(self) -> Iterator[Module]:
        """This module, then all modules below."""
        return (module for _, module in self.named_modules())

    def children(self) -> Iterator[Module]:
        """The modules right below this one."""
        return iter(dict.fromkeys(value for _, value in self._own() if isinstance(value, Module)))

    def apply(self, function: Callable[[Module], Any]) -> Self:
        """Call a function with this module and with each below, to set their weights for example."""
        for _, module in self.named_modules():
            function(module)
        return self

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """All parameters with their paths, such as "features.0.weight"."""
        for path, value in self._walk("", {id(self)}):
            if isinstance(value, Parameter):
                yield path, value

    def parameters(self) -> Iterator[Parameter]:
        """All parameters."""
        return (parameter for _, parameter in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, tg.Tensor]]:
        """All buffers with their paths: tensors that belong to the state but are not learned, such as running means."""
        for path, value in self._walk("", {id(self)}):
            if not isinstance(value, (Module, Parameter)):
                yield path, value

    def buffers(self) -> Iterator[tg.Tensor]:
        """All buffers."""
        return (buffer for _, buffer in self.named_buffers())

    def register_buffer(self, name: str, tensor: tg.Tensor | None) -> None:
        """Make `tensor` an attribute that is part of the state and not learned; None keeps the place free.

        Raises:
            TypeError: it is a Parameter, or no tensor.
        """
        if isinstance(tensor, Parameter) or not (tensor is None or isinstance(tensor, tg.Tensor)):
            raise TypeError(
                f"{type(self).__name__}.register_buffer: {name} must be a plain tensor, got {type(tensor).__name__}"
            )
        self._buffers = (*self._buffers, name)
        setattr(self, name, tensor)

    # --- the state ---

    def state_dict(self) -> dict[str, tg.Tensor]:
        """All parameters and buffers by path, as tensors cut off from the graph.

        The values are those of now: training on does not change them, nor does writing to a parameter's `.data`, be it
        taken before. Nothing is copied until then, unless the program still holds such an array.

        Example:
            >>> import nn
            >>> {name: value.shape for name, value in nn.Linear(3, 2).state_dict().items()}
            {'weight': (2, 3), 'bias': (2,)}
        """
        with tg.no_grad():  # an operation takes values that nobody can write to, t.detach() would not
            return {path: tensor[...] for path, tensor in self._state()}

    def _state(self) -> Iterator[tuple[str, tg.Tensor]]:
        return ((path, value) for path, value in self._walk("", {id(self)}) if isinstance(value, tg.Tensor))

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> Keys:
        """Set the parameters and buffers to the values of a `state_dict`.

        Arguments:
            state_dict: tensors or arrays by path, in the shapes of the parameters; floats take the parameter's type.
            strict: False leaves alone what is missing, and ignores what is unexpected.

        Returns:
            (missing_keys, unexpected_keys).

        Raises:
            TypeError, ValueError: something does not fit. The message lists all of it, and nothing has changed.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"load_state_dict: expected a dict of arrays by name, got {type(state_dict).__name__}")
        own = dict(self._state())
        keys = Keys([name for name in own if name not in state_dict], [name for name in state_dict if name not in own])
        faults = [f"missing: {name}" for name in keys.missing_keys] if strict else []
        faults += [f"unexpected: {name}" for name in keys.unexpected_keys] if strict else []
        values = {name: _values(state_dict[name]) for name in own if name in state_dict}
        for name, value in values.items():
            tensor = own[name]
            if value.shape != tensor.shape:
                faults.append(f"{name}: expected shape {tensor.shape}, got {value.shape}")
            elif value.dtype.kind != tensor.dtype.kind:
                faults.append(f"{name}: expected {tensor.dtype}, got {value.dtype}")
        if {"model", "optimizer"} <= set(keys.unexpected_keys):
            raise ValueError(
                'load_state_dict: this is a checkpoint of a training; its weights are state["model"], and '
                "trainer.fit(..., resume=path) goes on with the training"
            )
        if faults:
            raise ValueError(f"load_state_dict: {type(self).__name__} was not changed:\n  " + "\n  ".join(faults))
        with tg.no_grad():
            for name, value in values.items():
                own[name][...] = value
        return keys

    # --- the mode ---

    def train(self, mode: bool = True) -> Self:
        """Set the mode for this module and all below: dropout and batch norm differ between training and use."""
        for _, module in self.named_modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Set the mode for use: `train(False)`."""
        return self.train(False)

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters():
            parameter.grad = None

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Freeze all parameters (False), or let them learn again."""
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
        return self

    # --- how it is printed ---

    def extra_repr(self) -> str:
        """The settings of the module, for `repr`."""
        return ""

    def __repr__(self) -> str:
        head = type(self).__name__
        lines = [f"({name}): {value!r}" for name, value in self._own() if isinstance(value, Module)]
        if not lines:
            return f"{head}({self.extra_repr()})"
        body = "\n".join([self.extra_repr(), *lines] if self.extra_repr() else lines)
        return f"{head}(\n  " + body.replace("\n", "\n  ") + "\n)"


def _opened(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The parameters and modules that a value is or holds: (path, value)."""
    if isinstance(value, (Module, Parameter)):
        yield name, value
    elif isinstance(value, (list, tuple, dict)):
        items: Iterable[tuple[Any, Any]] = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from _opened(f"{name}.{key}", item)


def _values(value: Any) -> Any:
    return value if isinstance(value, tg.Tensor) else np.asarray(value)


# --- where we are ----------------------------------------------------------------------------------------------------


class _Place(NamedTuple):
    """A module that runs, as graphs and errors call it: "features.2 (Conv2d)" below the outermost running module.

    Graphs keep it, and through it the module; a module keeps no graph, so there is no reference cycle. Paths are looked
    up when somebody asks, because calls are many and questions few.
    """

    module: Module
    outer: object  # the place of the module that called this one, or what was there before all modules
    layers: Sequence[Module] = ()  # all that run as one operation, if there are several

    def __str__(self) -> str:
        return self.label({})

    def label(self, known: dict[Any, Any]) -> str:
        """Path and class; `known` keeps the paths of whole models from one question to the next."""
        path, kind = self._paths(known).get(id(self.module)), type(self.module).__name__
        return f"{path} ({kind})" if path else kind

    def path_of(self, tensor: Any, known: dict[Any, Any]) -> str | None:
        """The name of a parameter in the outermost running module, None if it is not one of its."""
        path: str | None = self._paths(known).get(id(tensor))
        return path

    @property
    def steps(self) -> list[_Place]:
        """The places of the layers that run as one operation."""
        return [_Place(layer, self.outer) for layer in self.layers]

    def _paths(self, known: dict[Any, Any]) -> dict[int, str]:
        """The paths of everything in the outermost running module, by identity."""
        place = self
        while isinstance(place.outer, _Place):
            place = place.outer
        root = place.module
        if id(root) not in known:
            known[id(root)] = {id(part): path for path, part in (*root.named_modules(), *root.named_parameters())}
        found: dict[int, str] = known[id(root)]
        return found


def layer_error(kind: type[Exception], text: str) -> Exception:
    """The error `kind` with the running layer named before the text: what a layer's own check raises."""
    return kind(f"{tg.current_scope()}: {text}")
