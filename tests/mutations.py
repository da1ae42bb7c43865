"""Gradient rules made wrong in every way that happens in practice, for the tests of the checker and for its page.

A mutant is a primitive with one rule replaced, and a call that uses it. What the replacement leaves as it is, such as a
shift of equal numbers, is no mutant.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
from op_samples import real
from op_table import ROWS
from test_ops import tracked, upstream_like

import tensorgraph as tg
from tensorgraph._primitive import registry
from tensorgraph.testing import GradientError, check_grads

Wrong = Callable[..., Any]  # (the right rule, g, out, *arrays, **options) -> a wrong gradient


class Mutant(NamedTuple):
    op: str
    argument: int
    arrays: tuple[Any, ...]
    options: dict[str, Any]
    wrong: Wrong

    def __str__(self) -> str:
        return f"{self.op}, argument {self.argument}, {self.options}"


# --- what is made wrong in the result --------------------------------------------------------------------------------


def of_result(change: Callable[[Any], Any]) -> Wrong:
    """A rule whose result is changed, on arrays and on tensors."""
    return lambda rule, *args, **options: change(rule(*args, **options))


def one_element(d: Any) -> Any:
    """The largest, as long as it is known."""
    return times_at(d, int(np.abs(d).argmax()) if isinstance(d, np.ndarray) else 0, 1.01)


def times_at(d: Any, place: int, factor: float) -> Any:
    factors = np.ones(d.size, dtype=d.dtype)
    factors[place] = factor
    return d * factors.reshape(d.shape)


def dropped_term(rule: Any, g: Any, *args: Any, **options: Any) -> Any:
    """As if one of the outputs, in the middle, had not been used."""
    return rule(times_at(g, g.size // 2, 0.0), *args, **options)


EVERYWHERE: dict[str, Wrong] = {
    "the sign flipped": of_result(lambda d: -d),
    "a factor of 1.001": of_result(lambda d: d * 1.001),
    "zero": of_result(lambda d: d * 0.0),
    "one element 1 % off": of_result(one_element),
    "a term dropped": dropped_term,
    "blind to the upstream gradient": lambda rule, g, *args, **options: rule(g * 0.0 + 1.0, *args, **options),
    "reversed along the last axis": of_result(lambda d: d[..., ::-1] if d.ndim else d),
}

# --- what is made wrong in kernels, windows and axes -----------------------------------------------------------------


def shifted(a: Any) -> Any:
    """One pixel to the right; the padding comes in from the left."""
    return np.pad(a, [(0, 0)] * (a.ndim - 1) + [(1, 0)])[..., :-1]


def of_kernel(change: Callable[[Any], Any]) -> Wrong:
    """A rule that uses the kernel w wrongly: the gradient of x is made with it, the gradient of w comes out so."""

    def wrong(rule: Any, g: Any, out: Any, *arrays: Any, **options: Any) -> Any:
        w = arrays[1]
        d = rule(g, out, arrays[0], change(w), *arrays[2:], **options)
        return change(d) if d.shape == w.shape else d

    return wrong


def other_axis(rule: Any, *args: Any, axis: int = -1, **options: Any) -> Any:
    return rule(*args, axis={0: 1, 1: 0, -1: 0}[axis], **options)


def sliced_to(x: Any, shape: tuple[int, ...]) -> Any:
    """A slice in the shape of the sum."""
    x = x[(0,) * (x.ndim - len(shape))]
    return x[tuple(slice(0, size) for size in shape)]


IMAGE, FILTERS, BIAS = real(1, 2, 3, 4), real(2, 1, 2, 2), real(2)


def first_samples(names: Any) -> Iterator[tuple[Any, int, tuple[Any, ...], dict[str, Any]]]:
    for row in ROWS:
        if names(row):
            arrays, options = small(row)
            for i in tracked(row, arrays):
                yield row, i, arrays, options


def small(row: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The first sample; of a convolution, with fewer channels and pixels: every number takes time."""
    arrays, options = row.samples[0]
    if not row.name.startswith("conv2d"):
        return arrays, options
    x, w, g = IMAGE, FILTERS, IMAGE[:, :, :2, :2]
    if row.name == "conv2d_input_grad":
        return (g, w), {**options, "x_shape": x.shape}
    if row.name == "conv2d_weight_grad":
        return (g, x), {**options, "w_shape": w.shape}
    return (x, w, BIAS), options


def has_kernel(row: Any) -> bool:
    return row.name.startswith("conv2d") and row.name != "conv2d_weight_grad"


def has_window(row: Any) -> bool:
    return row.name.startswith("conv2d") or "pool2d" in row.name or row.name in ("fold", "unfold", "pad")


SQUARE = np.random.default_rng(3).uniform(0.2, 1.8, (3, 3))
ALONG = ("sum", "mean", "var", "std", "prod", "max", "min", "norm", "logsumexp", "cumsum", "softmax", "log_softmax")


def everywhere(wrong: Wrong) -> Iterator[Mutant]:
    for row, i, arrays, options in first_samples(lambda row: True):
        yield Mutant(row.name, i, arrays, options, wrong)


def in_kernels(change: Callable[[Any], Any]) -> Iterator[Mutant]:
    for row, i, arrays, options in first_samples(has_kernel):
        if i < 2:
            yield Mutant(row.name, i, arrays, options, of_kernel(change))


def in_windows() -> Iterator[Mutant]:
    for row, i, arrays, options in first_samples(has_window):
        if arrays[i].ndim > 1:
            yield Mutant(row.name, i, arrays, options, of_result(shifted))


def in_matrices() -> Iterator[Mutant]:
    for name in ("matmul", "linear", "linear_relu", "linear_tanh", "linear_sigmoid"):
        arrays = (SQUARE, SQUARE - 1.0) if name == "matmul" else (SQUARE, SQUARE - 1.0, None)
        for i in (0, 1):
            yield Mutant(name, i, arrays, {}, of_result(lambda d: d.swapaxes(0, 1)))


def along_axes() -> Iterator[Mutant]:
    for name in ALONG:
        for axis in (0, 1):
            yield Mutant(name, 0, (SQUARE,), {"axis": axis}, other_axis)


RNG = np.random.default_rng(4)
NUMBERS = RNG.uniform(0.2, 0.8, (100, 100))
PICTURE = NUMBERS.reshape(1, 1, 100, 100)
LARGE: list[tuple[str, int, tuple[Any, ...], dict[str, Any]]] = [
    ("tanh", 0, (NUMBERS,), {}),
    ("mul", 1, (NUMBERS, NUMBERS.T), {}),
    ("matmul", 0, (NUMBERS, NUMBERS[:, :4]), {}),
    ("linear", 1, (NUMBERS[:4], NUMBERS, None), {}),
    ("sum", 0, (NUMBERS,), {"axis": 1}),
    ("softmax", 0, (NUMBERS,), {"axis": 1}),
    ("softmax_cross_entropy", 0, (NUMBERS, np.arange(100)), {}),
    ("batch_norm", 0, (NUMBERS, None, None), {"eps": 1e-5}),
    ("conv2d", 0, (PICTURE, NUMBERS[:1, :9].reshape(1, 1, 3, 3), None), {}),
    ("conv2d", 1, (NUMBERS[:10].reshape(1, 10, 10, 10), NUMBERS.reshape(40, 10, 5, 5), None), {}),
    ("max_pool2d", 0, (PICTURE,), {"kernel_size": 2}),
    ("avg_pool2d", 0, (PICTURE,), {"kernel_size": 2}),
]


def in_large_arrays() -> Iterator[Mutant]:
    """One wrong element in ten thousand, at a place that nothing distinguishes."""
    for name, i, arrays, options in LARGE:

        def wrong(rule: Any, *args: Any, where: int = int(RNG.integers(5000)), **options: Any) -> Any:
            d = rule(*args, **options)
            ordinary = np.flatnonzero(np.abs(d) > 0.1 * np.abs(d).max())
            return times_at(d, ordinary[where % len(ordinary)], 1.01)

        yield Mutant(name, i, arrays, options, wrong)


def broadcast() -> Iterator[Mutant]:
    """Calls whose arguments are broadcast; the sum back to their shapes is replaced for all rules at once."""
    for row in ROWS:
        for arrays, options in row.samples:
            shapes = {np.shape(a) for a in arrays if a is not None}
            if (registry[row.name].elementwise and len(shapes) > 1) or row.name == "broadcast_to":
                yield Mutant(row.name, -1, arrays, options, sliced_to)
    yield Mutant("matmul", -1, (np.ones((4, 1, 2, 3)), SQUARE), {}, sliced_to)


KINDS: dict[str, Callable[[], Iterator[Mutant]]] = {
    **{kind: functools.partial(everywhere, wrong) for kind, wrong in EVERYWHERE.items()},
    "the sum over broadcast axes missing": broadcast,
    "a matrix transposed": in_matrices,
    "a convolution's kernel transposed": functools.partial(in_kernels, lambda w: w.swapaxes(-1, -2)),
    "a convolution's kernel flipped": functools.partial(in_kernels, lambda w: w[..., ::-1, ::-1]),
    "the padding off by one": in_windows,
    "the wrong axis": along_axes,
    "one element in 10,000 1 % off": in_large_arrays,
}

# --- whether it is caught --------------------------------------------------------------------------------------------


FUSED = {name for name, primitive in registry.items() if primitive.opened is not None}


class Outcome(NamedTuple):
    changed: bool  # the gradient is another
    verdict: str
    op: str | None

    def caught(self, op: str) -> bool:
        """Called wrong, with the right operation; a fused one is named by one of its steps."""
        return self.verdict == "wrong" and (self.op == op or (op in FUSED and self.op is not None and self.op in op))


def outcome(mutant: Mutant) -> Outcome:
    """What check_grads says of a mutant."""
    primitive = registry[mutant.op]
    positions = [i for i, a in enumerate(mutant.arrays) if isinstance(a, np.ndarray) and a.dtype.kind == "f"]
    rules = primitive.rules
    positions = [i for i in positions if rules[0 if primitive.variadic else i] and mutant.argument in (i, -1)]
    arguments = [tg.tensor(a, requires_grad=True) if i in positions else a for i, a in enumerate(mutant.arrays)]

    def call(*args: Any) -> Any:
        return primitive(*args, **mutant.options)

    def gradients() -> list[Any]:
        out = call(*arguments)
        return tg.gradients(out, [arguments[i] for i in positions], upstream_like(out.detach().data))

    right = gradients()
    with pytest.MonkeyPatch.context() as patch:
        if mutant.argument < 0:
            for place in ("_backward", "_broadcast", "ops.linalg"):
                patch.setattr(f"tensorgraph.{place}.sum_to", mutant.wrong)
        else:
            replace_rule(patch, mutant)
        now = gradients()
        if all(np.allclose(a.data, b.data, rtol=1e-6, atol=1e-12) for a, b in zip(right, now, strict=True)):
            return Outcome(False, "right", None)
        try:
            check_grads(call, *arguments)
        except GradientError as error:
            return Outcome(True, error.verdict, error.op)
    return Outcome(True, "right", None)


def replace_rule(patch: pytest.MonkeyPatch, mutant: Mutant) -> None:
    """Put the wrong rule in the place of the right one, on arrays and on tensors."""
    primitive, i, wrong = registry[mutant.op], mutant.argument, mutant.wrong
    rules = list(primitive.rules)
    if primitive.variadic:
        right = rules[0]
        rules[0] = lambda k, *args, **options: (
            wrong(functools.partial(right, k), *args, **options) if k == i else right(k, *args, **options)
        )
    else:
        rules[i] = functools.partial(wrong, rules[i])
    patch.setattr(primitive, "rules", tuple(rules))
    if at_once := primitive.vjp_arrays:

        def spoiled(wanted: Any, *args: Any, **options: Any) -> Any:
            found = list(at_once(wanted, *args, **options))
            if wanted[i]:
                found[i] = wrong(lambda *a, **o: at_once(wanted, *a, **o)[i], *args, **options)
            return found

        patch.setattr(primitive, "vjp_arrays", spoiled)


@functools.cache
def outcomes(kind: str) -> tuple[tuple[Mutant, Outcome], ...]:
    """All mutants of a kind with what check_grads says of them."""
    found = ((mutant, outcome(mutant)) for mutant in KINDS[kind]())
    return tuple((mutant, said) for mutant, said in found if said.changed)
