"""A primitive: a forward function on arrays, one gradient rule for each array argument, and a gate.

Calling a primitive with at least one tensor wraps the result in a tensor, and records a node if a gradient may be
asked for; calling it with arrays only just computes. Rules see the arguments of the forward function, as arrays or (for
higher derivatives) as tensors:

    rule(upstream gradient, out, *arrays, **options) -> gradient of that argument
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from tensorgraph._arguments import UNCHANGING, check_brackets, describe, frozen, plain, refusal, unexpected
from tensorgraph._context import current, located, public_kind, user_line
from tensorgraph._dtypes import promote
from tensorgraph._guard import guarded
from tensorgraph._tape import Call, Node, PairCall, Traced, keepable
from tensorgraph.errors import ShapeError
from tensorgraph.hooks import on_error

Rule = Callable[..., Any]

GATES = {
    "add": "distributes: every input gets the upstream gradient",
    "mul": "swaps: every input gets the upstream gradient times the other input",
    "copy": "adds: one value goes several ways, their gradients are summed",
    "max": "routes: the chosen input gets all of the upstream gradient, the others nothing",
    "function": "multiplies: the upstream gradient times the local derivative",
    "wire": "rearranges: the upstream gradient goes back the way the values came",
}

registry: dict[str, Primitive] = {}


_MISSING: Any = object()
OPERANDS = (Traced, np.ndarray, np.generic, int, float, list, tuple, type(None))


class Primitive:
    """A differentiable operation. Made by the decorators `primitive` and `elementwise`."""

    elementwise = False
    vjp_arrays: Rule | None = None  # on arrays, all gradients in one call: rule(wanted, g, out, *arrays, **options)
    opened: Callable[..., Any] | None = None  # of a fused operation: the same from tensors, gate by gate
    multiply_adds: Callable[..., int] | None = None  # multiply_adds(out, *arrays, **options) of one call, if it has any
    hint: Callable[..., str] | None = None  # given the arguments of a call with wrong shapes: what may have led to them

    def __init__(self, forward: Callable[..., Any], gate: str, name: str | None, saves: tuple[str, ...]) -> None:
        self.name = name or forward.__name__
        if gate not in GATES:
            raise ValueError(f"{self.name}: gate must be one of {', '.join(GATES)}, got {gate!r}")
        functools.update_wrapper(self, forward)
        self.gate = gate
        self.saves = saves
        self._read_signature(forward)
        several = "s" if len(self.arguments) > 1 else ""
        refusal = f"must not change its argument{several} {', '.join(self.arguments)}; copy it"
        self.forward = guarded(forward, refusal, "the forward function returned None; return the result")
        self.rules: tuple[Rule | None, ...] | None = None
        owner = registry.get(self.name, self).__module__
        if owner != self.__module__:  # a module may define its own operation again, as a notebook does
            raise ValueError(f'{self.name}: {owner} has an operation of that name; choose another, name="..."')
        registry[self.name] = self

    def _read_signature(self, forward: Callable[..., Any]) -> None:
        """Array arguments are the positional-only parameters, or all positional ones where there is no `/`."""
        parameters = list(inspect.signature(forward).parameters.values())
        kinds = {parameter.kind for parameter in parameters}
        self.variadic = inspect.Parameter.VAR_POSITIONAL in kinds
        array_kind = (
            inspect.Parameter.VAR_POSITIONAL
            if self.variadic
            else inspect.Parameter.POSITIONAL_ONLY
            if inspect.Parameter.POSITIONAL_ONLY in kinds
            else inspect.Parameter.POSITIONAL_OR_KEYWORD
        )
        self.arguments = tuple(p.name for p in parameters if p.kind is array_kind)
        self._positional = tuple(p.name for p in parameters if p.kind is not inspect.Parameter.KEYWORD_ONLY)
        self._defaults = {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}
        if not self.arguments:
            raise TypeError(f"{self.name}: a primitive takes at least one array, as a positional argument")

    # --- gradient rules ---

    def vjp(self, **rules: Rule | None) -> None:
        """Give one rule for each array argument, under the argument's own name; None says not differentiable.

        Arguments:
            rules: `rule(g, out, *arrays, **options)` returns the gradient of that argument, in its shape (an
                element-wise primitive may leave it in the shape of the output). The rule for a variadic `*arrays` is
                called with the position of the argument first: `rule(i, g, out, *arrays, **options)`.

        Raises:
            TypeError: a rule is missing, or named like no argument.
        """
        missing = [name for name in self.arguments if name not in rules]
        unknown = [name for name in rules if name not in self.arguments]
        if missing or unknown:
            wrong = [f"no argument is called {', '.join(unknown)}"] if unknown else []
            wrong += [f"no rule for {', '.join(missing)}"] if missing else []
            raise TypeError(f"{self.name}.vjp: {'; '.join(wrong)}; the array arguments are {', '.join(self.arguments)}")
        self.rules = tuple(self._guarded(name, rules[name]) for name in self.arguments)

    def _guarded(self, name: str, rule: Rule | None) -> Rule | None:
        given = ", ".join(("g", "out", *self.arguments))
        return rule and guarded(rule, f"{self.name}: the gradient rule for {name} must not change {given}; copy it")

    def argument(self, i: int) -> str:
        """The name of the i-th array argument."""
        return f"{self.arguments[0]}[{i}]" if self.variadic else self.arguments[i]

    def names(self, arrays: Any) -> list[str]:
        """The names of all arguments of a call."""
        return [self.argument(i) for i in range(len(arrays))]

    # --- calls ---

    def __call__(self, *args: Any, **options: Any) -> Any:
        if len(args) != len(self.arguments) and not self.variadic:
            args, options = self._bind(args, options)
        arrays: list[Any] = []
        parents: list[Node | None] = []
        beside: Traced | None = None
        mixed = False
        for arg in args:
            if isinstance(arg, Traced):
                beside = arg
                parents.append(arg._node)
                arrays.append(keepable(arg) if arg._exposed else arg._array)
            else:
                mixed = True
                parents.append(None)
                arrays.append(arg)
        if beside is None:
            arrays = [plain(arg, alone=len(args) == 1) for arg in args]
        else:
            if mixed:
                for i, arg in enumerate(args):
                    if not isinstance(arg, Traced):
                        arrays[i] = self._own(i, arg, beside)
            for name, value in options.items():
                if type(value) not in UNCHANGING:
                    options[name] = frozen(value)
        out = self._compute(args, arrays, options)
        if self.saves:
            out, *saved = out
            for name, value in zip(self.saves, saved, strict=True):
                options[name] = value
        if beside is None:
            return out
        if type(out) is not np.ndarray:
            out = np.asarray(out)
        kind = out.dtype.kind
        if kind not in "biuf":
            raise located(TypeError, self.name, f"the forward function returned {out.dtype}, not numbers")
        if kind == "f" and any(parents) and (context := current()).recording:
            return beside._wrap(out, Call(self, tuple(parents), tuple(arrays), out, options, context))
        return beside._wrap(out)

    def _bind(self, args: tuple[Any, ...], options: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Sort a call with arrays by keyword, options by position or defaults left out into (arrays, options)."""
        if len(args) > len(self._positional):
            raise located(TypeError, self.name, f"takes ({', '.join(self._positional)}), got {len(args)} arguments")
        given = dict(zip(self._positional, args, strict=False))
        if twice := given.keys() & options.keys():
            raise located(TypeError, self.name, f"got {', '.join(sorted(twice))} twice, by position and by name")
        given.update(options)
        if missing := [n for n in self.arguments if n not in given and n not in self._defaults]:
            raise located(TypeError, self.name, f"missing {', '.join(missing)}")
        arrays = tuple(given.pop(n) if n in given else self._defaults[n] for n in self.arguments)
        return arrays, given

    def _own(self, i: int, value: Any, beside: Traced) -> Any:
        """A raw argument beside a tensor, as the tape may keep it: numbers stay numbers, arrays are copied."""
        if isinstance(value, (int, float)) and not isinstance(value, np.generic):
            return value
        if value is None and self._defaults.get(self.argument(i), _MISSING) is None:
            return None
        if isinstance(value, np.generic) and value.dtype.kind in "biuf":
            return value.item()
        if isinstance(value, (np.ndarray, list, tuple)):
            array = np.array(value, order="K")
            if array.dtype == np.float64 and not isinstance(value, np.ndarray):  # Python's floats
                like = beside._array.dtype
                array = array.astype(like if like.kind == "f" else np.float32)
            if array.dtype.kind in "biuf":
                return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))
        raise located(TypeError, self.name, refusal(self.argument(i), value))

    def _compute(self, args: Any, arrays: list[Any], options: dict[str, Any]) -> Any:
        try:
            return self.forward(*arrays, **options)
        except Exception as error:  # noqa: BLE001 (raised again, with the place named)
            raise self._explain(error, args, arrays) from None

    def _explain(self, error: Exception, args: Any, arrays: Any) -> Exception:
        """The same error, naming the layer, the operation and the user's line."""
        if getattr(error, "_located", False):  # by a primitive called inside this one's forward
            return error
        if (kind := public_kind(error)) is not None:
            hint = self.hint(*args) if self.hint is not None and kind is ShapeError else ""
            got = f"; got {describe(self.names(arrays), arrays)}" if kind is np.exceptions.AxisError else ""
            strange = [i for i, arg in enumerate(args) if not isinstance(arg, OPERANDS)]
            text = f"{unexpected(error, self.forward)}{hint}{got}"
            if strange:
                kind, text = TypeError, refusal(self.argument(strange[0]), args[strange[0]])
            named = located(kind, self.name, text).with_traceback(error.__traceback__)
        else:
            named = error
            named.add_note(f"in {self.name} of {describe(self.names(arrays), arrays)}")
        named._located = True  # type: ignore[attr-defined]
        if (line := user_line()) is not None:
            named.add_note(f"at {line}")
        for watcher in on_error:
            watcher(named, self, args)
        return named

    def __repr__(self) -> str:
        return f"<primitive {self.name}, gate {self.gate}>"


class Elementwise(Primitive):
    """A primitive that broadcasts its arguments like NumPy; the reverse walk undoes the broadcasting.

    Types are promoted as in PyTorch: numbers and zero-dimensional values do not promote arrays of their own kind,
    integers take the type of the floats they meet, and what integers alone cannot express is float32.
    """

    elementwise = True
    promotes = True

    def __call__(self, *args: Any, **options: Any) -> Any:
        return Primitive.__call__(self, *(_promoted(args) if self.promotes and len(args) > 1 else args), **options)

    def _compute(self, args: Any, arrays: list[Any], options: dict[str, Any]) -> Any:
        out = Primitive._compute(self, args, arrays, options)
        if type(out) is type(arrays[0]) is np.ndarray and out.dtype is arrays[0].dtype:
            return out  # the most frequent case
        if self.promotes and np.asarray(out).dtype.kind == "f":
            kinds = {array.dtype.kind for array in arrays if isinstance(array, np.ndarray)}
            if kinds and "f" not in kinds:  # NumPy goes from small integers to float16 and from large ones to float64
                floats = [array.astype(np.float32) if isinstance(array, np.ndarray) else array for array in arrays]
                return super()._compute(args, floats, options)
        return out

    def _explain(self, error: Exception, args: Any, arrays: Any) -> Exception:
        if type(error) is ValueError and "broadcast" in str(error):
            text = f"{describe(self.names(arrays), arrays)} do not broadcast"
            error = ShapeError(text).with_traceback(error.__traceback__)
        return super()._explain(error, args, arrays)


class Binary(Elementwise):
    """An element-wise primitive of two arrays, no options: `Primitive.__call__` unrolled, the tape's hottest path."""

    def __call__(self, x: Any = _MISSING, y: Any = _MISSING, /, *more: Any) -> Any:
        if y is _MISSING or more:
            got = len(more) + (x is not _MISSING) + (y is not _MISSING)
            raise located(TypeError, self.name, f"takes 2 arguments, got {got}")
        if isinstance(x, Traced):
            beside = x
            a: Any = keepable(x) if x._exposed else x._array
            p = x._node
            if isinstance(y, Traced):
                b: Any = keepable(y) if y._exposed else y._array
                q = y._node
            else:
                b = y if type(y) is float or type(y) is int else self._own(1, y, x)
                q = None
        elif isinstance(y, Traced):
            beside = y
            a = x if type(x) is float or type(x) is int else self._own(0, x, y)
            p = None
            b = keepable(y) if y._exposed else y._array
            q = y._node
        else:
            return self._compute((x, y), list(_promoted((x, y))), {})
        try:
            out = self.forward(a, b)
        except Exception as error:  # noqa: BLE001 (raised again, with the place named)
            raise self._explain(error, (x, y), (a, b)) from None
        dtype = out.dtype
        if (type(a) is np.ndarray and a.dtype is not dtype) or (type(b) is np.ndarray and b.dtype is not dtype):
            if type(a) is np.ndarray and type(b) is np.ndarray and a.dtype != b.dtype:
                return self(*_promoted((x if isinstance(x, Traced) else a, y if isinstance(y, Traced) else b)))
            out = self._compute((x, y), [a, b], {})
        if type(out) is not np.ndarray:
            out = np.asarray(out)
        if (p is not None or q is not None) and (context := current()).recording:
            return beside._wrap(out, PairCall(self, p, q, a, b, out, context))
        return beside._wrap(out)


# --- what goes in, in one type and safe from changes -----------------------------------------------------------------


def _promoted(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments with their arrays and tensors in one type. The conversion of a tensor is recorded."""
    values = [arg._array if isinstance(arg, Traced) else arg for arg in args]
    dtypes = {value.dtype for value in values if isinstance(value, np.ndarray)}
    if len(dtypes) < 2:
        return args
    dtype = promote(values)
    return tuple(
        astype(arg, dtype=dtype) if isinstance(value, np.ndarray) and value.dtype != dtype else arg
        for arg, value in zip(args, values, strict=True)
    )


# --- decorators ------------------------------------------------------------------------------------------------------


def primitive(
    gate: str, *, name: str | None = None, saves: tuple[str, ...] = ()
) -> Callable[[Callable[..., Any]], Primitive]:
    """Make a primitive of a forward function on arrays.

    The array arguments are the function's positional-only parameters, or all its positional ones if it has no `/`;
    the others are options.

    Arguments:
        gate: the rule that the gradient follows: add, mul, copy, max, function or wire.
        name: the operation's name in graphs and messages, which no other module uses; the function's own if None.
        saves: names of further results. The function then returns (out, *further results); the caller sees only
            `out`, the rules find the others among the options.

    Example:
        >>> import numpy as np, tensorgraph as tg
        >>> @tg.extend.primitive(gate="add")
        ... def scaled_sum(x, /, *, scale=1.0):
        ...     return scale * x.sum()
        >>> scaled_sum.vjp(x=lambda g, out, x, *, scale=1.0: scale * tg.broadcast_to(g, x.shape))
        >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
        >>> scaled_sum(x, scale=3.0).backward()
        >>> x.grad
        tensor([3., 3.])
    """
    check_brackets("primitive", gate)
    return lambda forward: Primitive(forward, gate, name, saves)


def elementwise(
    gate: str, *, name: str | None = None, promotes: bool = True
) -> Callable[[Callable[..., Any]], Elementwise]:
    """Make an element-wise primitive: its arrays broadcast, and the reverse walk sums the gradients back.

    Arguments:
        gate: the rule that the gradient follows: add, mul, copy, max, function or wire.
        name: the operation's name in graphs and messages, which no other module uses; the function's own if None.
        promotes: bring the arrays to one type first, as PyTorch does.

    Example:
        >>> import numpy as np, tensorgraph as tg
        >>> @tg.extend.elementwise(gate="function")
        ... def cube(x, /):
        ...     return x * x * x
        >>> cube.vjp(x=lambda g, out, x: g * 3 * x * x)
        >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
        >>> cube(x).sum().backward()
        >>> x.grad
        tensor([ 3., 12.])
    """

    check_brackets("elementwise", gate)

    def decorate(forward: Callable[..., Any]) -> Elementwise:
        kinds = [p.kind for p in inspect.signature(forward).parameters.values()]
        two_arrays = kinds == [inspect.Parameter.POSITIONAL_ONLY] * 2
        made = (Binary if two_arrays and promotes else Elementwise)(forward, gate, name, ())
        made.promotes = promotes
        return made

    return decorate


@primitive(gate="wire")
def astype(x: Any, /, dtype: Any) -> Any:
    """Convert x to another type. The gradient is converted back; it ends where floats become integers.

    Example:
        >>> import tensorgraph as tg
        >>> tg.astype(tg.tensor([1.0, 2.5]), "int64")
        tensor([1, 2])
    """
    if np.dtype(dtype).kind not in "biuf":
        raise TypeError(f"dtype must be of numbers or bools, got {np.dtype(dtype)}")
    return x.astype(dtype)


astype.vjp(x=lambda g, out, x, dtype: astype(g, dtype=x.dtype))
