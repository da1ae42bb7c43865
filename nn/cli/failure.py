"""What ends a command with a message instead of a traceback."""

from __future__ import annotations

import sys


class Failure(Exception):  # noqa: N818 (its text is for the user of a command, not for a program)
    """Something that the user of a command can put right, in words."""


class WrongArgument(Failure):
    """An option or its value does not go together with the others, or with what is there."""

    def __init__(self, option: str, text: str) -> None:
        super().__init__(f"argument {option}: {text}")


def tell(command: str, error: Exception) -> None:
    """Write a message about what a command could not do."""
    sys.stdout.flush()  # what it has done stands before it
    sys.stderr.write(f"python -m nn {command}: {error}\n")
