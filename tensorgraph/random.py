"""The library's own source of randomness, used wherever no `rng` is passed."""

from __future__ import annotations

import numpy as np

_rng = np.random.default_rng()


def default_rng() -> np.random.Generator:
    """The generator in use."""
    return _rng


def manual_seed(n: int) -> np.random.Generator:
    """Restart the library's generator from a seed: the same program gives the same numbers.

    Arguments:
        n: a whole number >= 0.

    Returns:
        The new generator.

    Example:
        >>> import tensorgraph as tg
        >>> _ = tg.manual_seed(0)
        >>> a = tg.randn(3)
        >>> _ = tg.manual_seed(0)
        >>> bool((a == tg.randn(3)).data.all())
        True
    """
    global _rng
    _rng = np.random.default_rng(n)
    return _rng
