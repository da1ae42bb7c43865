"""The data in a pickle, by an interpreter that can make nothing but data.

A pickle is a program for a stack machine, and Python's own machine lets it call any function. This one has the
instructions that PyTorch writes (protocol 2), imports nothing, and calls only what its caller lists by name.

Source: Python's pickletools, which says what each instruction does.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from nn.serialization import DamageError

MOST_BYTES = 8_000_000
_MOST_STEPS = 170_000  # instructions: each takes time and some memory; ResNet-152 with Adam's state has 162,000
_CALL, _PART = 2, 3  # as many instructions as a call counts, and each of its arguments or part of a persistent id
_MOST_MARKS = 100  # below each other: one for each list, dict and tuple in which the machine is
_MOST_NAME = 200  # bytes of the name of a function


class Global(NamedTuple):
    """A function or a class, of which no more than the name is there."""

    name: str


Functions = Mapping[str, Callable[[tuple[Any, ...]], Any] | None]


def unpickled(data: bytes, functions: Functions, persistent: Callable[[Any], Any]) -> Any:
    """What a pickle holds: dicts, lists, tuples, strings, numbers, None, and what the functions make.

    Arguments:
        data: the pickle. functions: by name, what may be called, with a tuple of arguments; None for what may only be
            named. persistent: makes what the pickle refers to by a persistent id, from the id.

    Raises:
        DamageError: it is damaged, or has another instruction or name in it.
    """
    return _Machine(data, functions, persistent).run()


class _Machine:
    """The stack, the memo of what has been made, and an instruction for each byte in `_INSTRUCTIONS`."""

    def __init__(self, data: bytes, functions: Functions, persistent: Callable[[Any], Any]) -> None:
        self.data = data
        self.place = 0  # of the next byte
        self.steps = 0
        self.stack: list[Any] = []  # what was put down since the last mark
        self.below: list[list[Any]] = []  # the stacks below each mark
        self.memo: dict[int, Any] = {}
        self.functions = functions
        self.persistent = persistent

    def run(self) -> Any:
        data, instruction = self.data, _INSTRUCTIONS.get
        try:
            while self.steps < _MOST_STEPS:
                self.steps += 1
                code = data[self.place]
                self.place += 1
                if code == _STOP:
                    return self.stack.pop()
                instruction(code, _Machine.unknown)(self)
        except (LookupError, UnicodeDecodeError):
            raise DamageError(f"the pickle is damaged at byte {self.place - 1:,}") from None
        raise DamageError(f"the pickle has more than the {_MOST_STEPS:,} instructions that are followed")

    def take(self, length: int) -> bytes:
        """The next bytes."""
        found = self.data[self.place : self.place + length]
        if len(found) != length:
            raise IndexError
        self.place += length
        return found

    def byte(self) -> int:
        self.place += 1
        return self.data[self.place - 1]

    def number(self, length: int) -> int:
        return int.from_bytes(self.take(length), "little")

    def since_mark(self) -> list[Any]:
        """What was put down since the last mark, which is taken away."""
        items, self.stack = self.stack, self.below.pop()
        return items

    def push(self, value: Any) -> None:
        self.stack.append(value)

    # --- instructions ---

    def unknown(self) -> None:
        code = self.data[self.place - 1 : self.place]
        raise DamageError(
            f"the pickle has the instruction {code!r}, which PyTorch does not write, at byte {self.place - 1:,}"
        )

    def protocol(self) -> None:
        if (protocol := self.byte()) != 2:
            raise DamageError(f"a pickle of protocol {protocol}; PyTorch writes protocol 2 unless told otherwise")

    def name(self) -> None:
        module, name = (self.line() for _ in range(2))
        if f"{module}.{name}" not in self.functions:
            raise DamageError(
                f"it wants to use {module}.{name}, and is not loaded: only tensors, numbers, strings, lists and dicts "
                "are; in PyTorch, save the weights alone: torch.save(model.state_dict(), path)"
            )
        self.push(Global(f"{module}.{name}"))

    def line(self) -> str:
        end = self.data.find(b"\n", self.place, self.place + _MOST_NAME)
        if end < 0:
            raise IndexError
        return self.take(end + 1 - self.place)[:-1].decode()

    def call(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        known = self.functions.get(function.name) if type(function) is Global else None
        if known is None or type(arguments) is not tuple:
            raise DamageError(f"the pickle calls what is no function, at byte {self.place - 1:,}")
        self.steps += _CALL + _PART * len(arguments)
        self.push(known(arguments))

    def refer(self) -> None:
        description = self.stack.pop()
        self.steps += _PART * len(description) if type(description) is tuple else 0
        self.push(self.persistent(description))

    def state(self) -> None:
        """Attributes of an ordered dict, such as the `_metadata` of PyTorch: not needed."""
        attributes = self.stack.pop()
        if type(attributes) is not dict or type(self.stack[-1]) is not dict:
            raise DamageError(f"the pickle sets what is no attribute, at byte {self.place - 1:,}")

    def keep(self) -> None:
        self.memo[self.byte()] = self.stack[-1]

    def recall(self) -> None:
        self.stack.append(self.memo[self.byte()])

    def keep_far(self) -> None:
        self.memo[self.number(4)] = self.stack[-1]

    def recall_far(self) -> None:
        self.stack.append(self.memo[self.number(4)])

    def mark(self) -> None:
        if len(self.below) == _MOST_MARKS:
            raise DamageError(f"the pickle is nested deeper than {_MOST_MARKS} levels, at byte {self.place - 1:,}")
        self.below.append(self.stack)
        self.stack = []

    def string(self) -> None:
        self.push(self.take(self.number(4)).decode())

    def small(self) -> None:
        self.stack.append(self.data[self.place])  # as `byte`, of which there may be many
        self.place += 1

    def integer(self, length: int) -> None:
        self.push(int.from_bytes(self.take(length), "little", signed=True))

    def float(self) -> None:
        self.push(struct.unpack(">d", self.take(8))[0])

    def tuple(self, length: int) -> None:
        if length > len(self.stack):
            raise IndexError
        items = tuple(self.stack[-length:])
        del self.stack[-length:]
        self.push(items)

    def tuple_since_mark(self) -> None:
        items = self.since_mark()
        self.push(tuple(items))

    def append(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise DamageError(f"the pickle appends to what is no list, at byte {self.place - 1:,}")
        self.stack[-1] += items

    def set(self, items: list[Any]) -> None:
        target, keys = self.stack[-1], items[::2]
        if type(target) is not dict or len(items) % 2 or not all(type(key) in (str, int) for key in keys):
            raise DamageError(f"the pickle sets what is no entry of a dict, at byte {self.place - 1:,}")
        target.update(zip(keys, items[1::2]))


_STOP = ord(".")
_INSTRUCTIONS: dict[int, Callable[[_Machine], None]] = {
    0x80: _Machine.protocol,
    ord("c"): _Machine.name,
    ord("R"): _Machine.call,
    ord("Q"): _Machine.refer,
    ord("b"): _Machine.state,
    ord("q"): _Machine.keep,
    ord("h"): _Machine.recall,
    ord("r"): _Machine.keep_far,
    ord("j"): _Machine.recall_far,
    ord("("): _Machine.mark,
    ord("X"): _Machine.string,
    ord("K"): _Machine.small,
    ord("M"): lambda m: m.push(m.number(2)),
    ord("J"): lambda m: m.integer(4),
    0x8A: lambda m: m.integer(m.byte()),
    ord("G"): _Machine.float,
    ord("N"): lambda m: m.stack.append(None),
    0x88: lambda m: m.stack.append(True),
    0x89: lambda m: m.stack.append(False),
    ord(")"): lambda m: m.stack.append(()),
    0x85: lambda m: m.tuple(1),
    0x86: lambda m: m.tuple(2),
    0x87: lambda m: m.tuple(3),
    ord("t"): _Machine.tuple_since_mark,
    ord("]"): lambda m: m.stack.append([]),
    ord("a"): lambda m: m.append([m.stack.pop()]),
    ord("e"): lambda m: m.append(m.since_mark()),
    ord("}"): lambda m: m.stack.append({}),
    ord("s"): lambda m: m.set([m.stack.pop(-2), m.stack.pop()]),
    ord("u"): lambda m: m.set(m.since_mark()),
}
