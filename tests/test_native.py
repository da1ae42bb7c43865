"""The compiled kernels: the choice of them, every instruction set, threads, memory, and calls that make no sense."""

import gc
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import tensorgraph as tg
from tensorgraph import kernels
from tensorgraph.kernels import reference
from tensorgraph.kernels._choice import extension, problem
from tensorgraph.kernels.shapes import window_sizes

needs_native = pytest.mark.skipif(extension is None, reason=f"no native kernels: {problem}")


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True, timeout=60
    )


# --- which kernels run -----------------------------------------------------------------------------------------------


def test_the_environment_can_choose_the_numpy_kernels():
    result = run("import tensorgraph as tg; tg.show_config()", TENSORGRAPH_KERNELS="reference")
    assert "kernels: reference\nreason: TENSORGRAPH_KERNELS=reference\n" in result.stdout


def test_a_choice_that_does_not_exist_is_named():
    result = run("import tensorgraph", TENSORGRAPH_KERNELS="fast")
    assert "ValueError: TENSORGRAPH_KERNELS must be native or reference, got 'fast'" in result.stderr


def test_without_the_extension_the_numpy_kernels_run():
    hide = "import sys; sys.modules['tensorgraph.kernels._native'] = None; import tensorgraph as tg; "
    result = run(hide + "tg.show_config(); print(tg.relu(tg.tensor([-1.0, 2.0])))", TENSORGRAPH_KERNELS="")
    assert "kernels: reference\nreason: they were not compiled when the package was installed;" in result.stdout
    assert "tensor([0., 2.])" in result.stdout
    result = run(hide, TENSORGRAPH_KERNELS="native")
    assert "ImportError: TENSORGRAPH_KERNELS=native, but there are no native kernels: they were not" in result.stderr


@needs_native
def test_the_environment_can_choose_the_instruction_set():
    show = "import tensorgraph as tg; tg.show_config()"
    for name in extension.isas():
        result = run(show, TENSORGRAPH_ISA=name, TENSORGRAPH_KERNELS="native")
        assert f"kernels: native\nisa: {name}\n" in result.stdout
    result = run(show, TENSORGRAPH_ISA="avx9", TENSORGRAPH_KERNELS="native")
    assert "ValueError: TENSORGRAPH_ISA must be one of" in result.stderr
    assert "got 'avx9'" in result.stderr


# --- threads ---------------------------------------------------------------------------------------------------------


def test_the_number_of_threads_is_checked():
    tg.set_num_threads(np.int64(3))
    assert tg.get_num_threads() == 3
    for wrong in (0, -1, 257):
        with pytest.raises(ValueError, match=rf"^set_num_threads: n must be 1 to 256, got {wrong}$"):
            tg.set_num_threads(wrong)
    for wrong, name in ((2.0, "float"), ("2", "str"), (True, "bool")):
        with pytest.raises(TypeError, match=f"^set_num_threads: n must be an integer, got {name}$"):
            tg.set_num_threads(wrong)
    assert tg.get_num_threads() == 3


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system cannot keep a process to some cores")
@pytest.mark.parametrize("kind", ["reference", pytest.param("native", marks=needs_native)])
def test_there_are_as_many_threads_as_cores_that_the_process_may_use(kind):
    code = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import tensorgraph as tg
print(tg.get_num_threads())
"""
    assert run(code, TENSORGRAPH_KERNELS=kind).stdout == "1\n"


def convolution(seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((5, 9, 13, 11)).astype(np.float32)
    w = rng.standard_normal((33, 9, 3, 3)).astype(np.float32)
    settings = ((1, 1), ((1, 1), (1, 1)), (1, 1), 1)
    g = rng.standard_normal((5, 33, 13, 11)).astype(np.float32)
    return (
        kernels.conv2d(x, w, w[:, 0, 0, 0], *settings),
        kernels.conv2d_input_grad(g, w, x.shape, *settings),
        *kernels.conv2d_weight_grad(g, x, w.shape, *settings),
    )


@needs_native
def test_results_do_not_depend_on_the_threads(isa):
    tg.set_num_threads(1)
    alone = convolution()
    for n in (1, 2, 3, 7):
        tg.set_num_threads(n)
        for _ in range(3):
            for one, other in zip(alone, convolution(), strict=True):
                np.testing.assert_array_equal(one, other)


@needs_native
def test_several_python_threads_call_at_once():
    tg.set_num_threads(2)
    expected = convolution()
    wrong = []

    def work():
        wrong.extend(
            turn for turn in range(20) if any((a != b).any() for a, b in zip(convolution(), expected, strict=True))
        )

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert wrong == []


@needs_native
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_has_threads_of_its_own():
    code = """
import os, sys, numpy as np
import tensorgraph as tg
x = tg.ones(8, 4, 20, 20); w = tg.ones(40, 4, 3, 3)
tg.set_num_threads(2)
expected = tg.conv2d(x, w).data
child = os.fork()
if child == 0:
    os._exit(0 if np.array_equal(tg.conv2d(x, w).data, expected) else 3)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), np.array_equal(tg.conv2d(x, w).data, expected))
"""
    result = run(code, TENSORGRAPH_KERNELS="native")
    assert result.stdout == "0 True\n", result.stderr


# --- memory ----------------------------------------------------------------------------------------------------------


@needs_native
def test_memory_is_used_again_and_given_back():
    gc.collect()
    tg.empty_cache()
    assert extension.cache()[0] == 0
    x, w = np.ones((4, 8, 32, 32), np.float32), np.ones((16, 8, 3, 3), np.float32)
    settings = ((1, 1), ((1, 1), (1, 1)), (1, 1), 1)
    address = kernels.conv2d(x, w, None, *settings).ctypes.data
    held = tg.show_config()["cache_bytes"]
    assert held >= 4 * 16 * 32 * 32 * 4
    out = kernels.conv2d(x, w, None, *settings)
    assert out.ctypes.data == address
    out[...] = 7.0  # the caller's: the next result is somewhere else
    assert (kernels.conv2d(x, w, None, *settings) != 7.0).all()
    assert (out == 7.0).all()
    del out
    tg.empty_cache()
    assert tg.show_config()["cache_bytes"] == 0


@needs_native
def test_the_cache_is_bounded():
    limit = extension.cache()[1]
    try:
        extension.set_cache_limit(1 << 20)
        for size in range(10, 60):
            kernels.conv2d(
                np.ones((1, 8, size, size), np.float32),
                np.ones((32, 8, 1, 1), np.float32),
                None,
                *((1, 1), ((0, 0), (0, 0)), (1, 1), 1),
            )
            assert extension.cache()[0] <= 1 << 20
    finally:
        extension.set_cache_limit(limit)


@needs_native
def test_memory_of_one_size_serves_others():
    gc.collect()
    tg.empty_cache()
    before, largest = extension.cache()[0], 40 * 30_000 * 4
    for k in (*range(1, 41), *range(40, 0, -3)):
        kernels.relu(np.ones(k * 30_000, np.float32))
    assert extension.cache()[0] - before <= 1.1 * largest  # all sizes together are twenty times as much
    held = extension.cache()[0]
    parts = [kernels.relu(np.ones(10 * 30_000, np.float32)) for _ in range(3)]  # all from the one range
    assert extension.cache()[0] <= held - 0.7 * largest
    assert len({part.ctypes.data % 4096 for part in parts}) > 1  # they do not all begin with a page
    for i in (1, 0, 2):  # free neighbours are one range again
        parts[i] = None
    assert extension.cache()[0] == held
    whole = kernels.relu(np.ones(40 * 30_000, np.float32))
    assert extension.cache()[0] <= held - 0.9 * largest
    del whole
    tg.empty_cache()


# --- every instruction set against the twins, in float64 -------------------------------------------------------------


def close(got, expected):
    scale = np.abs(expected).max(initial=1.0)
    np.testing.assert_allclose(got, expected, rtol=0, atol=3e-6 * scale)


def check_convolution(rng, x_shape, w_shape, settings):
    x, w = (rng.standard_normal(shape).astype(np.float32) for shape in (x_shape, w_shape))
    b = rng.standard_normal(w_shape[0]).astype(np.float32)
    g = rng.standard_normal((x_shape[0], w_shape[0], *window_sizes(x_shape[2:], w_shape[2:], *settings[:3])))
    g = g.astype(np.float32)
    X, W, B, G = (array.astype(np.float64) for array in (x, w, b, g))  # noqa: N806 (the same in float64)
    close(kernels.conv2d(x, w, b, *settings), reference.conv2d(X, W, B, *settings))
    close(kernels.conv2d_input_grad(g, w, x_shape, *settings), reference.conv2d_input_grad(G, W, x_shape, *settings))
    for got, expected in zip(
        kernels.conv2d_weight_grad(g, x, w_shape, *settings),
        reference.conv2d_weight_grad(G, X, w_shape, *settings),
        strict=True,
    ):
        close(got, expected)


@needs_native
@pytest.mark.parametrize("width", range(1, 68))
def test_convolution_of_every_width(isa, width):
    rng = np.random.default_rng(width)
    settings = ((1, 1), ((1, 1), (1, 1)), (1, 1), 1)
    check_convolution(rng, (2, 3, 3, width), (1 + width % 40, 3, 3, 3), settings)
    check_convolution(rng, (1, width, 4, 5), (3, width, 1, 2), ((1, 1), ((0, 0), (0, 0)), (1, 1), 1))
    check_convolution(rng, (1, 2, 1, width), (2, 2, 1, 1), ((1, 3), ((0, 0), (0, 0)), (1, 1), 1))


@needs_native
def test_convolution_of_random_settings(isa):
    rng = np.random.default_rng(5)
    done = 0
    while done < 150:
        groups = int(rng.choice([1, 1, 2, 3]))
        c, f = groups * rng.integers(1, 20), groups * rng.choice([1, 2, 5, 8, 16, 17, 33])
        stride, dilation = (tuple(map(int, rng.integers(1, 5, 2))) for _ in range(2))
        padding = tuple(tuple(map(int, rng.integers(0, 4, 2))) for _ in range(2))
        x_shape = (int(rng.integers(0, 5)), int(c), *map(int, rng.integers(1, 20, 2)))
        w_shape = (int(f), int(c) // groups, *map(int, rng.integers(1, 15 if done % 9 == 0 else 6, 2)))
        if min(window_sizes(x_shape[2:], w_shape[2:], stride, padding, dilation)) >= 1:
            check_convolution(rng, x_shape, w_shape, (stride, padding, dilation, groups))
            done += 1


@needs_native
def test_weight_gradients_of_few_filters_or_taps(isa):
    rng = np.random.default_rng(7)
    once = (1, 1)
    for n, c, f, kernel, size, padding, dilation, groups in [
        *((n, 1 + n % 3, n, (3, 1 + n % 5), (5 + n, 7), ((1, 0), (0, 2)), once, 1) for n in range(1, 14)),
        (3, 1, 6, (5, 5), (32, 32), ((0, 0), (0, 0)), once, 1),
        (3, 1, 2, (2, 2), (3, 700), ((1, 1), (3, 0)), once, 1),  # one row in one go
        (2, 1, 3, (3, 3), (70, 61), ((0, 0), (0, 0)), once, 1),  # some rows
        (2, 1, 3, (1, 2), (2, 1100), ((0, 0), (0, 0)), once, 1),  # too wide
        (9, 2, 4, (2, 2), (2, 3), ((0, 0), (0, 0)), once, 1),  # many images
        (2, 1, 3, (1, 1), (4, 3), ((0, 0), (5, 7)), once, 1),  # more outputs in a row than columns
        (2, 6, 9, (3, 2), (9, 12), ((2, 3), (2, 1)), (2, 3), 3),
        (0, 1, 3, (3, 3), (9, 12), ((0, 0), (0, 0)), once, 1),
    ]:
        check_convolution(rng, (n, c, *size), (f, c // groups, *kernel), (once, padding, dilation, groups))


@needs_native
def test_weight_gradients_of_what_is_not_finite(isa):
    settings = ((1, 1), ((0, 0), (0, 0)), (1, 1), 1)
    rng = np.random.default_rng(8)
    for strange in (np.inf, -np.inf, np.nan):
        for row, column in ((0, 0), (2, 9), (6, 9), (3, 4)):
            x = rng.standard_normal((2, 1, 7, 10)).astype(np.float32)
            g = rng.standard_normal((2, 3, 5, 8)).astype(np.float32)
            x[1, 0, row, column] = strange
            found = kernels.conv2d_weight_grad(g, x, (3, 1, 3, 3), *settings)
            with np.errstate(invalid="ignore"):  # of inf - inf; whether matmul says so differs between processors
                wanted = reference.conv2d_weight_grad(g, x, (3, 1, 3, 3), *settings)
            for got, expected in zip(found, wanted, strict=True):
                np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


@needs_native
def test_convolution_and_pooling_in_one(isa):
    rng = np.random.default_rng(6)
    for turn, (f, size, kernel, stride, padding) in enumerate(
        [
            (5, 9, (2, 2), (2, 2), 0),
            (33, 17, (3, 3), (2, 2), 1),
            (20, 26, (2, 2), (2, 2), 0),
            (40, 12, (2, 3), (1, 2), 1),
        ]
    ):
        tg.set_num_threads(1 + turn % 2)
        # Of whole numbers all sums are exact, in whatever order.
        c = 16 if turn == 3 else 2
        x, w, b = (rng.integers(-9, 10, s).astype(np.float32) for s in ((4, c, size, size), (f, c, 3, 3), (f,)))
        window = ((1, 1), ((1, 1), (0, 1)), (1, 1))
        pool = (kernel, stride, ((padding, padding), (padding, padding)), (1, 1))
        for ceil_mode in (False, True):  # where a window may reach beyond the maps
            out, winners = kernels.conv2d_max_pool2d(x, w, b, window, 1, pool, ceil_mode)
            expected = reference.max_pool2d(kernels.conv2d(x, w, b, *window, 1), *pool, ceil_mode)
            np.testing.assert_array_equal(out, expected[0])
            np.testing.assert_array_equal(winners, expected[1])
            check_pooled_weight_gradient(rng, x, winners, w.shape, window, 1, pool)


def check_pooled_weight_gradient(rng, x, winners, w_shape, window, groups, pool):
    g = rng.standard_normal(winners.shape).astype(np.float32)
    settings = (w_shape, window, groups, pool)
    expected = reference.conv2d_max_pool2d_weight_grad(
        g.astype(np.float64), None, winners, None, x.astype(np.float64), *settings
    )
    between = (len(x), w_shape[0], *window_sizes(x.shape[2:], w_shape[2:], *window))
    for maps_grad in (None, kernels.max_pool2d_grad(g, winners, between, *pool)):
        got = kernels.conv2d_max_pool2d_weight_grad(g, None, winners, maps_grad, x, *settings)
        for one, other in zip(got, expected, strict=True):
            close(one, other)


@needs_native
def test_weight_gradients_of_pooled_maps_of_every_width(isa):
    rng = np.random.default_rng(9)
    once, valid = (1, 1), ((0, 0), (0, 0))
    window = (once, ((1, 1), (1, 1)), once)
    for width in range(2, 70):
        tg.set_num_threads(1 + width % 2)
        n, groups, f, height = width % 6, 1 + width % 2, 2 * (1 + width % 5), 2 + width % 31
        c = groups * (1 + width % 3)
        x = rng.standard_normal((n, c, height, width)).astype(np.float32)
        w_shape = (f, c // groups, 3, 3)
        winners = rng.integers(0, 4 + width % 3 // 2, (n, f, height // 2, width // 2)).astype(np.uint8)  # 4: none
        check_pooled_weight_gradient(rng, x, winners, w_shape, window, groups, ((2, 2), (2, 2), valid, once))
    for kw in range(1, 20):
        stride, dilation, kernel = (1 + kw % 2, 1 + kw % 3), (1 + kw % 2, 1 + kw // 18), (2 + kw % 2, 1 + kw % 4)
        window, pool = (stride, ((0, 1), (kw % 3, 0)), dilation), (kernel, (3, 2), valid, (1 + kw % 3, 1))
        x = rng.standard_normal((5, 4, 23, 61)).astype(np.float32)
        maps = window_sizes(x.shape[2:], (3, kw), *window)
        winners = rng.integers(0, kernel[0] * kernel[1], (5, 6, *window_sizes(maps, *pool))).astype(np.uint8)
        check_pooled_weight_gradient(rng, x, winners, (6, 2, 3, kw), window, 2, pool)


@needs_native
def test_weight_gradients_of_pooled_maps_that_are_not_finite(isa):
    rng = np.random.default_rng(10)
    squares = ((2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1))
    settings = (4, 1, 3, 3), ((1, 1), ((0, 0), (0, 0)), (1, 1)), 1, squares
    x = rng.standard_normal((2, 1, 10, 12)).astype(np.float32)
    x[0, 0, 0, 0] = np.nan  # which one tap sees
    g = rng.standard_normal((2, 4, 4, 5)).astype(np.float32)
    winners = rng.integers(0, 4, g.shape).astype(np.uint8)
    for got, expected in zip(
        kernels.conv2d_max_pool2d_weight_grad(g, None, winners, None, x, *settings),
        reference.conv2d_max_pool2d_weight_grad(g, None, winners, None, x, *settings),
        strict=True,
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)
        assert np.isnan(got).sum() == (4 if got.ndim == 4 else 0)


@needs_native
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
def test_activations_of_results_at_hand_are_those_of_results_in_memory(isa, activation):
    rng = np.random.default_rng(7)
    apply = getattr(kernels, activation)
    for width in range(1, 68):
        tg.set_num_threads(1 + width % 2)
        x, w, b = (rng.standard_normal(s).astype(np.float32) for s in ((3, width), (70 - width, width), 70 - width))
        x[0, 0], x[1, -1] = np.inf, np.nan
        np.testing.assert_array_equal(kernels.linear(x, w, b, activation), apply(kernels.linear(x, w, b)))
        for c, f, kernel in ((2, width, 3), (16, 20, 3), (1, 3, 5)):
            x = rng.standard_normal((2, c, 6, width)).astype(np.float32)
            x[0, 0, 0, 0], x[1, 0, 3, -1] = -np.inf, np.nan
            w = rng.standard_normal((f, c, kernel, kernel)).astype(np.float32)
            settings = ((1, 1), ((2, 2), (2, 2)), (1, 1), 1)
            expected = apply(kernels.conv2d(x, w, None, *settings))
            np.testing.assert_array_equal(kernels.conv2d(x, w, None, *settings, activation), expected)


@needs_native
def test_nan_and_infinity_stay_where_they_belong(isa):
    x = np.zeros((2, 1, 6, 6), np.float32)
    x[0, 0, 2, 3], x[1, 0, 5, 5] = np.nan, np.inf
    out = kernels.conv2d(x, np.ones((3, 1, 1, 1), np.float32), None, (1, 1), ((0, 0), (0, 0)), (1, 1), 1)
    np.testing.assert_array_equal(out, np.repeat(x, 3, axis=1))


# --- calls that make no sense ----------------------------------------------------------------------------------------

X, W = np.ones((1, 2, 4, 4), np.float32), np.ones((3, 2, 3, 3), np.float32)
SETTINGS = (1, 1, 0, 0, 1, 1, 1)  # strides, top and left, dilations, groups
WRONG_CALLS = {
    "too few": ((X, W), TypeError, "conv2d: takes 14 arguments, got 2"),
    "no array": (([1.0], W, None, 2, 2, *SETTINGS, 0, 0), TypeError, "conv2d: x must be an array"),
    "float64": ((X.astype("f8"), W, None, 2, 2, *SETTINGS, 0, 0), TypeError, "conv2d: x must be float32, got float64"),
    "swapped": (
        (X.astype(">f4"), W, None, 2, 2, *SETTINGS, 0, 0),
        TypeError,
        "conv2d: x must be float32, got >f4",
    ),
    "rank": ((X[0], W, None, 2, 2, *SETTINGS, 0, 0), ValueError, "conv2d: x must have 4 axes, got 3"),
    "bias": (
        (X, W, np.ones(4, np.float32), 2, 2, *SETTINGS, 0, 0),
        ValueError,
        "conv2d: axis 0 of b must have size F = 3, got 4",
    ),
    "channels": (
        (X[:, :1], W, None, 2, 2, *SETTINGS, 0, 0),
        ValueError,
        "conv2d: the filters' channels do not fit the images'",
    ),
    "stride": (
        (X, W, None, 2, 2, 0, *SETTINGS[1:], 0, 0),
        ValueError,
        "conv2d: strides and dilations must be positive",
    ),
    "padding": ((X, W, None, 2, 2, 1, 1, -1, 0, 1, 1, 1, 0, 0), ValueError, "conv2d: paddings must not be negative"),
    "groups": (
        (X, W, None, 2, 2, *SETTINGS[:-1], 0, 0, 0),
        ValueError,
        "conv2d: groups must divide the channels and the filters",
    ),
    "filters": ((X, W[..., :0], None, 2, 2, *SETTINGS, 0, 0), ValueError, "conv2d: filters must not be empty"),
    "negative size": ((X, W, None, -1, 2, *SETTINGS, 0, 0), ValueError, "conv2d: P must not be negative"),
    "huge number": ((X, W, None, 1 << 50, 2, *SETTINGS, 0, 0), ValueError, "conv2d: P is absurd"),
    "huge result": (
        (X, W, None, 1 << 39, 1 << 39, *SETTINGS, 0, 0),
        ValueError,
        "conv2d: the padded images are too large",
    ),
    "no number": ((X, W, None, "2", 2, *SETTINGS, 0, 0), TypeError, "'str' object cannot be interpreted as an integer"),
}


@needs_native
@pytest.mark.parametrize("call", WRONG_CALLS.values(), ids=WRONG_CALLS)
def test_a_call_that_makes_no_sense_is_refused(call):
    arguments, kind, text = call
    with pytest.raises(kind) as caught:
        extension.conv2d(*arguments)
    assert str(caught.value) == text
