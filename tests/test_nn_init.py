"""Initial values: bounds, spreads, and that the same seed gives the same network."""

import math

import numpy as np
import pytest

import nn
import tensorgraph as tg
from nn import init


def drawn(function, shape, **arguments):
    tensor = nn.Parameter(np.zeros(shape, np.float32))
    assert function(tensor, **arguments, rng=np.random.default_rng(0)) is tensor
    assert tensor.requires_grad
    assert tensor.is_leaf
    return tensor.detach().numpy()


SHAPE = (200, 50, 3, 2)  # fan_in 300, fan_out 1200
UNIFORM = [
    (init.uniform_, {}, 0.0, 1.0),
    (init.uniform_, {"a": -3.0, "b": 2.0}, -3.0, 2.0),
    (init.xavier_uniform_, {}, -math.sqrt(6 / 1500), math.sqrt(6 / 1500)),
    (init.xavier_uniform_, {"gain": 2.0}, -2 * math.sqrt(6 / 1500), 2 * math.sqrt(6 / 1500)),
    (init.kaiming_uniform_, {}, -math.sqrt(6 / 300), math.sqrt(6 / 300)),
    (init.kaiming_uniform_, {"a": math.sqrt(5)}, -1 / math.sqrt(300), 1 / math.sqrt(300)),
    (init.kaiming_uniform_, {"mode": "fan_out", "nonlinearity": "tanh"}, -5 / 3 * 0.05, 5 / 3 * 0.05),
]
NORMAL = [
    (init.normal_, {}, 0.0, 1.0),
    (init.normal_, {"mean": 2.0, "std": 0.1}, 2.0, 0.1),
    (init.xavier_normal_, {}, 0.0, math.sqrt(2 / 1500)),
    (init.kaiming_normal_, {"nonlinearity": "relu"}, 0.0, math.sqrt(2 / 300)),
    (init.kaiming_normal_, {"mode": "fan_out", "nonlinearity": "linear"}, 0.0, math.sqrt(1 / 1200)),
]


@pytest.mark.parametrize(("function", "arguments", "low", "high"), UNIFORM)
def test_uniform(function, arguments, low, high):
    values = drawn(function, SHAPE, **arguments)  # 60,000 numbers
    width = high - low
    assert low <= values.min() < low + width / 1000
    assert high - width / 1000 < values.max() <= high + 1e-7
    assert abs(values.mean() - (low + high) / 2) < width / 100  # 8 standard deviations


@pytest.mark.parametrize(("function", "arguments", "mean", "std"), NORMAL)
def test_normal(function, arguments, mean, std):
    values = drawn(function, SHAPE, **arguments)
    assert abs(values.mean() - mean) < std / 50
    assert abs(values.std() - std) < std / 50
    assert 3.5 * std < np.abs(values - mean).max() < 6 * std


def test_constants():
    p = nn.Parameter(np.zeros(3, np.float32))
    assert init.ones_(p).tolist() == [1, 1, 1]
    assert init.constant_(p, 2.5).tolist() == [2.5] * 3
    assert init.zeros_(p).tolist() == [0, 0, 0]
    assert init.uniform_(tg.zeros(2, dtype=np.float64)).dtype == np.float64


def test_a_graph_keeps_the_values_it_was_recorded_with():
    p = nn.Parameter([3.0])
    loss = (p * p).sum()
    init.ones_(p)
    loss.backward()
    assert p.grad.tolist() == [6]


LAYERS = [
    (lambda rng: nn.Linear(50, 400, rng=rng), 50),
    (lambda rng: nn.Conv2d(8, 64, (3, 2), groups=2, rng=rng), 24),
    (lambda rng: nn.Conv1d(8, 128, 5, rng=rng), 40),
    (lambda rng: nn.ConvTranspose2d(64, 8, 3, groups=2, rng=rng), 36),
]


@pytest.mark.parametrize(("layer", "fan_in"), LAYERS)
def test_layers_start_uniform_in_one_over_the_root_of_fan_in(layer, fan_in):
    made, bound = layer(np.random.default_rng(0)), 1 / math.sqrt(fan_in)
    weight, bias = made.weight.detach().numpy(), made.bias.detach().numpy()
    assert 0.99 * bound < np.abs(weight).max() <= bound * (1 + 1e-6)
    assert abs(weight.std() - bound / math.sqrt(3)) < 0.03 * bound
    assert np.abs(bias).max() <= bound * (1 + 1e-6)
    assert np.abs(bias).max() > 0.4 * bound
    assert (layer(np.random.default_rng(0)).weight.detach().numpy() == weight).all()


def test_layers_follow_the_librarys_seed(seeded):
    seeded(5)
    first = nn.Linear(3, 3).weight.tolist()
    assert nn.Linear(3, 3).weight.tolist() != first
    seeded(5)
    assert nn.Linear(3, 3).weight.tolist() == first


@pytest.mark.parametrize(
    ("name", "param", "gain"),
    [
        ("linear", None, 1),
        ("conv2d", None, 1),
        ("tanh", None, 5 / 3),
        ("relu", None, math.sqrt(2)),
        ("leaky_relu", None, math.sqrt(2 / 1.0001)),
        ("leaky_relu", 0.5, math.sqrt(1.6)),
    ],
)
def test_gains(name, param, gain):
    assert init.calculate_gain(name, param) == pytest.approx(gain, rel=1e-15)


def test_mistakes():
    with pytest.raises(ValueError, match=r"^calculate_gain: nonlinearity must be one of linear, .*, got 'swish'$"):
        init.kaiming_normal_(nn.Parameter(np.zeros((2, 2))), nonlinearity="swish")
    with pytest.raises(ValueError, match=r'^kaiming: mode must be "fan_in" or "fan_out", got \'in\'$'):
        init.kaiming_uniform_(nn.Parameter(np.zeros((2, 2))), mode="in")
    with pytest.raises(
        tg.ShapeError, match=r"^init: fan_in and fan_out need at least 2 axes \(F_out, F_in\), got shape \(3,\)$"
    ):
        init.xavier_uniform_(nn.Parameter(np.zeros(3)))
    with pytest.raises(ValueError, match=r"^normal_: std must not be negative, got -1$"):
        init.normal_(nn.Parameter(np.zeros(3)), std=-1)
