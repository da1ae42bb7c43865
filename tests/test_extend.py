"""Operations of one's own: how their arguments are sorted, kept and promoted, and what is said about mistakes."""

from __future__ import annotations

import traceback

import numpy as np
import pytest

import tensorgraph as tg
from tensorgraph._primitive import Binary


@tg.extend.primitive(gate="function")
def weighted(x, w=None, /, scale=1.0, *, power=1):
    """scale (x w)^power."""
    return scale * (x if w is None else x * w) ** power


@tg.extend.primitive(gate="function")
def failing(x, y, /):
    return 1 / 0


@tg.extend.elementwise(gate="mul")
def scaled(x, y, /, *, scale=1.0):
    return x * y * scale


X = tg.tensor([1.0, 2.0], requires_grad=True)


def test_an_operation_is_what_its_function_says():
    @tg.extend.primitive(gate="function")
    def fresh(x, w=None, /, scale=1.0, *, power=1):
        """scale (x w)^power."""
        return scale * (x if w is None else x * w) ** power

    assert (fresh.__name__, fresh.__doc__, fresh.__module__) == ("fresh", "scale (x w)^power.", __name__)
    assert repr(fresh) == "<primitive fresh, gate function>"
    assert fresh.arguments == ("x", "w")
    assert fresh(X).tolist() == [1.0, 2.0]
    assert fresh(X, None, 3.0, power=2).tolist() == [3.0, 12.0]
    with pytest.raises(TypeError, match=r"^fresh: takes \(x, w, scale\), got 4 arguments$"):
        fresh(X, None, 3.0, 2)


CALLS = {
    "arrays alone": (lambda: weighted(X), [1.0, 2.0]),
    "an array by name": (lambda: weighted(x=X, w=np.float32([2, 3])), [2.0, 6.0]),
    "a default given": (lambda: weighted(X, None), [1.0, 2.0]),
    "an option by position": (lambda: weighted(X, None, 3.0), [3.0, 6.0]),
    "options by name": (lambda: weighted(X, scale=3.0, power=2), [3.0, 12.0]),
    "both": (lambda: weighted(X, 2.0, 3.0, power=2), [12.0, 48.0]),
    "an option of an element-wise operation": (lambda: scaled(X, 2.0, scale=3.0), [6.0, 12.0]),
    "a list": (lambda: weighted(X, [2.0, 3.0]), [2.0, 6.0]),
}


@pytest.mark.parametrize(("call", "expected"), CALLS.values(), ids=CALLS)
def test_arguments_are_sorted_into_arrays_and_options(call, expected):
    out = call()
    assert out.dtype == np.float32
    assert out.tolist() == expected


MISTAKES = {
    "too many": (lambda: weighted(X, None, 3.0, 4.0), "weighted: takes (x, w, scale), got 4 arguments"),
    "one twice": (
        lambda: weighted(X, None, 3.0, scale=4.0),
        "weighted: got scale twice, by position and by name",
    ),
    "two twice": (
        lambda: weighted(X, None, 3.0, scale=4.0, x=X),
        "weighted: got scale, x twice, by position and by name",
    ),
    "none": (lambda: weighted(), "weighted: missing x"),
    "three of two": (lambda: tg.add(X, X, X), "add: takes 2 arguments, got 3"),
    "one of two": (lambda: tg.add(X), "add: takes 2 arguments, got 1"),
    "none of two": (lambda: failing(), "failing: missing x, y"),
    "a word": (lambda: weighted(X, "a"), "weighted: w must be a tensor, an array or a number, got str"),
    "a word beside no tensor": (
        lambda: weighted(5.0, "a"),
        "weighted: w must be a tensor, an array or a number, got str",
    ),
    "an object in the second place": (
        lambda: scaled(np.ones(2), object()),
        "scaled: y must be a tensor, an array or a number, got object",
    ),
    "an object beside a tensor": (
        lambda: scaled(X, object()),
        "scaled: y must be a tensor, an array or a number, got object",
    ),
    "an unknown option": (
        lambda: weighted(X, bogus=1),
        "weighted: has no argument 'bogus'; its arguments are x, w, scale, power",
    ),
    "a rule missing": (lambda: failing.vjp(x=None), "failing.vjp: no rule for y; the array arguments are x, y"),
    "all rules missing": (lambda: failing.vjp(), "failing.vjp: no rule for x, y; the array arguments are x, y"),
    "a rule under another name": (
        lambda: tg.extend.primitive(gate="wire", name="none")(lambda x: x).vjp(y=None),
        "none.vjp: no argument is called y; no rule for x; the array arguments are x",
    ),
    "no brackets": (
        lambda: tg.extend.elementwise(np.exp),
        'elementwise: the gate is missing; write @tg.extend.elementwise(gate="function"), with brackets',
    ),
    "no brackets, either": (
        lambda: tg.extend.primitive(lambda x: x),
        'primitive: the gate is missing; write @tg.extend.primitive(gate="function"), with brackets',
    ),
    "unknown rules": (
        lambda: weighted.vjp(x=None, w=None, a=None, b=None),
        "weighted.vjp: no argument is called a, b; the array arguments are x, w",
    ),
    "no array": (
        lambda: tg.extend.primitive(gate="wire", name="none")(lambda *, a: a),
        "none: a primitive takes at least one array, as a positional argument",
    ),
}


@pytest.mark.parametrize(("attempt", "message"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_with_ones_own_operations(attempt, message):
    with pytest.raises(TypeError) as caught:
        attempt()
    assert str(caught.value) == message


def test_an_error_of_its_own_keeps_its_type_and_says_for_what():
    with pytest.raises(ZeroDivisionError) as caught:
        failing(X, np.ones((2, 3)))
    assert str(caught.value) == "division by zero"
    assert caught.value.__notes__[0] == "in failing of x of shape (2,) and y of shape (2, 3)"


def test_an_error_of_its_own_names_the_line():
    with pytest.raises(ZeroDivisionError) as caught:
        failing(X, X)
    assert caught.value.__notes__[1].startswith(f"at {__file__}:")


def test_an_operation_inside_of_another_one_is_named_once():
    @tg.extend.primitive(gate="function")
    def outer(x, /):
        return failing(x, x)

    @tg.extend.primitive(gate="function")
    def misfit(x, /):
        return tg.matmul(x, np.ones(3))

    with pytest.raises(ZeroDivisionError) as caught:
        outer(X)
    assert caught.value.__notes__[0] == "in failing of x of shape (2,) and y of shape (2,)"
    assert len(caught.value.__notes__) == 2
    with pytest.raises(tg.ShapeError, match=r"^matmul: x of shape \(2,\) and y of shape \(3,\) do not fit"):
        misfit(X)


@pytest.mark.parametrize("call", [lambda: scaled(np.ones(2), np.ones(3)), lambda: tg.matmul(np.ones(2), np.ones(3))])
def test_the_traceback_leads_to_the_function(call):
    with pytest.raises(tg.ShapeError) as caught:
        call()
    assert traceback.extract_tb(caught.value.__traceback__)[-1].name in ("scaled", "matmul")


# --- functions that write to what they are given ---------------------------------------------------------------------


def set_in_place(x):
    x[x < 0] = 0
    return x


def multiplied_in_place(x):
    x *= 2
    return x


def sorted_in_place(x):
    x.sort()
    return x


WRITERS = {
    set_in_place: "assignment destination is read-only",
    multiplied_in_place: "output array is read-only",
    sorted_in_place: "sort array is read-only",
    lambda x: np.exp(x, out=x): "output array is read-only",
    lambda x: np.nan_to_num(x, copy=False): "assignment destination is read-only",
    lambda x: multiplied_in_place(x.reshape(-1)[:1]): "output array is read-only",
}


@pytest.mark.parametrize("kind", [tg.extend.primitive, tg.extend.elementwise])
@pytest.mark.parametrize(("write", "why"), WRITERS.items(), ids=range(len(WRITERS)))
def test_a_forward_function_cannot_write_to_its_arguments(kind, write, why):
    @kind(gate="function", name="writing")
    def writing(x, /):
        return write(x)

    x, raw = tg.tensor([2.0, -1.0], requires_grad=True), np.array([2.0, -1.0])
    for given in (x, x.detach(), raw):
        with pytest.raises(ValueError) as caught:  # noqa: PT011 (the whole text is below)
            writing(given)
        assert str(caught.value) == f"writing: must not change its argument x; copy it ({why})"
        assert "on_views" not in traceback.extract_tb(caught.value.__traceback__)[-1].name
    assert (x.tolist(), raw.tolist()) == ([2.0, -1.0], [2.0, -1.0])


def test_a_forward_function_of_two_arrays_cannot_write_to_either():
    @tg.extend.elementwise(gate="add", name="writing")
    def writing(x, y, /):
        y += x
        return y

    with pytest.raises(ValueError, match=r"^writing: must not change its arguments x, y; copy it \(output array is"):
        writing(X, X)
    assert writing(2.0, 3.0) == 5.0


@pytest.mark.parametrize("written", ["g", "out", "x", "y"])
def test_a_rule_cannot_write_to_what_it_is_given(written):
    @tg.extend.primitive(gate="mul", name="writing")
    def writing(x, y, /):
        return x * y

    def rule(g, out, x, y):
        array = {"g": g, "out": out, "x": x, "y": y}[written]
        array *= 2
        return g * y

    writing.vjp(x=rule, y=lambda g, out, x, y: g * x)
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    y = writing(x, x) + x * 3.0
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the whole text is below)
        y.sum().backward()
    assert str(caught.value) == (
        "writing: the gradient rule for x must not change g, out, x, y; copy it (output array is read-only)"
    )
    assert x.grad is None


def test_another_error_is_not_taken_for_that():
    @tg.extend.primitive(gate="wire", name="refusing")
    def refusing(x, /):
        raise ValueError("too many")

    with pytest.raises(ValueError, match=r"^refusing: too many"):
        refusing(X)


@pytest.mark.parametrize(
    "forward",
    [lambda x: x, lambda x: x[::-1], lambda x: x.reshape(2, 1), lambda x: np.broadcast_to(x, (3, 2))],
    ids=["itself", "backwards", "reshaped", "broadcast"],
)
def test_an_operation_may_return_its_argument_or_a_view_of_it(forward):
    op = tg.extend.primitive(gate="wire", name="viewing")(lambda x, /: forward(x))
    op.vjp(x=lambda g, out, x: g.sum(axis=0) if out.shape == (3, 2) else forward(g).reshape(2))
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    out = op(x)
    loss = (out * out).sum()
    expected = forward(np.float32([1.0, 2.0]))
    out.data[...] = 7.0
    x.data[...] = 9.0
    np.testing.assert_array_equal(out.data, np.full(expected.shape, 7.0))
    loss.backward()
    assert loss.item() == (expected**2).sum()
    assert x.grad.tolist() == [2.0 * expected.size / 2, 4.0 * expected.size / 2]
    x.grad.data[...] = 0.0
    assert x.tolist() == [9.0, 9.0]
    np.testing.assert_array_equal(op(np.float32([1.0, 2.0])), expected)


def test_the_librarys_own_operations_are_called_as_they_are():
    assert tg.exp.forward is tg.exp.__wrapped__
    assert weighted.forward is not weighted.__wrapped__


# --- what the tape keeps ---------------------------------------------------------------------------------------------


def kept(out):
    return out._node.arrays


def test_constants_are_copied_in_the_machines_byte_order():
    w = np.array([2.0, 3.0], ">f4")
    out = weighted(X, w)
    assert kept(out)[1].dtype == np.float32
    assert kept(out)[1].dtype.isnative
    w[:] = 0.0
    assert kept(out)[1].tolist() == [2.0, 3.0]


def test_what_the_user_can_write_to_is_copied():
    x, w = tg.tensor([1.0, 2.0], requires_grad=True), tg.tensor([3.0, 4.0])
    mine = w.data
    out = weighted(x, w)
    mine[:] = 0.0
    assert kept(out)[1].tolist() == [3.0, 4.0]


def test_floats_of_a_list_take_the_type_of_the_tensor_beside_or_float32():
    for dtype, expected in (("float64", "float64"), ("float16", "float16"), ("int64", "float32")):
        seen = []

        @tg.extend.primitive(gate="function", name="seeing")
        def seeing(x, w, /, seen=seen):
            seen.append(w.dtype)
            return x * 1.0

        seeing(tg.ones(2, dtype=dtype), [0.5, 1.5])
        assert seen == [np.dtype(expected)]


@pytest.mark.parametrize("option", [{}, {"scale": 1.0}])
def test_arrays_of_an_element_wise_operation_are_brought_to_one_type(option):
    for one, other, expected in (("float32", "float64", "float64"), ("int64", "float32", "float32")):
        assert scaled(tg.ones(2, dtype=one), tg.ones(2, dtype=other), **option).dtype == expected
        assert scaled(np.ones(2, one), np.ones(2, other), **option).dtype == expected


def test_promotion_is_the_default_of_element_wise_operations():
    @tg.extend.elementwise(gate="add")
    def two(x, y, /):
        return x + y

    @tg.extend.elementwise(gate="add")
    def three(x, y, z, /):
        assert x.dtype == y.dtype
        return x + y + z

    @tg.extend.elementwise(gate="add", promotes=False)
    def as_they_are(x, y, /):
        assert x.dtype != y.dtype
        return x + y

    x, y = tg.ones(2, dtype="float32", requires_grad=True), tg.ones(2, dtype="float64", requires_grad=True)
    assert isinstance(two, Binary)
    for out in (two(x, y), three(x, y, 2.0)):
        assert out.dtype == np.float64
        converted = [node.primitive is tg.astype for node in out._node.parents if node is not None]
        assert converted == [True, False]  # y has the type already
    assert as_they_are(x, y).dtype == np.float64


def test_a_result_without_axes_is_an_array():
    x = tg.tensor(2.0, requires_grad=True)
    for out in (x * x, tg.exp(x), weighted(x), x.detach() * 3.0):
        assert type(out._array) is np.ndarray
        assert out.shape == ()
