"""Bugs that were found by hand or against other libraries, each with the program that showed it."""

from __future__ import annotations

import numpy as np
import pytest

import nn
import tensorgraph as tg


@pytest.mark.parametrize("axis", [None, (0, 1), (1, 0), (-1, 0), (0, -1)])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_ties_go_to_the_first_in_memory_whatever_the_order_of_the_axes(axis, sign):
    x = tg.tensor([[0.0, sign], [sign, 0.0]], requires_grad=True)
    (tg.max if sign > 0 else tg.min)(x, axis=axis).backward()
    assert x.grad.tolist() == [[0.0, 1.0], [0.0, 0.0]]


def test_two_numbers_chosen_by_a_condition_do_not_widen_a_float32_graph():
    condition = tg.tensor([True, False])
    assert tg.where(condition, 1.0, 0.0).dtype == np.float32
    assert (tg.ones(2) * tg.where(condition, 1, 0.5)).dtype == np.float32
    assert tg.where(condition, 1, 0).dtype == np.int64


@pytest.mark.parametrize("ord", [0.5, 1.5, 2, 3])
def test_the_gradient_of_a_norm_is_finite_at_zeros(ord):
    x = tg.tensor(np.array([[0.0, 1.0, 2.0], [0.0, 0.0, 0.0]]), requires_grad=True)
    norms = tg.norm(x, ord, axis=1)
    norms.sum().backward()
    expected = [0.0, *(np.array([1.0, 2.0]) / norms.data[0]) ** (ord - 1)]
    np.testing.assert_allclose(x.grad.data, [expected, [0.0] * 3], rtol=1e-12)


def test_the_hessian_by_several_arguments_is_a_tuple_of_tuples():
    x, y = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    (xx, xy), (yx, yy) = tg.hessian(lambda x, y: (x**3 * y).sum(), (0, 1))(x, y)
    np.testing.assert_allclose(xx, np.diag(6 * x * y))
    np.testing.assert_allclose(xy, np.diag(3 * x**2))
    np.testing.assert_allclose(yx, xy)
    np.testing.assert_allclose(yy, np.zeros((2, 2)))


@pytest.mark.parametrize("function", [tg.gelu, tg.elu, tg.leaky_relu, tg.logsumexp, tg.softmax, tg.relu, tg.sum])
def test_functions_take_numbers_and_lists(function):
    np.testing.assert_allclose(function([2.0, -1.0]), function(np.array([2.0, -1.0])))
    if function is not tg.softmax:
        np.testing.assert_allclose(function(2.0), function(np.array(2.0)))


def test_losses_take_lists():
    assert tg.mse_loss([1.0, 3.0], [1.0, 2.0]) == 0.5
    assert tg.nll_loss([[-0.5, -0.2]], [1]) == 0.2
    np.testing.assert_allclose(tg.softmax_cross_entropy([[0.0, 0.0]], [1]), np.log(2))


def test_numpy_integers_are_axes_and_counts():
    x, one = tg.zeros(2, 1, 2), np.int64(1)
    assert tg.squeeze(x, one).shape == (2, 2)
    assert tg.expand_dims(x, one).shape == (2, 1, 1, 2)
    assert tg.stack([x, x], axis=one).shape == (2, 2, 1, 2)
    assert len(tg.split(x, np.int64(2))) == 2


def test_a_power_of_a_number_keeps_the_precision_of_the_exponent():
    t = tg.tensor(np.array([2.0, 0.5]), requires_grad=True)
    (0.1**t).sum().backward()
    np.testing.assert_allclose(t.grad.data, 0.1**t.data * np.log(0.1), rtol=1e-15)


def test_a_parameter_is_not_replaced_by_something_that_does_not_learn():
    layer = nn.Linear(2, 1)
    for value in (layer.weight * 0.5, np.zeros((1, 2)), tg.zeros(1, 2)):
        with pytest.raises(TypeError, match=r"^Linear\.weight is a Parameter, got (Tensor|ndarray); assign"):
            layer.weight = value
    layer.weight = nn.Parameter(np.ones((1, 2), np.float32))
    assert list(layer.state_dict()) == ["weight", "bias"]


@pytest.mark.parametrize("ones", [tg.ones, np.ones])
def test_a_forward_function_that_forgets_to_return_says_so(ones):
    @tg.extend.primitive(gate="function")
    def forgetful(x, /):
        x * 2

    @tg.extend.elementwise(gate="mul")
    def forgetful_too(x, y, /):
        x * y

    @tg.extend.primitive(gate="max", saves=("place",))
    def forgetful_as_well(x, /):
        x.max(), x.argmax()

    for op, arrays in ((forgetful, 1), (forgetful_too, 2), (forgetful_as_well, 1)):
        with pytest.raises(TypeError) as caught:
            op(*[ones(2)] * arrays)
        assert str(caught.value) == f"{op.name}: the forward function returned None; return the result"


def test_measuring_the_accuracy_leaves_the_mode():
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2)).eval()
    trainer = nn.Trainer(model, nn.optim.SGD(model.parameters(), lr=1.0))
    trainer.evaluate((np.zeros((3, 1, 2, 2), np.float32), np.zeros(3, int)))
    assert not model.training
