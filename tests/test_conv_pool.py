"""Convolution and pooling as operations: how settings are spelled, what they are to each other, their derivatives."""

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tensorgraph as tg
from tensorgraph import adaptive_avg_pool2d, avg_pool2d, conv1d, conv2d, conv2d_transpose, fold, max_pool2d, unfold
from tensorgraph.kernels.shapes import conv_window, window_sizes


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


# --- spellings -------------------------------------------------------------------------------------------------------


def test_what_equals_an_integer_is_refused_also_after_the_integer():
    x, w = tg.ones(1, 1, 4, 4), tg.ones(1, 1, 2, 2)
    for operation in (lambda s: tg.conv2d(x, w, stride=s), lambda s: tg.max_pool2d(x, 2, stride=s)):
        for stride in (1, (1, 1)):
            shape = operation(stride).shape
        for wrong in (1.0, (1.0, 1.0), (1, 1.0), True, (True, True)):
            with pytest.raises(TypeError, match="stride must be an integer or a pair"):
                operation(wrong)
        assert operation([1, 1]).shape == operation(np.array([1, 1])[0]).shape == shape


@pytest.mark.parametrize(
    ("spelling", "resolved"),
    [
        (1, ((1, 1), (1, 1))),
        ((0, 2), ((0, 0), (2, 2))),
        ([0, np.int64(2)], ((0, 0), (2, 2))),
        ("valid", ((0, 0), (0, 0))),
        ("full", ((4, 4), (3, 3))),  # D (K - 1)
        ("same", ((2, 2), (1, 2))),  # the odd pixel at the right, as in PyTorch
    ],
)
def test_spellings_of_padding(spelling, resolved):
    assert conv_window((1, 1, 8, 8), (1, 1, 3, 4), 1, spelling, (2, 1), 1)[1] == resolved


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "resolved"),
    [  # (ceil(I/S) - 1) S + K - I zeros, by hand; the odd one at the end
        (6, 3, 2, (0, 1)),
        (5, 3, 2, (1, 1)),
        (7, 2, 3, (0, 1)),
        (8, 5, 3, (1, 2)),
        (4, 1, 2, (0, 0)),
        (9, 2, 4, (0, 1)),
    ],
)
def test_same_padding_with_a_stride_is_that_of_keras(size, kernel, stride, resolved):
    pads = conv_window((1, 1, size, size), (1, 1, kernel, kernel), stride, "same", 1, 1)[1]
    assert pads == (resolved, resolved)


@settings(deadline=None)
@given(*[st.integers(1, 30)] * 2, st.integers(1, 6), st.integers(1, 5), st.integers(1, 3))
def test_same_padding_gives_as_many_windows_as_strides_fit(height, width, kernel, stride, dilation):
    x, w = (1, 1, height, width), (1, 1, kernel, kernel)
    window = conv_window(x, w, stride, "same", dilation, 1)
    assert window_sizes(x[2:], w[2:], *window) == (-(-height // stride), -(-width // stride))


def test_pairs_are_height_and_width():
    x, w = normal(1, 1, 9, 9), normal(1, 1, 3, 2)
    assert conv2d(x, w, stride=(2, 3), padding=(1, 2), dilation=(3, 4)).shape == (1, 1, 3, 3)
    assert max_pool2d(x, (3, 2), stride=(2, 3), padding=(1, 0), dilation=(2, 1)).shape == (1, 1, 4, 3)
    assert unfold(x, (3, 2), (2, 1), (1, 0), (2, 3)).shape == (1, 6, 12)
    assert adaptive_avg_pool2d(x, (2, None)).shape == (1, 1, 2, 9)
    assert adaptive_avg_pool2d(x, 1).shape == (1, 1, 1, 1)


def test_the_stride_of_pooling_is_the_kernel_unless_given():
    x = normal(1, 1, 6, 6)
    assert max_pool2d(x, 3).shape == avg_pool2d(x, 3).shape == (1, 1, 2, 2)
    assert max_pool2d(x, 3, stride=1).shape == avg_pool2d(x, 3, stride=1).shape == (1, 1, 4, 4)


def test_ceil_mode_lets_a_window_hang_over():
    x = normal(1, 1, 2, 5)
    assert max_pool2d(x, 3, stride=2, ceil_mode=True).shape == (1, 1, 1, 2)
    assert avg_pool2d(x, 3, stride=2, ceil_mode=True).shape == (1, 1, 1, 2)


def test_pooling_may_be_padded_by_half_of_the_window():
    x = normal(1, 1, 6, 6)
    assert max_pool2d(x, 2, padding=1).shape == avg_pool2d(x, 2, padding=1).shape == (1, 1, 4, 4)


def test_arrays_by_keyword():
    x, w, b = normal(1, 2, 4, 4), normal(3, 2, 2, 2), normal(3)
    np.testing.assert_array_equal(conv2d(w=w, b=b, x=x), conv2d(x, w, b))
    np.testing.assert_array_equal(conv2d(x, w, b=None), conv2d(x, w))


# --- relatives of conv2d ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(
    ("stride", "padding", "output_padding", "dilation"),
    [
        ((1, 1), 0, (0, 0), (1, 1)),
        ((2, 3), 1, (1, 2), (1, 1)),
        ((1, 2), 1, (0, 1), (2, 3)),
        ((3, 3), 0, (0, 2), (1, 2)),
    ],
)
def test_transposed_convolution_puts_filters_into_the_output(groups, stride, padding, output_padding, dilation):
    x, w, b = normal(2, 4, 3, 4), normal(4, 2, 3, 2, seed=1), normal(2 * groups, seed=2)
    expected = naive.conv2d_transpose(x, w, b, stride, ((padding,) * 2,) * 2, output_padding, dilation, groups)
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    out = conv2d_transpose(x, w, b, output_padding=output_padding, **options)
    np.testing.assert_allclose(out, expected, atol=1e-13)
    assert conv2d(expected, w, **options).shape == x.shape  # the convolution that it is the transpose of


@pytest.mark.parametrize("padding", [0, 2, (2,), "valid", "same", "full"])
def test_one_axis_is_two_with_one_row(padding):
    x, w, b = normal(2, 4, 9), normal(6, 2, 4, seed=1), normal(6, seed=2)
    pads = {"valid": (0, 0), "same": (1, 2), "full": (3, 3), 0: (0, 0)}.get(padding, (2, 2))
    expected = naive.conv2d(x[:, :, None], w[:, :, None], b, (1, 1), ((0, 0), pads), (1, 1), 2)[:, :, 0]
    np.testing.assert_allclose(conv1d(x, w, b, padding=padding, groups=2), expected, atol=1e-13)
    strided = naive.conv2d(x[:, :, None], w[:, :, None], b, (1, 2), ((0, 0), (2, 2)), (1, 2), 2)[:, :, 0]
    np.testing.assert_allclose(conv1d(x, w, b, stride=2, padding=2, dilation=2, groups=2), strided, atol=1e-13)


def test_convolution_is_a_product_with_columns():
    x, w = normal(2, 3, 6, 5), normal(4, 3, 3, 2, seed=1)
    product = w.reshape(4, -1) @ unfold(x, (3, 2), stride=2, padding=1)
    np.testing.assert_allclose(product.reshape(2, 4, 3, 3), conv2d(x, w, stride=2, padding=1), atol=1e-13)


def test_folding_unfolded_ones_counts_the_windows_of_a_pixel():
    counts = fold(unfold(np.ones((1, 1, 3, 4)), 2), (3, 4), 2)
    assert counts.tolist() == [[[[1, 2, 2, 1], [2, 4, 4, 2], [1, 2, 2, 1]]]]


# --- derivatives -----------------------------------------------------------------------------------------------------

CASES = {  # the operation and the shapes of its arrays
    "conv2d": (lambda x, w: conv2d(x, w, stride=2, padding=1), (2, 2, 5, 4), (3, 2, 3, 2)),
    "conv2d, bias": (conv2d, (2, 2, 4, 4), (3, 2, 2, 2), (3,)),
    "conv2d, groups": (lambda x, w: conv2d(x, w, groups=2, dilation=(2, 1)), (2, 4, 5, 4), (6, 2, 2, 2)),
    "conv2d, same": (lambda x, w: conv2d(x, w, stride=2, padding="same"), (1, 2, 6, 5), (2, 2, 3, 2)),
    "conv2d, rows left over": (lambda x, w: conv2d(x, w, stride=3), (1, 1, 7, 6), (2, 1, 2, 2)),
    "conv2d_transpose": (
        lambda x, w, b: conv2d_transpose(x, w, b, stride=(2, 3), padding=1, output_padding=(1, 2), groups=2),
        (2, 4, 3, 2),
        (4, 1, 3, 2),
        (2,),
    ),
    "conv1d": (lambda x, w, b: conv1d(x, w, b, stride=2, padding="same"), (2, 2, 7), (3, 2, 4), (3,)),
    "unfold": (lambda x: unfold(x, (2, 3), (2, 1), (1, 0), (1, 2)), (2, 2, 5, 6)),
    "fold": (lambda x: fold(x, (4, 5), (2, 3), (1, 2), (0, 1), (2, 1)), (2, 12, 6)),
    "max_pool2d": (lambda x: max_pool2d(x, 3, stride=2, padding=1, ceil_mode=True), (2, 2, 6, 5)),
    "max_pool2d, dilated": (lambda x: max_pool2d(x, 2, stride=1, dilation=(1, 2)), (2, 2, 5, 6)),
    "avg_pool2d": (lambda x: avg_pool2d(x, 3, stride=2, padding=1, ceil_mode=True), (2, 2, 6, 5)),
    "avg_pool2d, without the padding": (lambda x: avg_pool2d(x, 2, padding=1, count_include_pad=False), (2, 2, 5, 5)),
    "adaptive_avg_pool2d": (lambda x: adaptive_avg_pool2d(x, (2, 3)), (2, 2, 5, 4)),
}


def spread_out(rng, shape):
    """Numbers no two of which are closer than 1, so that steps below 1/2 change no maximum."""
    return rng.permutation(np.prod(shape)).reshape(shape) - float(np.prod(shape) // 2)


def check_derivatives(f, arrays, rng, order):
    """f is linear in each of its arguments within the step taken, so differences are exact."""
    tensors = [tg.tensor(array, requires_grad=True) for array in arrays]
    out = f(*tensors)
    g = rng.standard_normal(out.shape)
    out.backward(g)
    for i, tensor in enumerate(tensors):
        step = rng.uniform(-0.4, 0.4, tensor.shape)
        moved = f(*[t + step if j == i else t for j, t in enumerate(tensors)])
        slope = 0.0 if tensor.grad is None else np.vdot(tensor.grad.numpy(), step)
        np.testing.assert_allclose(slope, np.vdot((moved - out).detach().numpy(), g), rtol=1e-9, atol=1e-9)
        if order > 1 and tensor.grad is not None:
            check_derivatives(gradient_of(f, i), [g, *arrays], rng, order - 1)


def gradient_of(f, i):
    """The gradient of f's i-th argument, as a function of the upstream gradient and the arguments."""
    return lambda g, *xs: tg.gradients(f(*xs), xs[i], g, create_graph=True)[0]


@pytest.mark.parametrize(("f", "shapes"), [(f, shapes) for f, *shapes in CASES.values()], ids=CASES)
def test_derivatives_up_to_the_third(f, shapes):
    rng = np.random.default_rng(0)
    check_derivatives(f, [spread_out(rng, shape) for shape in shapes], rng, order=3)


def test_names_and_gates_of_what_is_recorded():
    x, w = (tg.tensor(normal(*shape), requires_grad=True) for shape in [(1, 1, 4, 4), (1, 1, 2, 2)])
    seen = []
    with tg.hooks.watch(forward=lambda node: seen.append((node.op, node.gate))):
        pooled = max_pool2d(conv2d(x, w), 2, stride=1).sum()
        tg.gradients(pooled, x, create_graph=True)
    assert ("conv2d", "mul") in seen
    assert ("max_pool2d", "max") in seen
    assert ("conv2d_input_grad", "mul") in seen
