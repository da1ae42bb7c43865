"""Calls of the compiled kernels that make little or no sense: python tests/wrong_calls.py COUNT [SEED].

Every kernel of the binding is called with arrays of random types, ranks, sizes and layouts and with random numbers, or
with what fits but for one argument. It has to compute something or to raise one of `CLEAN`; that it does not crash
shows best in a build with sanitizers. What a kernel takes is read from its docstring, which the table of signatures
gives.
"""

from __future__ import annotations

import faulthandler
import re
import sys

import numpy as np
from kernel_cases import odd, pick

from tensorgraph.kernels._choice import extension

CLEAN = TypeError, ValueError, MemoryError
SIGNATURE = re.compile(r"\w+\((.*)\)")
HUGE = [-1, -(2**40), 2**31 - 1, 2**31, 2**32, 2**40, 2**40 + 1, 2**62, 2**63, -(2**63) - 1, 2**70]
STRANGE = [None, "1", b"", [], (), {}, 1.5, 1j, float("nan"), -float("inf"), object(), np.float32, np.array(2), True]
DTYPES = ["f8", "f2", ">f4", "i4", "i8", "u1", "?", "c8", "O", "S3", "M8[s]"]
UPDATES = {"takes": (3, 0), "sgd": (3, 6), "adam": (4, 8)}  # lists of arrays, and numbers


def kernels():
    """The arguments of every kernel of the table, (name, type, letters of the sizes) each."""
    found = {}
    for name in dir(extension):
        if match := SIGNATURE.fullmatch(getattr(extension, name).__doc__ or ""):
            found[name] = re.findall(r"(\w+): (\w+)(?:\[(.+?)\])?", match[1])
    return found


def array_of(rng, dtype, letters, sizes):
    if letters == "*":
        letters = "*ABC"[: int(rng.integers(1, 5))]
    shape = tuple(sizes[letter] for letter in letters)
    if dtype == "float32":
        return rng.choice(np.array([0, -1, 0.5, 3, np.nan, np.inf, 1e38], np.float32), shape)
    return rng.integers(0, 4 if rng.random() < 0.9 else 256, shape).astype(dtype)


def integer_of(rng, name, sizes):
    if len(name) == 1:
        return sizes.setdefault(name, int(rng.integers(0, 6)))
    return int(rng.integers(0, 4)) if rng.random() < 0.3 else int(name not in ("top", "left", "act"))


def wrong(rng, value):
    """Something else in the place of a value."""
    kind = int(rng.integers(4))
    if isinstance(value, np.ndarray) and kind:
        if kind == 1:
            return np.zeros(value.shape, pick(rng, DTYPES))
        if kind == 2:  # a view of one number
            return np.broadcast_to(np.zeros((), value.dtype), rng.integers(0, 9, int(rng.integers(0, 7))))
        large = [2**18] if rng.random() < 0.2 and value.ndim <= 4 else []  # of more axes NumPy itself refuses them
        shape = rng.choice([0, 1, 2, 5, *large], value.ndim)
        return np.zeros(shape if 0 in shape else np.minimum(shape, 9), value.dtype)
    return pick(rng, STRANGE) if kind == 0 else pick(rng, HUGE)


def arguments_of(rng, parameters):
    """What fits the parameters, but for none to three of them."""
    sizes = dict.fromkeys("NCHWFKRSPQYXML", 0) | {"*": int(rng.integers(0, 70)), "A": 3, "B": 1, "C": 2}
    few = rng.random() < 0.8
    for letter in sizes:
        sizes[letter] = int(pick(rng, [1, 2, 3] if few else [0, 1, 2, 4, 5, 17, 33]))
    if rng.random() < 0.7:
        sizes["K"] = sizes["C"]
    arguments = [
        odd(rng, array_of(rng, dtype, letters, sizes)) if letters else
        integer_of(rng, name, sizes) if dtype == "int" else float(rng.standard_normal())
        for name, dtype, letters in parameters
    ]  # fmt: skip
    for _ in range(int(rng.integers(0, 4))):
        at = int(rng.integers(len(arguments)))
        arguments[at] = wrong(rng, arguments[at])
    if rng.random() < 0.05:
        arguments = arguments[: int(rng.integers(len(arguments)))] + [1] * int(rng.integers(0, 40))
    return arguments


def update_arguments(rng, lists, numbers):
    """Lists of arrays for a step of an optimizer, some of them wrong."""
    shapes = [rng.integers(0, 9, int(rng.integers(0, 4))) for _ in range(int(rng.integers(0, 5)))]
    arguments = [[odd(rng, np.ones(shape, np.float32)) for shape in shapes] for _ in range(lists)]
    arguments += [float(number) for number in rng.standard_normal(numbers)]
    for _ in range(int(rng.integers(0, 4))):
        at = int(rng.integers(len(arguments)))
        if at < lists and isinstance(arguments[at], list) and arguments[at] and rng.random() < 0.7:
            arguments[at][int(rng.integers(len(arguments[at])))] = wrong(rng, arguments[at][0])
        else:
            arguments[at] = wrong(rng, arguments[at])
    return arguments


def call(rng, name, parameters):
    """One call. Returns what was raised, or None."""
    arguments = update_arguments(rng, *UPDATES[name]) if name in UPDATES else arguments_of(rng, parameters)
    try:
        getattr(extension, name)(*arguments)
    except CLEAN as error:
        return error
    return None


def main() -> None:
    count, seed = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    rng = np.random.default_rng(seed)
    known = kernels() | dict.fromkeys(UPDATES)
    outcomes = {"returned": 0} | {kind.__name__: 0 for kind in CLEAN}
    for _ in range(count):
        faulthandler.dump_traceback_later(60, exit=True)  # a kernel that never ends
        extension.choose_isa(pick(rng, extension.isas()))
        extension.set_num_threads(int(rng.integers(1, 4)))
        error = call(rng, name := pick(rng, list(known)), known[name])
        outcomes["returned" if error is None else type(error).__name__] += 1
    faulthandler.cancel_dump_traceback_later()
    sys.stdout.write(f"{count:,} wrong calls: {outcomes}\n")


if __name__ == "__main__":
    main()
