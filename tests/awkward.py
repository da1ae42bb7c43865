"""Right functions that are hard to judge, each with why and with the verdict that it shall get: never "wrong".

"right" says that the check must be able to tell; "kink" and "precision" that there is no telling at this point.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import nn
import tensorgraph as tg
from tensorgraph.testing import GradientError, check_grads


class Awkward(NamedTuple):
    what: str
    why: str
    f: Callable[..., Any]
    inputs: tuple[Any, ...]
    verdict: str = "right"


X = np.array([0.5, -1.25, 2.0])
P = np.array([0.25, 1.0, 3.0])
M = np.random.default_rng(0).normal(size=(4, 5))
MANY = np.random.default_rng(3).normal(size=40)
IMAGES = np.random.default_rng(1).normal(size=(2, 2, 6, 6))
FILTERS = np.random.default_rng(2).normal(size=(3, 2, 3, 3))


def case(what: str, why: str, f: Callable[..., Any], *inputs: Any, verdict: str = "right") -> Awkward:
    return Awkward(what, why, f, inputs, verdict)


def newton(x: Any) -> Any:
    """The square root by eight steps of Newton's method."""
    y = x
    for _ in range(8):
        y = 0.5 * (y + x / y)
    return y


def mixture(x: Any, w: Any) -> Any:
    """A program that shares values, branches, reduces, indexes and broadcasts."""
    hidden = tg.tanh(x @ w)
    gate = tg.sigmoid(hidden[:, ::-1]) * hidden
    norm = gate / tg.sqrt((gate * gate).sum(axis=1, keepdims=True) + 1e-3)
    return tg.logsumexp(norm @ norm.T, axis=0) - tg.concatenate([hidden.mean(axis=1), x[0, :1]], axis=0)[:4]


def sine_of(dtype: str) -> Any:
    """An operation on doubles that computes in another type."""

    @tg.extend.elementwise(gate="function", name=f"sine_of_{dtype}")
    def sine(x: Any, /) -> Any:
        return np.sin(x.astype(dtype)).astype(np.float64)

    sine.vjp(x=lambda g, out, x: g * tg.cos(x))
    return sine


def near(what: str, why: str, f: Callable[..., Any], values: list[float], verdicts: dict[float, str]) -> list[Awkward]:
    """A kink at the distances from the first of the values."""
    return [
        case(f"{what}{distance:g}", why, f, np.array([values[0] + distance, *values[1:]]), verdict=verdict)
        for distance, verdict in verdicts.items()
    ]


FLAT = [
    case("`x * 0 + 3`", "flat everywhere", lambda x: x * 0.0 + 3.0, X),
    case("`relu(x - 1)`", "flat in part", lambda x: tg.relu(x - 1.0), X),
    case(
        "`sigmoid(50 x)`",
        "saturated: gradients of 1e-10 beside 1e-44",
        lambda x: tg.sigmoid(50.0 * x),
        X,
    ),
    case("`tanh(100 x)`", "saturated to the last bit", lambda x: tg.tanh(100.0 * x), X),
    case("`exp(-x^2)` at 6", "a tail of 1e-16", lambda x: tg.exp(-x * x), np.array([6.0, 5.0, 0.1])),
    case("`x^10` at 0.001", "a gradient of 1e-26 beside 5120", lambda x: x**10, np.array([1e-3, 2.0])),
    case("`softmax(x).sum()`", "constant, computed from what varies", lambda x: tg.softmax(x, axis=0).sum(), X),
    case("`x - x`", "two gradients that cancel", lambda x: x - x, X),
    case(
        "`round(x) * x`",
        "piecewise constant, as a factor",
        lambda x: np.round(x.detach().data) * x,
        np.array([0.4, -1.25]),
    ),
    case(
        "`floor(1000 x) / 1000`",
        "a staircase that looks like a slope",
        lambda x: 0.0 * x + np.floor(1e3 * x.detach().data) / 1e3,
        np.array([0.1234, -1.2716, 2.0005]),
    ),
    case(
        "`x[x > 0]^2`",
        "a result whose shape depends on the values",
        lambda x: x[x.detach().data > 0] ** 2,
        np.array([0.1, -0.2, 2.0]),
    ),
    case("`round(x) * x` at 0.5", "a jump", lambda x: np.round(x.detach().data) * x, X, verdict="kink"),
    case(
        "`0 x + floor(x)` at 1",
        "a jump of a constant",
        lambda x: 0.0 * x + np.floor(x.detach().data),
        np.array([1.0, 1.5]),
        verdict="kink",
    ),
]

SCALES = [
    case("`x + 1e10`", "a large offset", lambda x: x + 1e10, X),
    case("`(x + 1e10) - 1e10`", "rounded by the offset", lambda x: (x + 1e10) - 1e10, X),
    case("`(x + 1e16) - 1e16`", "steps of 2", lambda x: (x + 1e16) - 1e16, np.array([0.5]), verdict="precision"),
    case("`(x + 1e15) - 1e15`", "steps of 1/8", lambda x: (x + 1e15) - 1e15, np.array([0.5]), verdict="precision"),
    case("`x^2 + 1e12`", "a curve under a large offset", lambda x: x * x + 1e12, X),
    case("`1e12 tanh(x)`", "huge values", lambda x: tg.tanh(x) * 1e12, X),
    case("`1e-200 sin(x)`", "tiny values", lambda x: tg.sin(x) * 1e-200, X),
    case("`1e200 sin(x)`", "near overflow", lambda x: tg.sin(x) * 1e200, X),
    case("`tanh(1e-12 x)`", "a tiny slope", lambda x: tg.tanh(x * 1e-12), X),
    case("`sin(1e5 x)`", "very curved", lambda x: tg.sin(x * 1e5), X),
    case("`sin(1e9 x)`", "so curved that only short steps help", lambda x: tg.sin(x * 1e9), X),
    case("`sin(x)` at 1e6", "inputs whose last digits count", tg.sin, np.array([1e6, -3e5])),
    case("`x^2` at 1e8", "large inputs", lambda x: x * x, np.array([1e8, 1.0, 1e-8])),
    case("`1e-30 + x` at 1e-20", "tiny inputs", lambda x: x * 3.0 + 1e-30, np.array([1e-20, 1e-25])),
    case("`exp(x)` at 30 and -30", "results from 1e-13 to 1e13", tg.exp, np.array([30.0, 0.0, -30.0])),
    case("`sum` of 1e8 and 1e-8", "small numbers beside large ones", lambda x: (x * x).sum(), np.array([1e8, 1e-8])),
]

KINKS = [
    case("`relu(x)` at 1e-6", "a kink nearby", tg.relu, np.array([1e-6, -1e-6, 1.0])),
    case("`relu(x)` at 1e-12", "a kink very near", tg.relu, np.array([1e-12, -1e-12])),
    case("`relu(x)` at 0", "a kink", tg.relu, np.array([0.0, 1.0]), verdict="kink"),
    case("`abs(x)^1.5` at 1e-3", "a curve that bends sharply", lambda x: tg.abs(x) ** 1.5, np.array([1e-3, -0.2])),
    case("`maximum(x, 0.5000001)`", "nearly a tie", lambda x: tg.maximum(x, 0.5000001), X),
    case(
        "`max(x)` with a tie",
        "which of two is the maximum?",
        lambda x: x.max(),
        np.array([3.0, 1.0, 3.0]),
        verdict="kink",
    ),
    case(
        "max pooling with ties",
        "equal pixels in a window",
        lambda x: tg.max_pool2d(x, 2),
        np.ones((1, 1, 4, 4)),
        verdict="kink",
    ),
    case(
        "max pooling behind ReLU",
        "windows of zeros, all the same",
        lambda x: tg.max_pool2d(tg.relu(x), 2),
        -np.abs(IMAGES) - 0.1,
    ),
    case(
        "`clip(x, 0, 1)` inside",
        "flat outside, kinks at both ends",
        lambda x: tg.clip(x, 0.0, 1.0),
        np.array([0.5, -1.0, 1.001]),
    ),
    case(
        "`where(x > 0, x^2, 0)` at 0",
        "smooth at the seam",
        lambda x: tg.where(x.detach().data > 0, x * x, 0.0),
        np.array([0.0, 1.0]),
    ),
    case("`elu(x)` at 0", "two formulas that meet with one slope", tg.elu, np.array([0.0, -1e-9, 1.0])),
    case("`abs(sin(x))` at 3.1415", "a kink 1e-4 away", lambda x: tg.abs(tg.sin(x)), np.array([3.1415, 1.0])),
    case(
        "`leaky_relu(x, 0.999)` near 0",
        "a weak kink nearby",
        lambda x: tg.leaky_relu(x, 0.999),
        np.array([1e-7, -1e-7]),
    ),
    case(
        "`floor(x) + x`",
        "jumps, a slope of 1 in between",
        lambda x: x + np.floor(x.detach().data),
        np.array([0.999999, 0.5]),
    ),
    case("`sqrt(x^2)` at 1e-8", "a kink in disguise", lambda x: tg.sqrt(x * x), np.array([1e-8, 1.0])),
    case(
        "`sort` by indexing",
        "the order changes a little further",
        lambda x: x[np.argsort(x.detach().data)] * np.arange(3),
        np.array([0.1, 0.1001, 0.2]),
    ),
]

NEAR = {  # kinks at numbers of ordinary size
    "`clip(x, 0, 6)` below 6": (lambda x: tg.clip(x, 0.0, 6.0), lambda d: 6.0 - d),
    "`relu(x - 1)` above 1": (lambda x: tg.relu(x - 1.0), lambda d: 1.0 + d),
    "`maximum(x, 1)` above 1": (lambda x: tg.maximum(x, 1.0), lambda d: 1.0 + d),
    "`abs(x - 1)` above 1": (lambda x: tg.abs(x - 1.0), lambda d: 1.0 + d),
    "`max(x)`, nearly a tie": (lambda x: tg.max(x, axis=1), lambda d: np.stack([0.0 * d + 1.0, 1.0 + d], 1)),
    "max pooling, nearly a tie": (
        lambda x: tg.max_pool2d(x, 2),
        lambda d: 1.0 + np.multiply.outer(d, [[0.0, 1.0], [-0.5, -0.8]])[:, None],
    ),
}
KINKS += [
    case(f"{what}, {by}", "how near may a kink be?", f, at(np.array(distances)), verdict=verdict)
    for what, (f, at) in NEAR.items()
    for by, distances, verdict in (
        ("by 1e-9 to 1e-11", [1e-9, 1.2e-10, 1e-11], "right"),
        ("by 1e-12", [1e-12], "kink"),
    )
]

EDGES = [
    case("`log(x)` at 1e-10", "the edge of the domain nearby", tg.log, np.array([1e-10, 1.0])),
    case("`log(x)` at 1e-300", "the edge, nearer than any step", tg.log, np.array([1e-300])),
    case("`sqrt(x)` at 1e-12", "nearly vertical", tg.sqrt, np.array([1e-12, 1.0])),
    case("`1 / x` at 1e-5", "a pole nearby", lambda x: 1.0 / x, np.array([1e-5, 2.0])),
    case("`1 / x` at 1e-100", "division by a tiny number", lambda x: 1.0 / x, np.array([1e-100])),
    case("`x / 1e-15`", "division by a tiny constant", lambda x: x / 1e-15, X),
    case("`tan(x)` at 1.57", "near a pole", tg.tan, np.array([1.57, 0.1])),
    case("`x^x` at 0.001", "a power of itself", lambda x: x**x, np.array([1e-3, 2.0])),
    case("`norm(x)` near 0", "a cone seen from its tip", lambda x: tg.norm(x), np.array([1e-9, -2e-9])),
    case("`norm(x)` at 0", "the tip of a cone: 0 is between its slopes", lambda x: tg.norm(x), np.zeros(3)),
    case("`std(x)` of nearly equal numbers", "a cone, too", lambda x: x.std(), 1.0 + 1e-7 * X),
    case("`arctan(1e6 x)`", "a step, nearly", lambda x: tg.arctan(1e6 * x), np.array([1e-7, 0.3])),
    case(
        "`x + 1e-6 exp(-(1e6 x - 5e5)^2)` at 0.5",
        "a spike that long steps do not see",
        lambda x: x + 1e-6 * tg.exp(-((1e6 * (x - 0.5)) ** 2)),
        np.array([0.5 + 3e-7]),
    ),
    case("`log1p(x)` at 1e-15", "exact where `log(1 + x)` is not", tg.log1p, np.array([1e-15, 1.0])),
    case("`expm1(x) / x` at 1e-4", "0 / 0, nearly", lambda x: tg.expm1(x) / x, np.array([1e-4, 1.0])),
    case(
        "targets of probabilities that must add up to 1",
        "the function refuses what is outside",
        lambda a, t: tg.softmax_cross_entropy(a, t),
        np.array([[0.5, -1.0, 2.0]]),
        np.array([[0.25, 0.25, 0.5]]),
    ),
    case(
        "`binary_cross_entropy` at 1e-6",
        "logarithms near 0 and near 1",
        lambda p: tg.binary_cross_entropy(p, np.array([1.0, 0.0])),
        np.array([1e-6, 1 - 1e-6]),
    ),
]

CANCELLATION = [
    case(
        "`(1 - cos(x)) / x^2` at 1e-3",
        "cancellation: six digits are lost",
        lambda x: (1.0 - tg.cos(x)) / (x * x),
        np.array([1e-3, 1.0]),
    ),
    case("`exp(x) - exp(x) + x`", "large terms that cancel", lambda x: tg.exp(x) - tg.exp(x) + x, np.array([20.0])),
    case("`(x + 1e8)^2 - 1e16`", "eight digits are lost", lambda x: (x + 1e8) ** 2 - 1e16, X),
    case(
        "softmax of large logits",
        "differences of 1e3, gradients of 0",
        lambda x: tg.softmax(x, axis=0),
        np.array([1e3, 0.0, -1e3]),
    ),
    case("softmax of offset logits", "1e6 added to all", lambda x: tg.softmax(x + 1e6, axis=0), X),
    case(
        "`logsumexp` of large numbers",
        "`exp` alone would overflow",
        lambda x: tg.logsumexp(x, axis=0),
        np.array([1e3, 999.0, 0.0]),
    ),
    case(
        "cross-entropy, very sure",
        "a loss of 1e-22",
        lambda x: tg.softmax_cross_entropy(x, np.array([0])),
        np.array([[50.0, 0.0, 0.0]]),
    ),
    case(
        "cross-entropy, sure to the last digit",
        "a loss that is rounded to 0, or to 1e-16",
        lambda x: tg.softmax_cross_entropy(x, np.array([0, 0])),
        np.array([[36.0, 0.0, -1.0], [1038.0, 1000.0, 999.0]]),
    ),
    case(
        "softmax with a mask",
        "infinite values on the way",
        lambda x: tg.softmax(x + np.array([0.0, -np.inf, 0.0])),
        X,
    ),
    case(
        "cross-entropy, surely wrong",
        "a loss of 1000",
        lambda x: tg.softmax_cross_entropy(x, np.array([1])),
        np.array([[1e3, 0.0]]),
    ),
    case(
        "batch norm of tiny variance",
        "divides by 1e-6",
        lambda x: tg.batch_norm(x, training=True, eps=1e-12),
        3.0 + 1e-6 * M,
    ),
    case(
        "batch norm of a constant",
        "a variance of 0, only `eps` left",
        lambda x: tg.batch_norm(x, training=True),
        np.ones((4, 2)),
    ),
    case("`var(x)` of 1e6 + small", "the mean takes the digits", lambda x: x.var(), 1e6 + X),
    case("`cumsum` of many", "a sum of hundreds of terms", lambda x: tg.cumsum(x), np.linspace(-1, 1, 300)),
    case("`prod` with a zero", "one factor is 0", lambda x: x.prod(), np.array([2.0, 0.0, 3.0])),
    case("`prod` with two zeros", "flat in all directions but two", lambda x: x.prod(), np.array([0.0, 5.0, 0.0])),
    case("`prod` of 50 numbers", "1e15", lambda x: x.prod(), np.full(50, 2.0)),
    case("Newton's square root", "eight steps of iteration", newton, np.array([2.0, 1e-3])),
    case(
        "`det` by hand",
        "a matrix that is nearly singular",
        lambda m: m[0, 0] * m[1, 1] - m[0, 1] * m[1, 0],
        np.array([[1.0, 2.0], [2.0, 4.0000001]]),
    ),
]

ROUNDED = [
    case("float32 inputs", "checked in double precision", lambda x: tg.exp(x) / x, X.astype(np.float32)),
    case("float32 inside", "values rounded to 7 digits", lambda x: tg.exp(x.astype("float32")), X),
    case(
        "float32 inside, and back",
        "rounding that the result's type does not show",
        lambda x: tg.exp(x.astype("float32")).astype("float64"),
        X,
    ),
    case(
        "float32 inside, near 0",
        "steps of the result that are in step with those of the argument",
        lambda x: tg.exp(x.astype("float32")).astype("float64"),
        np.array([1e-6, 2e-3, 1e-4]),
    ),
    case(
        "float32 in the middle of a network",
        "the same, behind other operations",
        lambda x: tg.tanh(tg.sin(x).astype("float32").astype("float64") * 3.0),
        X,
    ),
    case(
        "float16 inside, and back",
        "values rounded to 3 digits: a staircase with steps of 1e-3",
        lambda x: tg.sin(x.astype("float16")).astype("float64"),
        X,
        verdict="precision",
    ),
    case(
        "float32 inside, and back, of 40",
        "many elements: in one of them, rounded differences agree by chance",
        lambda x: tg.sin(x.astype("float32")).astype("float64"),
        MANY,
    ),
    case(
        "float16 inside, and back, of 40",
        "the same with a staircase, flat beyond 3 digits",
        lambda x: tg.sin(x.astype("float16")).astype("float64"),
        MANY,
        verdict="precision",
    ),
    case(
        "float16 in the middle of a network",
        "long steps see a flat function: tanh",
        lambda x: tg.tanh(tg.sin(x).astype("float16").astype("float64") * 3.0),
        MANY,
        verdict="precision",
    ),
    case(
        "an operation in float32 inside, of 40",
        "many elements, and rounding that the tape does not see",
        sine_of("float32"),
        MANY,
    ),
    case(
        "an operation in float16 inside, of 40",
        "the same, of 3 digits",
        sine_of("float16"),
        MANY,
        verdict="precision",
    ),
    case("a float32 constant", "an array of lower precision", lambda x: x * np.float32(0.1), X),
    case("rounded to 1e-9", "jumps too small to see", lambda x: x * x + 1e-12 * np.floor(1e3 * x.detach().data), X),
    case(
        "`x + 1e21`",
        "the offset swallows every step that fits",
        lambda x: x + 1e21,
        np.array([1.0]),
        verdict="precision",
    ),
]

SHAPES = [
    case("no elements", "nothing to compare", lambda x: tg.exp(x).sum(), np.zeros((0, 3))),
    case(
        "no elements beside some",
        "an empty part",
        lambda x, y: tg.concatenate([x, y], axis=0) ** 2,
        np.zeros((0, 2)),
        M[:, :2],
    ),
    case("a scalar", "no axes", lambda x: tg.sin(x) * x, np.array(0.7)),
    case(
        "axes of size 1",
        "broadcast and reduced",
        lambda x, y: (x * y).sum(axis=(0, 2)),
        np.ones((1, 3, 1)),
        M[:3, :2].reshape(1, 3, 2),
    ),
    case(
        "broadcast over three axes", "a gradient that is summed", lambda x, b: tg.tanh(x + b), IMAGES[0], np.array(0.3)
    ),
    case("integers as indices", "nothing to differentiate", lambda x, i: x[i] ** 2, M, np.array([0, 0, 3])),
    case("integers as a factor", "of another type", lambda x, n: x * n, X, np.array([1, 2, 3])),
    case("a mask", "booleans", lambda x: tg.where(M > 0, x, x * x), M),
    case("Fortran order", "another memory layout", lambda x: x @ x.T, np.asfortranarray(M)),
    case("backwards", "negative strides", lambda x: tg.sin(x) * x, M[::-1, ::-1]),
    case("every other element", "gaps in memory", lambda x: tg.sin(x).sum(axis=0), np.repeat(M, 2, axis=1)[:, ::2]),
    case(
        "broadcast memory",
        "strides of 0: one number in memory for many",
        lambda x: tg.exp(x) * x,
        np.broadcast_to(np.array(0.5), (3, 2)),
    ),
    case("one input twice", "the same array for both arguments", lambda x: x @ x, M[:4, :4]),
    case("several results", "of different shapes", lambda x: (tg.sin(x), x.sum(), x[:1] * 2.0), X),
    case("a result that is an input", "passed through", lambda x: (x, x * x), X),
    case("a result that depends on nothing", "a constant", lambda x: (tg.tensor([1.0, 2.0]), x * 2.0), X),
    case(
        "10,000 elements", "too many to go through one by one", lambda x: tg.sin(x) * x, np.linspace(-3.0, 3.0, 10_000)
    ),
    case(
        "2,000 elements, some of 1e-9",
        "kinks very near, and large numbers beside",
        lambda x: tg.abs(x) ** 1.5 + tg.relu(x),
        np.where(np.arange(2000) % 100 == 7, 1e-9, 1.0) * np.cos(np.arange(2000.0)),
    ),
    case("10,000 elements of very different size", "from 1e-6 to 1e6", lambda x: tg.log(x), np.logspace(-6, 6, 10_000)),
]

PROGRAMS = [
    case(
        "shared values, indexing, broadcasting",
        "many ways from input to result",
        mixture,
        M,
        np.random.default_rng(5).normal(size=(5, 3)),
    ),
    case(
        "a convolution, tanh, pooling",
        "300 numbers",
        lambda x, w: tg.avg_pool2d(tg.tanh(tg.conv2d(x, w, padding=1)), 2),
        IMAGES,
        FILTERS,
    ),
    case("sixty layers of tanh", "a deep chain: gradients of 1e-24", lambda x: _deep(x, 60), X, verdict="precision"),
    case("a loop that grows", "`x = x + 0.1 sin(x)`, 50 times", lambda x: _grown(x, 50), X),
    case("chaos", "the logistic map, 40 times: slopes of 1e9", lambda x: _logistic(x, 40), np.array([0.3])),
    case(
        "a branch on a value",
        "a smooth function on either side",
        lambda x: tg.exp(x) if float(x.detach().data.sum()) > 0 else -x,
        X,
    ),
    case(
        "a network with batch norm",
        "a buffer that changes with each call",
        nn.Sequential(nn.Linear(5, 4, rng=np.random.default_rng(0)), nn.BatchNorm1d(4), nn.Tanh()),
        M,
    ),
    case("a gradient inside", "the penalty on a gradient", lambda x: _penalty(x), X),
]


def _deep(x: Any, layers: int) -> Any:
    for _ in range(layers):
        x = tg.tanh(1.5 * x)
    return x


def _grown(x: Any, times: int) -> Any:
    for _ in range(times):
        x = x + 0.1 * tg.sin(x)
    return x


def _logistic(x: Any, times: int) -> Any:
    for _ in range(times):
        x = 3.9 * x * (1.0 - x)
    return x


def _penalty(x: Any) -> Any:
    inner = x if x.requires_grad else tg.tensor(x, requires_grad=True)
    (g,) = tg.gradients((tg.sin(inner) * inner).sum(), [inner], create_graph=True)
    return (g * g).sum()


SUBJECTS = {
    "Flat": FLAT,
    "Scales": SCALES,
    "Kinks": KINKS,
    "Edges of the domain": EDGES,
    "Cancellation": CANCELLATION,
    "Rounding": ROUNDED,
    "Shapes and memory": SHAPES,
    "Programs": PROGRAMS,
}
CASES = [case for cases in SUBJECTS.values() for case in cases]


def verdict(case: Awkward, seed: int = 0) -> str:
    try:
        return check_grads(case.f, *case.inputs, seed=seed).verdict
    except GradientError as error:
        return error.verdict
