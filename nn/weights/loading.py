"""Weights from a file into a model: which file it is, what in it are the weights, what of them fits."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from nn.module import Module
from nn.serialization import DamageError, FileFormatError, contents, opened, read_array, shortened
from nn.weights.stored import Stored

_INSIDE = ("state_dict", "model_state_dict", "model")  # where a checkpoint has the weights of the model
_WRAPPERS = ("module.", "_orig_mod.", "model.")  # before all names: DataParallel's, torch.compile's, Lightning's
_COUNTER = "num_batches_tracked"  # of a batch norm
_SHOWN, _LONGEST = 8, 80  # names of a kind that are printed, and the letters of one
_ZIP = b"PK\x03\x04"
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # how files of torch.save began before version 1.6


class Loaded(NamedTuple):
    """What `load_state_dict_file` has found; printing it shows the number of each kind and the first names."""

    path: str
    matched: list[str]  # set to the values of the file
    missing: list[str]  # in the model, not in the file
    unexpected: list[str]  # in the file, not in the model
    wrong_shape: dict[str, str]  # in both, of shapes or kinds that differ: what, in words
    notes: list[str]  # what was understood besides

    def __str__(self) -> str:
        lines = [f"{self.path}: {len(self.matched)} matched"]
        lines += [f"  {note}" for note in self.notes]
        lines += _line("missing", self.missing) + _line("unexpected", self.unexpected)
        lines += _line("wrong shape", [f"{name}: {fault}" for name, fault in self.wrong_shape.items()])
        return "\n".join(lines)

    def __repr__(self) -> str:
        return str(self)


def load_state_dict_file(model: Module, path: str | os.PathLike[str], strict: bool = True) -> Loaded:
    """Set the parameters and buffers of a model to the weights in a file, also of PyTorch's.

    The file may be of `nn.save` or another safetensors file, of `numpy.savez`, or of `torch.save` (a zip archive, since
    PyTorch 1.6): its content decides, not its name. PyTorch is not needed, and nothing in the file is run: its pickle
    is read by an interpreter that makes nothing but data. The names, shapes and places of all arrays are checked before
    memory is taken for their values, of which only those that fit are read; bfloat16 becomes float32.

    Checkpoints that have the weights in "state_dict", "model_state_dict" or "model" are understood, as are names that
    all begin with "module.", "_orig_mod." or "model.", and batch norms without `num_batches_tracked`, as PyTorch wrote
    them before 0.4.1.

    Arguments:
        model: any module. path: of the file. strict: all weights must be in the file, and all of the file in the model;
            with False, those that fit are set, and the others are left alone.

    Returns:
        A `Loaded` with `matched missing unexpected wrong_shape notes`.

    Raises:
        FileFormatError: the file is damaged, of another kind, or has more in it than data; OSError: it cannot be
            opened; ValueError: it does not fit. Nothing has changed then.

    Example:
        >>> import nn, numpy as np, os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "weights.npz")
        >>> np.savez(path, weight=np.ones((1, 2), np.float32), extra=np.zeros(3))
        >>> model = nn.Linear(2, 1)
        >>> loaded = nn.load_state_dict_file(model, path, strict=False)
        >>> loaded.matched, loaded.missing, loaded.unexpected
        (['weight'], ['bias'], ['extra'])

    Source: torch.load and Module.load_state_dict.
    """
    if not isinstance(model, Module):
        raise TypeError(f"load_state_dict_file: model must be a Module, got {type(model).__name__}")
    name = os.fspath(path)
    own = model.state_dict()
    try:
        with opened(path) as file:
            stored, notes = _weights(_contents(file), own)
            report = _compared(name, stored, own, notes)
            if strict and (report.missing or report.unexpected or report.wrong_shape):
                raise ValueError(f"load_state_dict_file: {type(model).__name__} was not changed by {report}")
            values = {key: stored[key].read() for key in report.matched}
    except (DamageError, RecursionError) as damage:
        raise FileFormatError(f"load_state_dict_file: {name}: {shortened(damage)}") from None
    model.load_state_dict(values, strict=False)
    return report


def _contents(file: BinaryIO) -> Any:
    """What is in the file, with `Stored` arrays."""
    start = file.read(512)
    file.seek(0)
    if start.startswith(_ZIP):
        return _archived(file)
    if start.startswith(_LEGACY) or start[257:262] == b"ustar":
        raise DamageError(
            "a file of PyTorch before 1.6, which is not read; convert it where PyTorch is installed: "
            "torch.save(torch.load(path, weights_only=True), new_path)"
        )
    if start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05") and start[8:9] != b"{":
        raise DamageError("a pickle, which could run anything; only those in the zip archives of torch.save are read")
    return contents(file, _stored)


def _archived(file: BinaryIO) -> Any:
    """What is in a zip archive: PyTorch's or NumPy's."""
    from nn.weights import npz, torch_zip  # here, because importing nn should not wait for them
    from nn.weights.archive import Archive

    archive = Archive(file)
    if any(name.endswith(f"/{torch_zip.PICKLE}") for name in archive.members):
        return torch_zip.contents(archive)
    strange = [name for name in archive.members if not name.endswith(".npy")]
    if strange:
        raise DamageError(f"a zip archive with {strange[0]!r}; expected .npy files, or a {torch_zip.PICKLE} of PyTorch")
    return npz.arrays(archive)


def _stored(file: BinaryIO, begin: int, name: str, dtype: np.dtype[Any], shape: tuple[int, ...], start: int) -> Stored:
    """An array of a safetensors file, to be read later."""
    return Stored(dtype, shape, partial(read_array, file, begin, name, dtype, shape, start))


def _weights(found: Any, own: Mapping[str, Any]) -> tuple[dict[str, Stored], list[str]]:
    """The weights among the contents of a file, by the names of the model, with notes on where they were."""
    notes = []
    if type(found) is not dict:
        raise DamageError(f"it holds a {type(found).__name__}, expected a dict of arrays by name")
    for key in _INSIDE:
        inner = found.get(key)
        if type(inner) is dict and any(isinstance(value, Stored) for value in inner.values()):
            notes.append(f'from "{key}", beside {_words(name for name in found if name != key) or "nothing"}')
            found = inner
            break
    stored = {name: value for name, value in found.items() if isinstance(value, Stored) and isinstance(name, str)}
    others = [name for name in found if name not in stored]
    if others and not stored:
        inside = ", ".join(_INSIDE)
        raise DamageError(f"no arrays, neither at the top nor in {inside}; at the top there are {_words(others)}")
    if others:
        notes.append(f"left aside, no arrays: {_words(others)}")
    for wrapper in _WRAPPERS:
        if stored and all(name.startswith(wrapper) for name in stored) and not any(n.startswith(wrapper) for n in own):
            notes.append(f'names without "{wrapper}"')
            stored = {name.removeprefix(wrapper): value for name, value in stored.items()}
    return stored, notes


def _compared(path: str, stored: Mapping[str, Stored], own: Mapping[str, Any], notes: list[str]) -> Loaded:
    """What fits, and what does not."""
    missing = [name for name in own if name not in stored]
    counters = [n for n in missing if n.endswith(_COUNTER) and n.removesuffix(_COUNTER) + "running_mean" in stored]
    if counters:
        notes = [*notes, f"without {_COUNTER}, as before PyTorch 0.4.1: {len(counters)} left as they are"]
        missing = [name for name in missing if name not in counters]
    wrong = {}
    for name, tensor in own.items():
        if name not in stored:
            continue
        dtype, shape, _ = stored[name]
        if shape != tensor.shape:
            wrong[name] = f"expected {tensor.shape}, got {shape}"
        elif stored[name].kind != tensor.dtype.kind:
            wrong[name] = f"expected {tensor.dtype}, got {dtype}"
    matched = [name for name in own if name in stored and name not in wrong]
    return Loaded(path, matched, missing, [name for name in stored if name not in own], wrong, notes)


def _line(kind: str, names: list[str]) -> list[str]:
    """A line of a report, none if there is nothing to say."""
    return [f"  {kind} ({len(names)}): {_words(names)}"] if names else []


def _words(names: Iterable[Any]) -> str:
    """Names from a file, the first few, and none longer than a line."""
    words = [str(name) if str(name).isprintable() else repr(name) for name in names]
    shown = [word if len(word) <= _LONGEST else f"{word[:_LONGEST]}..." for word in words[:_SHOWN]]
    more = [f"and {len(words) - _SHOWN:,} more"] if len(words) > _SHOWN else []
    return ", ".join(shown + more)
