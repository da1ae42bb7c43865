"""Layers against formulas written out in NumPy and against naive loops; what they learn; what their state does."""

import math

import naive
import numpy as np
import pytest

import nn
import tensorgraph as tg
from nn import functional


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def close(got, expected, tolerance=1e-5):
    got = got.detach().numpy() if isinstance(got, tg.Tensor) else got
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


def numbers(parameter):
    return parameter.detach().numpy()


# --- linear and convolution ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bias", [True, False])
def test_linear(bias):
    layer = nn.Linear(3, 2, bias=bias)
    x = normal(4, 5, 3)
    expected = np.einsum("abi,oi->abo", x, numbers(layer.weight)) + (numbers(layer.bias) if bias else 0)
    close(layer(x), expected)
    layer(x).sum().backward()
    close(layer.weight.grad, np.tile(x.sum(axis=(0, 1)), (2, 1)))
    assert (layer.bias is not None) == bias


CONVOLUTIONS = [  # settings, and what the naive loop is given for them
    ({"kernel_size": 3}, ((1, 1), ((0, 0), (0, 0)), (1, 1), 1)),
    ({"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 2)}, ((2, 1), ((1, 1), (2, 2)), (1, 1), 1)),
    ({"kernel_size": 3, "padding": "same", "dilation": 2}, ((1, 1), ((2, 2), (2, 2)), (2, 2), 1)),
    ({"kernel_size": 2, "padding": "full", "groups": 2, "bias": False}, ((1, 1), ((1, 1), (1, 1)), (1, 1), 2)),
]


@pytest.mark.parametrize(("settings", "resolved"), CONVOLUTIONS)
def test_conv2d(settings, resolved):
    layer = nn.Conv2d(4, 6, **settings)
    x = normal(2, 4, 7, 6)
    bias = None if layer.bias is None else numbers(layer.bias)
    close(layer(x), naive.conv2d(x, numbers(layer.weight), bias, *resolved))


def test_conv1d_is_one_row_of_conv2d():
    layer = nn.Conv1d(4, 6, 3, stride=2, padding=1, groups=2)
    x = normal(2, 4, 9)
    w = numbers(layer.weight)[:, :, None]
    expected = naive.conv2d(x[:, :, None], w, numbers(layer.bias), (1, 2), ((0, 0), (1, 1)), (1, 1), 2)
    close(layer(x), expected[:, :, 0])
    assert layer.weight.shape == (6, 2, 3)


def test_conv_transpose2d():
    layer = nn.ConvTranspose2d(4, 6, (3, 2), stride=2, padding=1, output_padding=1, groups=2)
    x = normal(2, 4, 3, 4)
    expected = naive.conv2d_transpose(
        x, numbers(layer.weight), numbers(layer.bias), (2, 2), ((1, 1), (1, 1)), (1, 1), (1, 1), 2
    )
    close(layer(x), expected)
    assert layer.weight.shape == (4, 3, 3, 2)


def test_the_last_arguments_of_the_transposed_convolution_are_in_pytorchs_order():
    layer = nn.ConvTranspose2d(2, 2, 3, 2, 1, 1, 2, False, 2)
    assert (layer.stride, layer.padding, layer.output_padding) == ((2, 2), (1, 1), (1, 1))
    assert (layer.groups, layer.bias, layer.dilation) == (2, None, (2, 2))


# --- pooling ---------------------------------------------------------------------------------------------------------


def test_max_pooling():
    x = normal(1, 2, 7, 7)
    expected, _ = naive.max_pool2d(x, (3, 2), (2, 2), ((1, 1), (0, 0)), (2, 1), True)
    close(nn.MaxPool2d((3, 2), 2, (1, 0), (2, 1), ceil_mode=True)(x), expected)


def test_average_pooling():
    x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    close(nn.AvgPool2d(2)(x)[0, 0], [[2.5, 4.5], [10.5, 12.5]])
    close(nn.AvgPool2d(2, 3, 1)(x)[0, 0], [[0, 1.25], [5, 12.5]])  # corners of 0, 3, 12 among zeros
    close(nn.AvgPool2d(2, 3, 1, count_include_pad=False)(x)[0, 0, 0], [0, 2.5])
    assert nn.AvgPool2d(3, ceil_mode=True)(x).shape == (1, 1, 2, 2)


@pytest.mark.parametrize(("bins", "shape"), [(1, (1, 1)), ((2, None), (2, 6)), ([4, 3], (4, 3))])
def test_adaptive_pooling(bins, shape):
    assert nn.AdaptiveAvgPool2d(bins)(normal(2, 3, 8, 6)).shape == (2, 3, *shape)
    close(nn.AdaptiveAvgPool2d(1)(normal(2, 3, 8, 6)), normal(2, 3, 8, 6).mean(axis=(2, 3), keepdims=True))


# --- activations -----------------------------------------------------------------------------------------------------

ACTIVATIONS = [
    (nn.ReLU(), lambda x: max(x, 0.0)),
    (nn.LeakyReLU(), lambda x: x if x > 0 else 0.01 * x),
    (nn.LeakyReLU(0.3), lambda x: x if x > 0 else 0.3 * x),
    (nn.ELU(), lambda x: x if x > 0 else math.exp(x) - 1),
    (nn.ELU(2.0), lambda x: x if x > 0 else 2 * (math.exp(x) - 1)),
    (nn.GELU(), lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2),
    (nn.Sigmoid(), lambda x: 1 / (1 + math.exp(-x))),
    (nn.Tanh(), math.tanh),
    (nn.Arctan(), math.atan),
    (nn.Softplus(), lambda x: math.log(1 + math.exp(x))),
    (nn.Softplus(3), lambda x: math.log(1 + math.exp(3 * x)) / 3),
    (nn.Identity(), lambda x: x),
]


@pytest.mark.parametrize(("layer", "formula"), ACTIVATIONS, ids=lambda value: str(value)[:20])
def test_activations(layer, formula):
    x = normal(3, 4)
    close(layer(tg.tensor(x)), np.vectorize(formula, otypes=[float])(x))


def test_softmax_is_along_its_dim():
    x = normal(3, 4)
    powers = np.exp(x)
    close(nn.Softmax(dim=0)(x), powers / powers.sum(axis=0))
    close(nn.Softmax()(x), powers / powers.sum(axis=1, keepdims=True))


# --- shape -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "shape"),
    [((), (2, 60)), ((0,), (120,)), ((1, 2), (2, 12, 5)), ((-2, -1), (2, 3, 20)), ((0, 0), (2, 3, 4, 5))],
)
def test_flatten(arguments, shape):
    x = normal(2, 3, 4, 5)
    assert nn.Flatten(*arguments)(x).shape == shape
    close(nn.Flatten(*arguments)(x).reshape(-1), x.reshape(-1))


def test_flatten_of_an_empty_batch():
    assert nn.Flatten()(np.zeros((0, 3, 4), np.float32)).shape == (0, 12)


# --- batch norm ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "shape"), [(nn.BatchNorm1d, (6, 3)), (nn.BatchNorm1d, (4, 3, 5)), (nn.BatchNorm2d, (4, 3, 2, 5))]
)
def test_batch_norm(layer, shape):
    norm = layer(3, momentum=0.3)
    norm.weight.data[:] = [1, 2, 3]
    norm.bias.data[:] = [0, 1, -1]
    axes = (0, *range(2, len(shape)))

    def standard(x, mean, var):
        column = (1, 3) + (1,) * (len(shape) - 2)
        scale = np.array([1, 2, 3.0]) / np.sqrt(var + 1e-5)
        return (x - mean.reshape(column)) * scale.reshape(column) + np.array([0, 1, -1.0]).reshape(column)

    mean, var = np.zeros(3), np.ones(3)
    for seed in range(3):
        x = 2 * normal(*shape, seed=seed) + 1
        close(norm(x), standard(x, x.mean(axis=axes), x.var(axis=axes)), 1e-4)
        count = x.size / 3
        mean = 0.7 * mean + 0.3 * x.mean(axis=axes)
        var = 0.7 * var + 0.3 * x.var(axis=axes) * count / (count - 1)
    close(norm.running_mean, mean)
    close(norm.running_var, var)
    assert norm.num_batches_tracked.item() == 3
    norm.eval()
    close(norm(x), standard(x, mean, var), 1e-4)
    assert norm.num_batches_tracked.item() == 3


def test_batch_norm_without_momentum_averages_over_all_batches():
    norm = nn.BatchNorm1d(2, momentum=None)
    batches = [normal(5, 2, seed=seed) for seed in range(4)]
    for x in batches:
        norm(x)
    close(norm.running_mean, np.mean([x.mean(axis=0) for x in batches], axis=0))
    close(norm.running_var, np.mean([x.var(axis=0, ddof=1) for x in batches], axis=0))


def test_batch_norm_without_running_means_uses_the_batch_always():
    norm = nn.BatchNorm1d(2, affine=False, track_running_stats=False).eval()
    assert not norm.state_dict()
    x = normal(5, 2)
    close(norm(x), (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5), 1e-4)


def test_a_batch_that_does_not_fit_changes_no_running_mean():
    norm = nn.BatchNorm2d(2)
    for x in (normal(1, 2, 1, 1), normal(2, 3, 4, 4), normal(4, 2)):
        with pytest.raises(tg.ShapeError):
            norm(x)
    assert norm.running_mean.tolist() == [0, 0]
    assert norm.num_batches_tracked.item() == 0


# --- dropout ---------------------------------------------------------------------------------------------------------


def test_dropout_drops_in_training_only():
    x = np.ones(10_000, np.float32)
    layer = nn.Dropout(0.25, rng=np.random.default_rng(0))
    kept = numbers(layer(tg.tensor(x)))
    assert set(np.unique(kept)) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs((kept == 0).mean() - 0.25) < 0.02  # 4.6 standard deviations
    assert (numbers(layer(tg.tensor(x))) != kept).any()
    again = nn.Dropout(0.25, rng=np.random.default_rng(0))
    assert (numbers(again(tg.tensor(x))) == kept).all()
    t = tg.tensor(x)
    assert layer.eval()(t) is t


def test_dropout_follows_the_librarys_seed(seeded):
    layer, x = nn.Dropout(), tg.ones(64)
    seeded(3)
    first = layer(x).tolist()
    seeded(3)
    assert layer(x).tolist() == first


# --- losses ----------------------------------------------------------------------------------------------------------

X, P, Y = normal(5, 3), 1 / (1 + np.exp(-normal(5, 3))), np.array([0, 2, 1, 1, 0])
LOG = X - np.log(np.exp(X).sum(axis=1, keepdims=True))
T = (normal(5, 3, seed=1) > 0).astype(np.float32)
LOSSES = [
    (nn.CrossEntropyLoss, X, Y, -LOG[np.arange(5), Y]),
    (nn.NLLLoss, LOG, Y, -LOG[np.arange(5), Y]),
    (nn.MSELoss, X, T, (X - T) ** 2),
    (nn.BCELoss, P, T, -T * np.log(P) - (1 - T) * np.log(1 - P)),
    (nn.BCEWithLogitsLoss, X, T, np.log(1 + np.exp(X)) - X * T),
]


@pytest.mark.parametrize(("loss", "x", "target", "expected"), LOSSES)
def test_losses(loss, x, target, expected):
    close(loss()(tg.tensor(x), target), expected.mean())
    close(loss(reduction="sum")(tg.tensor(x), target), expected.sum(), 1e-4)
    close(loss(reduction="none")(tg.tensor(x), tg.tensor(target)), expected)
    assert repr(loss()) == f"{loss.__name__}()"
    assert repr(loss(reduction="sum")) == f"{loss.__name__}(reduction='sum')"


# --- names -----------------------------------------------------------------------------------------------------------


def test_functional_has_pytorchs_names_for_the_same_functions():
    assert functional.cross_entropy is tg.softmax_cross_entropy
    assert functional.conv_transpose2d is tg.conv2d_transpose
    assert {"relu", "max_pool2d", "linear", "dropout", "batch_norm"} <= set(functional.__all__)
    assert all(callable(getattr(functional, name)) for name in functional.__all__)


def test_every_public_name_is_there():
    assert sorted(nn.__all__) == sorted({*nn.__all__})
    assert all(hasattr(nn, name) for name in nn.__all__)
