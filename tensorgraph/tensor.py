"""class Tensor: an array that remembers how it was computed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from tensorgraph import _protocols, ops
from tensorgraph._backward import walk
from tensorgraph._context import current, located
from tensorgraph._methods import Methods
from tensorgraph._renamed import missing
from tensorgraph._tape import Array, Leaf, Node, Traced, expose, keepable, named, writable
from tensorgraph.errors import GradError, ShapeError


def as_array(data: Any, dtype: Any = None) -> Array:
    """The data as an array of its own: NumPy values keep their type, Python numbers become float32 or int64."""
    if isinstance(data, Traced):
        raise located(TypeError, "tensor", "got a Tensor; use t.detach().copy(), or t.copy() to stay differentiable")
    if isinstance(data, (list, tuple)) and any(isinstance(item, Traced) for item in data):
        raise located(TypeError, "tensor", "got a list of Tensors; join them with stack or concatenate")
    try:
        array = np.array(data)
    except ValueError as error:
        raise located(ShapeError, "tensor", f"data is not a regular array: {error}") from None
    if array.dtype.kind not in "biuf":
        raise located(TypeError, "tensor", f"data must be numbers, got {array.dtype} from {type(data).__name__}")
    if dtype is not None:
        array = _as_type(array, dtype)
    elif array.dtype == np.float64 and not isinstance(data, (np.ndarray, np.generic)):
        array = array.astype(np.float32)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


_new = object.__new__


def seed_gradient(output: Tensor, gradient: Any, op: str) -> Tensor:
    """The upstream gradient of an output as a tensor of its shape and type: what was given, or 1 for a scalar."""
    if gradient is None:
        array = output._array
        if array.size != 1:
            raise located(
                GradError,
                op,
                f"the output has shape {output.shape}, which is not a scalar; reduce it with .sum() or .mean(), "
                "or give the upstream gradient",
            )
        return Tensor._wrap(np.array(1, array.dtype).reshape(array.shape))
    seed = gradient if isinstance(gradient, Tensor) else Tensor(gradient, dtype=output.dtype)
    if seed.shape != output.shape:
        raise located(ShapeError, op, f"gradient has shape {seed.shape}, the output has shape {output.shape}")
    if seed.dtype != output.dtype:
        return seed.astype(output.dtype)
    return Tensor._wrap(keepable(seed), seed._node)  # it may become a .grad: the caller's tensor stays the caller's


def _as_type(array: Array, dtype: Any) -> Array:
    try:
        kind = np.dtype(dtype).kind
    except TypeError as error:
        raise located(TypeError, "tensor", error) from None
    if kind not in "biuf":
        raise located(TypeError, "tensor", f"dtype must be of numbers or bools, got {np.dtype(dtype)}")
    return array.astype(dtype)


class Tensor(Methods):
    """An n-dimensional array and the node of the tape that made it. Made by `tg.tensor` and by operations."""

    __slots__ = ()

    def __init__(self, data: Any, *, dtype: Any = None, requires_grad: bool = False, name: str | None = None) -> None:
        self._array = as_array(data, dtype)
        self._node = None
        self._exposed = False
        self._grad = None
        self._name = None
        self.requires_grad = requires_grad
        self.name = name

    @staticmethod
    def _wrap(array: Array, node: Node | None = None) -> Tensor:
        """A result of an operation: a plain Tensor, whatever subclass went in."""
        tensor = _new(Tensor)
        tensor._array = array
        tensor._node = node
        tensor._exposed = False
        tensor._grad = None
        tensor._name = None
        return tensor

    if not TYPE_CHECKING:  # a type checker shall find what is missing

        def __getattr__(self, name: str) -> Any:
            """Called for what is missing only."""
            raise missing(self, f"{type(self).__name__!r} object", name)

    # --- the value ---

    @property
    def data(self) -> Array:
        """The values as a NumPy array. Writing to it changes this tensor, never a graph that was recorded before.

        Values that are assigned take its type; integers refuse what they would change.
        """
        return expose(self)

    @data.setter
    def data(self, value: Any) -> None:
        if value is self._array and self._exposed:
            return  # t.data += 1 ends here
        given = value._array if isinstance(value, Traced) else value
        with np.errstate(invalid="ignore"):  # what no integer can hold is told below
            array = as_array(given, self.dtype)
        if array.shape != self.shape:
            raise located(
                ShapeError, "data", f"the new values have shape {array.shape}, the tensor has shape {self.shape}"
            )
        if array.dtype.kind != "f" and not np.array_equal(array, given):
            types = f"{np.asarray(given).dtype}, which a tensor of {self.dtype} cannot hold unchanged"
            raise located(TypeError, "data", f"the new values are {types}; round them first")
        self._array, self._exposed = array, False

    def numpy(self) -> Array:
        """The values as a NumPy array.

        Raises:
            GradError: the tensor requires a gradient, which the array would lose; use t.detach().numpy().
        """
        if self.requires_grad:
            raise located(
                GradError, "numpy", "the tensor requires a gradient, which the array would lose; use t.detach().numpy()"
            )
        return expose(self)

    def item(self) -> Any:
        """The only element as a Python number."""
        if self.size != 1:
            raise located(ShapeError, "item", f"needs exactly one element, got shape {self.shape}")
        return self._array.item()

    def tolist(self) -> Any:
        return self._array.tolist()

    def detach(self) -> Tensor:
        """The same values, cut off from the graph."""
        tensor = Tensor._wrap(self._array)
        tensor._exposed = self._exposed
        tensor._name = self._name
        return tensor

    @property
    def shape(self) -> tuple[int, ...]:
        return self._array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._array.dtype

    @property
    def ndim(self) -> int:
        return self._array.ndim

    @property
    def size(self) -> int:
        return self._array.size

    @property
    def nbytes(self) -> int:
        return self._array.nbytes

    @property
    def name(self) -> str | None:
        return self._name

    @name.setter
    def name(self, name: str | None) -> None:
        if name is not None and not isinstance(name, str):
            raise located(TypeError, "name", f"must be a string, got {type(name).__name__}")
        self._name = name
        if self._node is not None:
            self._node.name = name
        elif name is not None:
            named[id(self._array), name] = self._array

    # --- the gradient ---

    @property
    def requires_grad(self) -> bool:
        return self._node is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if value == self.requires_grad:
            return
        if not value and not self.is_leaf:
            raise located(GradError, "requires_grad", "only a leaf can stop requiring a gradient; use t.detach()")
        if value and self.dtype.kind != "f":
            raise located(
                TypeError,
                "requires_grad",
                f'only floats can require gradients, got {self.dtype}; use t.astype("float32")',
            )
        self._node = Leaf(self) if value else None
        if value:
            self._node.name = self._name  # type: ignore[union-attr]  # just made

    def requires_grad_(self, value: bool = True) -> Tensor:
        self.requires_grad = value
        return self

    @property
    def is_leaf(self) -> bool:
        """Whether the tensor was made rather than computed from tensors that require gradients."""
        return self._node is None or self._node.primitive is None

    @property
    def grad(self) -> Tensor | None:
        """The gradient that `backward` has added up, for a leaf that requires one."""
        return self._grad

    @grad.setter
    def grad(self, value: Any) -> None:
        if value is not None:
            value = value if isinstance(value, Tensor) else Tensor(value, dtype=self.dtype)
            if value.shape != self.shape:
                raise located(ShapeError, "grad", f"shape {value.shape} does not fit the tensor of shape {self.shape}")
        self._grad = value

    def backward(self, gradient: Any = None, *, retain_graph: bool = False, create_graph: bool = False) -> None:
        """Walk the tape back from here and add the gradient of every leaf to its `.grad`.

        Arguments:
            gradient: the upstream gradient in the tensor's shape; 1 for a scalar if None.
            retain_graph: keep the graph for another walk. create_graph: record the gradients themselves, for higher
                derivatives; keeps the graph too.

        Raises:
            GradError: the tensor requires no gradient, is not a scalar and none is given, or its graph was freed.
            ShapeError: the gradient has another shape. No `.grad` has changed then.

        Example:
            >>> import tensorgraph as tg
            >>> x = tg.tensor(3.0, requires_grad=True)
            >>> (x * x).backward()
            >>> x.grad
            tensor(6.)
        """
        if self._node is None:
            raise located(
                GradError,
                "backward",
                "the tensor requires no gradient: computed under no_grad, or from nothing with requires_grad=True",
            )
        seed = seed_gradient(self, gradient, "backward")
        found: dict[Any, Any] = walk(
            {self._node: seed if create_graph else seed._array},
            retain_graph=retain_graph or create_graph,
            create_graph=Tensor if create_graph else None,
        )
        for leaf, g in found.items():
            if (tensor := leaf.tensor()) is not None:  # leaves may share what they get: each wraps it for itself
                own = Tensor._wrap(g._array, g._node) if create_graph else Tensor._wrap(g)
                tensor._grad = own if tensor._grad is None else tensor._grad + own

    # --- protocols ---

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if self.requires_grad:
            raise located(
                GradError, "asarray", "the tensor requires a gradient, which the array would lose; use t.detach()"
            )
        if copy:
            return np.array(self._array, dtype=dtype)
        return np.asarray(expose(self), dtype=dtype)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        return _protocols.call_ufunc(ufunc, method, inputs, options)

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        return _protocols.call_function(function, args, options)

    def __repr__(self) -> str:
        text = np.array2string(self._array, separator=", ", prefix="tensor(")
        words = [text]
        if self.size == 0 and self.shape != (0,):
            words.append(f"shape={self.shape}")
        if self.dtype not in (np.float32, np.int64, np.bool_):
            words.append(f"dtype={self.dtype}")
        if self.requires_grad:
            words.append("requires_grad=True" if self.is_leaf else f"op={self._node.op}")  # type: ignore[union-attr]
        return f"tensor({', '.join(words)})"

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else repr(self)

    def __len__(self) -> int:
        if self.ndim == 0:
            raise located(TypeError, "len", "a scalar has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __contains__(self, value: Any) -> bool:
        return bool((self._array == (value._array if isinstance(value, Tensor) else value)).any())

    def __bool__(self) -> bool:
        if self.size != 1:
            raise located(
                ShapeError,
                "bool",
                f"only one element is true or false, got shape {self.shape}; use (t != 0).data.any()",
            )
        return bool(self._array.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self.dtype.kind not in "iu" or self.ndim:
            raise located(
                TypeError, "index", f"only an integer scalar can be an index, got {self.dtype} of shape {self.shape}"
            )
        return int(self._array)

    def __copy__(self) -> Tensor:
        return self.__deepcopy__({})

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if not self.is_leaf:
            raise located(GradError, "deepcopy", "only leaves can be deep-copied; use t.copy() or t.detach()")
        twin = _new(type(self))
        Tensor.__init__(twin, self._array)
        twin.requires_grad = self.requires_grad
        twin.name = self.name
        twin._grad = None if self._grad is None else self._grad.detach().copy()
        return twin

    def __reduce__(self) -> Any:
        raise located(TypeError, "pickle", "tensors are not pickled; save arrays or state_dict() with nn.save")

    # --- writing in place: only where no gradient is at stake ---

    def _write(self, op: str, operands: tuple[Any, ...]) -> Array:
        """The array to write to, if writing is allowed here."""
        if current().recording and any(isinstance(t, Tensor) and t.requires_grad for t in (self, *operands)):
            new = "use tg.where" if op == "setitem" else f"write t = t {op[:-1]} ..."
            raise located(
                GradError,
                op,
                "a tensor that requires a gradient cannot be changed in place: the tape needs its old value; "
                f"{new} for a new tensor, or use tg.no_grad() to update a parameter",
            )
        return writable(self)

    def _in_place(self, op: str, ufunc: Any, other: Any) -> Tensor:
        array = self._write(op, (other,))
        try:
            ufunc(array, other._array if isinstance(other, Tensor) else other, out=array)
        except TypeError as error:
            raise located(TypeError, op, error) from None
        except ValueError:
            text = f"a value of shape {np.shape(other)} does not broadcast to the tensor of shape {self.shape}"
            raise located(ShapeError, op, text) from None
        return self

    def __iadd__(self, other: Any) -> Tensor:
        return self._in_place("+=", np.add, other)

    def __isub__(self, other: Any) -> Tensor:
        return self._in_place("-=", np.subtract, other)

    def __imul__(self, other: Any) -> Tensor:
        return self._in_place("*=", np.multiply, other)

    def __itruediv__(self, other: Any) -> Tensor:
        return self._in_place("/=", np.true_divide, other)

    def __ipow__(self, other: Any) -> Tensor:
        return self._in_place("**=", np.power, other)

    def __setitem__(self, index: Any, value: Any) -> None:
        array = self._write("setitem", (value,))
        index = ops.plain_index(index)
        new = value._array if isinstance(value, Tensor) else value
        try:
            array[index] = new
        except IndexError as error:
            raise located(IndexError, "setitem", f"{error}, the tensor has shape {self.shape}") from None
        except ValueError:
            place = array[index].shape
            raise located(
                ShapeError, "setitem", f"values of shape {np.shape(new)} do not fit a place of shape {place}"
            ) from None
