"""Checks of gradients, for the library's own operations and for yours."""

from tensorgraph.checking.report import GradientError, Report
from tensorgraph.testing.gradients import check_grads

__all__ = ["GradientError", "Report", "check_grads"]
