"""The arrays of an .npz file, NumPy's: a zip archive of .npy files, of which the headers are read here.

Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html (format description).
"""

from __future__ import annotations

import math
import re
from functools import partial

import numpy as np

from nn.serialization import MAX_AXES, MOST_ELEMENTS, Array, DamageError, native
from nn.weights.archive import Archive
from nn.weights.stored import Stored

_MOST_ARRAYS = 2_000  # each has a header of its own to be read
_MAGIC = b"\x93NUMPY"
_MOST_HEADER = 10_000  # bytes
# as NumPy writes it; what could say more than a type of numbers, an order and a shape is not looked for
_HEADER = re.compile(
    r"\{'descr': '([<>|=][a-zA-Z]\d{0,3})', 'fortran_order': (True|False), "
    r"'shape': \(((?:\d{1,19}, ?)*(?:\d{1,19})?)\), ?\}\s*"
)
_NUMBERS = re.compile(r"[<>=|](f[248]|[iu][1248]|b1)")


def arrays(archive: Archive) -> dict[str, Stored]:
    """The arrays by name, the names without ".npy"."""
    if len(archive.members) > _MOST_ARRAYS:
        raise DamageError(
            f"{len(archive.members):,} arrays in an .npz file, more than the {_MOST_ARRAYS:,} that are read"
        )
    return {name.removesuffix(".npy"): _stored(archive, name) for name in archive.members}


def _stored(archive: Archive, name: str) -> Stored:
    """The array of that file, of which the header has been read and compared with the size of the file."""
    start = next(archive.pieces(name, most=12 + _MOST_HEADER), b"")
    if len(start) < 10 or not start.startswith(_MAGIC) or start[6] not in (1, 2, 3):
        raise DamageError(f"{name!r} is no array of NumPy")
    wide = start[6] > 1  # from version 2 on, the length has four bytes
    length = int.from_bytes(start[8 : 12 if wide else 10], "little")
    begin = (12 if wide else 10) + length
    if length > _MOST_HEADER or begin > len(start):
        raise DamageError(f"{name!r} has a header of {length:,} bytes")
    header = _HEADER.fullmatch(start[begin - length : begin].decode("latin-1"))
    if not header:
        raise DamageError(f"{name!r} is no array of numbers: its header cannot be read")
    code, fortran_order, sizes = header.groups()
    if not _NUMBERS.fullmatch(code):
        objects = " (objects, which only a pickle can make)" if code[1] == "O" else ""
        raise DamageError(f"{name!r} has the type {code!r}{objects}, expected numbers")
    dtype = np.dtype(code)
    shape = tuple(int(size) for size in sizes.split(",") if size.strip())
    if len(shape) > MAX_AXES or math.prod(max(n, 1) for n in shape) > MOST_ELEMENTS:  # a 0 could hide a large one
        raise DamageError(f"{name!r} of shape {shape} is too large")
    size = archive.members[name].size - begin
    if size != dtype.itemsize * math.prod(shape):
        raise DamageError(f"{name!r} has {size:,} bytes, which is not what {shape} of {dtype} take")
    return Stored(dtype, shape, partial(_read, archive, name, dtype, shape, begin, fortran_order == "True"))


def _read(
    archive: Archive, name: str, dtype: np.dtype, shape: tuple[int, ...], begin: int, fortran_order: bool
) -> Array:
    raw = bytes_of(archive, name, begin)
    array = raw.view(dtype).reshape(shape, order="F" if fortran_order else "C")
    return native(array, name)


def bytes_of(archive: Archive, name: str, begin: int = 0) -> Array:
    """The bytes of a file from there on: a uint8 array, aligned for all types."""
    size = archive.members[name].size - begin
    try:
        raw = np.empty(size, np.uint8)
    except MemoryError:
        raise DamageError(f"{name!r} of {size:,} bytes does not fit into the memory") from None
    place = -begin
    for piece in archive.pieces(name):
        part = piece[max(-place, 0) :]
        start = max(place, 0)
        raw[start : start + len(part)] = np.frombuffer(part, np.uint8)
        place += len(piece)
    return raw
