"""The errors of the library. Wrong types are Python's own TypeError."""


class ShapeError(ValueError):
    """Shapes, sizes or values that an operation cannot work with."""


class GradError(RuntimeError):
    """A gradient that was asked for cannot be given."""
