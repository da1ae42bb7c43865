"""Checks of gradients, for the library's own operations and for yours.

What draws random arguments, `strategies`, `gradient_property` and `check_program`, needs the package hypothesis, and is
loaded when it is asked for.
"""

from typing import TYPE_CHECKING, Any

from tensorgraph.checking.report import GradientError, Report
from tensorgraph.testing.gradients import check_grads

if TYPE_CHECKING:
    from tensorgraph.testing import strategies
    from tensorgraph.testing.properties import check_program, gradient_property

__all__ = ["GradientError", "Report", "check_grads", "check_program", "gradient_property", "strategies"]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "strategies":
        return import_module("tensorgraph.testing.strategies")
    if name in ("check_program", "gradient_property"):
        return getattr(import_module("tensorgraph.testing.properties"), name)
    raise AttributeError(f"module 'tensorgraph.testing' has no attribute {name!r}")
