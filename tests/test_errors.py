"""Mistakes that people make, each with the exact words of the answer.

A message names the operation and the argument, shows what was got, and says the likely fix. Here are those with
tensors, their gradients and indices; operations are in test_op_errors.py, layers in test_nn_errors.py.
"""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import tensorgraph as tg
from tensorgraph import GradError, ShapeError


def ones(*shape):
    return tg.ones(*shape)


def leaf(*shape):
    return tg.ones(*shape, requires_grad=True)


def backward_twice():
    y = (leaf(2) * 2).sum()
    y.backward()
    y.backward()


def backward_of_what_no_grad_hid():
    x = leaf(2)
    with tg.no_grad():
        y = x.sum()
    y.backward()


def assign(tensor, name, value):
    setattr(tensor, name, value)


def add_in_place(tensor, value):
    tensor += value


def set_item(tensor, index, value):
    tensor[index] = value


ONLY_FLOATS = 'requires_grad: only floats can require gradients, got {}; use t.astype("float32")'
NOT_SCALAR = (
    "the output has shape {}, which is not a scalar; reduce it with .sum() or .mean(), or give the upstream gradient"
)
NO_GRADIENT = "the tensor requires no gradient: computed under no_grad, or from nothing with requires_grad=True"
IN_PLACE = (
    "{}: a tensor that requires a gradient cannot be changed in place: the tape needs its old value; "
    "{} for a new tensor, or use tg.no_grad() to update a parameter"
)

MAKING = {
    "gradients of integers": (lambda: tg.tensor([1, 2], requires_grad=True), TypeError, ONLY_FLOATS.format("int64")),
    "gradients of bools": (lambda: tg.tensor(True).requires_grad_(), TypeError, ONLY_FLOATS.format("bool")),
    "text": (lambda: tg.tensor("abc"), TypeError, "tensor: data must be numbers, got <U3 from str"),
    "nothing": (lambda: tg.tensor(None), TypeError, "tensor: data must be numbers, got object from NoneType"),
    "complex numbers": (lambda: tg.tensor([1j]), TypeError, "tensor: data must be numbers, got complex128 from list"),
    "a tensor of a tensor": (
        lambda: tg.tensor(ones(2)),
        TypeError,
        "tensor: got a Tensor; use t.detach().copy(), or t.copy() to stay differentiable",
    ),
    "a tensor of tensors": (
        lambda: tg.tensor([ones(2), ones(2)]),
        TypeError,
        "tensor: got a list of Tensors; join them with stack or concatenate",
    ),
    "a size with a fraction": (lambda: ones(2.5), TypeError, "ones: sizes must be whole numbers, got (2.5,)"),
    "a negative size": (lambda: tg.randn(2, -3), ShapeError, "randn: sizes must not be negative, got (2, -3)"),
    "a shape that is a number with a fraction": (
        lambda: tg.full(3.5, 1.0),
        TypeError,
        "full: sizes must be whole numbers, got (3.5,)",
    ),
    "a negative identity": (lambda: tg.eye(-2), ShapeError, "eye: sizes must not be negative, got (-2, -2)"),
    "a negative seed": (
        lambda: tg.manual_seed(-1),
        ValueError,
        "manual_seed: n must be a whole number >= 0, got -1",
    ),
    "a type that is none": (
        lambda: tg.tensor([1.0], dtype="banana"),
        TypeError,
        "tensor: data type 'banana' not understood",
    ),
    "a type that has no gradients": (
        lambda: ones(2).astype("complex64"),
        TypeError,
        "astype: dtype must be of numbers or bools, got complex64",
    ),
}

BACKWARD = {
    "backward of many numbers": (
        lambda: (leaf(2, 3) * 2).backward(),
        GradError,
        "backward: " + NOT_SCALAR.format((2, 3)),
    ),
    "backward of constants": (lambda: ones(2).sum().backward(), GradError, "backward: " + NO_GRADIENT),
    "backward of what was not recorded": (backward_of_what_no_grad_hid, GradError, "backward: " + NO_GRADIENT),
    "backward twice": (
        backward_twice,
        GradError,
        "backward: the graph at 'sum' was freed by an earlier backward pass; "
        "pass retain_graph=True to the first one to walk it again",
    ),
    "an upstream gradient of another shape": (
        lambda: (leaf(2) * 2).backward(np.ones(3)),
        ShapeError,
        "backward: gradient has shape (3,), the output has shape (2,)",
    ),
    "a .grad of another shape": (
        lambda: assign(leaf(3), "grad", np.ones(2)),
        ShapeError,
        "grad: shape (2,) does not fit the tensor of shape (3,)",
    ),
    "grad of many numbers": (lambda: tg.grad(lambda t: t * 2)(ones(2)), GradError, "grad: " + NOT_SCALAR.format((2,))),
    "grad by integers": (
        lambda: tg.grad(lambda t: t.sum())(tg.arange(3)),
        TypeError,
        'grad: argument 0 must hold floats, got int64; use x.astype("float32")',
    ),
    "grad by an argument that is not there": (
        lambda: tg.grad(lambda t: t.sum(), argnums=1)(ones(2)),
        TypeError,
        "grad: argnums 1 is out of range for 1 arguments",
    ),
    "a function without return": (
        lambda: tg.grad(lambda t: None)(ones(2)),
        TypeError,
        "grad: the function must return one tensor, got NoneType",
    ),
    "a direction of another shape": (
        lambda: tg.jvp(lambda t: t, (ones(2),), (ones(3),)),
        ShapeError,
        "jvp: tangent 0 has shape (3,), the argument has shape (2,)",
    ),
    "no direction": (
        lambda: tg.jvp(lambda t: t, (ones(2),), ()),
        ShapeError,
        "jvp: got 0 tangents for 1 arguments",
    ),
    "no tuple of directions": (
        lambda: tg.jvp(lambda t: t, ones(2), ones(2)),
        TypeError,
        "jvp: primals and tangents must be tuples, with one array for each argument",
    ),
}

VALUES = {
    "numpy() of a tensor with a gradient": (
        lambda: leaf(2).numpy(),
        GradError,
        "numpy: the tensor requires a gradient, which the array would lose; use t.detach().numpy()",
    ),
    "asarray of a tensor with a gradient": (
        lambda: np.asarray(leaf(2)),
        GradError,
        "asarray: the tensor requires a gradient, which the array would lose; use t.detach()",
    ),
    "item of many": (lambda: ones(2).item(), ShapeError, "item: needs exactly one element, got shape (2,)"),
    "if on many": (
        lambda: 1 if ones(2) == ones(2) else 0,
        ShapeError,
        "bool: only one element is true or false, got shape (2,); use (t != 0).data.any()",
    ),
    "len of a scalar": (lambda: len(tg.tensor(1.0)), TypeError, "len: a scalar has no length"),
    "a float as an index": (
        lambda: [1, 2][tg.tensor(1.0)],
        TypeError,
        "index: only an integer scalar can be an index, got float32 of shape ()",
    ),
    "pickle": (
        lambda: pickle.dumps(ones(2)),
        TypeError,
        "pickle: tensors are not pickled; save arrays or state_dict() with nn.save",
    ),
    "deepcopy of a result": (
        lambda: copy.deepcopy(leaf(2) * 2),
        GradError,
        "deepcopy: only leaves can be deep-copied; use t.copy() or t.detach()",
    ),
    "+= on a parameter": (lambda: add_in_place(leaf(2), 1), GradError, IN_PLACE.format("+=", "write t = t + ...")),
    "**= on a parameter": (lambda: leaf(2).__ipow__(2), GradError, IN_PLACE.format("**=", "write t = t ** ...")),
    "[] = on a parameter": (lambda: set_item(leaf(2), 0, 1), GradError, IN_PLACE.format("setitem", "use tg.where")),
    "+= of another shape": (
        lambda: add_in_place(ones(2), np.ones(3)),
        ShapeError,
        "+=: a value of shape (3,) does not broadcast to the tensor of shape (2,)",
    ),
    "[] = of another shape": (
        lambda: set_item(ones(3), slice(2), [1, 2, 3]),
        ShapeError,
        "setitem: values of shape (3,) do not fit a place of shape (2,)",
    ),
    "[] = out of range": (
        lambda: set_item(ones(3), 5, 1),
        IndexError,
        "setitem: index 5 is out of bounds for axis 0 with size 3, the tensor has shape (3,)",
    ),
    "values of another shape": (
        lambda: assign(ones(3), "data", np.ones(2)),
        ShapeError,
        "data: the new values have shape (2,), the tensor has shape (3,)",
    ),
    "fractions for whole numbers": (
        lambda: assign(tg.tensor([1, 2]), "data", np.array([1.7, 2.0])),
        TypeError,
        "data: the new values are float64, which a tensor of int64 cannot hold unchanged; round them first",
    ),
    "NaN for a whole number": (
        lambda: assign(tg.tensor([1], dtype="int32"), "data", tg.tensor([np.nan], dtype="float32")),
        TypeError,
        "data: the new values are float32, which a tensor of int32 cannot hold unchanged; round them first",
    ),
    "a number too large for the type": (
        lambda: assign(tg.tensor([1], dtype="int8"), "data", np.array([300])),
        TypeError,
        "data: the new values are int64, which a tensor of int8 cannot hold unchanged; round them first",
    ),
    "requires_grad = False on a result": (
        lambda: assign(leaf(2) * 2, "requires_grad", False),
        GradError,
        "requires_grad: only a leaf can stop requiring a gradient; use t.detach()",
    ),
    "a name that is no text": (lambda: assign(ones(1), "name", 3), TypeError, "name: must be a string, got int"),
}

INDICES = {
    "an index out of range": (
        lambda: ones(2, 3)[2],
        IndexError,
        "getitem: index 2 is out of bounds for axis 0 with size 2, x has shape (2, 3)",
    ),
    "too many indices": (
        lambda: ones(2)[0, 1],
        IndexError,
        "getitem: too many indices for array: array is 1-dimensional, but 2 were indexed, x has shape (2,)",
    ),
    "indices with fractions": (
        lambda: ones(3)[ones(2)],
        IndexError,
        "getitem: an index array must hold integers or bools, got float32",
    ),
    "a slice with fractions": (
        lambda: ones(3)[:1.5],
        TypeError,
        "getitem: a slice needs whole numbers, got 1.5",
    ),
    "take along an axis that is not there": (
        lambda: tg.take(ones(3), [0], axis=1),
        np.exceptions.AxisError,
        "take: axis 1 is out of bounds for 1 axes",
    ),
    "one_hot of floats": (
        lambda: tg.one_hot(ones(2), 3),
        TypeError,
        'one_hot: labels must be integers, got float32; convert them with labels.astype("int64")',
    ),
    "one_hot of large labels": (
        lambda: tg.one_hot(tg.tensor([0, 3]), 3),
        ShapeError,
        "one_hot: labels must lie in 0..2, got 0..3",
    ),
}

TABLE = MAKING | BACKWARD | VALUES | INDICES


@pytest.mark.parametrize(("mistake", "kind", "message"), TABLE.values(), ids=TABLE)
def test_mistake(mistake, kind, message):
    with pytest.raises((TypeError, ValueError, IndexError, GradError)) as caught:
        mistake()
    assert str(caught.value) == message
    assert type(caught.value) is kind


def test_an_error_changes_nothing():
    x = leaf(2, 3)
    y = x * 2
    with pytest.raises(ShapeError):
        y + ones(2)
    with pytest.raises(ShapeError):
        y.backward(np.ones(2))
    with pytest.raises(ShapeError), tg.no_grad():
        x += np.ones(2)
    assert x.grad is None
    y.backward(np.ones((2, 3)))
    assert x.grad.tolist() == [[2.0] * 3] * 2
    assert x.tolist() == [[1.0] * 3] * 2


def test_a_failed_batch_leaves_the_running_statistics():
    running = tg.zeros(3)
    with pytest.raises(ShapeError):
        tg.batch_norm(ones(1, 3), running, running, training=True)
    with pytest.raises(ShapeError):
        tg.batch_norm(ones(2, 3), running, running, weight=ones(2), training=True)
    assert running.tolist() == [0.0] * 3
