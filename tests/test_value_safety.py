"""Whatever is written, through whichever handle: a gradient is that of the recorded values.

Every check computes a gradient twice: once in a program that writes somewhere between recording and `backward`, once in
its twin that does not. The two must be equal.
"""

from __future__ import annotations

import copy

import numpy as np
import pytest

import tensorgraph as tg

VALUES = np.array([[0.5, -1.5, 2.0], [1.0, 0.25, -0.75]])
MASK = np.array([[True, False, True], [False, True, True]])


def leaf(values=VALUES):
    return tg.tensor(np.array(values), requires_grad=True)


# Operations that need different things again: their inputs, their result, what they saved, a view, nothing.
OPERATIONS = {
    "mul": lambda t: t * t,
    "div": lambda t: 1.0 / t,
    "pow": lambda t: t**3,
    "exp": tg.exp,
    "sigmoid": tg.sigmoid,
    "relu": lambda t: tg.relu(t) * t,
    "maximum": lambda t: tg.maximum(t, 0.3) * t,
    "where": lambda t: tg.where(t > 0, t * t, t),
    "prod": lambda t: tg.prod(t, axis=1),
    "norm": lambda t: tg.norm(t, axis=0),
    "std": lambda t: tg.std(t, axis=1),
    "softmax": tg.softmax,
    "logsumexp": lambda t: tg.logsumexp(t, axis=0),
    "matmul": lambda t: t @ t.T,
    "einsum": lambda t: tg.einsum("ij,ij->i", t, t),
    "a view of it squared": lambda t: t.reshape(3, 2)[1:].T ** 2,
    "concatenate": lambda t: tg.concatenate([t, t * t]) ** 2,
    "conv2d": lambda t: tg.conv2d(t.reshape(1, 1, 2, 3), t[:, :2].reshape(1, 1, 2, 2)),
    "max_pool2d": lambda t: tg.max_pool2d(t.reshape(1, 1, 2, 3), (1, 2), stride=1) ** 2,
    "batch_norm": lambda t: tg.batch_norm(t, None, None, t[0], t[1], training=True),
    "cross-entropy": lambda t: tg.softmax_cross_entropy(t, np.array([2, 0])),
    "linear": lambda t: tg.linear(t, t, t[:, 0]),
}


def gradient(operation, before=lambda t: None, after=lambda t, handle: None):
    """The gradient of the operation at VALUES, with something done before and after it is recorded."""
    t = leaf()
    handle = before(t)
    out = operation(t)
    upstream = np.linspace(1.0, 2.0, out.size).reshape(out.shape)
    after(t, handle)
    out.backward(upstream)
    return t.grad.data.copy()


def check(before=lambda t: None, after=lambda t, handle: None):
    """The gradients of all operations are those of the twin."""
    for name, operation in OPERATIONS.items():
        np.testing.assert_array_equal(gradient(operation, before, after), gradient(operation), err_msg=name)


def overwrite(array):
    array[...] = 77.0


# --- arrays that look into a tensor ----------------------------------------------------------------------------------

HANDLES = {
    "data": lambda t: t.data,
    "detach().data": lambda t: t.detach().data,
    "detach().numpy()": lambda t: t.detach().numpy(),
    "asarray(detach())": lambda t: np.asarray(t.detach()),
    "a row of data": lambda t: t.data[1],
    "data.T": lambda t: t.data.T,
    "a view of a view of data": lambda t: t.data.reshape(-1)[1:][::2],
    "data of a reshape": lambda t: t.reshape(-1).data,
    "data of a transpose": lambda t: t.T.data,
    "data of a slice": lambda t: t[:, 1:].data,
    "data of a slice of a transpose": lambda t: t.T[1:].data,
    "data of a detached slice": lambda t: t.detach()[0].data,
    "data of a flip": lambda t: tg.flip(t).data,
    "data of a squeeze": lambda t: tg.squeeze(tg.expand_dims(t, 0), 0).data,
    "data of a diagonal by einsum": lambda t: tg.einsum("ii->i", t[:, :2]).data,
    "a buffer": lambda t: np.asarray(memoryview(t.data)),
    "strides by hand": lambda t: np.lib.stride_tricks.as_strided(t.data, (3,), (8,)),
    "other type, same bytes": lambda t: t.data.view(np.int64),
    "flat iterator": lambda t: t.data.flat,
    "array of floats of its own": lambda t: np.array(t.detach()),
}


@pytest.mark.parametrize("handle", HANDLES.values(), ids=HANDLES)
def test_a_handle_taken_before_recording(handle):
    check(before=handle, after=lambda t, array: overwrite(array))


@pytest.mark.parametrize("handle", HANDLES.values(), ids=HANDLES)
def test_a_handle_taken_after_recording(handle):
    check(after=lambda t, _: overwrite(handle(t)))


@pytest.mark.parametrize("handle", HANDLES.values(), ids=HANDLES)
def test_a_handle_taken_before_and_dropped_and_taken_again(handle):
    check(before=lambda t: overwrite_nothing(handle(t)), after=lambda t, _: overwrite(handle(t)))


def overwrite_nothing(array):
    array[...] = array[...].copy()


@pytest.mark.parametrize("handle", HANDLES.values(), ids=HANDLES)
def test_a_view_that_outlives_its_handle(handle):
    """Only a view is kept: the array that it looks into has no other owner but the tensor."""
    check(before=lambda t: np.asarray(handle(t))[...], after=lambda t, view: overwrite(view))


# --- statements that write -------------------------------------------------------------------------------------------


def data_plus(t, _):
    t.data += 77.0


def data_times(t, _):
    t.data *= 0.0


def data_assigned(t, _):
    t.data = np.full(t.shape, 77.0)


def data_element(t, _):
    t.data[0, 1] = 77.0


@tg.no_grad()
def minus(t, _):
    t -= 77.0


@tg.no_grad()
def times(t, _):
    t *= t


@tg.no_grad()
def divided(t, _):
    t /= 2.0


@tg.no_grad()
def power(t, _):
    t **= 2


@tg.no_grad()
def all_elements(t, _):
    t[...] = 77.0


@tg.no_grad()
def some_elements(t, _):
    t[MASK] = tg.ones(int(MASK.sum()))


@tg.no_grad()
def minus_its_own_view(t, _):
    t -= t[::-1, ::-1]


WRITES = {
    "t.data += ": data_plus,
    "t.data *= ": data_times,
    "t.data = ": data_assigned,
    "t.data[i] = ": data_element,
    "t -= ": minus,
    "t *= t": times,
    "t /= ": divided,
    "t **= ": power,
    "t[...] = ": all_elements,
    "t[mask] = ": some_elements,
    "t -= a view of t": minus_its_own_view,
    "detached -= ": lambda t, _: minus(t.detach(), _),
    "fill": lambda t, _: t.data.fill(77.0),
    "sort": lambda t, _: t.data.sort(),
    "put": lambda t, _: np.put(t.data, [0, 5], 77.0),
    "copyto": lambda t, _: np.copyto(t.data, 77.0),
    "out=": lambda t, _: np.add(t.data, 77.0, out=t.data),
    "shuffle": lambda t, _: np.random.default_rng(0).shuffle(t.data),
    "byteswap": lambda t, _: t.data.byteswap(inplace=True),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_write_after_recording(write):
    check(after=write)


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_write_after_recording_while_a_handle_is_held(write):
    check(before=lambda t: t.data, after=write)
    check(before=lambda t: t.data[0], after=write)


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_write_to_a_result_and_to_a_result_on_the_way(write):
    for name, operation in OPERATIONS.items():
        expected, t = leaf(), leaf()
        operation(expected * 1.0).sum().backward()
        middle = t * 1.0
        out = operation(middle)
        root = out.sum()
        write(middle, None)
        overwrite(out.data)
        overwrite(root.data)
        root.backward()
        np.testing.assert_array_equal(t.grad.data, expected.grad.data, err_msg=name)


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_write_before_recording_counts(write):
    """The other half of the promise: what is written before is what is recorded."""
    t = leaf()
    t.data  # noqa: B018 (taken and dropped)
    write(t, None)
    values = t.data.copy()
    (t * t).sum().backward()
    np.testing.assert_array_equal(t.grad.data, 2.0 * values)


def test_a_handle_follows_its_tensor():
    t = leaf()
    handle = t.data
    assert t.data is handle
    out = (t * t).sum()
    handle[0] = 5.0
    assert t.tolist()[0] == [5.0, 5.0, 5.0]
    assert t.data is handle
    out.backward()
    np.testing.assert_array_equal(t.grad.data, 2.0 * VALUES)
    (t * t).sum().backward()  # adds the gradient at the values as they are now
    np.testing.assert_array_equal(t.grad.data, 2.0 * VALUES + 2.0 * handle)


def test_values_written_between_two_uses():
    t = leaf()
    first = t * t
    t.data[...] = 3.0
    second = t * t
    with tg.no_grad():
        t += 1.0
    third = t * t
    (first + second + third).sum().backward()
    np.testing.assert_array_equal(t.grad.data, 2.0 * (VALUES + 3.0 + 4.0))


# --- arrays from outside ---------------------------------------------------------------------------------------------


def test_the_array_that_a_tensor_was_made_from():
    for make in (lambda a: tg.tensor(a, requires_grad=True), lambda a: tg.Tensor(a, requires_grad=True)):
        source = VALUES.copy()
        t = make(source)
        out = (t * t).sum()
        source[...] = 77.0
        out.backward()
        np.testing.assert_array_equal(t.grad.data, 2.0 * VALUES)
        np.testing.assert_array_equal(t.data, VALUES)


LABELS, SHARES = np.array([2, 0]), np.array([[0.2, 0.3, 0.5], [0.6, 0.4, 0.0]])
OPERANDS = {
    "t * array": (lambda t, a: t * a, VALUES + 1),
    "array * t": (lambda t, a: a * t, VALUES + 1),
    "t / array": (lambda t, a: t / a, VALUES + 3),
    "t ** array": (lambda t, a: abs(t) ** a, VALUES),
    "t @ array": (lambda t, a: t @ a, VALUES.T.copy()),
    "array @ t": (lambda t, a: a @ t, VALUES.T.copy()),
    "einsum": (lambda t, a: tg.einsum("ij,ij->j", t, a), VALUES),
    "linear": (lambda t, a: tg.linear(t, a), VALUES),
    "conv2d": (lambda t, a: tg.conv2d(t.reshape(1, 1, 2, 3), a.reshape(1, 1, 2, 3)), VALUES + 1),
    "maximum": (lambda t, a: tg.maximum(t, a), VALUES[:, ::-1].copy()),
    "clip": (lambda t, a: tg.clip(t, a, a + 1), VALUES.T.reshape(2, 3)),
    "a mask of where": (lambda t, a: tg.where(a, t, t * t), MASK),
    "a mask as index": (lambda t, a: t[a], MASK),
    "a mask as factor": (lambda t, a: t * a, MASK),
    "numbers as index": (lambda t, a: t[a], np.array([1, 1, 0])),
    "numbers as index of columns": (lambda t, a: t[:, a], np.array([0, 2, 2])),
    "two index arrays": (lambda t, a: t[a, a + 1], np.array([0, 1])),
    "take": (lambda t, a: tg.take(t, a, axis=1), np.array([2, 0])),
    "classes": (lambda t, a: tg.softmax_cross_entropy(t, a), LABELS),
    "probabilities": (lambda t, a: tg.softmax_cross_entropy(t, a), SHARES),
    "nll_loss": (lambda t, a: tg.nll_loss(t, a), LABELS),
    "mse_loss": (lambda t, a: tg.mse_loss(t, a), SHARES),
    "binary_cross_entropy": (lambda t, a: tg.binary_cross_entropy(tg.sigmoid(t), a), SHARES),
    "with logits": (lambda t, a: tg.binary_cross_entropy_with_logits(t, a), SHARES),
    "weight of batch_norm": (lambda t, a: tg.batch_norm(t, None, None, a, training=True), np.array([1.0, 2.0, 3.0])),
    "running variance": (lambda t, a: tg.batch_norm(t, np.ones(3), a), np.array([1.0, 2.0, 3.0])),
}


# Expressions that call something which a list has not.
NEEDS_METHODS = {"conv2d", "clip", "two index arrays", "t ** array", "a mask of where", "running variance"}
WRAPPED = [(name, wrap) for wrap in (np.array, tg.tensor) for name in OPERANDS]
WRAPPED += [(name, np.ndarray.tolist) for name in OPERANDS if name not in NEEDS_METHODS]


@pytest.mark.parametrize(("name", "wrap"), WRAPPED, ids=[f"{name}, {wrap.__name__}" for name, wrap in WRAPPED])
def test_an_operand_from_outside(name, wrap):
    operation, values = OPERANDS[name]
    expected = gradient(lambda t: operation(t, wrap(values)))
    for hold in (False, True):
        operand = wrap(values)
        handle = operand.data if hold and isinstance(operand, tg.Tensor) else operand
        found = gradient(lambda t, a=operand: operation(t, a), after=lambda t, _, a=handle: change(a))
        np.testing.assert_array_equal(found, expected)
        assert (gradient(lambda t, a=operand: operation(t, a)) != expected).any()  # the change would matter


def change(operand):
    """Other values of the same kind, in place."""
    if isinstance(operand, list):
        operand[:] = change(np.array(operand)).tolist()
        return operand
    array = operand.data if isinstance(operand, tg.Tensor) else operand
    array[...] = ~array if array.dtype == bool else np.roll(array, 1)
    return array


# --- options from outside --------------------------------------------------------------------------------------------

IMAGE = np.arange(32.0).reshape(1, 2, 4, 4) % 7
OPTIONS = {
    "pad": (lambda t, o: tg.pad(t, o), [[0, 0], [0, 0], [1, 0], [0, 1]], [[0, 0], [0, 0], [0, 1], [1, 0]]),
    "pad with an array": (lambda t, o: tg.pad(t[0, 0], o), np.array([[1, 0], [0, 1]]), np.array([[0, 1], [1, 0]])),
    "transpose": (lambda t, o: tg.transpose(t, o), [0, 1, 3, 2], [0, 1, 2, 3]),
    "flip": (lambda t, o: tg.flip(t, o), [2], [3]),
    "conv2d": (lambda t, o: tg.conv2d(t, np.ones((1, 2, 3, 1)), stride=1, padding=o), [1, 0], [0, 1]),
    "max_pool2d": (lambda t, o: tg.max_pool2d(t, o, stride=1), [1, 2], [2, 1]),
    "avg_pool2d": (lambda t, o: tg.avg_pool2d(t, 2, stride=o), [1, 2], [2, 1]),
    "unfold": (lambda t, o: tg.unfold(t, o), [1, 2], [2, 1]),
    "a slice with tensors": (lambda t, o: t[0, 0, o[0] : o[1]], tg.tensor([1, 3]), tg.tensor([0, 2])),
    "a slice with arrays": (lambda t, o: t[0, 0, o[0:1].squeeze() : o[1]], np.array([1, 3]), np.array([0, 3])),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_from_outside(name):
    operation, first, second = OPTIONS[name]
    gradients = []
    for write in (False, True):
        option = copy.deepcopy(first)
        x = leaf(IMAGE)
        out = operation(x, option)
        if write:
            with tg.no_grad():
                option[:] = second
        out.backward(np.arange(float(out.size)).reshape(out.shape))
        gradients.append(x.grad.data)
    np.testing.assert_array_equal(*gradients)


def test_an_array_that_nobody_else_holds_is_not_copied():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    before = id(x._array)
    assert id(x.data) == before
    out = x * 2.0  # the view that was handed out is gone
    assert id(x._array) == before
    assert id(out._node.arrays[0]) == before
