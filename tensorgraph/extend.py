"""The public door for your own operations: the decorators that make the built-in ones too.

Example:
    >>> import numpy as np, tensorgraph as tg
    >>> @tg.extend.elementwise(gate="function")
    ... def square(x, /):
    ...     return x * x
    >>> square.vjp(x=lambda g, out, x: g * 2 * x)
    >>> x = tg.tensor(3.0, requires_grad=True)
    >>> square(x).backward()
    >>> x.grad
    tensor(6.)
"""

from tensorgraph._primitive import GATES, Elementwise, Primitive, elementwise, primitive

__all__ = ["GATES", "Elementwise", "Primitive", "elementwise", "primitive"]
