"""A tensor among NumPy's functions and in Python's own statements: what works, what it gives, what is refused."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest

import tensorgraph as tg

VALUES = np.arange(6.0).reshape(2, 3) + 1


def leaf(values=VALUES, dtype=np.float64):
    return tg.tensor(np.array(values, dtype), requires_grad=True)


# --- NumPy's functions -----------------------------------------------------------------------------------------------

MASK = np.array([[True, False, True], [False, True, True]])
FUNCTIONS = {
    # functions of one element
    **{
        name: getattr(np, name)
        for name in "exp expm1 log log1p sqrt sin cos tan arctan sinh cosh tanh negative absolute abs".split()
    },
    # operators with an array, on either side
    "array + t": lambda t: VALUES + t,
    "array - t": lambda t: VALUES - t,
    "t - array": lambda t: t - VALUES,
    "array * t": lambda t: VALUES * t,
    "array / t": lambda t: VALUES / t,
    "array ** t": lambda t: VALUES**t,
    "array @ t": lambda t: VALUES.T @ t,
    "t @ array": lambda t: t @ VALUES.T,
    "matmul": lambda t: np.matmul(VALUES.T, t),
    "float32 scalar * t": lambda t: np.float32(2) * t,
    "t + float64 scalar": lambda t: t + np.float64(2),
    "int64 scalar - t": lambda t: np.int64(2) - t,
    "0-d array * t": lambda t: np.array(2.0) * t,
    "maximum": lambda t: np.maximum(t, VALUES[::-1]),
    "minimum": lambda t: np.minimum(2.5, t),
    "power": lambda t: np.power(t, 3),
    "float_power": lambda t: np.float_power(t, 2.0),
    # functions of whole arrays
    "sum": lambda t: np.sum(t, axis=0, keepdims=True),
    "sum of all": np.sum,
    "mean": lambda t: np.mean(t, 1),
    "var": lambda t: np.var(t, axis=(0, 1)),
    "std": lambda t: np.std(t, axis=1, ddof=1),
    "prod": lambda t: np.prod(t, axis=0),
    "max": lambda t: np.max(t, axis=1),
    "amin": lambda t: np.amin(t, axis=0),
    "cumsum": lambda t: np.cumsum(t, axis=1),
    "dot": lambda t: np.dot(t, t.T),
    "einsum": lambda t: np.einsum("ij,kj->ik", t, VALUES),
    "norm": np.linalg.norm,
    "the least of rows": lambda t: np.linalg.norm(t, -np.inf, axis=1),
    "norm of rows": lambda t: np.linalg.norm(t, axis=1),
    "where": lambda t: np.where(MASK, t, 0.0),
    "clip": lambda t: np.clip(t, 2.2, 4.3),
    "clip by name": lambda t: np.clip(t, a_min=2.2, a_max=4.3),
    "concatenate": lambda t: np.concatenate([t, VALUES, t], axis=1),
    "stack": lambda t: np.stack([VALUES, t], axis=1),
    "split": lambda t: np.split(t, 3, axis=1)[1],
    "reshape": lambda t: np.reshape(t, (3, 2)),
    "ravel": np.ravel,
    "transpose": np.transpose,
    "permute_dims": lambda t: np.permute_dims(t, (1, 0)),
    "swapaxes": lambda t: np.swapaxes(t, 0, 1),
    "expand_dims": lambda t: np.expand_dims(t, (0, 2)),
    "squeeze": lambda t: np.squeeze(t[:1]),
    "flip": lambda t: np.flip(t, 1),
    "broadcast_to": lambda t: np.broadcast_to(t, (4, 2, 3)),
    "pad": lambda t: np.pad(t, ((1, 0), (0, 2))),
    "take": lambda t: np.take(t, [2, 0, 2], axis=1),
    "copy": np.copy,
}


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_numpys_functions_give_tensors_with_a_gradient(function):
    t = leaf()
    out, expected = function(t), function(VALUES)
    assert type(out) is tg.Tensor
    assert (out.dtype, out.shape) == (expected.dtype, np.shape(expected))
    np.testing.assert_allclose(out.data, expected, rtol=1e-14)
    upstream = np.linspace(0.5, 1.5, out.size).reshape(out.shape)
    out.backward(upstream)
    for i, j in np.ndindex(VALUES.shape):  # central differences
        step = np.zeros((2, 3))
        step[i, j] = 1e-6
        slope = ((function(VALUES + step) - function(VALUES - step)) * upstream).sum() / 2e-6
        assert t.grad[i, j].item() == pytest.approx(slope, rel=1e-6, abs=1e-7)


def test_numpys_functions_without_a_gradient():
    t = leaf()
    for function in (
        np.argmax,
        np.argmin,
        np.sign,
        np.isnan,
        lambda t: np.less(t, 3),
        lambda t: np.greater_equal(3, t),
    ):
        out, expected = function(t), function(VALUES)
        assert type(out) is tg.Tensor
        assert not out.requires_grad
        assert out.dtype == expected.dtype
        np.testing.assert_array_equal(out.data, expected)
    assert (np.shape(t), np.ndim(t), np.size(t)) == ((2, 3), 2, 6)


def test_the_type_of_numpys_results():
    t = leaf(dtype=np.float32)
    same_array, wider = VALUES.astype(np.float32), VALUES
    for out in (np.exp(t), same_array * t, np.float64(2) * t, np.array(2.0) * t, np.sum(t), np.where(MASK, t, 0)):
        assert out.dtype == np.float32
    for out in (wider * t, t - wider, np.concatenate([t, wider]), np.where(MASK, t, wider)):
        assert out.dtype == np.float64


REFUSED = {
    "out of a ufunc": (
        lambda t: np.add(t, 1, out=np.ones((2, 3))),
        "numpy.add: a tensor takes no out here; assign the result instead",
    ),
    "out=tensor": (
        lambda t: np.exp(VALUES, out=t),
        "numpy.exp: a tensor takes no out here; assign the result instead",
    ),
    "array += tensor": (
        lambda t: VALUES.copy().__iadd__(t),
        "numpy.add: a tensor takes no out here; assign the result instead",
    ),
    "where of a ufunc": (
        lambda t: np.exp(t, where=MASK),
        "numpy.exp: a tensor takes no where here; assign the result instead",
    ),
    "unknown ufunc": (
        np.floor,
        "numpy.floor: tensors have no such operation; use t.detach().numpy() for its values",
    ),
    "method of a ufunc": (
        np.add.reduce,
        "numpy.add.reduce: tensors have no such operation; use t.detach().numpy() for its values",
    ),
    "outer": (
        lambda t: np.multiply.outer(t, t),
        "numpy.multiply.outer: tensors have no such operation; use t.detach().numpy() for its values",
    ),
    "unknown function": (
        np.median,
        "numpy.median: tensors have no such operation; use t.detach().numpy() for its values",
    ),
    "function of a submodule": (
        lambda t: np.linalg.inv(t),
        "numpy.inv: tensors have no such operation; use t.detach().numpy() for its values",
    ),
    "norm of a matrix": (
        lambda t: np.linalg.norm(t, 2),  # NumPy's is the largest singular value
        "numpy.linalg.norm: ord is for vectors here; say along which axis",
    ),
}


@pytest.mark.parametrize(("attempt", "message"), REFUSED.values(), ids=REFUSED)
def test_what_numpy_may_not_do(attempt, message):
    t = leaf()
    with pytest.raises((TypeError, ValueError)) as caught:
        attempt(t)
    assert str(caught.value) == message
    np.testing.assert_array_equal(t.data, VALUES)


def test_options_that_numpy_has_and_tensors_have_not():
    t = leaf()
    for attempt in (
        lambda: np.sum(t, dtype="float32"),
        lambda: np.mean(t, out=np.ones(())),
        lambda: np.max(t, initial=3),
        lambda: np.concatenate([t, t], dtype="float32"),
    ):
        with pytest.raises(TypeError, match=r"has no argument|unexpected keyword argument"):
            attempt()


# --- to NumPy --------------------------------------------------------------------------------------------------------


def test_asarray_of_a_tensor_without_a_gradient():
    t = tg.tensor(VALUES)
    array = np.asarray(t)
    assert type(array) is np.ndarray
    assert array is t.data  # no copy
    assert np.asarray(t, copy=False) is t.data
    assert np.asarray(t, dtype=np.float32).dtype == np.float32
    own = np.array(t)
    own[...] = 0.0
    np.testing.assert_array_equal(t.data, VALUES)
    np.testing.assert_array_equal(np.array([t, t]), [VALUES, VALUES])
    np.testing.assert_allclose(t, VALUES)


@pytest.mark.parametrize(
    "convert", [np.asarray, np.array, lambda t: np.asarray(t, dtype="float32"), lambda t: np.array([t])]
)
def test_asarray_of_a_tensor_with_a_gradient_says_what_would_be_lost(convert):
    for t in (leaf(), leaf() * 2.0):
        with pytest.raises(tg.GradError) as caught:
            convert(t)
        assert str(caught.value) == (
            "asarray: the tensor requires a gradient, which the array would lose; use t.detach()"
        )
        np.testing.assert_array_equal(convert(t.detach()), convert(t.data))


def test_numpy_and_tolist_and_item():
    t = leaf()
    with pytest.raises(tg.GradError) as caught:
        t.numpy()
    assert str(caught.value) == (
        "numpy: the tensor requires a gradient, which the array would lose; use t.detach().numpy()"
    )
    np.testing.assert_array_equal(t.detach().numpy(), VALUES)
    assert t.tolist() == VALUES.tolist()
    assert type(t[0, 0].item()) is float
    assert type(tg.tensor(3).item()) is int
    assert type(tg.tensor([[True]]).item()) is bool


# --- Python's statements ---------------------------------------------------------------------------------------------


def test_iteration_length_and_unpacking():
    t = leaf()
    rows = list(t)
    assert [type(row) for row in rows] == [tg.Tensor, tg.Tensor]
    assert len(t) == len(rows) == 2
    first, second = t
    (first * second).sum().backward()
    np.testing.assert_array_equal(t.grad.data, VALUES[::-1])
    assert [row.tolist() for row in reversed(t)] == VALUES[::-1].tolist()
    assert list(tg.zeros(0, 3)) == []
    for attempt in (len, list):
        with pytest.raises(TypeError) as caught:
            attempt(tg.tensor(1.0))
        assert str(caught.value) == "len: a scalar has no length"


def test_truth():
    assert tg.tensor(2.0)
    assert tg.tensor([[1]])
    assert not tg.tensor([False])
    assert not leaf(0.0)
    for t in (tg.zeros(2), tg.zeros(0)):
        with pytest.raises(tg.ShapeError) as caught:
            bool(t)
        assert str(caught.value) == (
            f"bool: only one element is true or false, got shape {t.shape}; use (t != 0).data.any()"
        )


def test_numbers():
    t = leaf([[2.75]])
    assert float(t) == 2.75
    assert int(t) == 2
    assert math.exp(t) == math.exp(2.75)
    assert f"{t:.1f}" == "2.8"
    assert f"{tg.tensor(7):03d}" == "007"
    assert "%.2f" % t == "2.75"  # noqa: UP031 (the operator is what is tested)
    for attempt in (float, int, tg.Tensor.item, lambda t: f"{t:.1f}"):
        with pytest.raises(tg.ShapeError) as caught:
            attempt(tg.ones(2))
        assert str(caught.value) == "item: needs exactly one element, got shape (2,)"


def test_an_index():
    i = tg.tensor(1)
    assert [10, 20, 30][i] == 20
    assert list(range(i)) == [0]
    assert VALUES[i].tolist() == VALUES[1].tolist()
    assert VALUES[:i].tolist() == VALUES[:1].tolist()
    for t in (tg.tensor(1.0), tg.tensor([1]), tg.tensor(True)):
        with pytest.raises(TypeError) as caught:
            [10, 20, 30][t]
        assert str(caught.value) == f"index: only an integer scalar can be an index, got {t.dtype} of shape {t.shape}"


def test_operators_of_python():
    t = leaf([1.0, -2.0])
    assert (+t) is t
    assert (-t).tolist() == [-1.0, 2.0]
    assert abs(t).tolist() == [1.0, 2.0]
    assert sum(t).item() == -1.0
    assert max(t).item() == 1.0
    assert [row.item() for row in sorted(t)] == [-2.0, 1.0]
    assert 1.0 in t
    assert 5.0 not in t
    assert (~(t > 0) & (t < 5) | (t == 1)).tolist() == [True, True]
    for attempt in (lambda: t // 2, lambda: t % 2, lambda: t << 1, lambda: t ^ 1):
        with pytest.raises(TypeError, match="unsupported operand"):
            attempt()


def test_equality_compares_elements_and_identity_hashes():
    t, same = leaf(), leaf()
    assert (t == same).tolist() == [[True] * 3] * 2
    assert (t != same).tolist() == [[False] * 3] * 2
    assert len({t, t, same}) == 2
    assert {t: "t", same: "same"}[same] == "same"
    assert (t == None) is False  # noqa: E711 (what is tested)
    assert (t != "text") is True


REPRESENTATIONS = [
    (lambda: tg.tensor(1.5), "tensor(1.5)"),
    (lambda: tg.tensor([1.0, 2.5]), "tensor([1. , 2.5])"),
    (lambda: tg.tensor([[1, 2], [3, 4]]), "tensor([[1, 2],\n        [3, 4]])"),
    (lambda: tg.tensor([True, False]), "tensor([ True, False])"),
    (lambda: tg.tensor(np.float64(2.0)), "tensor(2., dtype=float64)"),
    (lambda: tg.tensor([1], dtype="int32"), "tensor([1], dtype=int32)"),
    (lambda: tg.tensor([1.0], dtype="float16"), "tensor([1.], dtype=float16)"),
    (lambda: tg.zeros(0), "tensor([])"),
    (lambda: tg.zeros(0, 3), "tensor([], shape=(0, 3))"),
    (lambda: tg.zeros(2, 0, dtype="float64"), "tensor([], shape=(2, 0), dtype=float64)"),
    (lambda: tg.tensor([np.nan, np.inf, -np.inf]), "tensor([ nan,  inf, -inf])"),
    (lambda: tg.tensor([1.0], requires_grad=True), "tensor([1.], requires_grad=True)"),
    (lambda: tg.tensor([1.0], requires_grad=True) * 2, "tensor([2.], op=mul)"),
    (lambda: leaf(1.0).reshape(1), "tensor([1.], dtype=float64, op=reshape)"),
    (lambda: leaf(1.0).detach(), "tensor(1., dtype=float64)"),
    (lambda: tg.arange(5000), "tensor([   0,    1,    2, ..., 4997, 4998, 4999])"),
]


@pytest.mark.parametrize(("make", "text"), REPRESENTATIONS, ids=[text for _, text in REPRESENTATIONS])
def test_representations(make, text):
    t = make()
    assert repr(t) == str(t) == f"{t}" == text


def test_copies():
    t = tg.tensor(VALUES, requires_grad=True, name="w")
    (t * t).sum().backward()
    for make in (copy.copy, copy.deepcopy):
        twin = make(t)
        assert (twin.requires_grad, twin.is_leaf, twin.name, twin.dtype) == (True, True, "w", t.dtype)
        np.testing.assert_array_equal(twin.grad.data, t.grad.data)
        twin.data[...] = 0.0
        twin.grad.data[...] = 0.0
        np.testing.assert_array_equal(t.data, VALUES)
        np.testing.assert_array_equal(t.grad.data, 2.0 * VALUES)
        with pytest.raises(tg.GradError) as caught:
            make(t * 2.0)
        assert str(caught.value) == "deepcopy: only leaves can be deep-copied; use t.copy() or t.detach()"
    shared = copy.deepcopy([t, t])
    assert shared[0] is shared[1]
    t.grad = None
    (t.copy() * 3.0).sum().backward()  # its own copy() is an operation, with a gradient
    np.testing.assert_array_equal(t.grad.data, np.full((2, 3), 3.0))


def test_pickle_is_refused():
    for attempt in (pickle.dumps, lambda t: pickle.dumps([t])):
        with pytest.raises(TypeError) as caught:
            attempt(leaf())
        assert str(caught.value) == "pickle: tensors are not pickled; save arrays or state_dict() with nn.save"


def test_a_tensor_has_no_room_for_other_attributes():
    with pytest.raises(AttributeError):
        tg.ones(1).gard = None
