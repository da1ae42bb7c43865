"""Compiled linear layers, softmax, cross-entropy and optimizer steps, against NumPy in float64 and the twins."""

import numpy as np
import pytest

import tensorgraph as tg
from tensorgraph.kernels import native, reference
from tensorgraph.kernels._choice import extension, problem

pytestmark = pytest.mark.skipif(extension is None, reason=f"no native kernels: {problem}")

LARGE = [
    (32, 784, 16),
    (257, 129, 5),
    (5, 33, 10),
    (7, 1000, 65),
    (65, 401, 120),
    (40, 900, 35),
    (300, 17, 400),
    (4, 5000, 3),
]
TINY = 1.2e-38  # probabilities below the smallest normal number may be 0
EMPTY = [(0, 4, 3), (3, 0, 4), (3, 4, 0), (0, 0, 0)]


def normal(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def close(got, expected, terms=1, tolerance=2e-6):
    """Equal but for rounding: sums of `terms` products of numbers of size 1."""
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance * max(terms, 1) ** 0.5 * 2)


# --- linear ----------------------------------------------------------------------------------------------------------


def check_products(rng, n, k, f):
    x, w, b, g = normal(rng, n, k), normal(rng, f, k), normal(rng, f), normal(rng, n, f)
    x64, w64, g64 = (array.astype(np.float64) for array in (x, w, g))
    close(native.linear(x, w, b), x64 @ w64.T + b, k)
    close(native.linear(x, w, None), x64 @ w64.T, k)
    close(native.linear(x, w, b, "relu"), np.maximum(x64 @ w64.T + b, 0), k)
    close(native.matmul(g, w), g64 @ w64, f)
    close(native.matmul(g.T, x), g64.T @ x64, n)
    close(native.matmul(x, w.T), x64 @ w64.T, k)
    close(native.matmul(w.T, g.T), w64.T @ g64.T, f)
    close(native.linear_input_grad(g, w), g64 @ w64, f)
    out = np.maximum(x @ w.T + b, 0)
    for slope, after in ((1, ()), (out > 0, (out, "relu"))):
        for input_too in (True, False):
            input_grad, weight_grad, bias_grad = native.linear_grads(g, x, w, input_too, *after)
            if input_too:
                close(input_grad, (g64 * slope) @ w64, f)
            else:
                assert input_grad is None
            close(weight_grad, (g64 * slope).T @ x64, n)
            close(bias_grad, (g64 * slope).sum(axis=0), n)


@pytest.mark.parametrize("width", range(1, 68))
def test_products_of_every_width(isa, width):
    rng = np.random.default_rng(width)
    check_products(rng, width, width * 13 % 67 + 1, width * 7 % 67 + 1)
    check_products(rng, width * 5 % 31 + 1, width, width * 3 % 17 + 1)


@pytest.mark.parametrize("sizes", LARGE + EMPTY)
def test_products_of_many_sizes(isa, sizes):
    check_products(np.random.default_rng(0), *sizes)


@pytest.mark.parametrize("n", range(1, 10))
def test_gradients_of_a_few_examples_through_a_wide_layer(isa, n):
    check_products(np.random.default_rng(n), n, 1021 + n, 523 - n)


def test_products_do_not_depend_on_the_threads(isa):
    rng = np.random.default_rng(0)
    for n, k, f in (*LARGE, (3, 1025, 515), (8, 1040, 512)):
        x, w, g = normal(rng, n, k), normal(rng, f, k), normal(rng, n, f)
        results = []
        for count in (1, 2, 3, 7):
            tg.set_num_threads(count)
            results.append((native.linear(x, w, None), native.matmul(g, w), native.matmul(g.T, x)))
        for other in results[1:]:
            for a, b in zip(results[0], other, strict=True):
                np.testing.assert_array_equal(a, b)


def test_products_of_other_shapes_layouts_and_types():
    rng = np.random.default_rng(0)
    w, b = normal(rng, 5, 6), normal(rng, 5)
    for x in (
        normal(rng, 6),
        normal(rng, 2, 3, 6),
        normal(rng, 2, 0, 6),
        normal(rng, 6, 4).T,
        normal(rng, 4, 12)[:, ::2],
    ):
        np.testing.assert_allclose(native.linear(x, w, b), x @ w.T + b, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(native.matmul(x, w.T), x @ w.T, rtol=1e-5, atol=1e-5)
    assert native.linear(w.astype(np.float64), w.astype(np.float64), None).dtype == np.float64
    with pytest.raises(ValueError, match="must have size K"):
        native.matmul(normal(rng, 2, 3), normal(rng, 4, 2))


def test_one_bad_number_reaches_its_row_and_column_only(isa):
    for bad in (np.nan, np.inf, -np.inf):
        for n, k, f in [(20, 50, 40), (20, 100, 10)]:
            x, w = np.ones((n, k), np.float32), np.ones((f, k), np.float32)
            x[3, 7] = bad
            out = native.linear(x, w, None)
            assert np.isfinite(np.delete(out, 3, axis=0)).all()
            np.testing.assert_array_equal(out[3], np.full(f, bad))
            np.testing.assert_array_equal(native.linear(x, w, None, "relu")[3], np.full(f, np.maximum(bad, 0)))


# --- softmax and cross-entropy ---------------------------------------------------------------------------------------

SPECIAL = [
    [np.nan, 1, 2],
    [np.inf, 1, 2],
    [-np.inf, 1, 2],
    [-np.inf, -np.inf, -np.inf],
    [np.inf, -np.inf, 0],
    [1e30, 0, -1e30],
    [3e38, -3e38, 0],
    [1e30, 1e30, 1e30],
    [-1e4, 0, 88],
]


def check_softmax(x, g):
    x64, g64 = x.astype(np.float64), g.astype(np.float64)
    for name in ("softmax", "log_softmax"):
        out, out64 = getattr(native, name)(x, -1), getattr(reference, name)(x64, -1)
        close(out, out64, tolerance=1e-6)
        grad = getattr(native, name + "_grad")
        close(grad(g, out, -1), getattr(reference, name + "_grad")(g64, out64, -1), x.shape[-1])


@pytest.mark.parametrize("width", range(1, 68))
def test_softmax_of_every_width(isa, width):
    rng = np.random.default_rng(width)
    check_softmax(normal(rng, 7, width), normal(rng, 7, width))


@pytest.mark.parametrize("shape", [(700, 10), (3, 5000), (0, 3), (3, 0), (5,), (2, 3, 4)])
def test_softmax_of_many_shapes(isa, shape):
    rng = np.random.default_rng(0)
    x, g = normal(rng, *shape), normal(rng, *shape)
    for count in (1, 2):
        tg.set_num_threads(count)
        check_softmax(x, g)


def test_powers_are_exact_to_a_few_units(isa):
    x = np.stack([np.zeros(4000), np.linspace(-80, 0, 4000)], axis=1).astype(np.float32)
    out = native.softmax(x, -1)
    expected = reference.softmax(x.astype(np.float64), -1)
    assert (np.abs(out - expected) / np.spacing(expected.astype(np.float32))).max() < 5


@pytest.mark.parametrize("row", SPECIAL)
@pytest.mark.parametrize("more", [0, 20])
def test_special_rows_are_as_in_numpy(isa, row, more):
    x = np.array([row + [-np.inf] * more] * 2, np.float32)
    with np.errstate(all="ignore"):
        for name in ("softmax", "log_softmax"):
            np.testing.assert_allclose(
                getattr(native, name)(x, -1), getattr(reference, name)(x, -1), rtol=1e-6, atol=TINY
            )
        for target in range(3):
            classes = np.array([target, 2 - target])
            for reduction in ("none", "mean", "sum"):
                loss, _ = native.softmax_cross_entropy(x, classes, reduction)
                expected, _ = reference.softmax_cross_entropy(x, classes, reduction)
                np.testing.assert_allclose(loss, expected, rtol=1e-6, atol=TINY)


@pytest.mark.parametrize("shape", [(7, 1), (7, 10), (7, 16), (7, 33), (700, 10), (10,), (0, 3)])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_cross_entropy(isa, shape, reduction):
    rng = np.random.default_rng(0)
    logits, target = normal(rng, *shape) * 3, rng.integers(0, shape[-1], shape[:-1])
    if shape[0] == 0 and reduction == "mean":
        assert np.isnan(native.softmax_cross_entropy(logits, target, reduction)[0])
        return
    losses, gradients = [], []
    for count in (1, 2):
        tg.set_num_threads(count)
        loss, saved = native.softmax_cross_entropy(logits, target.astype(np.int32), reduction)
        g = np.asarray(np.random.default_rng(1).standard_normal(np.shape(loss)), np.float32)
        losses.append(loss)
        gradients.append(native.softmax_cross_entropy_grad(g, saved, target, reduction))
    expected, saved64 = reference.softmax_cross_entropy(logits.astype(np.float64), target, reduction)
    np.testing.assert_allclose(losses[0], expected, rtol=2e-6, atol=1e-6)
    expected = reference.softmax_cross_entropy_grad(g.astype(np.float64), saved64, target, reduction)
    np.testing.assert_allclose(gradients[0], expected, rtol=2e-6, atol=1e-6)
    np.testing.assert_array_equal(losses[0], losses[1])
    np.testing.assert_array_equal(gradients[0], gradients[1])


@pytest.mark.parametrize("bad", [-1, 3, 2**62, -(2**63), 2**64 - 1])
def test_a_class_out_of_range_is_refused(bad):
    target = np.array([0, bad], np.uint64 if bad >= 2**63 else np.int64)
    for kernels in (native, reference):
        for dtype in (np.float32, np.float64):
            with pytest.raises(ValueError, match="out of range"):
                kernels.softmax_cross_entropy(np.zeros((2, 3), dtype), target, "mean")


# --- optimizer steps -------------------------------------------------------------------------------------------------

STEPS = {
    "sgd": [
        {"momentum": 0.0},
        {"momentum": 0.9},
        {"momentum": 0.9, "fresh": True, "dampening": 0.3},
        {"momentum": 0.5, "dampening": 0.3, "weight_decay": 0.1},
        {"momentum": 0.5, "nesterov": True},
    ],
    "adam": [{}, {"weight_decay": 0.1}, {"weight_decay": 0.1, "decoupled": True}, {"step": 3}],
}
DEFAULTS = {
    "sgd": {"lr": 0.1, "momentum": 0.0, "dampening": 0.0, "weight_decay": 0.0, "nesterov": False, "fresh": False},
    "adam": {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.0, "decoupled": False, "step": 1},
}


@pytest.mark.parametrize(("rule", "options"), [(rule, o) for rule, list_ in STEPS.items() for o in list_])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_steps_follow_the_twins(isa, rule, options, dtype):
    rng = np.random.default_rng(0)
    shapes = [(3, 5), (1,), (), (0, 4), (70000,), (17,), (300, 201)]
    lists = 3 if rule == "sgd" else 4
    start = [[np.array(np.abs(rng.standard_normal(shape)), dtype) for shape in shapes] for _ in range(lists)]
    start[1][0] = np.asfortranarray(start[1][0])  # as the gradient of a transposed product may be
    results = []
    for kernel, count in [(getattr(reference, rule), 1), (getattr(native, rule), 1), (getattr(native, rule), 2)]:
        tg.set_num_threads(count)
        own = [[array.copy(order="K") for array in arrays] for arrays in start]
        tg.updates.apply(kernel(*own, **DEFAULTS[rule] | options))
        results.append(own)
    for name, k in [("values", 0), ("gradients", 1), ("state", 2), ("state", lists - 1)]:
        for expected, one, two in zip(results[0][k], results[1][k], results[2][k], strict=True):
            np.testing.assert_array_equal(one, two, err_msg=name)
            tolerance = 3e-6 if dtype == "float32" else 0
            np.testing.assert_allclose(one, expected, rtol=tolerance, atol=tolerance, err_msg=name)


def test_steps_refuse_what_does_not_fit():
    one, two, flat = np.ones(1, np.float32), np.ones(2, np.float32), (0.1, 0.9, 1.0, 0.0, False, False)
    fixed = one.copy()
    fixed.flags.writeable = False
    for arrays in [
        ([one], [two], [one]),
        ([one], [one], [two]),
        ([fixed], [one], None),
        ([one], [one], [fixed]),
        ([two[::-1]], [two], None),
        ([None], [one], None),
        ([one], [None], None),
        ([one], [one], [3]),
        (None, [one], None),
        ([one.astype(np.float64)], [one], None),
        ([one.astype(">f4")], [one], None),
    ]:
        assert extension.sgd(*arrays, *flat) is False
        with pytest.raises(ValueError, match=r"^updates: the arrays of a step do not fit each other$"):
            tg.updates.apply([(extension.sgd, *arrays, *flat)])
    for arguments in [([one], [one, one], None, *flat), ([one], [one]), ([one], 3, None, *flat), ([one], [one], None)]:
        with pytest.raises((TypeError, ValueError)):
            extension.sgd(*arguments)
    with pytest.raises(TypeError):
        extension.sgd([one], [one], None, "fast", *flat[1:])
    assert extension.adam([one], [one], None, [one], *range(8)) is False
    np.testing.assert_array_equal(one, 1)
    np.testing.assert_array_equal(two, 1)


def test_a_step_leaves_recorded_graphs_alone():
    w = tg.tensor(np.ones(3, np.float32), requires_grad=True)
    loss = (w * w).sum()
    loss.backward(retain_graph=True)
    view = w.data
    tg.updates.apply(tg.updates.sgd([w], [np.zeros(3, np.float32)], lr=0.25, momentum=0.9, fresh=True))
    np.testing.assert_array_equal(w.detach().numpy(), np.full(3, 0.5, np.float32))
    np.testing.assert_array_equal(view, w.data)  # the user's own window, as before
    w.grad = None
    loss.backward()
    np.testing.assert_array_equal(w.grad.numpy(), np.full(3, 2, np.float32))
