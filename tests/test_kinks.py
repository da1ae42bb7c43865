"""Where mathematics leaves a choice: kinks, ties, edges of the domain, numbers too large for the formula."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

import tensorgraph as tg

INF, NAN = math.inf, math.nan


def gradients(f, *arrays):
    """The gradients of f, with ones upstream, as lists."""
    leaves = [tg.tensor(np.asarray(a, np.float64), requires_grad=True) for a in arrays]
    out = f(*leaves)
    out.backward(np.ones(out.shape))
    return [leaf.grad.tolist() for leaf in leaves]


# --- plain numbers as operands ---------------------------------------------------------------------------------------

OPERATORS = {
    "+": lambda x, y: x + y,
    "-": lambda x, y: x - y,
    "*": lambda x, y: x * y,
    "/": lambda x, y: x / y,
    "**": lambda x, y: x**y,
    "maximum": tg.maximum,
    "minimum": tg.minimum,
    "clip": lambda x, y: tg.clip(x, y, 1.5) if isinstance(x, tg.Tensor) else tg.clip(y, None, x),
    "where": lambda x, y: tg.where(np.array([True, False, True]), x, y),
}


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("number", [2, 3.0, 2.5, 1, 0.5, -1, -1.5, 0])
@pytest.mark.parametrize("order", [1, -1])
def test_plain_numbers_are_arrays_of_one_number(name, number, order):
    """Rules may treat Python's numbers apart; values and derivatives of two orders stay those of an array."""
    if order == -1 and name == "**" and number <= 0:
        return  # not a function of real numbers
    results = []
    for operand in (number, np.full(3, float(number))):
        x = tg.tensor(np.array([0.4, 1.0, 1.7]), requires_grad=True)
        with np.errstate(divide="ignore"):
            out = OPERATORS[name](*[x, operand][::order])
        out.backward(np.array([1.0, -2.0, 0.5]), retain_graph=True)
        (first,) = tg.gradients(out, x, np.array([1.0, -2.0, 0.5]), create_graph=True)
        second = (
            tg.gradients((first * np.array([1.0, 3.0, -1.0])).sum(), x)[0].data if first.requires_grad else 0 * x.data
        )
        results.append([out.data, first.detach().data, x.grad.data, second])
    for got, expected in zip(*results, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-14, atol=1e-14)


# --- ties and kinks --------------------------------------------------------------------------------------------------

TIES = {  # in every spelling the FIRST maximum (minimum) gets the gradient: (function, arguments, gradients)
    "maximum": (tg.maximum, ([1, 5, 2], [1, 2, 5]), [[1, 1, 0], [0, 0, 1]]),
    "minimum": (tg.minimum, ([1, 5, 2], [1, 2, 5]), [[1, 0, 1], [0, 1, 0]]),
    "t.maximum": (lambda x, y: x.maximum(y), ([3], [3]), [[1], [0]]),
    "np.maximum": (np.maximum, ([3], [3]), [[1], [0]]),
    "maximum of NaN": (tg.maximum, ([NAN, 1, NAN], [1, NAN, NAN]), [[1, 0, 1], [0, 1, 0]]),
    "maximum of zeros": (tg.maximum, ([-0.0, 0.0], [0.0, -0.0]), [[1, 1], [0, 0]]),
    "max": (tg.max, ([2, 7, 7, 1],), [[0, 1, 0, 0]]),
    "min": (tg.min, ([2, 1, 7, 1],), [[0, 1, 0, 0]]),
    "t.max": (lambda x: x.max(axis=0), ([[7, 1], [7, 2], [0, 2]],), [[[1, 0], [0, 1], [0, 0]]]),
    "np.max": (lambda x: np.max(x, axis=1, keepdims=True), ([[7, 7], [1, 2]],), [[[1, 0], [0, 1]]]),
    "max over two axes": (
        lambda x: x.max((0, 2)),
        ([[[1, 5], [3, 3]], [[5, 5], [3, 3]]],),
        [[[[0, 1], [1, 0]], [[0, 0]] * 2]],
    ),
    "max of NaN": (tg.max, ([1, NAN, 3, NAN],), [[0, 1, 0, 0]]),
    "norm inf": (lambda x: tg.norm(x, INF), ([-3, 3, 1],), [[-1, 0, 0]]),
    "norm -inf": (lambda x: tg.norm(x, -INF), ([-1, 3, 1],), [[-1, 0, 0]]),
    "max_pool2d": (lambda x: tg.max_pool2d(x, 2), ([[[[0, 4], [4, 4]]]],), [[[[[0, 1], [0, 0]]]]]),
}

KINKS = {
    "relu": (tg.relu, ([-1, -0.0, 0, 1],), [[0, 0, 0, 1]]),
    "relu of NaN": (tg.relu, ([NAN],), [[1]]),
    "leaky_relu": (tg.leaky_relu, ([-1, 0, 1],), [[0.01, 0.01, 1]]),
    "elu": (tg.elu, ([0, 1, -INF],), [[1, 1, 0]]),
    "abs": (tg.abs, ([-2, -0.0, 0, 3],), [[-1, 0, 0, 1]]),
    "clip": (lambda x: tg.clip(x, -1, 1), ([-2, -1, 0, 1, 2],), [[0, 1, 1, 1, 0]]),
    "clip below": (lambda x: x.clip(min=0), ([-1, 0, 1],), [[0, 1, 1]]),
    "clip by tensors": (tg.clip, ([-2, 0, 2, 1], [-1] * 4, [1] * 4), [[0, 1, 0, 1], [1, 0, 0, 0], [0, 0, 1, 0]]),
    "clip by crossed tensors": (tg.clip, ([0.0, 2.0], [1.0, 1.0], [-1.0, -1.0]), [[0, 0], [0, 0], [1, 1]]),
    "norm of zeros": (tg.norm, ([0, 0],), [[0, 0]]),
    "std of equals": (tg.std, ([2, 2],), [[0, 0]]),
    "prod of one zero": (tg.prod, ([2, 0, 5],), [[0, 10, 0]]),
    "prod of two zeros": (tg.prod, ([0, 3, 0],), [[0, 0, 0]]),
}


@pytest.mark.parametrize(("f", "arrays", "expected"), (TIES | KINKS).values(), ids=TIES | KINKS)
def test_who_gets_the_gradient(f, arrays, expected):
    assert gradients(f, *arrays) == expected


INFINITE = {
    "sqrt of 0": (tg.sqrt, ([0, 4],), [[INF, 0.25]]),
    "log of 0": (tg.log, ([0, INF],), [[INF, 0]]),
    "1 / 0": (lambda x: 1 / x, ([0],), [[-INF]]),
    "x^0 at 0": (lambda x: x**0, ([0, 2],), [[0, 0]]),
    "x^1 and x^2 at 0": (lambda x: x ** np.array([1.0, 2.0]), ([0, 0],), [[1, 0]]),
    "x^y at 0": (tg.pow, ([0, 0, 0, 2], [0, 1, 2, 0]), [[0, 1, 0, 0], [0, 0, 0, math.log(2)]]),
    "0^y": (lambda y: 0.0**y, ([0, 1, 2],), [[0, 0, 0]]),
    "0^-1": (lambda y: 0.0**y, ([-1],), [[-INF]]),
}


@pytest.mark.parametrize(("f", "arrays", "expected"), INFINITE.values(), ids=INFINITE)
def test_gradients_at_the_edge_of_the_domain(f, arrays, expected):
    with np.errstate(divide="ignore"):  # of the forward pass, as NumPy's
        assert gradients(f, *arrays) == expected


NOT_FINITE = {
    "elu": (tg.elu, [NAN, -INF, INF], [NAN, 0, 1]),
    "softplus": (tg.softplus, [NAN, -INF, INF], [NAN, 0, 1]),
    "logsumexp": (tg.logsumexp, [INF, 1, -INF], [NAN, 0, 0]),
    "logsumexp of two infinities": (tg.logsumexp, [INF, INF, 1], [NAN, NAN, 0]),
    "logsumexp along an axis": (lambda x: tg.logsumexp(x, axis=1), [[INF, 1], [0, 0]], [[NAN, 0], [0.5, 0.5]]),
    "logsumexp with the axis kept": (
        lambda x: tg.logsumexp(x, axis=0, keepdims=True),
        [[INF, 1], [0, 1]],
        [[NAN, 0.5], [0, 0.5]],
    ),
    "logsumexp beside -infinity": (tg.logsumexp, [-INF, 1, 1], [0, 0.5, 0.5]),
    "logsumexp of -infinity alone": (tg.logsumexp, [-INF, -INF], [NAN, NAN]),
    "logsumexp of NaN": (tg.logsumexp, [NAN, INF, 1], [NAN, NAN, NAN]),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize(("f", "values", "expected"), NOT_FINITE.values(), ids=NOT_FINITE)
def test_gradients_of_what_is_not_finite(f, values, expected, create_graph, dtype):
    """PyTorch's, but where that depends on how many numbers there are, as for elu of NaN."""
    x = tg.tensor(np.array(values, dtype), requires_grad=True)
    with np.errstate(invalid="ignore"):  # inf - inf, of the forward pass
        out = f(x)
        (g,) = tg.gradients(out, x, np.ones(out.shape, dtype), create_graph=create_graph)
    np.testing.assert_array_equal(g.detach().data, np.array(expected, dtype))


def test_the_branch_that_where_did_not_take_leaks_nothing():
    x = tg.tensor([0.0, 4.0], requires_grad=True)
    tg.where(x > 0, tg.sqrt(x), 0.0).sum().backward()
    assert np.isnan(x.grad.data[0])  # 0 * inf, inside sqrt: the way out is to choose before
    x.grad = None
    safe = tg.where(x > 0, x, 1.0)
    tg.where(x > 0, tg.sqrt(safe), 0.0).sum().backward()
    assert x.grad.tolist() == [0.0, 0.25]
    y = tg.tensor([NAN, 2.0], requires_grad=True)
    tg.where(np.array([False, True]), y, 0.0).sum().backward()
    assert y.grad.tolist() == [0.0, 1.0]


LARGE = [-1e30, -1e4, -90.0, 0.0, 90.0, 1e4, 1e30]


AT_LARGE = [getattr(tg, name) for name in "sigmoid softplus tanh relu leaky_relu elu gelu arctan".split()]
AT_LARGE += [tg.logsumexp, tg.softmax, tg.log_softmax, lambda x: tg.softmax_cross_entropy(x, 0)]
AT_LARGE += [lambda x: tg.softmax_cross_entropy(x, np.full(7, 1 / 7))]
AT_LARGE += [lambda x: tg.binary_cross_entropy_with_logits(x, np.linspace(0, 1, 7, dtype=x.dtype))]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("f", AT_LARGE)
def test_large_numbers_neither_overflow_nor_warn(f, dtype):
    x = tg.tensor(np.array(LARGE, dtype), requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out = f(x)
        out.backward(np.ones(out.shape, dtype))
    assert np.isfinite(out.detach().data).all()
    assert np.isfinite(x.grad.data).all()


def test_softmax_cross_entropy_of_one_case_takes_a_plain_number_as_target():
    logits = tg.tensor([1.0, 3.0], requires_grad=True)
    for create_graph in (False, True):
        logits.grad = None
        tg.softmax_cross_entropy(logits, 1).backward(create_graph=create_graph)
        np.testing.assert_allclose(logits.grad.detach().data, tg.softmax(logits).detach().data - [0, 1], rtol=1e-6)


def test_second_derivatives_of_a_power_of_integers():
    """An array of integers, a constant, to the power of a tensor: the rule compares both."""
    y = tg.tensor([2.0, 1.0], dtype="float64", requires_grad=True)
    (slope,) = tg.gradients((np.array([3, 2]) ** y).sum(), y, create_graph=True)
    (curvature,) = tg.gradients(slope.sum(), y)
    np.testing.assert_allclose(curvature.data, [9 * math.log(3) ** 2, 2 * math.log(2) ** 2], rtol=1e-12)


def test_more_degrees_of_freedom_than_numbers():
    x = tg.tensor([1.0], requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tg.var(x, ddof=2).backward()
    assert np.isnan(x.grad.data).all()


def test_the_second_derivative_of_elu_at_the_kink_is_0():
    x = tg.tensor([0.0, -1.0], requires_grad=True)
    (slope,) = tg.gradients(tg.elu(x).sum(), x, create_graph=True)
    assert tg.gradients(slope.sum(), x)[0].tolist() == [0.0, pytest.approx(math.exp(-1))]


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_the_norm_of_order_0_counts_and_carries_no_gradient(kind):
    x = np.array([[0, -3, INF], [0, -0.0, 2]], kind)
    for axis in (0, 1):
        count = tg.norm(tg.tensor(x, requires_grad=True), 0, axis=axis)
        assert (count.dtype, count.requires_grad) == (kind, False)
        np.testing.assert_array_equal(count.data, np.linalg.norm(x, 0, axis=axis))
    assert np.isnan(tg.norm(np.array([1, NAN], kind), 0))  # as with every other order
