"""Mistakes with operations, each with the exact words of the answer; test_errors.py has the others.

Those of convolution and pooling are in test_conv_pool_errors.py, those of losses in test_loss_errors.py.
"""

from __future__ import annotations

import numpy as np
import pytest

import tensorgraph as tg
from tensorgraph import ShapeError
from tensorgraph._primitive import registry


def ones(*shape):
    return tg.ones(*shape)


ELEMENTWISE = {
    "shapes that do not broadcast": (
        lambda: ones(2, 3) + ones(2),
        ShapeError,
        "add: x of shape (2, 3) and y of shape (2,) do not broadcast",
    ),
    "shapes of three that do not broadcast": (
        lambda: tg.where(ones(2) > 0, ones(3), 0.0),
        ShapeError,
        "where: condition of shape (2,), x of shape (3,) and y = 0.0 do not broadcast",
    ),
    "a text as operand": (
        lambda: ones(2) + "a",
        TypeError,
        "add: y must be a tensor, an array or a number, got str",
    ),
    "a complex number as operand": (
        lambda: ones(2) * 1j,
        TypeError,
        "mul: y must be a tensor, an array or a number, got complex",
    ),
    "an array of objects as operand": (
        lambda: np.array([None, None]) - ones(2),
        TypeError,
        "sub: x must be a tensor, an array or a number, got an array of object",
    ),
    "one operand": (lambda: tg.add(ones(2)), TypeError, "add: takes 2 arguments, got 1"),
    "no operands": (lambda: tg.add(), TypeError, "add: takes 2 arguments, got 0"),
    "shapes that cannot be compared": (
        lambda: ones(2, 3) < np.ones(4),
        ShapeError,
        "less: x of shape (2, 3) and y of shape (4,) do not broadcast",
    ),
    "nothing as operand": (
        lambda: ones(2) + None,
        TypeError,
        "add: y must be a tensor, an array or a number, got NoneType",
    ),
    "a number that the type cannot hold": (
        lambda: tg.zeros(2, dtype="uint8") + 300,
        OverflowError,
        "add: Python integer 300 out of bounds for uint8",
    ),
    "no operand": (lambda: tg.exp(), TypeError, "exp: missing x"),
    "integers to a negative power": (
        lambda: tg.arange(3) ** -1,
        ValueError,
        'pow: integers have no negative powers; convert x with x.astype("float32")',
    ),
    "a condition of floats": (
        lambda: tg.where(ones(2), 1.0, 0.0),
        TypeError,
        "where: condition must be bool, got float32; compare it with something first",
    ),
    "clip without bounds": (lambda: ones(2).clip(), TypeError, "clip: needs min or max, both are None"),
    "a function of NumPy that is not here": (
        lambda: np.arctan2(ones(2), ones(2)),
        TypeError,
        "numpy.arctan2: tensors have no such operation; use t.detach().numpy() for its values",
    ),
    "out= of NumPy": (
        lambda: np.exp(ones(2), out=np.ones(2)),
        TypeError,
        "numpy.exp: a tensor takes no out here; assign the result instead",
    ),
}

SHAPES = {
    "reshape to another size": (
        lambda: ones(2, 3).reshape(4, -1),
        ShapeError,
        "reshape: x of shape (2, 3) has 6 elements, which do not fill shape (4, -1)",
    ),
    "transpose as in PyTorch": (
        lambda: ones(2, 3, 4).transpose(0, 1),
        ShapeError,
        "transpose: axes (0, 1) must name each of the 3 axes of x of shape (2, 3, 4) once; "
        "to exchange two axes use swapaxes",
    ),
    "transpose with one axis": (
        lambda: ones(2, 3).transpose(0),
        TypeError,
        "transpose: axes must be a sequence of whole numbers, got 0",
    ),
    "the same axis twice": (
        lambda: ones(2, 3).permute(0, 0),
        ShapeError,
        "transpose: axes (0, 0) must name each of the 2 axes of x of shape (2, 3) once",
    ),
    "squeeze a long axis": (
        lambda: ones(2, 1).squeeze(0),
        ShapeError,
        "squeeze: axis 0 of x of shape (2, 1) has size 2, not 1",
    ),
    "an axis that is not there": (
        lambda: ones(2).swapaxes(0, 1),
        np.exceptions.AxisError,
        "swapaxes: axis 1 is out of bounds for 1 axes",
    ),
    "a new axis twice": (
        lambda: ones(2).expand_dims((0, 0)),
        ShapeError,
        "expand_dims: axis (0, 0) names an axis twice",
    ),
    "broadcast to fewer": (
        lambda: tg.broadcast_to(ones(3), (2,)),
        ShapeError,
        "broadcast_to: x of shape (3,) does not broadcast to (2,)",
    ),
    "pad with three numbers": (
        lambda: tg.pad(ones(2, 3), (1, 2, 3)),
        ShapeError,
        "pad: pad_width (1, 2, 3) does not give (before, after) for x of shape (2, 3)",
    ),
    "pad with a negative number": (
        lambda: tg.pad(ones(2), -1),
        ValueError,
        "pad: pad_width must hold whole numbers >= 0, got -1",
    ),
    "pad in another way": (
        lambda: tg.pad(ones(2), 1, mode="reflect"),
        ValueError,
        "pad: mode must be \"constant\", got 'reflect'",
    ),
    "join different shapes": (
        lambda: tg.concatenate([ones(2, 3), ones(2, 4)]),
        ShapeError,
        "concatenate: shapes (2, 3), (2, 4) differ in more than axis 0",
    ),
    "join nothing": (lambda: tg.stack([]), ShapeError, "stack: needs at least one array"),
    "join scalars": (
        lambda: tg.concatenate([ones(2).sum()]),
        ShapeError,
        "concatenate: scalars have no axis to join along; use stack",
    ),
    "forget the list": (
        lambda: tg.concatenate(ones(2), ones(3)),
        TypeError,
        "concatenate: axis must be a whole number, got Tensor; give the arrays as one list",
    ),
    "split unevenly": (
        lambda: tg.split(ones(5), 2),
        ShapeError,
        "split: axis 0 of x of shape (5,) does not divide into 2 equal parts",
    ),
}

REDUCTIONS = {
    "an argument that there is not": (
        lambda: tg.sum(ones(2, 3), along=1),
        TypeError,
        "sum: has no argument 'along'; its arguments are x, axis, keepdims",
    ),
    "dim for axis": (
        lambda: tg.sum(ones(2, 3), dim=1),
        TypeError,
        "sum: has no argument 'dim'; it is called axis",
    ),
    "dim for axis, a method": (
        lambda: ones(2, 3).argmax(dim=1),
        TypeError,
        "argmax: has no argument 'dim'; it is called axis",
    ),
    "keepdim for keepdims": (
        lambda: ones(2, 3).mean(1, keepdim=True),
        TypeError,
        "mean: has no argument 'keepdim'; it is called keepdims",
    ),
    "an axis too many": (
        lambda: ones(2, 3).sum(axis=2),
        np.exceptions.AxisError,
        "sum: axis 2 is out of bounds for array of dimension 2; got x of shape (2, 3)",
    ),
    "the maximum of nothing": (lambda: tg.zeros(0).max(), ShapeError, "max: x of shape (0,) has no elements"),
    "the maximum along an empty axis": (
        lambda: tg.zeros(2, 0).argmax(1),
        ShapeError,
        "argmax: x of shape (2, 0) has no elements along axis 1",
    ),
    "a negative norm": (
        lambda: ones(2).norm(-2),
        ValueError,
        "norm: ord must be a positive number, 0, inf or -inf, got -2",
    ),
    "a norm of another kind": (
        lambda: ones(2, 2).norm("fro"),
        ValueError,
        "norm: ord must be a positive number, 0, inf or -inf, got 'fro'",
    ),
}

PRODUCTS = {
    "matrices that do not fit": (
        lambda: ones(2, 3) @ ones(2, 3),
        ShapeError,
        "matmul: x of shape (2, 3) and y of shape (2, 3) do not fit: "
        "the last axis of x has size 3, the second to last axis of y 2",
    ),
    "a matrix and a vector that do not fit": (
        lambda: ones(2, 3) @ ones(2),
        ShapeError,
        "matmul: x of shape (2, 3) and y of shape (2,) do not fit: the last axis of x has size 3, the only axis of y 2",
    ),
    "stacks that do not fit": (
        lambda: ones(2, 3, 4) @ ones(3, 4, 5),
        ShapeError,
        "matmul: x of shape (2, 3, 4) and y of shape (3, 4, 5) do not fit: their batch axes do not broadcast",
    ),
    "a matrix product with a number": (
        lambda: ones(2) @ 2.0,
        ShapeError,
        "matmul: needs at least one axis on both sides, got x of shape (2,) and y of shape (); use *",
    ),
    "dot of stacks": (
        lambda: tg.dot(ones(2, 3), ones(4, 3, 2)),
        ShapeError,
        "dot: y of shape (4, 3, 2) has more than two axes; use matmul or einsum",
    ),
    "a linear layer of another size": (
        lambda: tg.linear(ones(2, 3), ones(4, 5)),
        ShapeError,
        "linear: x of shape (2, 3) does not fit w of shape (4, 5): Linear(5, 4) got 3 features",
    ),
    "a flatten of another size": (
        lambda: tg.linear(tg.ones(2, 16, 4, 4, requires_grad=True).reshape(2, -1), ones(120, 400)),
        ShapeError,
        "linear: x of shape (2, 256) does not fit w of shape (120, 400): "
        "Linear(400, 120) got 256 features: flatten of (16, 4, 4) = 256",
    ),
    "a bias of another size": (
        lambda: tg.linear(ones(2, 3), ones(4, 3), ones(3)),
        ShapeError,
        "linear: b must have shape (4,) like the rows of w of shape (4, 3), got (3,)",
    ),
    "einsum with sizes that differ": (
        lambda: tg.einsum("ij,jk->ik", ones(2, 3), ones(4, 5)),
        ShapeError,
        "einsum: subscripts 'ij,jk->ik' do not fit operands of shapes (2, 3), (4, 5): j is 3 and 4",
    ),
    "einsum with a term too many": (
        lambda: tg.einsum("ij,jk->ik", ones(2, 3)),
        ShapeError,
        "einsum: 'ij,jk->ik' has 2 terms for 1 operands",
    ),
    "einsum with a letter too many": (
        lambda: tg.einsum("ijk->i", ones(2, 3)),
        ShapeError,
        "einsum: term 'ijk' of 'ijk->i' does not fit an operand of 2 axes",
    ),
    "einsum with the subscripts last": (
        lambda: tg.einsum(ones(2, 3), "ij->ji"),
        TypeError,
        'einsum: the subscripts come first, as a string like "ij,jk->ik", got Tensor',
    ),
}

LAYERS = {
    "batch normalization without channels": (
        lambda: tg.batch_norm(ones(3)),
        ShapeError,
        "batch_norm: x must have at least 2 axes (N, C), got shape (3,)",
    ),
    "batch normalization of other channels": (
        lambda: tg.batch_norm(ones(2, 3), weight=ones(2), training=True),
        ShapeError,
        "batch_norm: weight must have shape (3,) for x of shape (2, 3), got (2,)",
    ),
    "batch normalization of one value": (
        lambda: tg.batch_norm(ones(1, 3), training=True),
        ShapeError,
        "batch_norm: needs more than one value a channel in training, got x of shape (1, 3)",
    ),
    "batch normalization without statistics": (
        lambda: tg.batch_norm(ones(2, 3)),
        TypeError,
        "batch_norm: needs running_mean and running_var when training is False",
    ),
    "batch normalization with whole numbers": (
        lambda: tg.batch_norm(ones(2, 3), np.zeros(3, int), np.ones(3, int)),
        TypeError,
        'batch_norm: running_mean must hold floats, got int64; convert it with running_mean.astype("float32")',
    ),
    "dropout of more than all": (
        lambda: tg.dropout(ones(2), 1.5),
        ValueError,
        "dropout: p must lie in [0, 1], got 1.5",
    ),
    "dropout of integers": (
        lambda: tg.dropout(tg.arange(3)),
        TypeError,
        'dropout: x must hold floats, got int64; convert it with x.astype("float32")',
    ),
}

DEFINITIONS = {
    "a gate that there is not": (
        lambda: tg.extend.primitive(gate="or")(lambda x: x),
        ValueError,
        "<lambda>: gate must be one of add, mul, copy, max, function, wire, got 'or'",
    ),
    "a name that is taken": (
        lambda: tg.extend.elementwise(gate="function", name="exp")(lambda x: x),
        ValueError,
        'exp: tensorgraph.ops.elementwise has an operation of that name; choose another, name="..."',
    ),
}

TABLE = ELEMENTWISE | SHAPES | REDUCTIONS | PRODUCTS | LAYERS | DEFINITIONS
MISTAKES = (TypeError, ValueError, IndexError, OverflowError)


@pytest.mark.parametrize(("mistake", "kind", "message"), TABLE.values(), ids=TABLE)
def test_mistake(mistake, kind, message):
    with pytest.raises(MISTAKES) as caught:
        mistake()
    assert str(caught.value) == message
    assert type(caught.value) is kind


@pytest.mark.parametrize("name", [name for name in TABLE if name not in DEFINITIONS])
def test_the_running_layer_is_named_first(name):
    mistake, kind, message = TABLE[name]
    with tg.scope("features.2 (Layer)"), pytest.raises(kind) as caught:
        mistake()
    assert str(caught.value) == f"features.2 (Layer): {message}"


def test_a_module_may_define_its_operation_again():
    for factor in (2.0, 3.0):

        @tg.extend.elementwise(gate="mul")
        def times(x, /, factor=factor):
            return x * factor

    assert registry["times"] is times
    assert times(1.0) == 3.0


def test_a_layer_that_is_named_like_the_operation_says_it_once():
    with tg.scope("classifier.1 (Linear)"), pytest.raises(ShapeError) as caught:
        tg.linear(ones(2, 3), ones(4, 5))
    assert str(caught.value) == (
        "classifier.1 (Linear): x of shape (2, 3) does not fit w of shape (4, 5): Linear(5, 4) got 3 features"
    )


def test_the_users_line_is_noted():
    with pytest.raises(ShapeError) as caught:
        ones(2, 3) @ ones(2)
    (note,) = caught.value.__notes__
    assert note.startswith(f"at {__file__}:")
    assert note.endswith(": ones(2, 3) @ ones(2)")
