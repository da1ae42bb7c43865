"""View: what a caller asks a picture to show."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class View:
    """The options of `tg.draw`."""

    values: bool = True
    grads: bool = True
    depth: int | None = None  # how many levels of layers are open; None: as many as fit
    max_nodes: int = 60
    expand: tuple[str, ...] = ()

    @classmethod
    def of(cls, options: dict[str, Any], base: View | None = None) -> View:
        """The view `base` with these options, checked."""
        known = [field.name for field in fields(cls)]
        for name, value in options.items():
            if name not in known:
                raise TypeError(f"draw: no option is called {name!r}; the options are {', '.join(known)}")
            if name in ("depth", "max_nodes") and not (name == "depth" and value is None):
                _check_number(name, value, least=0 if name == "depth" else 2)
        if "expand" in options:
            names = options["expand"]
            names = (names,) if isinstance(names, str) else tuple(names)
            if not all(isinstance(name, str) for name in names):
                raise TypeError(f"draw: expand must be a name or several names, got {names!r}")
            options = options | {"expand": names}
        return replace(base or cls(), **options)


def _check_number(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"draw: {name} must be a whole number, got {value!r}")
    if value < least:
        raise ValueError(f"draw: {name} must be at least {least}, got {value}")
