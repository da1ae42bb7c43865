"""Derivatives as functions of functions, against formulas written by hand; nested, over closures, to any order."""

from __future__ import annotations

import numpy as np
import pytest

import tensorgraph as tg

A = np.array([[2.0, -1.0, 0.5], [0.0, 3.0, 1.0], [1.0, 1.0, -2.0]])
X = np.array([0.5, -1.0, 2.0])
V = np.array([1.0, 10.0, 100.0])


def leaf(values):
    return tg.tensor(np.array(values, np.float64), requires_grad=True)


def plain(values):
    return tg.tensor(np.array(values, np.float64))


def same(actual, expected):
    values = actual.data if isinstance(actual, tg.Tensor) else actual
    np.testing.assert_allclose(values, expected, rtol=1e-12, atol=1e-12)


def quadratic(x):
    """x^T A x: gradient (A + A^T) x, second derivatives A + A^T."""
    return tg.dot(x, tg.matmul(A, x))


# --- grad and value_and_grad -----------------------------------------------------------------------------------------


def test_grad_of_a_quadratic_form():
    same(tg.grad(quadratic)(plain(X)), (A + A.T) @ X)
    value, gradient = tg.value_and_grad(quadratic)(plain(X))
    same(value, X @ A @ X)
    same(gradient, (A + A.T) @ X)


def test_argnums_and_options():
    def f(x, y, *, scale, power=2):
        return scale * (x**power * y).sum()

    x, y = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    same(tg.grad(f)(x, y, scale=10.0), 20.0 * x * y)
    same(tg.grad(f, argnums=1)(x, y, scale=10.0), 10.0 * x**2)
    same(tg.grad(f, argnums=-1)(x, y, scale=10.0, power=3), 10.0 * x**3)
    by_y, by_x = tg.grad(f, argnums=(1, 0))(x, y, scale=10.0)
    same(by_y, 10.0 * x**2)
    same(by_x, 20.0 * x * y)
    value, (only,) = tg.value_and_grad(f, argnums=[0])(x, y, scale=10.0)
    same(value, 10.0 * (x * x * y).sum())
    same(only, 20.0 * x * y)


def test_arguments_that_are_not_differentiated_stay_as_they_are():
    seen = []
    tg.grad(lambda x, labels, flag: (seen.append((labels, flag)), (x * x).sum())[1])(X, [0, 1], None)
    assert seen == [([0, 1], None)]


def test_arrays_in_arrays_out_tensors_in_tensors_out():
    for x, kind in ((X, np.ndarray), (plain(X), tg.Tensor)):
        results = [
            tg.grad(quadratic)(x),
            *tg.value_and_grad(quadratic)(x),
            tg.vjp(quadratic, x)[0],
            *tg.vjp(quadratic, x)[1](1.0),
            *tg.jvp(quadratic, (x,), (V,)),
            tg.jacobian(tg.exp)(x),
            tg.hessian(quadratic)(x),
            tg.hvp(quadratic, x, V),
        ]
        assert [type(result) for result in results] == [kind] * len(results)


def test_python_numbers_are_float32_and_arrays_keep_their_type():
    square = tg.grad(lambda x: x * x)
    assert square(3).dtype == square(3.0).dtype == np.float32
    assert float(square(3)) == 6.0
    assert square(np.array(3.0)).dtype == np.float64
    assert square(np.float16(3.0)).dtype == np.float16


def test_the_argument_is_not_marked_and_gets_no_grad():
    x = plain(X)
    tg.grad(quadratic)(x)
    assert (x.requires_grad, x.grad) == (False, None)
    x = leaf(X)
    tg.grad(quadratic)(x)
    assert (x.requires_grad, x.grad) == (True, None)


def test_a_result_that_does_not_depend_on_the_argument_has_gradient_zero():
    same(tg.grad(lambda x: plain(2.0))(X), np.zeros(3))
    same(tg.grad(lambda x: 2.0)(X), np.zeros(3))
    same(tg.grad(lambda x, y: (y * y).sum(), argnums=(0, 1))(X, X)[0], np.zeros(3))
    same(tg.hessian(lambda x: x.sum())(X), np.zeros((3, 3)))
    same(tg.jacobian(lambda x: plain([1.0, 2.0]))(X), np.zeros((2, 3)))
    same(tg.jvp(lambda x: plain([1.0, 2.0]), (X,), (V,))[1], np.zeros(2))
    same(tg.hvp(lambda x: x.sum(), X, V), np.zeros(3))


def test_results_on_arrays_belong_to_the_caller():
    gradient = tg.grad(lambda x: x.sum())(X)
    gradient *= 2.0
    same(gradient, [2.0, 2.0, 2.0])
    by_x, by_y = tg.grad(lambda x, y: (x + y).sum(), argnums=(0, 1))(X, X)
    by_x *= 2.0
    same(by_y, [1.0, 1.0, 1.0])


# --- vjp, jvp, jacobian, hessian, hvp --------------------------------------------------------------------------------


def test_vjp_pulls_back_often():
    value, pull = tg.vjp(lambda x, w: tg.matmul(A, x) * w, X, V)
    same(value, A @ X * V)
    for v in (np.array([1.0, 0.0, 0.0]), V):
        by_x, by_w = pull(v)
        same(by_x, A.T @ (V * v))
        same(by_w, A @ X * v)


def test_the_value_of_vjp_on_arrays_belongs_to_the_caller():
    value, pull = tg.vjp(tg.exp, X)
    value[...] = 100.0
    same(pull(np.ones(3))[0], np.exp(X))


def test_jvp_is_the_derivative_along_a_direction():
    value, along = tg.jvp(lambda x: tg.exp(tg.matmul(A, x)), (X,), (V,))
    same(value, np.exp(A @ X))
    same(along, np.exp(A @ X) * (A @ V))
    value, along = tg.jvp(lambda x, y: x * y, (X, V), (V, X))
    same(along, V * V + X * X)


def test_jacobian_has_the_shape_of_the_result_and_then_of_the_argument():
    same(tg.jacobian(lambda x: tg.matmul(A, x))(X), A)
    w = np.arange(6.0).reshape(2, 3)
    by_w = tg.jacobian(lambda w, x: tg.matmul(w, x), argnums=0)(w, X)
    assert by_w.shape == (2, 2, 3)
    same(by_w, np.einsum("ij,k->ijk", np.eye(2), X))
    by_w, by_x = tg.jacobian(lambda w, x: tg.matmul(w, x), argnums=(0, 1))(w, X)
    assert by_w.shape == (2, 2, 3)
    same(by_x, w)
    assert tg.jacobian(lambda x: x[:0])(X).shape == (0, 3)
    same(tg.jacobian(lambda x: (x * x).sum())(X), 2.0 * X)


def test_hessian_and_hvp():
    same(tg.hessian(quadratic)(X), A + A.T)
    same(tg.hvp(quadratic, X, V), (A + A.T) @ V)
    same(tg.hessian(lambda x: tg.prod(x))(X), [[0.0, X[2], X[1]], [X[2], 0.0, X[0]], [X[1], X[0], 0.0]])
    by_x, by_y = tg.hvp(lambda x, y: (x * x * y).sum(), (X, V), (V, X))
    same(by_x, 2.0 * V * V + 2.0 * X * X)
    same(by_y, 2.0 * X * V)


def test_the_hessian_by_several_arguments():
    def f(x, y, *, scale):
        return scale * (x * x * y).sum()

    x, y = np.array([1.0, 2.0]), np.array([3.0, 5.0])
    (xx, xy), (yx, yy) = tg.hessian(f, argnums=(0, 1))(x, y, scale=10.0)
    same(xx, np.diag(20.0 * y))
    same(xy, np.diag(20.0 * x))
    same(yx, np.diag(20.0 * x))
    same(yy, np.zeros((2, 2)))
    same(tg.hessian(lambda x, y: (x * y**3).sum(), argnums=1)(x, y), np.diag(6.0 * x * y))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_jacobian_of_nothing_is_empty_and_has_the_arguments_type(dtype):
    empty = tg.jacobian(lambda x: x[:0])(tg.ones(3, dtype=dtype))
    assert (empty.shape, empty.dtype) == ((0, 3), dtype)


def test_hvp_is_the_hessian_times_a_vector_for_a_network():
    rng = np.random.default_rng(0)
    w, x, v = rng.standard_normal((4, 3)), rng.standard_normal(3), rng.standard_normal(3)

    def f(x):
        return tg.logsumexp(tg.tanh(tg.matmul(w, x)))

    same(tg.hvp(f, x, v), tg.hessian(f)(x) @ v)
    same(tg.hessian(f)(x), tg.jacobian(tg.jacobian(f))(x))


# --- nesting ---------------------------------------------------------------------------------------------------------


def test_perturbations_are_not_confused():
    """d/dx (x d/dy (x + y)) at y = x is 1: the inner derivative must not see the outer x move."""
    f = tg.grad(lambda x: x * tg.grad(lambda y: x + y)(x))
    same(f(plain(2.0)), 1.0)
    same(f(2.0), 1.0)


@pytest.mark.parametrize(
    "inner", [plain(2.0), leaf(2.0), np.array(2.0), 2.0], ids=["tensor", "leaf", "array", "number"]
)
def test_the_outer_derivative_goes_through_an_inner_one_of_anything(inner):
    """x d/dy (x y) is x^2 whatever y is, so its derivative at 3 is 6."""
    same(tg.grad(lambda x: x * tg.grad(lambda y: x * y)(inner))(plain(3.0)), 6.0)
    same(tg.grad(lambda x: x * tg.jacobian(lambda y: x * y)(inner))(plain(3.0)), 6.0)
    same(tg.grad(lambda x: x * tg.vjp(lambda y: x * y, inner)[1](1.0)[0])(plain(3.0)), 6.0)
    same(tg.grad(lambda x: x * tg.jvp(lambda y: x * y, (inner,), (1.0,))[1])(plain(3.0)), 6.0)
    same(tg.grad(lambda x: x * tg.hvp(lambda y: 0.5 * x * y * y, inner, 1.0))(plain(3.0)), 6.0)


def test_functions_nest_in_every_order():
    def f(x):
        return (tg.exp(x) * x[::-1]).sum()

    slope = np.exp(X) * X[::-1] + np.exp(X)[::-1]
    same(tg.grad(f)(X), slope)
    second = tg.hessian(f)(X)
    same(tg.jacobian(tg.grad(f))(X), second)
    same(np.stack([tg.jvp(tg.grad(f), (X,), (e,))[1] for e in np.eye(3)], axis=1), second)
    same(np.stack([tg.vjp(tg.grad(f), X)[1](e)[0] for e in np.eye(3)]), second)
    same(tg.grad(lambda x: tg.jvp(f, (x,), (V,))[1])(plain(X)), second @ V)
    same(tg.grad(lambda x: tg.dot(tg.vjp(f, x)[1](1.0)[0], V))(plain(X)), second @ V)
    same(tg.grad(lambda x: tg.hvp(f, x, V).sum())(plain(X)).shape, (3,))


def test_grad_inside_a_recorded_program():
    x = leaf(2.0)
    slope = tg.grad(lambda v: v**3)(x)
    (slope * x).backward()  # 3 x^3
    same(x.grad, 36.0)


def test_closures_over_parameters_are_recorded():
    w = leaf([2.0, -1.0, 3.0])

    def energy(x):
        return (w * x * x).sum()

    force = tg.grad(energy)(plain(X))
    same(force, 2.0 * w.data * X)
    (force * force).sum().backward()
    same(w.grad, 8.0 * w.data * X * X)
    w.grad = None
    tg.hvp(energy, plain(X), plain(V)).sum().backward()
    same(w.grad, 2.0 * V)
    w.grad = None
    value, pull = tg.vjp(energy, plain(X))
    (value + (pull(plain(3.0))[0]).sum()).backward()
    same(w.grad, X * X + 6.0 * X)


def test_a_closure_over_a_constant_leaves_no_graph():
    c = plain(2.0)
    assert not tg.grad(lambda x: c * x * x)(plain(3.0)).requires_grad


def test_inside_no_grad_the_function_is_recorded_and_its_result_is_not():
    w = leaf(2.0)
    with tg.no_grad():
        slope = tg.grad(lambda x: w * x * x)(plain(3.0))
        assert not tg.is_grad_enabled()
    same(slope, 12.0)
    assert not slope.requires_grad


def test_a_function_that_switches_recording_off_has_gradient_zero():
    @tg.no_grad()
    def f(x):
        return (x * x).sum()

    same(tg.grad(f)(X), np.zeros(3))


def test_an_error_in_the_function_comes_out_as_it_is():
    def f(x):
        raise LookupError("mine")

    for transform in (tg.grad, tg.value_and_grad, tg.jacobian, tg.hessian):
        with pytest.raises(LookupError, match="mine"):
            transform(f)(X)
    assert tg.is_grad_enabled()


# --- mistakes, and what comes out ------------------------------------------------------------------------------------

INTEGERS = np.array([1, 2])


def square_sum(x):
    return (x * x).sum()


MISTAKES = {
    "integers to grad": (lambda: tg.grad(square_sum)(INTEGERS), "grad"),
    "integers to vjp": (lambda: tg.vjp(square_sum, INTEGERS), "vjp"),
    "integers to jvp": (lambda: tg.jvp(square_sum, (INTEGERS,), (INTEGERS,)), "jvp"),
    "integers to hvp": (lambda: tg.hvp(square_sum, INTEGERS, INTEGERS), "hvp"),
    "integers to jacobian": (lambda: tg.jacobian(square_sum)(INTEGERS), "jacobian"),
}


@pytest.mark.parametrize(("attempt", "name"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_names_the_function_that_was_called(attempt, name):
    with pytest.raises(TypeError) as caught:
        attempt()
    assert str(caught.value) == f'{name}: argument 0 must hold floats, got int64; use x.astype("float32")'


REFUSED = {
    "no scalar to hvp": (
        lambda: tg.hvp(lambda x: x * x, X, X),
        "hvp: the output has shape (3,), which is not a scalar",
    ),
    "tangents of jvp": (lambda: tg.jvp(square_sum, (X,), (X, X)), "jvp: got 2 tangents for 1 arguments"),
    "tangents of hvp": (lambda: tg.hvp(square_sum, (X,), (X, X)), "hvp: got 2 tangents for 1 arguments"),
    "a tangent's shape in jvp": (
        lambda: tg.jvp(square_sum, (X,), (X[:1],)),
        "jvp: tangent 0 has shape (1,), the argument has shape (3,)",
    ),
    "a tangent's shape in hvp": (
        lambda: tg.hvp(square_sum, X, X[:1]),
        "hvp: tangent 0 has shape (1,), the argument has shape (3,)",
    ),
    "primals of jvp": (
        lambda: tg.jvp(square_sum, X, (X,)),
        "jvp: primals and tangents must be tuples, with one array for each argument",
    ),
    "tangents of jvp that are no tuple": (
        lambda: tg.jvp(square_sum, (X,), X),
        "jvp: primals and tangents must be tuples, with one array for each argument",
    ),
    "a word as argnums": (lambda: tg.grad(square_sum, "a")(X), "argnums must be a whole number or several, got 'a'"),
    "argnums too far": (lambda: tg.grad(square_sum, 1)(X), "grad: argnums 1 is out of range for 1 arguments"),
    "argnums too far back": (lambda: tg.grad(square_sum, -2)(X), "grad: argnums -2 is out of range for 1 arguments"),
    "several results": (lambda: tg.grad(lambda x: (x, x))(X), "grad: the function must return one tensor, got tuple"),
    "no result": (lambda: tg.grad(lambda x: None)(X), "grad: the function must return one tensor, got NoneType"),
}


@pytest.mark.parametrize(("attempt", "message"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_refused(attempt, message):
    with pytest.raises((TypeError, tg.ShapeError, tg.GradError)) as caught:
        attempt()
    assert str(caught.value).startswith(message)


def test_the_first_argument_counted_from_the_end():
    same(tg.grad(square_sum, -1)(X), 2 * X)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_where_nothing_depends_on_an_argument_zeros_have_its_type(dtype):
    x, y = tg.ones(2, dtype=dtype), tg.ones(3, dtype=dtype)
    first, second = square_sum, lambda x, y: square_sum(x)
    for g in (
        tg.grad(second, 1)(x, y),
        tg.vjp(second, x, y)[1](tg.tensor(1.0))[1],
        tg.jacobian(second, 1)(x, y),
        tg.hvp(lambda x: x.sum(), x, x),
        tg.jvp(lambda x: tg.zeros(3, dtype=dtype), (x,), (x,))[1],
        tg.hessian(lambda x: x.sum())(x),
    ):
        assert g.dtype == dtype
        assert not g.numpy().any()
    assert tg.grad(first)(x).dtype == dtype


RESULTS = {
    "value_and_grad": lambda f, x: tg.value_and_grad(f)(x),
    "vjp": lambda f, x: (tg.vjp(f, x)[0], *tg.vjp(f, x)[1](tg.ones(()))),
    "jvp": lambda f, x: tg.jvp(f, (x,), (x.detach(),)),
    "jacobian": lambda f, x: (tg.jacobian(f)(x),),
    "hvp": lambda f, x: (tg.hvp(f, x, x.detach()),),
}


@pytest.mark.parametrize("results", RESULTS.values(), ids=RESULTS)
def test_results_are_recorded_if_they_depend_on_something_outside_and_only_then(results):
    w, x = tg.tensor([2.0, 3.0], requires_grad=True), tg.tensor([0.5, 1.0])
    assert all(out.requires_grad for out in results(lambda x: (w * x * x).sum(), x))
    assert not any(out.requires_grad for out in results(lambda x: (w.detach() * x * x).sum(), x))
