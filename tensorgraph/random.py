"""The library's own source of randomness, used wherever no `rng` is passed."""

from __future__ import annotations

import numpy as np

_rng: np.random.Generator | None = None  # made at the first use: NumPy's random numbers take a while to import


def default_rng() -> np.random.Generator:
    """The generator in use."""
    global _rng
    if _rng is None:
        _rng = np.random.default_rng()
    return _rng


def chosen(rng: np.random.Generator | None) -> np.random.Generator:
    """The generator that was passed, the library's own if None."""
    if rng is None:
        return default_rng()
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng must be a numpy.random.Generator such as numpy.random.default_rng(0), got {rng!r}")
    return rng


def manual_seed(n: int) -> np.random.Generator:
    """Restart the library's generator from a seed: the same program gives the same numbers.

    Arguments:
        n: a whole number >= 0.

    Returns:
        The new generator.

    Raises:
        ValueError: n is something else.

    Example:
        >>> import tensorgraph as tg
        >>> _ = tg.manual_seed(0)
        >>> a = tg.randn(3)
        >>> _ = tg.manual_seed(0)
        >>> bool((a == tg.randn(3)).data.all())
        True
    """
    global _rng
    if not isinstance(n, (int, np.integer)) or n < 0:
        raise ValueError(f"manual_seed: n must be a whole number >= 0, got {n!r}")
    _rng = np.random.default_rng(n)
    return _rng
