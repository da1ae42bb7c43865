"""What is in a file of `torch.save`: a zip archive with a pickle, which says where each tensor lies in which file.

Source: PyTorch's torch/serialization.py and torch/_utils.py (the layout, and what a tensor is rebuilt from).
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np

from nn.serialization import BFLOAT16, MOST_ELEMENTS, Array, DamageError, native
from nn.weights.archive import Archive
from nn.weights.npz import bytes_of
from nn.weights.pickles import MOST_BYTES, Functions, Global, unpickled
from nn.weights.stored import Stored

PICKLE = "data.pkl"
_MAX_AXES = 8  # more than any layer has
_TYPES: dict[str, np.dtype[Any]] = {
    "torch.DoubleStorage": np.dtype("f8"),
    "torch.FloatStorage": np.dtype("f4"),
    "torch.HalfStorage": np.dtype("f2"),
    "torch.BFloat16Storage": BFLOAT16,
    "torch.LongStorage": np.dtype("i8"),
    "torch.IntStorage": np.dtype("i4"),
    "torch.ShortStorage": np.dtype("i2"),
    "torch.CharStorage": np.dtype("i1"),
    "torch.ByteStorage": np.dtype("u1"),
    "torch.BoolStorage": np.dtype("?"),
}


class _Storage(NamedTuple):
    """Numbers that lie one after the other in a file of the archive."""

    name: str
    dtype: np.dtype[Any]
    length: int


def contents(archive: Archive) -> Any:
    """What was given to `torch.save`, with `Stored` arrays in the place of tensors."""
    pickles = [name for name in archive.members if name.count("/") == 1 and name.endswith(f"/{PICKLE}")]
    if len(pickles) != 1:
        raise DamageError(f"a zip archive with {len(pickles)} files {PICKLE}, expected one as PyTorch writes it")
    folder = pickles[0].removesuffix(PICKLE)
    if f"{folder}constants.pkl" in archive.members:
        raise DamageError(
            "a program of TorchScript; in PyTorch, save the weights alone: torch.save(model.state_dict(), path)"
        )
    packed = [member.name for member in archive.members.values() if member.packed]
    if packed:
        raise DamageError(f"{packed[0]!r} is compressed, which PyTorch never does")
    order = archive.read(f"{folder}byteorder", 10) if f"{folder}byteorder" in archive.members else b"little"
    reader = _Reader(archive, folder, big=order == b"big")
    return unpickled(archive.read(pickles[0], MOST_BYTES), reader.functions(), reader.storage)


def _lies_within(length: int, offset: int, shape: tuple[Any, ...], strides: tuple[Any, ...]) -> bool:
    """Whether a tensor of that shape, offset and strides can be, and lies within so many numbers."""
    if len(shape) != len(strides) or len(shape) > _MAX_AXES or offset < 0:
        return False
    last, size_of_all = offset, 1
    for size, stride in zip(shape, strides):
        if type(size) is not int or type(stride) is not int or size < 0 or stride < 0:
            return False
        last += (size - 1) * stride
        size_of_all *= size or 1  # a 0 among the sizes could hide that the others are too large
    return size_of_all <= MOST_ELEMENTS and (last < length or 0 in shape)


class _Reader:
    """Makes arrays of what the pickle says, after checking it; the numbers are read later."""

    def __init__(self, archive: Archive, folder: str, big: bool) -> None:
        self.archive = archive
        self.folder = folder
        self.big = big  # the byte order of the machine that wrote the file
        self.known: dict[_Storage, Array] = {}  # what has been read: tensors may share a storage

    def functions(self) -> Functions:
        return {
            "collections.OrderedDict": self.ordered_dict,
            "torch._utils._rebuild_tensor_v2": self.tensor,
            "torch._utils._rebuild_parameter": self.parameter,
            **dict.fromkeys(_TYPES),
        }

    def ordered_dict(self, arguments: tuple[Any, ...]) -> dict[Any, Any]:
        if arguments:
            raise DamageError("an ordered dict in the pickle is made of something, expected an empty one")
        return {}

    def storage(self, description: Any) -> _Storage:
        """From ("storage", its class, the name of its file, a device, the number of its elements)."""
        if type(description) is not tuple or [type(part) for part in description] != [str, Global, str, str, int]:
            raise DamageError("a storage in the pickle is not described as PyTorch does it")
        word, kind, key, _, count = description
        dtype = _TYPES.get(kind.name)
        if word != "storage" or dtype is None:
            raise DamageError(f"a storage in the pickle is a {word} of {kind.name}, which has no numbers")
        name, dtype = f"{self.folder}data/{key}", dtype.newbyteorder(">" if self.big else "<")
        member = self.archive.members.get(name)
        if member is None:
            raise DamageError(f"the file {name!r} is missing in the zip archive")
        if member.size != count * dtype.itemsize:
            raise DamageError(f"{name!r} has {member.size:,} bytes, which are not {count:,} of {kind.name}")
        return _Storage(name, dtype, count)

    def tensor(self, arguments: tuple[Any, ...]) -> Stored:
        """From (storage, offset, shape, strides, whether it learns, hooks, bits that are set), all in elements."""
        if [type(part) for part in arguments[:4]] != [_Storage, int, tuple, tuple]:
            raise DamageError("a tensor in the pickle is not described as PyTorch does it")
        if any(arguments[6:]):  # numbers that are to be negated or conjugated when they are used
            raise DamageError(
                "a tensor in the pickle has PyTorch's negative or conjugate bit, which is not read; in PyTorch, save "
                "tensor.resolve_neg().resolve_conj()"
            )
        storage, offset, shape, strides = arguments[:4]
        if not _lies_within(storage.length, offset, shape, strides):
            raise DamageError(
                f"a tensor of shape {shape}, offset {offset} and strides {strides} cannot lie in the "
                f"{storage.length:,} numbers of {storage.name!r}"
            )
        return Stored(storage.dtype, shape, partial(self.view, storage, offset, shape, strides))

    def parameter(self, arguments: tuple[Any, ...]) -> Stored:
        """From (tensor, whether it learns, hooks)."""
        if not arguments or type(arguments[0]) is not Stored:
            raise DamageError("a parameter in the pickle is not described as PyTorch does it")
        return arguments[0]

    def numbers(self, storage: _Storage) -> Array:
        """All numbers of a storage (n,)."""
        if storage not in self.known:
            self.known[storage] = native(bytes_of(self.archive, storage.name).view(storage.dtype), storage.name)
        return self.known[storage]

    def view(self, storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> Array:
        if 0 in shape:
            return np.empty(shape, storage.dtype if storage.dtype.kind != "V" else np.float32)
        numbers = self.numbers(storage)[offset:]
        steps = tuple(stride * numbers.itemsize if size > 1 else 0 for size, stride in zip(shape, strides))
        return np.lib.stride_tricks.as_strided(numbers, shape, steps, writeable=False)
