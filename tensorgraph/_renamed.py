"""PyTorch's names for what is called otherwise here: told where one is looked for and missing."""

from __future__ import annotations

_OURS = {
    "cat": "concatenate",
    "clamp": "clip",
    "view": "reshape",
    "unsqueeze": "expand_dims",
    "mm": "matmul",
    "bmm": "matmul",
    "from_numpy": "tensor",
    "numel": "size",
    "dim": "ndim",
    "t": "T",
    "to": "astype",
    "type": "astype",
    "float": 'astype("float32")',
    "double": 'astype("float64")',
    "long": 'astype("int64")',
    "int": 'astype("int32")',
    "bool": 'astype("bool")',
    "float32": 'the word "float32"',
    "float64": 'the word "float64"',
    "int64": 'the word "int64"',
}
_NOT_NEEDED = ("cuda", "cpu", "contiguous")


def missing(owner: object, subject: str, name: str) -> AttributeError:
    """The error for a name that is not there, in Python's words and for PyTorch's names with ours."""
    hint = f"; PyTorch's {name} is {_OURS[name]} here" if name in _OURS else ""
    if name in _NOT_NEEDED:
        hint = f"; leave {name} out, every tensor is a NumPy array in the memory of the CPU"
    return AttributeError(f"{subject} has no attribute {name!r}{hint}", name=name, obj=owner)
