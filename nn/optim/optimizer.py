"""What all optimizers have in common: parameters in groups, each with its options, and a state for each parameter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

import tensorgraph as tg
from nn.module import Module, Parameter

Array = np.ndarray[Any, np.dtype[Any]]


class Optimizer:
    """The base of the optimizers. A subclass says which options are allowed and how one parameter is updated.

    Attributes:
        param_groups: one dict a group, with "params" and the options by name. Options may be changed at any time.
        state: by parameter, what the rule remembers of earlier steps: arrays and numbers by name.
    """

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self.param_groups: list[dict[str, Any]] = []
        self.state: dict[tg.Tensor, dict[str, Any]] = {}
        if isinstance(params, (tg.Tensor, Module, Mapping)) or not isinstance(params, Iterable):
            call = "call it: model.parameters()" if callable(params) else "pass a list"
            fix = "pass model.parameters()" if isinstance(params, Module) else call
            raise TypeError(f"{self._name}: params must be an iterable of tensors, got {type(params).__name__}; {fix}")
        found = list(params)
        if not found:
            raise ValueError(f"{self._name}: got no parameters; note that model.parameters() can be read only once")
        grouped = all(isinstance(item, dict) for item in found)
        for group in found if grouped else [{"params": found}]:
            self.add_param_group(group)

    @property
    def _name(self) -> str:
        return type(self).__name__

    def _checked(self, options: dict[str, Any]) -> dict[str, Any]:
        """The options of a group as the rule wants them; raises if one is impossible."""
        raise NotImplementedError(f"{self._name}: define _checked(self, options)")

    def _update(self, value: Array, gradient: Array, state: dict[str, Any], group: dict[str, Any]) -> None:
        """Change the value of one parameter in place."""
        raise NotImplementedError(f"{self._name}: define _update(self, value, gradient, state, group)")

    def _calls(self, params: list[Any], group: dict[str, Any]) -> list[tg.updates.Call]:
        """What to call to change the parameters of a group, which have gradients, and their state.

        A rule that calls nothing but compiled functions says so here, and its steps cannot be interrupted half-way.
        """
        return [  # `p.data` is p's own array: it is copied first if a graph still needs it
            (self._update, p.data, p.grad.data, self.state.setdefault(p, {}), group) for p in params
        ]

    def add_param_group(self, group: dict[str, Any]) -> None:
        """Add parameters with options of their own; options not given are the optimizer's.

        Arguments:
            group: {"params": parameters, "lr": ..., ...}.

        Raises:
            TypeError, ValueError: an option is unknown or impossible; a parameter is no leaf tensor of floats, requires
                no gradient (a frozen nn.Parameter may), or is in the optimizer already. Nothing has changed then.
        """
        options = {name: value for name, value in group.items() if name != "params"}
        if "params" not in group:
            raise ValueError(f'{self._name}: a group needs "params", got only {", ".join(group) or "nothing"}')
        if unknown := [name for name in options if name not in self.defaults]:
            raise TypeError(f"{self._name}: unknown option {', '.join(unknown)}; it has {', '.join(self.defaults)}")
        params = [group["params"]] if isinstance(group["params"], tg.Tensor) else list(group["params"])
        if not params:
            raise ValueError(f"{self._name}: got a group without parameters")
        seen = {id(p) for known in self.param_groups for p in known["params"]}
        for i, p in enumerate(params):
            self._check_parameter(i, p)
            if id(p) in seen:
                raise ValueError(f"{self._name}: parameter {i} of shape {p.shape} was given twice")
            seen.add(id(p))
        self.param_groups.append({"params": params, **self._checked(self.defaults | options)})

    def _check_parameter(self, i: int, p: Any) -> None:
        if not isinstance(p, tg.Tensor):
            fix = "; use parameters() instead of named_parameters()" if isinstance(p, tuple) else ""
            raise TypeError(f"{self._name}: parameter {i} must be a Tensor, got {type(p).__name__}{fix}")
        if not p.is_leaf:
            raise ValueError(f"{self._name}: parameter {i} of shape {p.shape} is no leaf, it was computed")
        if p.dtype.kind != "f":
            raise TypeError(f"{self._name}: parameter {i} must hold floats, got {p.dtype}")
        if not (p.requires_grad or isinstance(p, Parameter)):  # a Parameter that requires none is frozen on purpose
            raise ValueError(
                f"{self._name}: parameter {i} of shape {p.shape} requires no gradient and would never change; "
                "make it an nn.Parameter, or with requires_grad=True"
            )

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters; False makes those that there are zeros, with which `step` goes on."""
        for group in self.param_groups:
            for p in group["params"]:
                p.grad = None if set_to_none or p.grad is None else tg.zeros_like(p.grad)

    def step(self) -> None:
        """Change every parameter that has a gradient: all of them, or none if the program is interrupted."""
        calls: list[tg.updates.Call] = []
        for group in self.param_groups:
            calls += self._calls([p for p in group["params"] if p.grad is not None], group)
        tg.updates.apply(calls)

    # --- saving ---

    def state_dict(self) -> dict[str, Any]:
        """A copy: {"state": one dict a parameter, "param_groups": the options, with positions for parameters}."""
        params = [p for group in self.param_groups for p in group["params"]]
        position = {id(p): i for i, p in enumerate(params)}
        return {
            "state": [_copied(self.state.get(p, {})) for p in params],
            "param_groups": [
                {**group, "params": [position[id(p)] for p in group["params"]]} for group in self.param_groups
            ],
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from the state of an optimizer of the same kind, with as many parameters in each group.

        Raises:
            ValueError: the state does not fit. Nothing has changed then.
        """
        params = [p for group in self.param_groups for p in group["params"]]
        try:
            states = [dict(state) for state in state_dict["state"]]
            sizes = [len(group["params"]) for group in state_dict["param_groups"]]
            options = [  # in the types of the present ones, because files know no tuples
                {name: type(value)(group[name]) for name, value in own.items() if name != "params"}
                for own, group in zip(self.param_groups, state_dict["param_groups"], strict=False)
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{self._name}.load_state_dict: not the state of such an optimizer: {error!r}") from None
        own_sizes = [len(group["params"]) for group in self.param_groups]
        if sizes != own_sizes or len(states) != len(params):
            raise ValueError(
                f"{self._name}.load_state_dict: expected {len(params)} parameters in groups of {own_sizes}, "
                f"got {len(states)} in groups of {sizes}"
            )
        for i, (p, state) in enumerate(zip(params, states, strict=True)):
            for name, value in state.items():
                if isinstance(value, np.ndarray) and value.shape != p.shape:
                    raise ValueError(
                        f"{self._name}.load_state_dict: {name} of parameter {i} has shape {value.shape}, "
                        f"the parameter {p.shape}"
                    )
        self.state = {p: _copied(state) for p, state in zip(params, states, strict=True) if state}
        for group, new in zip(self.param_groups, options, strict=True):
            group.update(new)

    def __repr__(self) -> str:
        lines = []
        for group in self.param_groups:
            options = ", ".join(f"{name}={value}" for name, value in group.items() if name != "params")
            lines.append(f"{self._name}({sum(p.size for p in group['params']):,} parameters, {options})")
        return "\n".join(lines)


def remembered(state: dict[str, Any], name: str, like: Array, start: float = 0.0) -> Array:
    """The array of that name in the state of a parameter; at its first step one of its shape, full of `start`."""
    if name not in state:
        state[name] = np.full(like.shape, start, like.dtype)
    found: Array = state[name]
    return found


def _copied(state: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in state.items()}
