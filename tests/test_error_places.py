"""Where an error says that it happened: the layer, the operation, the user's line; and that nothing is half changed."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import tensorgraph as tg


class ForeignError(Exception):
    """An exception whose constructor takes other arguments than one text."""

    def __init__(self, code, detail):
        super().__init__(f"{code}: {detail}")
        self.code = code


def failing(error):
    """A primitive whose forward function raises."""

    @tg.extend.primitive(gate="function", name="fails")
    def fails(x, /, y=None):
        raise error

    return fails


def line_of(text):
    """The number of the first line of this file that holds the text."""
    lines = inspect.getsource(inspect.getmodule(line_of)).splitlines()
    return next(i for i, line in enumerate(lines, start=1) if text in line)


# --- the layer -------------------------------------------------------------------------------------------------------

IN_LAYERS = {
    "the layer stands for the operation": (
        "features.2 (Conv2d)",
        lambda: tg.conv2d(tg.ones(32, 3, 28, 28), tg.ones(8, 6, 5, 5)),
        "features.2 (Conv2d): expected 6 input channels, got x of shape (32, 3, 28, 28)",
    ),
    "another operation in it is named": (
        "features.2 (Conv2d)",
        lambda: tg.ones(2) + tg.ones(3),
        "features.2 (Conv2d): add: x of shape (2,) and y of shape (3,) do not broadcast",
    ),
    "a layer without a class": (
        "head",
        lambda: tg.conv2d(tg.ones(1, 3, 5, 5), tg.ones(8, 6, 5, 5)),
        "head: conv2d: expected 6 input channels, got x of shape (1, 3, 5, 5)",
    ),
    "the layer with the words in another order": (
        "decoder.0 (ConvTranspose2d)",
        lambda: tg.conv2d_transpose(tg.ones(1, 3, 5, 5), tg.ones(8, 6, 5, 5)),
        "decoder.0 (ConvTranspose2d): expected 8 input channels, got x of shape (1, 3, 5, 5)",
    ),
    "a layer with the letters of the operation": (
        "DAD",
        lambda: tg.ones(2) + tg.ones(3),
        "DAD: add: x of shape (2,) and y of shape (3,) do not broadcast",
    ),
    "max pooling": (
        "pool1 (MaxPool2d)",
        lambda: tg.max_pool2d(tg.ones(1, 1, 2, 2), 3),
        "pool1 (MaxPool2d): a kernel of size (3, 3) does not fit into x of shape (1, 1, 2, 2); "
        "use a smaller kernel or more padding",
    ),
    "a forgotten flatten": (
        "classifier.0 (Linear)",
        lambda: tg.linear(tg.ones(2, 16, 5, 5), tg.ones(120, 400)),
        "classifier.0 (Linear): x of shape (2, 16, 5, 5) does not fit w of shape (120, 400): "
        "Linear(400, 120) got 5 features; flatten it first, x.reshape(2, 400)",
    ),
    "a flatten of other sizes": (
        "classifier.0 (Linear)",
        lambda: tg.linear(tg.ones(2, 16, 4, 4, requires_grad=True).reshape(2, -1), tg.ones(120, 400)),
        "classifier.0 (Linear): x of shape (2, 256) does not fit w of shape (120, 400): "
        "Linear(400, 120) got 256 features: flatten of (16, 4, 4) = 256",
    ),
    "a function made of operations": (
        "norm (BatchNorm1d)",
        lambda: tg.batch_norm(tg.ones(1, 3), training=True),
        "norm (BatchNorm1d): batch_norm: needs more than one value a channel in training, got x of shape (1, 3)",
    ),
    "a function without a gradient": (
        "loss",
        lambda: tg.one_hot([0, 5], 3),
        "loss: one_hot: labels must lie in 0..2, got 0..5",
    ),
    "making a tensor": ("net", lambda: tg.zeros(2.5), "net: zeros: sizes must be whole numbers, got (2.5,)"),
}


@pytest.mark.parametrize(("layer", "attempt", "message"), IN_LAYERS.values(), ids=IN_LAYERS)
def test_errors_begin_with_the_layer(layer, attempt, message):
    with pytest.raises((tg.ShapeError, TypeError)) as caught, tg.scope(layer):
        attempt()
    assert str(caught.value) == message


def test_the_innermost_layer_is_named():
    with pytest.raises(tg.ShapeError) as caught, tg.scope("net"), tg.scope("net.block1"):
        tg.ones(2) * tg.ones(3)
    assert str(caught.value) == "net.block1: mul: x of shape (2,) and y of shape (3,) do not broadcast"
    with pytest.raises(tg.ShapeError) as caught:
        tg.ones(2) * tg.ones(3)
    assert str(caught.value) == "mul: x of shape (2,) and y of shape (3,) do not broadcast"


def test_an_error_in_the_backward_pass_names_the_layer_where_the_operation_was_recorded():
    with tg.scope("encoder.1 (Sample)"):
        y = failing_rule()(tg.ones(2, requires_grad=True))
    with pytest.raises(tg.GradError) as caught, tg.scope("somewhere else"):
        y.sum().backward()
    assert str(caught.value) == "encoder.1 (Sample): sample: not differentiable with respect to x; detach() it"


def failing_rule():
    @tg.extend.primitive(gate="function", name="sample")
    def sample(x, /):
        return x * 1.0

    sample.vjp(x=None)
    return sample


def test_an_operation_inside_an_operation_is_named_once():
    @tg.extend.primitive(gate="function", name="outer")
    def outer(x, /):
        return tg.add(x, np.ones(3))

    with pytest.raises(tg.ShapeError) as caught, tg.scope("net"):
        outer(tg.ones(2))
    assert str(caught.value) == "net: add: x of shape (2,) and y of shape (3,) do not broadcast"


def test_a_wrong_argument_inside_an_operation_is_not_taken_for_one_of_its_own():
    def helper(x):
        return x

    @tg.extend.primitive(gate="function", name="outer")
    def outer(x, /):
        return helper(x, dim=1)

    with pytest.raises(TypeError, match=r"^outer: .*helper\(\) got an unexpected keyword argument 'dim'"):
        outer(tg.ones(2))


# --- exceptions of others --------------------------------------------------------------------------------------------


def test_a_foreign_exception_keeps_type_text_and_attributes_and_gets_notes():
    error = ForeignError(7, "disk full")
    with pytest.raises(ForeignError) as caught:
        failing(error)(tg.ones(2, 3), 2.0)
    assert caught.value is error
    assert (str(error), error.code) == ("7: disk full", 7)
    line = line_of("failing(error)(tg.ones(2, 3), 2.0)")
    assert error.__notes__ == [
        "in fails of x of shape (2, 3)",
        f"at {__file__}:{line}: failing(error)(tg.ones(2, 3), 2.0)",
    ]


@pytest.mark.parametrize("kind", [KeyError, LookupError, ZeroDivisionError, MemoryError, AttributeError, RuntimeError])
def test_exceptions_of_python_keep_their_type_and_text(kind):
    with pytest.raises(kind) as caught:
        failing(kind("mine"))(tg.ones(2))
    assert type(caught.value) is kind
    assert caught.value.args == ("mine",)
    assert caught.value.__notes__[0] == "in fails of x of shape (2,)"


@pytest.mark.parametrize("kind", [TypeError, ValueError, IndexError, tg.ShapeError])
def test_wrong_arguments_are_reported_with_the_operation_in_front(kind):
    with pytest.raises(kind) as caught, tg.scope("net.0"):
        failing(kind("mine"))(tg.ones(2))
    assert type(caught.value) is kind
    assert str(caught.value) == "net.0: fails: mine"


def test_numpys_private_exceptions_become_public_ones():
    for attempt in (
        lambda: tg.tensor([1, 2]).__iadd__(0.5),
        lambda: tg.tensor([1.0]) < "text",
        lambda: tg.sign(tg.tensor([True])),
    ):
        with pytest.raises(TypeError) as caught:
            attempt()
        assert type(caught.value) is TypeError


def test_warnings_that_were_made_errors_come_out_as_they_are():
    with pytest.raises(RuntimeWarning, match="overflow") as caught:
        tg.exp(tg.tensor(1000.0))
    assert caught.value.__notes__[0] == "in exp of x of shape ()"


def test_an_interruption_is_left_alone():
    with pytest.raises(KeyboardInterrupt) as caught:
        failing(KeyboardInterrupt())(tg.ones(2))
    assert not hasattr(caught.value, "__notes__")


def test_a_foreign_exception_in_a_rule_names_operation_and_argument():
    @tg.extend.primitive(gate="function", name="fragile")
    def fragile(x, y, /):
        return x * y

    def broken(g, out, x, y):
        raise ForeignError(1, "rule")

    fragile.vjp(x=lambda g, out, x, y: g * y, y=broken)
    x = tg.ones(2, requires_grad=True)
    with tg.record(), tg.scope("net.3 (Fragile)"):
        out = fragile(x, x).sum()
    with pytest.raises(ForeignError, match="1: rule") as caught:
        out.backward()
    line = line_of("out = fragile(x, x).sum()")
    recorded = f"recorded at {__file__}:{line}: out = fragile(x, x).sum()"
    assert caught.value.__notes__ == [f"in net.3 (Fragile): fragile ({recorded}): the gradient rule for y"]


# --- the user's line -------------------------------------------------------------------------------------------------


def user_function(x):
    return tg.linear(x, tg.ones(4, 4))  # the user's line


def test_the_note_carries_the_innermost_line_of_the_user():
    with pytest.raises(tg.ShapeError) as caught:
        user_function(tg.ones(2, 3))
    line = line_of("return tg.linear(x, tg.ones(4, 4))  # the user's line")
    text = "return tg.linear(x, tg.ones(4, 4))  # the user's line"
    assert caught.value.__notes__ == [f"at {__file__}:{line}: {text}"]


def test_the_line_is_the_users_also_where_the_library_calls_itself():
    with pytest.raises(np.exceptions.AxisError) as caught:
        tg.value_and_grad(lambda v: v.sum(axis=7))(np.ones(3))  # called from inside the library
    line = line_of("# called from inside the library")
    assert [note.rpartition(": ")[0].partition(": ")[0] for note in caught.value.__notes__] == [f"at {__file__}:{line}"]


def test_the_cause_is_not_shown_twice():
    with pytest.raises(tg.ShapeError) as caught:
        tg.ones(2) + tg.ones(3)
    assert caught.value.__suppress_context__
    assert caught.value.__cause__ is None


# --- nothing is half changed -----------------------------------------------------------------------------------------


def test_a_refused_write_changes_nothing():
    t = tg.tensor([1.0, 2.0, 3.0])
    for attempt in (
        lambda: t.__iadd__(np.ones(4)),
        lambda: t.__iadd__("text"),
        lambda: t.__setitem__(7, 1.0),
        lambda: t.__setitem__(slice(0, 2), [1.0, 2.0, 3.0]),
        lambda: t.__setitem__(0, tg.ones((), requires_grad=True)),
        lambda: setattr(t, "data", np.ones(2)),
        lambda: setattr(t, "data", "text"),
        lambda: setattr(t, "name", 3),
        lambda: setattr(t, "grad", np.ones(2)),
    ):
        with pytest.raises((ValueError, TypeError, IndexError, tg.GradError)):
            attempt()
        assert (t.tolist(), t.name, t.grad, t.requires_grad) == ([1.0, 2.0, 3.0], None, None, False)


def test_a_refused_call_records_nothing_and_draws_nothing():
    nodes = []
    x = tg.ones(2, 3, requires_grad=True)
    before = tg.default_rng().bit_generator.state
    with tg.hooks.watch(forward=nodes.append):
        for attempt in (
            lambda: x + tg.ones(4),
            lambda: tg.concatenate([x, tg.ones(2, 2)]),
            lambda: tg.softmax_cross_entropy(x, [0, 3]),
            lambda: tg.mse_loss(x, tg.ones(2)),
            lambda: tg.conv2d(x, x),
            lambda: tg.dropout(x, 1.5),
            lambda: tg.nll_loss(x, [0.5, 1.5]),
            lambda: tg.split(x, 2, axis=1),
            lambda: x.reshape(4, 2),
        ):
            with pytest.raises((ValueError, TypeError)):
                attempt()
    assert nodes == []
    assert tg.default_rng().bit_generator.state == before


@pytest.mark.parametrize(
    "wrong",
    [{"running_var": np.ones(3, np.int64)}, {"weight": np.ones(2)}, {"bias": np.ones(5)}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_running_statistics_stay_when_batch_norm_is_refused(wrong):
    mean = np.zeros(3)
    arguments = {"running_mean": mean, "running_var": np.ones(3), "training": True} | wrong
    with pytest.raises((ValueError, TypeError)):
        tg.batch_norm(tg.tensor(np.arange(12.0).reshape(4, 3)), **arguments)
    np.testing.assert_array_equal(mean, np.zeros(3))


def test_recording_and_layers_are_as_before_after_an_error():
    for block in (tg.no_grad(), tg.enable_grad(), tg.record(), tg.scope("net")):
        with pytest.raises(tg.ShapeError), block:
            tg.ones(2) + tg.ones(3)
    nodes = []
    with tg.hooks.watch(forward=nodes.append):
        tg.ones(1, requires_grad=True) + 1.0
    assert [(node.scope, node.source) for node in nodes] == [(None, None)]
