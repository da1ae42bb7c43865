"""Is a gradient right? A verdict for each argument of a function on arrays, with the element that decides it.

A small argument is compared element by element. Of a large one, some elements are, those with the largest gradients and
some at random; the others are judged together, along a few random directions: one wrong element shows in the slope
along any of them, and halving the direction again and again finds it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from tensorgraph.checking.difference import EPS, Rounding, Slope, norm, slope

Array = np.ndarray[Any, np.dtype[Any]]
Function = Callable[[list[Array]], list[Array]]  # arrays to arrays
Backward = Callable[[list[Array]], Sequence[Array | None]]  # upstream gradients to gradients


class Effort(NamedTuple):
    """How much is compared."""

    small: int = 64  # arguments of so many elements are compared one by one
    samples: int = 16  # elements of a larger one
    directions: int = 3  # random directions of a larger one
    parts: int = 64  # parts of such a direction, where kinks are in it


class Finding(NamedTuple):
    """What the comparison of one slope says."""

    verdict: str  # "right", "wrong", "kink", "precision" or "not finite"
    argument: int = 0
    element: tuple[int, ...] | None = None  # None for a direction
    analytic: float = 0.0
    numeric: float = 0.0
    error: float = 0.0  # of the numeric value, estimated
    clear: bool = False  # the numeric value is known well, is not 0, and is the same to both sides
    open: bool = False  # wrong along a direction, unless a closer look at the element that differs says otherwise

    @property
    def apart(self) -> float:
        return abs(self.analytic - self.numeric)


ORDER = ("not finite", "wrong", "kink", "precision", "right")


def judge(
    f: Function,
    inputs: Sequence[Array],
    weights: Sequence[Array],
    backward: Backward,
    *,
    rng: np.random.Generator,
    effort: Effort,
    eps: float = EPS,
    noise: float = 0.0,
) -> Finding:
    """Compare gradients of sum(weights * f(inputs)) with differences; the worst finding.

    Arguments:
        f: from a list of float64 arrays to a list of arrays. inputs: where. weights: one for each result, in its shape.
        backward: from such weights to what is claimed, for each input; None for one that is not to be checked.
        eps: the rounding, relatively, of the coarsest type in which f computes, as far as is known.
        noise: how far rounding on the way may move sum(weights * f(inputs)), as far as is known.
    """
    here = f(list(inputs))
    if any(np.isnan(out).any() for out in here):
        return Finding("not finite")
    weights = [np.where(np.isinf(out), 0.0, weight) for out, weight in zip(here, weights, strict=True)]
    claimed = _Claimed(_finite(f, here), list(inputs), weights, backward(weights), backward, eps, noise)
    findings = [
        finding
        for i, gradient in enumerate(claimed.gradients)
        if gradient is not None and gradient.size
        for finding in _Argument(claimed, i).findings(rng, effort)
    ]
    return min(findings, key=lambda found: (ORDER.index(found.verdict), -found.apart), default=Finding("right"))


def _finite(f: Function, here: Sequence[Array]) -> Function:
    """The function with 0 for infinite values that stay the same, as those of a mask: they count for nothing."""
    infinite = [np.where(np.isinf(out), out, np.nan) for out in here]

    def finite(inputs: list[Array]) -> list[Array]:
        return [
            np.where(out == still, 0.0, out) if out.shape == still.shape else out
            for out, still in zip(f(inputs), infinite, strict=True)
        ]

    return finite


class _Claimed(NamedTuple):
    """A function, and what is said to be the gradients of sum(weights * f(inputs))."""

    f: Function
    inputs: list[Array]
    weights: list[Array]
    gradients: Sequence[Array | None]
    backward: Backward
    eps: float
    noise: float


class _Argument:
    """One argument of the function, all others held fast."""

    def __init__(self, claimed: _Claimed, number: int) -> None:
        self._claimed, self._number = claimed, number
        self._weights = np.concatenate([np.empty(0), *(weight.ravel() for weight in claimed.weights)])
        self._x = claimed.inputs[number]
        self._sizes = np.abs(self._x, where=np.isfinite(self._x), out=np.zeros(self._x.shape))
        self._gradient = np.asarray(claimed.gradients[number], np.float64)
        self._largest = float(np.abs(self._gradient).max())
        sizes = [np.abs(g).max(initial=0.0, where=np.isfinite(g)) for g in claimed.gradients if g is not None]
        self._of_all = float(max(sizes))
        self._eps = claimed.eps

    def findings(self, rng: np.random.Generator, effort: Effort) -> Iterable[Finding]:
        bad = ~np.isfinite(self._gradient)
        if bad.any():
            index = self._index(int(bad.argmax()))
            yield Finding("not finite", self._number, index, float(self._gradient[index]))
            return
        n = self._gradient.size
        if n <= effort.small:
            yield from map(self._element, range(n))
            return
        for _ in range(effort.directions):
            # Of different lengths, or errors of one size, as of a pixel in the wrong window, would often cancel.
            lengths = rng.choice([-1.0, 1.0], n) * rng.integers(64, 193, n) / 128
            for argument in filter(None, (self._beside_kinks(lengths), self)):
                for found, part in argument._parts(lengths, effort.parts):
                    decided = argument._culprit(part, found) if found.verdict == "wrong" else found
                    yield decided
                    if decided.verdict == "wrong":
                        return
        largest = np.argpartition(-np.abs(self._gradient).ravel(), effort.samples // 2)[: effort.samples // 2]
        others = rng.choice(n, effort.samples - len(largest), replace=False)
        yield from map(self._element, {*largest.tolist(), *others.tolist()})

    def _element(self, place: int) -> Finding:
        index = self._index(place)
        one = np.zeros_like(self._x, dtype=np.float64)
        one[index] = 1.0
        return self._compare(one, index)

    def _direction(self, lengths: Array) -> Finding:
        return self._compare(lengths.reshape(self._x.shape), None)

    def _beside_kinks(self, lengths: Array) -> _Argument | None:
        """The same without those results that bend at once along a direction: what is wrong shows in the others."""
        direction = lengths.reshape(self._x.shape)
        line = self._line(direction, 1e-6 * self._unit(direction))
        here, after, before = line(0.0), line(1.0), line(-1.0)
        to_both_sides = np.abs(after - here) + np.abs(here - before)
        straight = np.abs(after - 2 * here + before) <= 1e-4 * to_both_sides + 8 * self._eps * np.abs(here)
        if straight.all() or not straight.any():
            return None
        ends = np.cumsum([weight.size for weight in self._claimed.weights])[:-1]
        kept = np.split(np.where(straight, self._weights, 0.0), ends)
        weights = [part.reshape(weight.shape) for part, weight in zip(kept, self._claimed.weights, strict=True)]
        gradients = self._claimed.backward(weights)
        return _Argument(self._claimed._replace(weights=weights, gradients=gradients), self._number)

    def _parts(self, lengths: Array, most: int) -> Iterator[tuple[Finding, Array]]:
        """The findings along a direction: where a kink hides what else is in it, along smaller and smaller parts."""
        waiting = [np.flatnonzero(lengths)]
        for places in waiting:  # grows while it runs, the larger parts first
            part = np.zeros_like(lengths)
            part[places] = lengths[places]
            found = self._direction(part)
            yield found, part
            if found.verdict == "kink" and len(places) > 1 and len(waiting) < most:
                waiting += np.array_split(places, 2)

    def _culprit(self, lengths: Array, whole: Finding) -> Finding:
        """The element that is wrong: the half of the direction in which slope and gradient are further apart has it."""
        places, found = np.flatnonzero(lengths), whole
        while len(places) > 1:
            halves = np.array_split(places, 2)
            parts = [self._direction(np.where(np.isin(np.arange(lengths.size), half), lengths, 0.0)) for half in halves]
            worse = int(abs(parts[1].analytic - parts[1].numeric) > abs(parts[0].analytic - parts[0].numeric))
            places, found = halves[worse], parts[worse]
        element = self._element(int(places[0]))
        return element if whole.open or element.verdict in ("wrong", "kink") else found._replace(verdict="wrong")

    def _compare(self, direction: Array, index: tuple[int, ...] | None) -> Finding:
        """Over steps as large as the largest element that moves; if that says no, over those as small as each is."""
        moved = direction != 0
        unit = self._unit(direction)
        found = self._over(direction, unit, index, self._of_all)
        sizes = self._sizes
        if found.verdict == "right" or not ((sizes > 0) & (sizes < unit / 1000))[moved].any():
            return found
        near = 2.0 ** np.floor(np.log2(np.where(sizes > 0, sizes, 1.0)))  # no further than kinks, poles and edges at 0
        if index is not None:
            of_this = abs(float(self._gradient[index]))
            closer = self._over(direction, float(near[index]), index, of_this, far=unit / near[index])
        else:
            closer = self._over(direction * near, 1.0, None, float(np.abs(self._gradient * near).max()))
        if closer.verdict == "right":
            # Nothing moves so near, but does clearly further away; or, along a direction, steps as small as each
            # element is hide a small one beside all others: then the element that differs decides.
            if closer.numeric == 0 and found.clear:
                return found
            return found._replace(open=True) if index is None and found.verdict == "wrong" else closer
        return closer if closer.verdict == "wrong" and closer.clear and found.verdict != "wrong" else found

    def _over(
        self, direction: Array, unit: float, index: tuple[int, ...] | None, largest: float, far: float = 1.0
    ) -> Finding:
        """The comparison along a line, with `unit` as the first step; `far` of them reach all that depends on it."""
        line = self._line(direction, unit)
        analytic = float(np.vdot(self._gradient, direction))
        scale = norm(self._gradient * direction) if index is None else self._largest
        size = float(self._sizes[direction != 0].max())
        lost = EPS * norm(self._weights) * max(size, 1.0) * max(unit, 1.0)
        rounding = Rounding(self._eps, far, size / unit, self._claimed.noise, lost)
        found = slope(line, self._weights, analytic * unit, scale * unit, rounding)
        numeric, error = found.value / unit, found.error / unit
        found = found._replace(value=numeric, error=error, floor=found.floor / unit, noise=found.noise / unit)
        verdict = _verdict(analytic, found, scale, largest, self._eps)
        if verdict == "kink" and index is not None and not found.between:
            verdict = "wrong"  # along a direction, kinks of both signs may cancel
        return Finding(verdict, self._number, index, analytic, numeric, error, found.clear)

    def _unit(self, direction: Array) -> float:
        """A step as large as the largest element that moves."""
        return float(2.0 ** np.ceil(np.log2(max(float(self._sizes[direction != 0].max()), 1.0))))

    def _line(self, direction: Array, unit: float) -> Callable[[float], Array]:
        """All results, one after the other, so many steps along a direction."""

        def line(t: float) -> Array:
            inputs = list(self._claimed.inputs)
            inputs[self._number] = self._x + (t * unit) * direction
            try:
                with np.errstate(all="ignore"):
                    out = np.concatenate([out.ravel() for out in self._claimed.f(inputs)])
                if out.size == self._weights.size:
                    return out
            except ValueError:
                if t == 0:
                    raise
            return np.full(self._weights.shape, np.nan)  # outside of its domain, or a result of another shape

        return line

    def _index(self, place: int) -> tuple[int, ...]:
        return tuple(int(i) for i in np.unravel_index(place, self._gradient.shape))


def _verdict(analytic: float, numeric: Slope, scale: float, largest: float, eps: float) -> str:
    """The tolerance follows from the error of the difference, and from the rounding of the gradient itself.

    Arguments:
        scale: the size of gradients in this argument. largest: of all gradients; beside it, what is tiny counts as 0.
        eps: how the gradient is rounded where a coarser type is on the way.
    """
    larger = max(abs(analytic), abs(numeric.value))
    apart = abs(analytic - numeric.value)
    nothing = 1e-10 * largest + min(10 * numeric.floor, 1e-12)
    if numeric.error == np.inf:
        return "precision"
    if apart > 10 * numeric.error + 1e-7 * larger + (1e-10 + 10 * eps) * scale + nothing:
        if numeric.kink:
            return "kink"
        return "wrong" if apart > 10 * numeric.noise else "precision"
    if apart > 0 and numeric.error > 1e-3 * max(larger, scale) + nothing:
        return "precision"
    return "right"
