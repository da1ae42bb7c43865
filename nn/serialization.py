"""Saving and loading: arrays, numbers and strings in one file that can be read without running any code.

The file has the safetensors layout: 8 bytes with the length of a header, the header in JSON (type, shape and place of
each array), then the bytes of the arrays. Other programs that know safetensors can read a saved `state_dict`. Chosen
over NumPy's npz because its few rules can be checked before any memory is taken, and because the bytes lie as they lie
in memory. What is not an array goes, as JSON, into the header's "__metadata__".

Source: https://github.com/huggingface/safetensors (format description).
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Mapping
from stat import S_IMODE, S_ISDIR, S_ISREG
from typing import Any, BinaryIO

import numpy as np

import tensorgraph as tg

Array = np.ndarray[Any, np.dtype[Any]]

_TYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U64": np.dtype("<u8"),
    "U32": np.dtype("<u4"),
    "U16": np.dtype("<u2"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
_CODES = {dtype: code for code, dtype in _TYPES.items()}
BFLOAT16 = np.dtype([("bfloat16", "<u2")])  # NumPy has none: it stands for the upper halves of float32 numbers
_TYPES["BF16"] = BFLOAT16  # other programs write it; what is read is float32
_MAX_HEADER = 10_000_000  # bytes; a header takes time and memory before anything in it can be checked
_MAX_PARTS = 100_000  # lists and dicts in a header, and as many names, which take most of both
MAX_AXES = 64  # NumPy's
MOST_ELEMENTS = 2**48  # elements of an array
_MAX_DEPTH = 50  # dicts and lists inside each other
_FOREIGN = {".pt": "torch.load", ".pth": "torch.load", ".npz": "numpy.load"}  # names that promise another content
_STRUCTURE = "structure"  # the metadata key under which the state is kept, None in the place of each array


class FileFormatError(ValueError):
    """A file that cannot be read: damaged, cut short, or of another kind."""


# --- saving ----------------------------------------------------------------------------------------------------------


def save(path: str | os.PathLike[str], state: Mapping[str, Any]) -> None:
    """Write a state to a file. An earlier file of that name is replaced whole, or not at all.

    Arguments:
        path: of the file; its name should not be one of PyTorch's or NumPy's files (.pt, .pth, .npz), which is warned
            of. state: a dict with string keys of arrays, tensors, numbers, strings, lists and such dicts:
            `model.state_dict()`, or {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}.

    Raises:
        TypeError: something else is in the state. ValueError: it is nested deeper than 50 levels, or has millions of
            numbers or names outside of arrays.
        OSError: the file cannot be written. No file has changed then.

    Example:
        >>> import nn, os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
        >>> model = nn.Linear(2, 1)
        >>> nn.save(path, model.state_dict())
        >>> model.load_state_dict(nn.load(path))
        Keys(missing_keys=[], unexpected_keys=[])
    """
    if isinstance(state, (str, os.PathLike)):
        raise TypeError("save: the path comes first, save(path, state)")
    if not isinstance(state, Mapping):
        raise TypeError(f"save: state must be a dict, got {type(state).__name__}; save model.state_dict()")
    if (suffix := os.path.splitext(os.fspath(path))[1]) in _FOREIGN:
        warnings.warn(
            f"save: a safetensors file is written, which {_FOREIGN[suffix]} does not read; "
            f"call it .safetensors instead of {suffix}",
            stacklevel=2,
        )
    arrays: dict[str, Array] = {}
    structure = _without_arrays(state, (), arrays)
    _replace(path, _header(arrays, structure), _in_order(arrays))


def _without_arrays(value: Any, path: tuple[str, ...], arrays: dict[str, Array]) -> Any:
    """The state with None for each array; the arrays are collected by path."""
    name = "/".join(path)
    if len(path) > _MAX_DEPTH:
        raise ValueError(f"save: the state is nested deeper than {_MAX_DEPTH} levels at {name[:60]}...")
    if isinstance(value, (tg.Tensor, np.ndarray)):
        array = value.detach().numpy() if isinstance(value, tg.Tensor) else value
        if array.dtype.newbyteorder("<") not in _CODES:
            raise TypeError(f"save: {name} holds {array.dtype}, which the file format does not know")
        if name == "__metadata__":
            raise ValueError("save: the name '__metadata__' belongs to the file format")
        if name in arrays:
            raise ValueError(f"save: two arrays would be called {name!r} in the file")
        arrays[name] = array
        return None
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"save: keys must be strings, got {key!r} in {name or 'the state'}")
        return {key: _without_arrays(item, (*path, key), arrays) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_arrays(item, (*path, str(i)), arrays) for i, item in enumerate(value)]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"save: {name} must be an array, a number, a string, a list or a dict, got {type(value).__name__}")


def _in_order(arrays: dict[str, Array]) -> list[tuple[str, Array]]:
    """The arrays as they follow in the file: wide types first, so that each lies at a multiple of its item size."""
    return sorted(arrays.items(), key=lambda item: -item[1].dtype.itemsize)


def _header(arrays: dict[str, Array], structure: Any) -> bytes:
    import json  # here, because importing nn should not wait for what only some programs need

    entries: dict[str, Any] = {"__metadata__": {_STRUCTURE: json.dumps(structure)}}
    start = 0
    for name, array in _in_order(arrays):
        code = _CODES[array.dtype.newbyteorder("<")]
        entries[name] = {"dtype": code, "shape": list(array.shape), "data_offsets": [start, start + array.nbytes]}
        start += array.nbytes
    text = json.dumps(entries, separators=(",", ":")).encode()
    if fault := _too_large(text):
        raise ValueError(f"save: {fault}; put long lists of numbers into arrays")
    return text + b" " * (-len(text) % 8)


def _too_large(header: bytes) -> str | None:
    """What is too much in a header, in words."""
    parts, names = header.count(b"[") + header.count(b"{"), header.count(b'":')
    if len(header) <= _MAX_HEADER and max(parts, names) <= _MAX_PARTS:
        return None
    return (
        f"what is not in arrays takes {len(header):,} bytes with {parts:,} lists and dicts and {names:,} names, "
        "more than can be loaded"
    )


def _replace(path: str | os.PathLike[str], header: bytes, arrays: list[tuple[str, Array]]) -> None:
    """Write beside the file, then put the new one in its place: a reader sees the old or the new one, never half.

    Who may read the old one may read the new one, and nobody else.
    """
    target = os.path.realpath(os.fspath(path))
    unfinished = f"{target}.{os.urandom(4).hex()}.tmp"
    try:
        with open(unfinished, "xb") as file:
            if os.path.exists(target):
                os.chmod(unfinished, S_IMODE(os.stat(target).st_mode))
            file.write(len(header).to_bytes(8, "little") + header)
            for _, array in arrays:
                file.write(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, target)
    except BaseException:
        if os.path.exists(unfinished):
            os.unlink(unfinished)
        raise


# --- loading ---------------------------------------------------------------------------------------------------------


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a file written by `save`, or any other of the safetensors format.

    Nothing in the file is run, and every size in it is checked before memory is taken.

    Returns:
        What was saved, with NumPy arrays for arrays and lists for tuples.

    Raises:
        FileFormatError: the file is damaged, cut short, or of another kind. OSError: it cannot be opened.
    """
    try:
        with opened(path) as file:
            return contents(file, read_array)
    except (DamageError, RecursionError) as damage:
        raise FileFormatError(f"load: {os.fspath(path)}: {shortened(damage)}") from None


class DamageError(Exception):
    """What is wrong with a file, in words."""


def shortened(damage: Exception) -> str:
    """The words, which may quote from the file, at a length to be read."""
    text = str(damage)
    return text if len(text) <= 300 else f"{text[:200]}...{text[-80:]}"


def opened(path: str | os.PathLike[str]) -> BinaryIO:
    """A file to be read, which must be one: to read from a pipe could take for ever."""
    mode = os.stat(path).st_mode
    if not S_ISREG(mode) and not S_ISDIR(mode):  # of a folder, the system says so itself
        raise DamageError("no regular file, but a pipe or a device")
    return open(path, "rb")


_Place = tuple[np.dtype[Any], tuple[int, ...], int]  # type, shape, first byte


def contents(file: BinaryIO, read: Callable[..., Any]) -> dict[str, Any]:
    """The state in a file, with what `read` gives for each array; it is called like `read_array`."""
    places, structure, start = _read_header(file)
    arrays = {name: read(file, start, name, *place) for name, place in places.items()}
    if structure is None:
        return arrays
    state = _with_arrays(structure, (), arrays)
    if arrays:
        raise DamageError(f"the structure has no place for {', '.join(arrays)}")
    return state


def _read_header(file: BinaryIO) -> tuple[dict[str, _Place], Any, int]:
    """Where each array lies, the structure of the state (None if the file has none) and where the arrays begin."""
    import json

    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > min(size - 8, _MAX_HEADER):
        raise DamageError(f"not a safetensors file, or cut short: {size} bytes, with a header of {length}")
    header = file.read(length)
    if fault := _too_large(header):
        raise DamageError(fault)
    try:
        entries = json.loads(header.decode(), object_pairs_hook=_unique)
        metadata = entries.pop("__metadata__", {})
        if type(metadata) is not dict or not all(type(text) is str for text in metadata.values()):
            raise DamageError("the __metadata__ are no texts by name")
        structure = json.loads(metadata[_STRUCTURE], object_pairs_hook=_unique) if _STRUCTURE in metadata else None
        places = {name: _checked_place(name, entry, size - 8 - length) for name, entry in entries.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamageError(f"the header cannot be read: {error!r}") from None
    if not isinstance(structure, (dict, type(None))):
        raise DamageError(f"the header describes no dict, but {structure!r}")
    end = 0
    for name, (dtype, shape, start) in sorted(places.items(), key=lambda item: item[1][2]):
        if start != end:
            raise DamageError(f"{name} begins at byte {start} of the data, expected {end}")
        end = start + _bytes(dtype, shape)
    if end != size - 8 - length:
        raise DamageError(f"the arrays take {end} bytes, the file has {size - 8 - length}")
    return places, structure, 8 + length


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The dict of these entries. Readers differ in which of two with the same name they take."""
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise DamageError(f"the header has {twice!r} twice")
    return found


def _checked_place(name: str, entry: Any, room: int) -> _Place:
    dtype, shape, (start, end) = _TYPES[entry["dtype"]], tuple(entry["shape"]), entry["data_offsets"]
    if not all(type(n) is int and n >= 0 for n in (*shape, start, end)) or len(shape) > MAX_AXES:
        raise DamageError(f"{name} has shape {shape} at bytes {start} to {end}")
    if math.prod(max(n, 1) for n in shape) > MOST_ELEMENTS:  # a 0 among the sizes could hide it
        raise DamageError(f"{name} of shape {shape} is too large")
    if end > room or end - start != _bytes(dtype, shape):
        raise DamageError(f"{name} of shape {shape} and type {dtype} cannot lie at bytes {start} to {end} of {room}")
    return dtype, shape, start


def _bytes(dtype: np.dtype[Any], shape: tuple[int, ...]) -> int:
    return dtype.itemsize * math.prod(shape)  # in Python's integers, which do not overflow


def read_array(
    file: BinaryIO, begin: int, name: str, dtype: np.dtype[Any], shape: tuple[int, ...], start: int
) -> Array:
    try:
        array = np.empty(shape, dtype)
    except MemoryError:
        raise DamageError(f"{name} of shape {shape} and type {dtype} does not fit into the memory") from None
    raw = array.reshape(-1).view(np.uint8)
    file.seek(begin + start)
    if file.readinto(raw) != array.nbytes:  # type: ignore[attr-defined]  # any open file has it
        raise DamageError("the file became shorter while it was read")
    return native(array, name)


def native(array: Array, name: str) -> Array:
    """An array as it lay in a file, in a type of NumPy and in the byte order of this machine."""
    if array.dtype.kind == "b" and (array.view(np.uint8) > 1).any():
        raise DamageError(f"{name} holds bytes that are neither False nor True")
    if array.dtype.kind == "V":  # BFLOAT16, in either byte order
        return np.asarray(array["bfloat16"].astype(np.uint32) << 16).view(np.float32)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _with_arrays(structure: Any, path: tuple[str, ...], arrays: dict[str, Any]) -> Any:
    """The state again: for each None the array of that path, which is taken out of the arrays."""
    if len(path) > _MAX_DEPTH:
        raise DamageError(f"the state is nested deeper than {_MAX_DEPTH} levels at {'/'.join(path)[:60]}...")
    if structure is None:
        name = "/".join(path)  # only here: a file could put a million numbers below a name of a million letters
        if name not in arrays:
            raise DamageError(f"{name} is missing")
        return arrays.pop(name)
    if isinstance(structure, dict):
        return {key: _with_arrays(item, (*path, key), arrays) for key, item in structure.items()}
    if isinstance(structure, list):
        return [_with_arrays(item, (*path, str(i)), arrays) for i, item in enumerate(structure)]
    return structure
