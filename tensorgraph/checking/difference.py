"""The slope of a function along a line, by differences, and how far it can be trusted.

A difference quotient has two errors. With a long step it sees the curve, with a short one the rounding of the values.
Which step is best depends on the function, so a sweep of steps is tried, each result improved by Richardson's
extrapolation. Where neighbouring steps agree best is the answer, and how well they agree is the estimate of its error.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

RATIO = 4.0  # from one step to the next
SHORTEST = 22  # 4^-22 = 6e-14 of the first step
LONGEST = 6  # 4096 times the first step: for what is linear and drowns in rounding
ODD = (0.7, 0.83, 1.13)  # spacings: a grid of rounded numbers that is in step with one is not with all
EPS = float(np.finfo(np.float64).eps)
HALF = float(np.finfo(np.float16).eps)  # of the coarsest type in which an operation may compute unseen


class Slope(NamedTuple):
    """A derivative by differences."""

    value: float
    error: float  # estimated: how far the value may be off; infinite if no step gave finite numbers
    kink: bool  # the slopes to the left and to the right differ, however short the step
    floor: float  # what rounding alone makes of a slope of 0, over a step of 1
    clear: bool = False  # known to four digits, not 0, and the same to both sides
    between: bool = False  # at a kink: what is claimed is the slope to one side, or between both
    noise: float = 0.0  # how far rounding on the way may move it, at most


class Rounding(NamedTuple):
    """What is known of how the values along a line are rounded."""

    eps: float  # relatively, of the coarsest type that is known to be on the way
    far: float  # what does not move over so long a step, does not depend on t: it is not rounded anew
    size: float  # how large what moves is, in steps
    noise: float  # how far what is known to be rounded may move the sum
    lost: float  # what may be lost inside of operations where nothing moves, as in 50 + 1e-17 - 50


def slope(line: Callable[[float], Array], weights: Array, claim: float, scale: float, rounding: Rounding) -> Slope:
    """d/dt of sum(weights * line(t)) at t = 0.

    Arguments:
        line: the function; may give NaN away from 0.
        weights: a number for each element of its result.
        claim: what the slope is said to be; where the first steps say so too, no others are tried.
        scale: what counts as a slope of ordinary size, so that one near 0 need not be known to its last digit.

    Source: Ridders, "Accurate computation of F'(x) and F'(x)F''(x)", 1982.
    """
    eps, _, size, noise, lost = rounding
    sweep = _Sweep(line, weights, claim, scale, rounding)
    if claim and sweep.is_still(HALF * size, noise + lost):
        return Slope(0.0, 0.0, False, max(sweep.floor, lost))
    for k in range(SHORTEST):
        sweep.add(RATIO**-k)
        if k >= 3 and (sweep.settled() or (claim and (sweep.refuted() or sweep.drowned) and not sweep.sharpens())):
            break  # a claim of 0 is tried to the end: long steps see a slope in a staircase
    for k in range(1, LONGEST + 1):
        if sweep.settled() or sweep.refuted() or eps > EPS:  # beside coarse rounding, what is bounded looks flat
            break
        sweep.add(RATIO**k)
    if sweep.is_flat():
        return Slope(0.0, 0.0, False, sweep.floor)
    if not sweep.settled():
        sweep.listen()
    best = sweep.best()
    kinks = sweep.kinks()
    between = all(sweep.is_between(step) for step in kinks)
    return Slope(
        best.value,
        best.error,
        bool(kinks),
        sweep.floor_at(best.step, lost),
        sweep.is_clear(best),
        between,
        noise / (best.step or 1.0) if eps == EPS else 0.0,
    )


def norm(values: Array) -> float:
    """The Euclidean norm, of any size: the squares of 1e200 overflow."""
    largest = float(np.abs(values).max(initial=0.0))
    return largest * float(np.linalg.norm(values / largest)) if 0 < largest < np.inf else largest


def _noise_level(points: Array, order: int) -> float:
    """The standard deviation of noise that gives such differences of that order."""
    differences = np.diff(points, order)
    return float(np.sqrt(np.mean(differences**2) / math.comb(2 * order, order)))


class _Quotient(NamedTuple):
    """The difference quotients of one step."""

    value: float  # central
    gap: float  # the slope to the right less that to the left
    rounding: float  # of the central one

    @property
    def silent(self) -> bool:
        """The results are the same on both sides, to the last bit."""
        return self.value == 0 and self.gap == 0


class _Candidate(NamedTuple):
    """A slope, from three neighbouring steps."""

    step: float
    value: float
    error: float


_NONE = _Candidate(0.0, 0.0, np.inf)


class _Sweep:
    """Quotients for many steps, and the best that can be made of them."""

    def __init__(
        self, line: Callable[[float], Array], weights: Array, claim: float, scale: float, rounding: Rounding
    ) -> None:
        self._line, self._weights, self._claim, self._scale = line, weights, claim, scale
        eps, far, *_ = rounding
        self._here = line(0.0)
        self._far = far
        self._moves = (line(far) != self._here) | (line(-far) != self._here) if far > 1 else self._here != self._here
        self._eps = eps
        self._quotients: dict[float, _Quotient] = {}  # by step
        self._improved: dict[float, float] = {}  # by the shorter of two steps
        self._candidates: list[_Candidate] = []
        self.floor = self._eps * norm(weights * self._here)
        self._noise = 0.0  # of the weighted sum of the results, where it is more than their types say
        self.drowned = False  # shorter steps only round more

    def add(self, step: float) -> None:
        after, before = self._line(step), self._line(-step)
        with np.errstate(all="ignore"):
            # Differences first, element by element: in a sum, large elements would round away small ones.
            value = float(np.vdot(self._weights, after - before)) / (2 * step)
            gap = float(np.vdot(self._weights, (after - self._here) - (self._here - before))) / step
            self._moves = self._moves | (after != self._here) | (before != self._here)
            sizes = self._weights * np.maximum(np.abs(after), np.abs(before))
        rounded = norm(sizes[self._moves]) / step + norm(sizes[~self._moves]) / self._far
        rounding = 2 * self._eps * (rounded + abs(value) / step)  # of the results, and of the place
        if np.isfinite(value + gap + rounding):
            self._quotients[step] = _Quotient(value, gap, rounding)
            self._improve(step)
            self._improve(step / RATIO)

    def _improve(self, step: float) -> None:
        """Richardson: of two steps, what is quadratic in the step cancels. Two such results tell the error."""
        if step not in self._quotients or step * RATIO not in self._quotients:
            return
        rough, fine = self._quotients[step * RATIO], self._quotients[step]
        self._improved[step] = fine.value + (fine.value - rough.value) / (RATIO**2 - 1)
        for short in (step, step / RATIO):
            if short in self._improved and short * RATIO in self._improved:
                apart = abs(self._improved[short] - self._improved[short * RATIO])
                rounding = self._quotients[short].rounding
                self.drowned = apart < rounding
                self._candidates.append(_Candidate(short, self._improved[short], apart + rounding))

    def listen(self) -> None:
        """Measure how much the results are rounded, and judge all steps again with that.

        What was rounded on the way, by cancellation or inside of an operation, does not show in the types.
        Of equally spaced values the differences of high order tell: those of a smooth function vanish, those of noise
        stay. The shortest spacings at which enough moves decide.

        Source: More and Wild, "Estimating computational noise", 2011.
        """
        for k in range(SHORTEST - 2, 1, -2):
            heard = [self._noise_at(spacing * RATIO**-k) for spacing in ODD]
            self._noise = max(noise or 0.0 for noise in heard)
            if self._noise or None not in heard:
                break
        if self._noise > self.floor:
            self._quotients = {
                step: q._replace(rounding=q.rounding + 4 * self._noise / step)
                for step, q in self._quotients.items()
                if step <= 1  # over longer ones, beside much noise, what is bounded looks flat
            }
            self._improved, self._candidates = {}, []
            for step in sorted(self._quotients, reverse=True):
                self._improve(step)

    def _noise_at(self, spacing: float) -> float | None:
        """The noise of equally spaced values; None where too little moves to tell."""
        points = np.array([self._sum(spacing * j) for j in range(8)])
        if not np.isfinite(points).all():
            return None
        levels = [_noise_level(points, order) for order in (4, 5, 6)]
        bends = np.abs(np.diff(points, 2))
        alone = 0 < (bends > 0.01 * bends.max() + 4 * self.floor).sum() < 4  # one kink, or one step of a staircase
        if alone or np.ptp(points) <= 4 * self.floor:
            return None
        return max(levels) if min(levels) > max(0.25 * max(levels), self.floor) else 0.0

    def _sum(self, t: float) -> float:
        with np.errstate(all="ignore"):
            return float(np.vdot(self._weights, self._line(t) - self._here))

    def settled(self) -> bool:
        """Known to about half of the digits that the results have, and as claimed."""
        best = self.best()
        size = max(abs(best.value), self._scale)
        apart = abs(best.value - self._claim)
        return best.error <= max(1e-10, 100 * self._eps) * size and apart <= 1e-7 * abs(best.value) + 1e-10 * size

    def is_still(self, apart: float, noise: float) -> bool:
        """A step of a staircase that is wider than those that rounding makes: beside it the slope is 0.

        Arguments:
            apart: how far apart the values of a coarse type are. noise: how far rounding on the way moves the sum.
        """
        after, before = self._reach(1.0), self._reach(-1.0)
        if not (after and before):
            return False
        moves = (self._line(2 * after) != self._here) | (self._line(-2 * before) != self._here)
        rounded = HALF * norm((self._weights * self._here)[moves if moves.any() else ~moves]) + noise
        return abs(self._claim) * (after + before - apart) > rounded

    def _reach(self, side: float) -> float:
        """How far nothing moves to one side."""
        near, far = 0.0, 2.0**-20
        while far <= RATIO**LONGEST and self._stays(side * far):
            near, far = far, 2 * far
        for _ in range(4 if near else 0):
            middle = 0.5 * (near + far)
            near, far = (middle, far) if self._stays(side * middle) else (near, middle)
        return near

    def _stays(self, t: float) -> bool:
        return np.array_equal(self._line(t), self._here)

    def is_flat(self) -> bool:
        """A staircase that is said to have no slope: nothing moves, as far as no rounding would reach."""
        still = [step for step, q in self._quotients.items() if q.silent]
        moving = [step for step, q in self._quotients.items() if not q.silent]
        reach = max(1e-6, 8 * self._eps)
        return self._claim == 0 and sum(reach < step < min(moving, default=np.inf) for step in still) >= 3

    def refuted(self) -> bool:
        """Known well, alike to both sides over the shortest steps, of the size that was claimed, and something else."""
        best = self.best()
        if not best.error <= 1e-8 * abs(best.value) or abs(best.value) < 1e-3 * abs(self._claim):
            return False
        apart = abs(best.value - self._claim)
        # Three steps: so many on this side of a kink nearby are a candidate of their own.
        gap = max(abs(self._quotients[step].gap) for step in sorted(self._quotients)[:3])
        return gap < min(0.01 * abs(best.value), apart) and apart > 1e-4 * abs(best.value)

    def sharpens(self) -> bool:
        """The shorter the step, the larger the gap: it stands on a spike, which longer steps do not see."""
        (_, fine), (_, rough) = sorted(self._quotients.items())[:2]
        return abs(fine.gap) > 2 * abs(rough.gap) + 40 * fine.rounding

    def best(self) -> _Candidate:
        """Where neighbouring steps agree best, unless shorter steps say clearly something else: near a kink they do."""
        candidates = sorted(self._candidates)  # the shortest step first
        silent = [c for c in candidates if self._quotients[c.step].silent]
        if any(self._is_steady(c) for c in candidates) and silent and silent[-1].step < 1e-3:  # that of rounding
            candidates = [c for c in candidates if c not in silent]
        while candidates:
            best = min(candidates, key=lambda c: c.error)
            shorter = [c for c in candidates if c.step < best.step]
            clear = [c for c in shorter if abs(c.value - best.value) > 5 * (c.error + best.error)]
            if not clear:
                return best
            candidates = shorter
        return _NONE

    def is_clear(self, best: _Candidate) -> bool:
        return best.error < 1e-4 * abs(best.value) and self._is_steady(best)

    def floor_at(self, step: float, lost: float) -> float:
        """Where nothing moves, as of 50 - 50, the results do not tell how they were rounded on the way."""
        silent = step in self._quotients and self._quotients[step].silent
        return max(self.floor, lost) if silent else self.floor

    def _is_steady(self, candidate: _Candidate) -> bool:
        """A slope that is known well and is the same to both sides."""
        gap = abs(self._quotients[candidate.step].gap)
        return candidate.error < 1e-3 * abs(candidate.value) and gap < 0.1 * abs(candidate.value)

    def kinks(self) -> list[float]:
        """The steps over which a kink shows: of a smooth function the gap shrinks with the step; at a kink it stays,
        at a jump it grows.
        """
        quotients = sorted(self._quotients.items()) or [(1.0, _Quotient(0.0, 0.0, 0.0))]  # the shortest step first
        clear = [(step, abs(q.gap)) for step, q in quotients if abs(q.gap) > 40 * q.rounding]
        if len(clear) > 3 and all(3.5 < fine[1] / rough[1] < 4.5 for fine, rough in itertools.pairwise(clear[:4])):
            return [clear[0][0]]  # a jump
        pairs = list(itertools.pairwise(clear))[:3]  # not one alone: the shortest step may hardly reach a kink nearby
        _, shortest = quotients[0]
        near = abs(shortest.gap) + 40 * shortest.rounding < 0.5 * max((pair[0][1] for pair in pairs), default=0.0)
        reach = self.best().step  # if the shortest steps do not reach the kink: do those that told the slope?
        pairs = [pair for i, pair in enumerate(pairs) if pair[0][0] <= reach or (i == 0 and not near)]
        return [step for (step, stays), (_, before) in pairs if 0.6 * before < stays < 3 * before]

    def is_between(self, step: float) -> bool:
        """Whether the claim is one of the slopes to both sides, or between them, as far as so short a step tells."""
        (fine, rounding), (rough, _) = (self._sides(s) for s in (step, step * RATIO))
        reach = np.abs(fine - rough) + 10 * rounding + 1e-7 * np.abs(fine)
        return bool((fine - reach).min() <= self._claim <= (fine + reach).max())

    def _sides(self, step: float) -> tuple[Array, float]:
        """The slopes to the left and to the right, and how they are rounded."""
        q = self._quotients[step]
        return np.array([q.value - 0.5 * q.gap, q.value + 0.5 * q.gap]), q.rounding
