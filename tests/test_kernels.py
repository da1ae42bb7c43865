"""Every kernel against loops over single numbers, for hand-picked and for generated settings."""

import tracemalloc

import naive
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from profiles import examples

from tensorgraph import kernels
from tensorgraph.kernels import native, reference
from tensorgraph.kernels.reference import conv
from tensorgraph.kernels.shapes import window_sizes

NO_PADDING = ((0, 0), (0, 0))
TOLERANCE = {"float32": 1e-4, "float64": 2e-13}  # about 1000 roundings: sums of a few hundred numbers of size 1

checked = settings(deadline=None, max_examples=examples(300), suppress_health_check=[HealthCheck.filter_too_much])

dtypes = st.sampled_from(["float32", "float64"])
layouts = st.sampled_from(["C", "Fortran", "backwards", "channels last", "every other", "repeated"])
seeds = st.integers(0, 2**32 - 1)


def laid_out(array, layout):
    """The same values (but for "repeated") in another memory layout, read-only."""
    if layout == "Fortran":
        array = np.asfortranarray(array)
    elif layout == "backwards":
        array = np.ascontiguousarray(array[..., ::-1])[..., ::-1]
    elif layout == "channels last":
        array = np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1)
    elif layout == "every other":
        array = np.repeat(array, 2, axis=-1)[..., ::2]
    elif layout == "repeated":  # stride 0
        array = np.broadcast_to(array[..., :1], array.shape)
    array.flags.writeable = False
    return array


def normal(seed, shape, dtype, layout="C"):
    return laid_out(np.random.default_rng(seed).standard_normal(shape).astype(dtype), layout)


def check(got, expected, dtype):
    """The values of the loops, in the type that went in, in memory that the caller may keep and write to."""
    assert got.dtype == dtype
    assert got.shape == expected.shape
    assert got.flags.writeable
    assert got.flags.c_contiguous
    tolerance = TOLERANCE[np.dtype(dtype).name]
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


# --- settings --------------------------------------------------------------------------------------------------------


def pairs(low, high):
    return st.tuples(st.integers(low, high), st.integers(low, high))


@st.composite
def conv_settings(draw):
    """(x_shape, w_shape, (stride, padding, dilation, groups)) of a convolution that is possible."""
    groups = draw(st.integers(1, 3))
    x_shape = (draw(st.integers(0, 3)), groups * draw(st.integers(1, 2)), *draw(pairs(1, 7)))
    w_shape = (groups * draw(st.integers(1, 2)), x_shape[1] // groups, *draw(pairs(1, 4)))
    window = (draw(pairs(1, 3)), draw(st.tuples(pairs(0, 3), pairs(0, 3))), draw(pairs(1, 3)))
    assume(min(window_sizes(x_shape[2:], w_shape[2:], *window)) >= 1)
    return x_shape, w_shape, (*window, groups)


@st.composite
def pool_settings(draw, dilated):
    """(x_shape, (kernel, stride, padding, dilation), ceil_mode) of a pooling that is possible."""
    x_shape = (draw(st.integers(0, 2)), draw(st.integers(1, 2)), *draw(pairs(1, 9)))
    kernel = draw(pairs(1, 5))
    padding = tuple(draw(st.tuples(*[st.integers(0, k // 2)] * 2)) for k in kernel)
    window = (kernel, draw(pairs(1, 5)), padding, draw(pairs(1, 3)) if dilated else (1, 1))
    ceil_mode = draw(st.booleans())
    assume(min(window_sizes(x_shape[2:], *window, ceil_mode=ceil_mode)) >= 1)
    return x_shape, window, ceil_mode


CONVOLUTIONS = {
    "one pixel": ((1, 1, 1, 1), (1, 1, 1, 1), ((1, 1), NO_PADDING, (1, 1), 1)),
    "plain": ((2, 3, 6, 5), (4, 3, 3, 3), ((1, 1), NO_PADDING, (1, 1), 1)),
    "1x1": ((2, 4, 3, 3), (5, 4, 1, 1), ((1, 1), NO_PADDING, (1, 1), 1)),
    "kernel of the image's size": ((2, 3, 4, 5), (2, 3, 4, 5), ((1, 1), NO_PADDING, (1, 1), 1)),
    "depthwise": ((2, 4, 5, 5), (4, 1, 3, 3), ((1, 1), ((1, 1), (1, 1)), (1, 1), 4)),
    "depthwise, two filters each": ((2, 3, 5, 4), (6, 1, 2, 3), ((2, 1), NO_PADDING, (1, 1), 3)),
    "grouped": ((2, 4, 5, 5), (6, 2, 3, 3), ((2, 2), ((1, 1), (1, 1)), (1, 1), 2)),
    "rows left over by the stride": ((1, 2, 8, 9), (2, 2, 3, 3), ((3, 4), NO_PADDING, (1, 1), 1)),
    "stride above the kernel": ((1, 2, 8, 8), (3, 2, 2, 1), ((3, 4), NO_PADDING, (1, 1), 1)),
    "dilated": ((2, 2, 9, 7), (2, 2, 3, 2), ((2, 1), ((2, 2), (1, 1)), (3, 4), 1)),
    "padded more at the end": ((2, 2, 5, 5), (2, 2, 2, 4), ((1, 1), ((0, 1), (1, 2)), (1, 1), 1)),
    "padded more than the kernel": ((1, 1, 2, 2), (1, 1, 2, 2), ((1, 1), ((4, 4), (4, 4)), (1, 1), 1)),
    "no images": ((0, 2, 4, 4), (3, 2, 3, 3), ((1, 1), NO_PADDING, (1, 1), 1)),
    "no rows but the padding": ((2, 1, 0, 3), (2, 1, 2, 2), ((1, 1), ((1, 1), (0, 0)), (1, 1), 1)),
}

# --- convolution -----------------------------------------------------------------------------------------------------


def check_conv(case, dtype, layout, seed=0):
    x_shape, w_shape, window = case
    x, w = normal(seed, x_shape, dtype, layout), normal(seed + 1, w_shape, dtype, layout)
    b = normal(seed + 2, w_shape[:1], dtype)
    expected = naive.conv2d(x, w, b, *window)
    g = normal(seed + 3, expected.shape, dtype, layout)
    check(kernels.conv2d(x, w, b, *window), expected, dtype)
    check(kernels.conv2d(x, w, None, *window), expected - b.reshape(-1, 1, 1), dtype)
    check(kernels.conv2d_input_grad(g, w, x_shape, *window), naive.conv2d_input_grad(g, w, x_shape, *window), dtype)
    dw, db = kernels.conv2d_weight_grad(g, x, w_shape, *window)
    check(dw, naive.conv2d_weight_grad(g, x, w_shape, *window), dtype)
    check(db, g.sum(axis=(0, 2, 3)), dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_convolution_is_the_sum_of_products(case, dtype):
    check_conv(case, dtype, "C")


@checked
@given(conv_settings(), dtypes, layouts, seeds)
def test_convolution_is_the_sum_of_products_for_any_setting(case, dtype, layout, seed):
    check_conv(case, dtype, layout, seed)


def test_convolution_of_a_worked_example():
    x = np.array([[[[1.0, 2.0, 0.0], [0.0, 1.0, 3.0], [2.0, 0.0, 1.0]]]])
    w = np.array([[[[1.0, 0.0], [2.0, -1.0]]]])  # not flipped: this is cross-correlation
    out = kernels.conv2d(x, w, np.array([0.5]), (1, 1), NO_PADDING, (1, 1), 1)
    np.testing.assert_array_equal(out, [[[[1 + 0 - 1 + 0.5, 2 + 2 - 3 + 0.5], [0 + 4 - 0 + 0.5, 1 + 0 - 1 + 0.5]]]])


@checked
@given(conv_settings(), seeds)
def test_the_gradients_are_the_adjoints(case, seed):
    x_shape, w_shape, window = case
    x, w = normal(seed, x_shape, "float64"), normal(seed + 1, w_shape, "float64")
    out = kernels.conv2d(x, w, None, *window)
    g = normal(seed + 2, out.shape, "float64")
    product = np.vdot(out, g)
    np.testing.assert_allclose(np.vdot(x, kernels.conv2d_input_grad(g, w, x_shape, *window)), product, atol=1e-11)
    np.testing.assert_allclose(np.vdot(w, kernels.conv2d_weight_grad(g, x, w_shape, *window)[0]), product, atol=1e-11)


@pytest.mark.parametrize("images", [1, 2, 3, 7])
def test_tiles_of_any_size_give_the_same(images, monkeypatch):
    x_shape, w_shape, window = (7, 4, 6, 5), (6, 2, 3, 3), ((1, 2), ((1, 1), (0, 1)), (1, 1), 2)
    x, w = normal(0, x_shape, "float64"), normal(1, w_shape, "float64")
    out = kernels.conv2d(x, w, None, *window)
    g = normal(2, out.shape, "float64")
    whole = (
        out,
        kernels.conv2d_input_grad(g, w, x_shape, *window),
        kernels.conv2d_weight_grad(g, x, w_shape, *window)[0],
    )
    columns_of_an_image = 4 * 9 * out.shape[2] * out.shape[3] * 8
    monkeypatch.setattr(conv, "COLUMN_BYTES", images * columns_of_an_image)
    assert len(list(conv._tiles(7, columns_of_an_image))) == -(-7 // images)
    np.testing.assert_allclose(kernels.conv2d(x, w, None, *window), whole[0], rtol=1e-12)
    np.testing.assert_allclose(kernels.conv2d_input_grad(g, w, x_shape, *window), whole[1], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(kernels.conv2d_weight_grad(g, x, w_shape, *window)[0], whole[2], rtol=1e-12, atol=1e-14)


def test_an_image_larger_than_the_bound_is_a_tile(monkeypatch):
    monkeypatch.setattr(conv, "COLUMN_BYTES", 1)
    check_conv(CONVOLUTIONS["grouped"], "float64", "C")


def test_the_columns_of_a_batch_are_never_all_in_memory():
    x, w = np.ones((64, 16, 32, 32), np.float32), np.ones((4, 16, 5, 5), np.float32)  # all columns: 80 MB
    window = ((1, 1), NO_PADDING, (1, 1), 1)
    g = np.ones((64, 4, 28, 28), np.float32)
    for call in (
        lambda: kernels.conv2d(x, w, None, *window),
        lambda: kernels.conv2d_weight_grad(g, x, w.shape, *window)[0],
        lambda: kernels.conv2d_input_grad(g, w, x.shape, *window),
    ):
        tracemalloc.start()
        result = call()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < result.nbytes + 3 * conv.COLUMN_BYTES


# --- columns ---------------------------------------------------------------------------------------------------------


@checked
@given(conv_settings(), dtypes, layouts, seeds)
def test_unfold_and_fold_are_loops_over_windows(case, dtype, layout, seed):
    x_shape, (_, _, *kernel), (stride, padding, dilation, _) = case
    window = (tuple(kernel), stride, padding, dilation)
    x = normal(seed, x_shape, dtype, layout)
    expected = naive.unfold(x, *window)
    columns = normal(seed + 1, expected.shape, dtype, layout)
    check(kernels.unfold(x, *window), expected, dtype)
    check(kernels.fold(columns, x_shape, *window), naive.fold(columns, x_shape, *window), dtype)


# --- max pooling -----------------------------------------------------------------------------------------------------


def places_of(winners, window, sizes):
    """The (row, column) that each winner, a number of a tap, stands for; (-1, -1) where it is not a tap."""
    kernel, stride, padding, dilation = window
    places = np.full((*winners.shape, 2), -1)
    for at in np.ndindex(winners.shape):
        if (tap := int(winners[at])) < kernel[0] * kernel[1]:
            places[at] = [
                at[axis + 2] * stride[axis] + divmod(tap, kernel[1])[axis] * dilation[axis] - padding[axis][0]
                for axis in (0, 1)
            ]
    return places


def check_max_pool(x, window, ceil_mode, dtype, layout, seed=0):
    expected, places = naive.max_pool2d(x, *window, ceil_mode)
    out, winners = kernels.max_pool2d(x, *window, ceil_mode)
    check(out, expected, dtype)
    assert winners.dtype.itemsize <= 2
    np.testing.assert_array_equal(places_of(winners, window, x.shape[2:]), places)
    g = normal(seed, out.shape, dtype, layout)
    grad = kernels.max_pool2d_grad(g, winners, x.shape, *window)
    check(grad, naive.max_pool2d_grad(g, places, x.shape), dtype)
    u = normal(seed + 1, x.shape, dtype, layout)
    taken = kernels.max_pool2d_take(u, winners, *window)
    np.testing.assert_allclose(np.vdot(taken, g), np.vdot(u, grad), rtol=1e-3, atol=1e-4)
    picked = [0 if place[0] < 0 else u[(*at[:2], *place)] for at, place in _enumerated(places)]
    check(taken, np.array(picked, float).reshape(out.shape), dtype)


def _enumerated(places):
    return ((at, places[at]) for at in np.ndindex(places.shape[:-1]))


@checked
@given(pool_settings(dilated=True), dtypes, layouts, seeds, st.sampled_from(["ties", "special", "all -inf", "normal"]))
def test_max_pooling_takes_the_first_maximum(case, dtype, layout, seed, content):
    x_shape, window, ceil_mode = case
    rng = np.random.default_rng(seed)
    numbers = {"ties": [-3, -2, -1], "special": [np.nan, -np.inf, np.inf, -1, -2], "all -inf": [-np.inf]}
    values = rng.choice(numbers[content], x_shape) if content in numbers else rng.standard_normal(x_shape)
    check_max_pool(laid_out(values.astype(dtype), layout), window, ceil_mode, dtype, layout)


def pooled(values, *window, ceil_mode=False):
    x = np.array(values, np.float32).reshape(1, 1, *np.shape(values))
    out, winners = kernels.max_pool2d(x, *window, ceil_mode)
    return out[0, 0].tolist(), winners[0, 0].tolist()


def test_padding_is_never_a_maximum():
    padded = ((2, 2), (2, 2), ((1, 1), (1, 1)), (1, 1))
    assert pooled([[-1.0, -2.0], [-3.0, -4.0]], *padded) == ([[-1.0, -2.0], [-3.0, -4.0]], [[3, 2], [1, 0]])
    assert pooled([[-np.inf] * 2] * 2, *padded) == ([[-np.inf] * 2] * 2, [[3, 2], [1, 0]])


def test_the_first_of_equal_maxima_wins():
    assert pooled([[2.0, 2.0], [2.0, 2.0]], (2, 2), (2, 2), NO_PADDING, (1, 1)) == ([[2.0]], [[0]])
    assert pooled([[0.0, 2.0], [2.0, 2.0]], (2, 2), (2, 2), NO_PADDING, (1, 1)) == ([[2.0]], [[1]])


def test_the_first_nan_of_a_window_wins():
    out, winners = pooled([[9.0, np.nan, np.inf, np.nan]], (1, 4), (1, 4), NO_PADDING, (1, 1))
    assert np.isnan(out).all()
    assert winners == [[1]]


def test_sizes_that_do_not_divide_lose_the_rest_or_keep_it():
    window = ((1, 2), (1, 2), NO_PADDING, (1, 1))
    assert pooled([[1.0, 2.0, 3.0]], *window)[0] == [[2.0]]
    assert pooled([[1.0, 2.0, 3.0]], *window, ceil_mode=True)[0] == [[2.0, 3.0]]


def test_a_last_window_must_start_inside_or_in_the_padding_before():
    padded = (((0, 0), (1, 1)), (1, 1))
    # windows at -1, 2 and 5: the third would start in the padding at the end
    assert pooled([[1.0, 2.0, 3.0, 4.0, 5.0]], (1, 2), (1, 3), *padded, ceil_mode=True)[0] == [[1.0, 4.0]]
    # windows at -1 and 3: the second hangs over the end of the padding
    assert pooled([[1.0, 2.0, 3.0, 4.0]], (1, 3), (1, 4), *padded, ceil_mode=True)[0] == [[2.0, 4.0]]


def test_a_dilated_window_may_step_over_the_image():
    out, winners = pooled([[5.0]], (1, 2), (1, 1), ((0, 0), (1, 1)), (1, 2))  # it looks at -1 and 1
    assert out == [[-np.inf]]
    g, x_shape = np.ones((1, 1, 1, 1)), (1, 1, 1, 1)
    window = ((1, 2), (1, 1), ((0, 0), (1, 1)), (1, 2))
    assert kernels.max_pool2d_grad(g, np.reshape(winners, x_shape), x_shape, *window).tolist() == [[[[0.0]]]]


def test_winners_are_small_and_large_windows_still_fit():
    x = normal(0, (1, 1, 17, 17), "float32")
    for size, dtype in [(2, "uint8"), (15, "uint8"), (16, "uint16")]:
        _, winners = kernels.max_pool2d(x, (size, size), (1, 1), NO_PADDING, (1, 1), False)
        assert winners.dtype == dtype
    largest_last = np.arange(256.0).reshape(16, 16)
    assert pooled(largest_last, (16, 16), (1, 1), NO_PADDING, (1, 1))[1] == [[255]]


# --- average pooling -------------------------------------------------------------------------------------------------


@checked
@given(pool_settings(dilated=False), st.booleans(), dtypes, layouts, seeds)
def test_average_pooling_divides_by_what_counts(case, count_include_pad, dtype, layout, seed):
    x_shape, (kernel, stride, padding, _), ceil_mode = case
    x = normal(seed, x_shape, dtype, layout)
    expected = naive.avg_pool2d(x, kernel, stride, padding, ceil_mode, count_include_pad)
    g = normal(seed + 1, expected.shape, dtype, layout)
    check(kernels.avg_pool2d(x, kernel, stride, padding, ceil_mode, count_include_pad), expected, dtype)
    check(
        kernels.avg_pool2d_grad(g, x_shape, kernel, stride, padding, count_include_pad),
        naive.avg_pool2d_grad(g, x_shape, kernel, stride, padding, ceil_mode, count_include_pad),
        dtype,
    )


def test_what_hangs_over_the_padding_never_counts():
    x = np.ones((1, 1, 1, 3), np.float32)
    window = ((1, 2), (1, 2), ((0, 0), (1, 1)))
    assert kernels.avg_pool2d(x, *window, False, True).tolist() == [[[[0.5, 1.0]]]]
    assert kernels.avg_pool2d(x, *window, False, False).tolist() == [[[[1.0, 1.0]]]]
    longer = np.ones((1, 1, 1, 4), np.float32)  # the third window holds an element and the padding, with nothing beyond
    assert kernels.avg_pool2d(longer, *window, True, True).tolist() == [[[[0.5, 1.0, 0.5]]]]
    wide = ((1, 3), (1, 3), ((0, 0), (0, 0)))  # the second window holds one element and nothing else
    assert kernels.avg_pool2d(longer, *wide, True, True).tolist() == [[[[1.0, 1.0]]]]


@checked
@given(
    st.tuples(st.integers(0, 2), st.integers(1, 2), st.integers(1, 9), st.integers(1, 9)),
    pairs(1, 12),
    dtypes,
    layouts,
    seeds,
)
def test_adaptive_pooling_averages_bins(x_shape, counts, dtype, layout, seed):
    x, g = normal(seed, x_shape, dtype, layout), normal(seed + 1, (*x_shape[:2], *counts), dtype, layout)
    check(kernels.adaptive_avg_pool2d(x, counts), naive.adaptive_avg_pool2d(x, counts), dtype)
    check(kernels.adaptive_avg_pool2d_grad(g, x_shape), naive.adaptive_avg_pool2d_grad(g, x_shape), dtype)


# --- the boundary ----------------------------------------------------------------------------------------------------


def test_every_kernel_is_behind_the_switch():
    assert sorted(native.__all__) == sorted(reference.__all__)
    assert all(callable(getattr(kernels, name)) for name in reference.__all__)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_inf_stay_where_they_are(bad):
    """A tap in the padding is skipped or multiplied by zero, but one window's NaN or infinity is not another's."""
    x = np.ones((1, 1, 1, 6), np.float32)
    x[..., 0] = bad
    window = ((1, 2), (1, 1), NO_PADDING)
    g = np.array([[[[bad, 1.0, 1.0, 1.0, 1.0]]]], np.float32)
    results = {
        "conv2d": kernels.conv2d(x, x[..., 1:3], None, (1, 1), NO_PADDING, (1, 1), 1)[..., 1:],
        "avg_pool2d": kernels.avg_pool2d(x, *window, False, True)[..., 1:],
        "avg_pool2d_grad": kernels.avg_pool2d_grad(g, x.shape, *window, True)[..., 2:],
        "max_pool2d_grad": kernels.max_pool2d_grad(g, np.zeros(g.shape, np.uint8), x.shape, *window, (1, 1))[..., 1:],
        "adaptive_avg_pool2d": kernels.adaptive_avg_pool2d(x, (1, 3))[..., 1:],
    }
    for name, result in results.items():
        assert np.isfinite(result).all(), name
