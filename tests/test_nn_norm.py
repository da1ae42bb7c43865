"""Normalization within an example, and dropout of whole channels: values against loops, gradients against differences.

Where PyTorch is installed, values and gradients are compared with its layers too.
"""

import numpy as np
import pytest

import nn
import tensorgraph as tg
from tensorgraph.testing import check_grads


def normal(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


# --- the formulas, in loops ------------------------------------------------------------------------------------------


def standard(values, eps):
    return (values - values.mean()) / np.sqrt(values.var() + eps)


def layer_norm(x, shape, weight=1.0, bias=0.0, eps=1e-5):
    rows = x.reshape(-1, int(np.prod(shape)))
    return np.stack([standard(row, eps) for row in rows]).reshape(x.shape) * weight + bias


def group_norm(x, groups, weight, bias, eps=1e-5):
    out = np.empty_like(x)
    size = x.shape[1] // groups
    for n in range(x.shape[0]):
        for first in range(0, x.shape[1], size):
            out[n, first : first + size] = standard(x[n, first : first + size], eps)
    for c in range(x.shape[1]):
        out[:, c] = out[:, c] * weight[c] + bias[c]
    return out


def local_response_norm(x, size, alpha, beta, k):
    out = np.empty_like(x)
    for c in range(x.shape[1]):
        near = [i for i in range(c - size // 2, c - size // 2 + size) if 0 <= i < x.shape[1]]
        out[:, c] = x[:, c] / (k + alpha / size * sum(x[:, i] ** 2 for i in near)) ** beta
    return out


def close(got, expected, tolerance=1e-12):
    got = got.detach().numpy() if isinstance(got, tg.Tensor) else got
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


# --- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x_shape", "shape"), [((4, 6), 6), ((2, 3, 5), (3, 5)), ((2, 3, 5), [5]), ((7,), 7), ((2, 3, 4, 5), (3, 4, 5))]
)
def test_layer_norm(x_shape, shape):
    x = 2 * normal(*x_shape) + 1
    axes = (shape,) if isinstance(shape, int) else tuple(shape)
    close(tg.layer_norm(x, shape, eps=0.01), layer_norm(x, axes, eps=0.01))
    weight, bias = normal(*axes, seed=1), normal(*axes, seed=2)
    expected = layer_norm(x, axes, weight, bias)
    close(tg.layer_norm(tg.tensor(x), shape, weight, bias), expected)
    layer = nn.LayerNorm(shape)
    assert layer.weight.shape == layer.bias.shape == axes
    close(layer(x.astype(np.float32)), layer_norm(x, axes), 1e-5)
    layer.load_state_dict({"weight": weight, "bias": bias})
    close(layer(x.astype(np.float32)), expected, 1e-5)


def test_layer_norm_without_weight_or_bias():
    assert list(nn.LayerNorm(3, elementwise_affine=False).state_dict()) == []
    assert list(nn.LayerNorm(3, bias=False).state_dict()) == ["weight"]
    assert repr(nn.LayerNorm((3, 4))) == "LayerNorm((3, 4), eps=1e-05, elementwise_affine=True)"


def test_layer_norm_of_one_number_is_the_bias():
    layer = nn.LayerNorm(1)
    layer.load_state_dict({"weight": [2.0], "bias": [3.0]})
    close(layer(normal(4, 1, dtype=np.float32)), np.full((4, 1), 3.0))


@pytest.mark.parametrize(
    ("shape", "groups"), [((3, 6), 2), ((2, 6, 5), 3), ((2, 6, 3, 4), 1), ((2, 6, 3, 4), 6), ((1, 4, 2, 2, 2), 2)]
)
def test_group_norm(shape, groups):
    x = 2 * normal(*shape) + 1
    weight, bias = normal(shape[1], seed=1), normal(shape[1], seed=2)
    expected = group_norm(x, groups, weight, bias)
    close(tg.group_norm(x, groups, weight, bias), expected)
    layer = nn.GroupNorm(groups, shape[1])
    layer.load_state_dict({"weight": weight, "bias": bias})
    close(layer(x.astype(np.float32)), expected, 1e-5)
    assert list(nn.GroupNorm(groups, shape[1], affine=False).state_dict()) == []


@pytest.mark.parametrize("shape", [(2, 7), (2, 7, 3), (2, 7, 3, 4), (1, 1, 2, 2)])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 9])
def test_local_response_norm(shape, size):
    x = 3 * normal(*shape)
    close(tg.local_response_norm(x, size, 0.5, 0.75, 2.0), local_response_norm(x, size, 0.5, 0.75, 2.0))
    layer = nn.LocalResponseNorm(size, alpha=0.5, k=2.0)
    close(layer(x.astype(np.float32)), local_response_norm(x, size, 0.5, 0.75, 2.0), 1e-5)


def test_the_settings_of_pytorch():
    x = normal(2, 6, 3, 3)
    close(nn.LocalResponseNorm(3)(x), local_response_norm(x, 3, 1e-4, 0.75, 1.0))
    assert repr(nn.LocalResponseNorm(5)) == "LocalResponseNorm(5, alpha=0.0001, beta=0.75, k=1.0)"
    assert repr(nn.GroupNorm(2, 4)) == "GroupNorm(2, 4, eps=1e-05, affine=True)"


@pytest.mark.parametrize(
    "layer", [nn.LayerNorm((4, 5, 6)), nn.GroupNorm(2, 4), nn.LocalResponseNorm(5), nn.Dropout2d(0.5)]
)
def test_an_empty_batch_stays_empty(layer):
    assert layer(np.zeros((0, 4, 5, 6), np.float32)).shape == (0, 4, 5, 6)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize(
    ("kind", "shape"),
    [(nn.BatchNorm1d, (0, 2)), (nn.BatchNorm1d, (3, 2, 0)), (nn.BatchNorm2d, (0, 2, 4, 4))],
)
def test_an_empty_batch_leaves_the_running_mean_and_variance_alone(kind, shape, fused):
    norm = kind(2)
    norm(normal(5, 2, *([3] * (len(shape) - 2)), dtype=np.float32))
    before = {name: value.numpy().copy() for name, value in norm.state_dict().items()}
    x = tg.zeros(*shape, requires_grad=True)
    out = nn.Sequential(norm, nn.ReLU())(x) if fused else norm(x)
    out.sum().backward()
    assert out.shape == x.grad.shape == shape
    for parameter in norm.parameters():
        np.testing.assert_array_equal(parameter.grad.numpy(), [0, 0])
    np.testing.assert_array_equal(norm.running_mean.numpy(), before["running_mean"])
    np.testing.assert_array_equal(norm.running_var.numpy(), before["running_var"])
    assert norm.num_batches_tracked.item() == 2  # as in PyTorch


# --- gradients -------------------------------------------------------------------------------------------------------


def test_gradients():
    weight, bias = normal(4, seed=1), normal(4, seed=2)
    check_grads(lambda x, w, b: tg.layer_norm(x, 4, w, b), normal(3, 4), weight, bias, order=2)
    check_grads(lambda x, w, b: tg.group_norm(x, 2, w, b), normal(2, 4, 3), weight, bias, order=2)
    for size in (2, 3):
        check_grads(lambda x, size=size: tg.local_response_norm(x, size, 0.5, 0.75, 2.0), normal(2, 5, 2, 2), order=2)


LAYERS = [
    ("LayerNorm", ((6, 3, 4),), {}),
    ("LayerNorm", (4,), {"eps": 0.1}),
    ("GroupNorm", (3, 6), {}),
    ("GroupNorm", (1, 6), {"eps": 0.1}),
    ("LocalResponseNorm", (5,), {"alpha": 0.3}),
    ("LocalResponseNorm", (4,), {"alpha": 0.3, "beta": 0.5, "k": 2.0}),
]


@pytest.mark.parametrize(("name", "arguments", "options"), LAYERS)
def test_values_and_gradients_are_pytorchs(name, arguments, options):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    ours, theirs = getattr(nn, name)(*arguments, **options), getattr(torch.nn, name)(*arguments, **options)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for (_, a), (_, b) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        a.data[...] = normal(*a.shape, seed=a.ndim, dtype=np.float32)
        b.data = torch.from_numpy(a.data.copy())
    x = normal(2, 6, 3, 4, dtype=np.float32)
    ours_x, theirs_x = tg.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    ours_out, theirs_out = ours(ours_x), theirs(theirs_x)
    close(ours_out, theirs_out.detach().numpy(), 1e-5)
    upstream = normal(*x.shape, seed=9, dtype=np.float32)
    ours_out.backward(upstream)
    theirs_out.backward(torch.from_numpy(upstream))
    close(ours_x.grad, theirs_x.grad.numpy(), 1e-5)
    for (_, a), (_, b) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        close(a.grad, b.grad.numpy(), 1e-5)


# --- dropout of channels ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(400, 25), (400, 25, 3), (400, 25, 2, 3)])
def test_dropout2d_drops_channels_in_training_only(shape):
    layer = nn.Dropout2d(0.25, rng=np.random.default_rng(0))
    x = tg.tensor(np.ones(shape, np.float32), requires_grad=True)
    out = layer(x)
    maps = out.detach().numpy().reshape(400, 25, -1)
    assert (maps == maps[:, :, :1]).all()
    assert set(np.unique(maps)) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs((maps[:, :, 0] == 0).mean() - 0.25) < 0.02  # 4.6 standard deviations
    out.sum().backward()
    close(x.grad, out.detach().numpy())
    again = nn.Dropout2d(0.25, rng=np.random.default_rng(0))
    close(again(x), out.detach().numpy())
    assert layer.eval()(x) is x
    assert repr(layer) == "Dropout2d(p=0.25)"


# --- mistakes --------------------------------------------------------------------------------------------------------


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


MISTAKES = [
    (lambda: nn.LayerNorm(0), tg.ShapeError, "LayerNorm: normalized_shape must be positive, got 0"),
    (lambda: nn.LayerNorm(()), tg.ShapeError, "LayerNorm: normalized_shape must have at least one axis, got ()"),
    (lambda: nn.LayerNorm((3, 2.5)), TypeError, "LayerNorm: normalized_shape must be an integer, got 2.5"),
    (lambda: nn.LayerNorm(3, eps=-1), ValueError, "LayerNorm: eps must be at least 0 and finite, got -1"),
    (
        lambda: nn.Sequential(nn.LayerNorm((3, 4)))(zeros(2, 4, 3)),
        tg.ShapeError,
        "0 (LayerNorm): the last axes of x must have shape (3, 4), got x of shape (2, 4, 3)",
    ),
    (
        lambda: nn.LayerNorm(3)(zeros(2, 3, dtype=np.int64)),
        TypeError,
        'LayerNorm: x must hold floats, got int64; convert it with x.astype("float32")',
    ),
    (
        lambda: tg.layer_norm(zeros(2, 3), 3, zeros(2)),
        tg.ShapeError,
        "layer_norm: weight must have shape (3,) for x of shape (2, 3), got (2,)",
    ),
    (
        lambda: nn.GroupNorm(4, 6),
        tg.ShapeError,
        "GroupNorm: num_groups = 4 does not divide num_channels = 6",
    ),
    (lambda: nn.GroupNorm(0, 6), tg.ShapeError, "GroupNorm: num_groups must be positive, got 0"),
    (
        lambda: nn.GroupNorm(2, 6)(zeros(2, 4, 3, 3)),
        tg.ShapeError,
        "GroupNorm: expected x of shape (N, C, ...) with C = 6, got (2, 4, 3, 3)",
    ),
    (
        lambda: tg.group_norm(zeros(2, 6), 4),
        tg.ShapeError,
        "group_norm: num_groups = 4 does not divide the 6 channels of x of shape (2, 6)",
    ),
    (
        lambda: tg.group_norm(zeros(6), 2),
        tg.ShapeError,
        "group_norm: x must have at least 2 axes (N, C), got shape (6,)",
    ),
    (
        lambda: tg.group_norm(zeros(2, 6), 2, bias=zeros(3)),
        tg.ShapeError,
        "group_norm: bias must have shape (6,) for x of shape (2, 6), got (3,)",
    ),
    (lambda: nn.LocalResponseNorm(0), tg.ShapeError, "LocalResponseNorm: size must be positive, got 0"),
    (
        lambda: nn.LocalResponseNorm(5, k=-1.0),
        ValueError,
        "LocalResponseNorm: k must be at least 0 and finite, got -1.0",
    ),
    (
        lambda: nn.LocalResponseNorm(5)(zeros(3)),
        tg.ShapeError,
        "LocalResponseNorm: x must have at least 2 axes (N, C), got shape (3,)",
    ),
    (
        lambda: tg.local_response_norm(zeros(2, 3), 0),
        tg.ShapeError,
        "local_response_norm: size must be positive, got 0",
    ),
    (lambda: nn.Dropout2d(2), ValueError, "Dropout2d: p must lie in [0, 1], got 2"),
    (lambda: tg.dropout2d(zeros(2, 3), 2), ValueError, "dropout2d: p must lie in [0, 1], got 2"),
    (
        lambda: nn.Dropout2d()(zeros(3)),
        tg.ShapeError,
        "Dropout2d: x must have at least 2 axes (N, C), got shape (3,)",
    ),
]


@pytest.mark.parametrize(("mistake", "kind", "message"), MISTAKES, ids=[message[:60] for *_, message in MISTAKES])
def test_mistakes(mistake, kind, message):
    with pytest.raises(kind) as error:
        mistake()
    assert str(error.value) == message
