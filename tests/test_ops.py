"""What holds for every primitive, row by row of the table: values, types, gradients, layouts, specials."""

from __future__ import annotations

import differences
import numpy as np
import pytest
from op_table import ROWS

import tensorgraph as tg
from tensorgraph._primitive import registry

BUILT_IN = [name for name, primitive in registry.items() if primitive.forward.__module__.startswith("tensorgraph.")]
SAMPLES = [pytest.param(row, *sample, id=f"{row.name}-{i}") for row in ROWS for i, sample in enumerate(row.samples)]
SPECIALS = [
    pytest.param(row.name, *special, id=f"{row.name}-{i}") for row in ROWS for i, special in enumerate(row.special)
]
every_sample = pytest.mark.parametrize(("row", "arrays", "options"), SAMPLES)


def test_the_table_is_complete():
    assert sorted(row.name for row in ROWS) == sorted(BUILT_IN)


def is_float(array):
    return isinstance(array, np.ndarray) and array.dtype.kind == "f"


def tracked(row, arrays):
    """The positions of the arguments that have a gradient."""
    rules = registry[row.name].rules
    return [i for i, a in enumerate(arrays) if is_float(a) and rules[0 if registry[row.name].variadic else i]]


def upstream_like(out, seed=1):
    """Random numbers of both signs: a sum of outputs would not see errors that cancel."""
    rng = np.random.default_rng(seed)
    return np.asarray(rng.uniform(0.5, 1.5, np.shape(out)) * rng.choice([-1.0, 1.0], np.shape(out)))


def tensors(row, arrays):
    """The arguments, as tensors that require gradients where the primitive has a rule."""
    positions = tracked(row, arrays)
    return [tg.tensor(a, requires_grad=True) if i in positions else a for i, a in enumerate(arrays)]


@every_sample
def test_value(row, arrays, options):
    out = registry[row.name](*arrays, **options)
    expected = np.asarray(row.reference(*arrays, **options))
    assert not isinstance(out, tg.Tensor), "arrays in, array out"
    np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-13, strict=False)
    assert np.shape(out) == expected.shape
    wrapped = registry[row.name](*tensors(row, arrays), **options)
    assert wrapped.requires_grad
    np.testing.assert_array_equal(wrapped.data, out)


@every_sample
def test_types_stay(row, arrays, options):
    for dtype in (np.float32, np.float64):
        options = {**options, "dtype": dtype} if row.name == "astype" else options
        cast = [a.astype(dtype) if is_float(a) else a for a in arrays]
        inputs = tensors(row, cast)
        out = registry[row.name](*inputs, **options)
        assert out.dtype == dtype
        tolerance = 1e-5 if dtype == np.float32 else 1e-12
        np.testing.assert_allclose(out.data, row.reference(*arrays, **options), rtol=tolerance, atol=tolerance)
        out.backward(np.ones(out.shape))
        for i in tracked(row, arrays):
            assert inputs[i].grad.dtype == dtype
            assert inputs[i].grad.shape == arrays[i].shape


@every_sample
def test_gradient(row, arrays, options):
    call = registry[row.name]
    upstream = upstream_like(call(*arrays, **options))
    inputs = tensors(row, arrays)
    call(*inputs, **options).backward(upstream)
    assert tracked(row, arrays)
    for i in tracked(row, arrays):
        numeric = differences.gradient(lambda *a: call(*a, **options), arrays, i, upstream)
        differences.assert_close(inputs[i].grad.data, numeric)


@every_sample
def test_second_gradient(row, arrays, options):
    """The gradient of <v, gradient> against differences of the gradient, for every argument and for the upstream."""
    call = registry[row.name]
    positions = tracked(row, arrays)
    upstream = upstream_like(call(*arrays, **options))
    direction = [upstream_like(arrays[i], seed=2 + i) for i in positions]

    def along(*values, create_graph=False):
        """<v, gradient> as a function of the arguments and the upstream gradient."""
        *values, up = values
        inputs = [
            tg.tensor(v, requires_grad=True) if i in positions and not isinstance(v, tg.Tensor) else v
            for i, v in enumerate(values)
        ]
        wanted = [inputs[i] for i in positions]
        found = tg.gradients(call(*inputs, **options), wanted, up, create_graph=create_graph)
        total = sum((g * v).sum() for g, v in zip(found, direction, strict=True))
        return total if create_graph else total.data

    inputs = [*tensors(row, arrays), tg.tensor(upstream, requires_grad=True)]
    total = along(*inputs, create_graph=True)
    assert total.requires_grad, "a gradient is at least a function of the upstream gradient"
    total.backward()
    for i in [*positions, len(arrays)]:
        numeric = differences.gradient(along, [*arrays, upstream], i, np.ones(()))
        analytic = inputs[i].grad
        differences.assert_close(0 * numeric if analytic is None else analytic.data, numeric)


@every_sample
def test_rules_give_the_same_on_arrays_and_on_tensors(row, arrays, options):
    """What is recorded with create_graph=True has the values, shapes and types of the fast walk."""
    for dtype in (np.float32, np.float64):
        options = {**options, "dtype": dtype} if row.name == "astype" else options
        inputs = tensors(row, [a.astype(dtype) if is_float(a) else a for a in arrays])
        out = registry[row.name](*inputs, **options)
        upstream = upstream_like(out.detach().data).astype(dtype)
        out.backward(upstream, retain_graph=True)
        wanted = [inputs[i] for i in tracked(row, arrays)]
        up = tg.tensor(upstream, requires_grad=True)
        for tensor, g in zip(wanted, tg.gradients(out, wanted, up, create_graph=True), strict=True):
            assert g.requires_grad
            assert g.dtype == tensor.grad.dtype == dtype
            np.testing.assert_allclose(g.detach().data, tensor.grad.data, rtol=1e-6, atol=1e-6)


LAYOUTS = {
    "C": lambda a: np.array(a, order="C"),
    "Fortran": lambda a: np.array(a, order="F"),
    "backwards": lambda a: np.array(a[(slice(None, None, -1),) * a.ndim])[(slice(None, None, -1),) * a.ndim],
    "every second": lambda a: np.repeat(a, 2, axis=-1)[..., ::2] if a.ndim else a,
    "transposed": lambda a: np.array(a.T).T,
    "offset": lambda a: np.pad(a, 1)[(slice(1, -1),) * a.ndim] if a.ndim else a,
}


@pytest.mark.parametrize("layout", LAYOUTS)
@every_sample
def test_layouts_and_inputs_unchanged(row, arrays, options, layout):
    """The same to the last digits from any memory layout of arguments and upstream gradient; nothing is written to."""
    call = registry[row.name]
    expected_inputs = tensors(row, arrays)
    expected = call(*expected_inputs, **options)
    upstream = upstream_like(expected.data)
    expected.backward(upstream)
    laid = [LAYOUTS[layout](a) if is_float(a) else a for a in [*arrays, upstream]]
    kept = [np.array(a) if is_float(a) else a for a in laid]
    for a in laid:
        if is_float(a):
            a.flags.writeable = False
    np.testing.assert_allclose(call(*laid[:-1], **options), expected.data, rtol=1e-13, atol=1e-13)
    inputs = []
    for a in laid[:-1]:  # tg.tensor copies: put the array itself under the tensor, layout and all
        inputs.append(tg.Tensor._wrap(a).requires_grad_() if len(inputs) in tracked(row, arrays) else a)
    out = call(*inputs, **options)
    out.backward(tg.Tensor._wrap(laid[-1]))
    for i in tracked(row, arrays):
        np.testing.assert_allclose(inputs[i].grad.data, expected_inputs[i].grad.data, rtol=1e-12, atol=1e-13)
    for a, b in zip(laid, kept, strict=True):
        if is_float(a):
            np.testing.assert_array_equal(a, b)


@every_sample
def test_upstream_of_stride_zero(row, arrays, options):
    call = registry[row.name]
    first, second = tensors(row, arrays), tensors(row, arrays)
    out = call(*first, **options)
    out.backward(np.full(out.shape, 0.5))
    call(*second, **options).backward(tg.Tensor._wrap(np.broadcast_to(np.float64(0.5), out.shape)))
    for i in tracked(row, arrays):
        np.testing.assert_allclose(first[i].grad.data, second[i].grad.data, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize(("name", "arrays", "options", "expected"), SPECIALS)
def test_special_values(name, arrays, options, expected):
    with np.errstate(invalid="ignore"):  # inf - inf is what is asked for
        out = registry[name](*arrays, **options)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize(
    "row", [row for row in ROWS if registry[row.name].elementwise and len(row.samples) > 1], ids=lambda row: row.name
)
def test_empty_and_size_one_axes(row):
    arrays, options = row.samples[0]
    for shape in [(0,), (2, 0), (1, 1, 1), ()]:
        shaped = [None if a is None else np.resize(a, shape) for a in arrays]
        inputs = tensors(row, shaped)
        out = registry[row.name](*inputs, **options)
        assert out.shape == shape
        out.backward(np.ones(shape))
        assert all(inputs[i].grad.shape == shape for i in tracked(row, shaped))
