"""Properties of gradients as tests: hypothesis draws the arguments, check_grads judges."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from hypothesis import given, reject, settings
from hypothesis import strategies as st

from tensorgraph.checking.report import GradientError
from tensorgraph.testing.gradients import check_grads
from tensorgraph.testing.programs import Program
from tensorgraph.testing.strategies import tensors

UNDECIDED = ("kink", "precision")  # such an example says nothing about the rules


def gradient_property(
    *arguments: Any, order: int = 1, max_examples: int | None = None
) -> Callable[[Callable[..., Any]], Callable[[], None]]:
    """Make a test of a function: are its gradients right for whatever arguments hypothesis draws?

    Examples at kinks, or where differences cannot tell, are passed over. There are no deadlines.

    Arguments:
        arguments: a strategy for each argument of the function; `strategies.tensors()` for all that are left out.
        order: 2 checks second derivatives too. max_examples: how many are drawn; hypothesis' own number if None.

    Returns:
        A decorator; what it returns is a test without arguments, for pytest or to be called.

    Raises:
        GradientError: by the test, for the smallest arguments that are found to go wrong.

    Example:
        >>> import tensorgraph as tg
        >>> @tg.testing.gradient_property(max_examples=20)
        ... def test_swish(x):
        ...     return x * tg.sigmoid(x)
        >>> test_swish()
    """

    def decorate(f: Callable[..., Any]) -> Callable[[], None]:
        missing = len(inspect.signature(f).parameters) - len(arguments)
        drawn = [*arguments, *(tensors() for _ in range(missing))]

        @given(st.tuples(*drawn))
        def test(args: tuple[Any, ...]) -> None:
            _judge(f, args, order)

        run = settings(deadline=None, max_examples=max_examples or settings().max_examples)(test)

        @functools.wraps(f)
        def property_of_f() -> None:
            run()

        del property_of_f.__wrapped__  # pytest would ask for the arguments of f
        return property_of_f

    return decorate


def check_program(program: Program, *, order: int = 1) -> None:
    """Check the gradients of a random program; an example for hypothesis to pass over if it cannot be judged.

    Raises:
        GradientError: a gradient is wrong; its text ends with the program as runnable code.
    """
    try:
        _judge(program, program.inputs, order)
    except GradientError as error:
        error.add_note(repr(program))
        raise


def _judge(f: Callable[..., Any], args: tuple[Any, ...], order: int) -> None:
    try:
        check_grads(f, *args, order=order)
    except GradientError as error:
        if error.verdict not in UNDECIDED:
            raise
        reject()
