"""All layers and all losses: the gradients of inputs and parameters against differences, first and second order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st
from profiles import examples

import nn
import tensorgraph as tg
from nn.testing import models
from tensorgraph.testing import GradientError, check_grads, strategies

UNDECIDED = ("kink", "precision")  # such an example says nothing about the rules

SEEDS = st.integers(0, 2**16)


def rng(seed=0):
    return np.random.default_rng(seed)


def judged(f, *inputs, order=2):
    """Right, or not to be judged at this point."""
    try:
        check_grads(f, *inputs, order=order)
    except GradientError as error:
        if error.verdict not in UNDECIDED:
            raise


def values(*shape, low=-2.0, high=2.0, away_from=None):
    return strategies.tensors(shape, low=low, high=high, away_from=away_from, requires_grad=False)


few = settings(max_examples=examples(8))

# --- layers ----------------------------------------------------------------------------------------------------------

ELEMENTWISE = {
    "ELU": lambda: nn.ELU(0.7),
    "GELU": nn.GELU,
    "Arctan": nn.Arctan,
    "LeakyReLU": lambda: nn.LeakyReLU(0.1),
    "ReLU": nn.ReLU,
    "Sigmoid": nn.Sigmoid,
    "Softmax": lambda: nn.Softmax(-1),
    "Softplus": nn.Softplus,
    "Tanh": nn.Tanh,
    "Identity": nn.Identity,
    "Flatten": nn.Flatten,
}


@pytest.mark.parametrize("name", ELEMENTWISE)
@few
@given(x=st.sampled_from([(3,), (2, 3), (2, 1, 3), (1, 2, 2, 2)]).flatmap(lambda s: values(*s, away_from=0.0)))
def test_layers_without_parameters(name, x):
    if name == "Flatten" and x.ndim < 2:
        return
    judged(ELEMENTWISE[name](), x)


@few
@given(
    x=st.sampled_from([(3,), (2, 3), (2, 2, 3)]).flatmap(lambda s: values(*s)),
    out=st.integers(1, 3),
    bias=st.booleans(),
)
def test_linear(x, out, bias):
    judged(nn.Linear(3, out, bias=bias, rng=rng()), x)


@settings(max_examples=examples(5))
@given(case=strategies.conv2d_cases(max_size=4))
def test_conv2d(case):
    x, w, b, options = case
    layer = nn.Conv2d(x.shape[1], len(w), w.shape[2:], bias=b is not None, rng=rng(), **options)
    judged(layer, x.detach(), order=1)


def test_convolutions_in_second_order():
    g = rng()
    judged(nn.Conv2d(2, 2, 2, stride=(2, 1), padding=1, groups=2, rng=g), g.normal(size=(1, 2, 3, 2)))
    judged(nn.Conv1d(2, 3, 2, stride=2, padding=1, rng=g), g.normal(size=(2, 2, 4)))
    judged(nn.ConvTranspose2d(2, 2, 2, stride=2, output_padding=1, rng=g), g.normal(size=(1, 2, 2, 2)))


@few
@given(x=values(2, 2, 5), stride=st.integers(1, 2), padding=st.integers(0, 1), dilation=st.integers(1, 2))
def test_conv1d(x, stride, padding, dilation):
    judged(nn.Conv1d(2, 2, 2, stride=stride, padding=padding, dilation=dilation, rng=rng()), x, order=1)


@few
@given(x=values(1, 2, 3, 2), stride=st.integers(1, 2), padding=st.integers(0, 1), groups=st.integers(1, 2))
def test_conv_transpose2d(x, stride, padding, groups):
    judged(nn.ConvTranspose2d(2, 2, 2, stride=stride, padding=padding, groups=groups, rng=rng()), x, order=1)


@settings(max_examples=examples(5))
@given(case=strategies.pool2d_cases(max_size=4))
def test_pooling(case):
    judged(nn.MaxPool2d(**case.options), case.x.detach(), order=1)
    without = {name: value for name, value in case.options.items() if name not in ("dilation", "ceil_mode")}
    judged(nn.AvgPool2d(**without), case.x.detach(), order=1)


def test_pooling_in_second_order():
    x = rng().permutation(12).reshape(1, 1, 4, 3) / 6.0
    for layer in (nn.MaxPool2d(2, padding=1), nn.AvgPool2d(2, stride=1), nn.AdaptiveAvgPool2d((3, 2))):
        check_grads(layer, x, order=2)


@few
@given(x=values(1, 2, 4, 3), size=st.sampled_from([1, 2, (3, 2), (4, 3)]))
def test_adaptive_pooling(x, size):
    judged(nn.AdaptiveAvgPool2d(size), x, order=1)


@few
@given(x=values(4, 3), image=values(2, 2, 2, 2), training=st.booleans(), affine=st.booleans())
def test_batch_norm(x, image, training, affine):
    for layer, value in ((nn.BatchNorm1d(3, affine=affine), x), (nn.BatchNorm2d(2, affine=affine), image)):
        layer.train(training)
        judged(layer, value)


@few
@given(x=values(2, 4, 3), affine=st.booleans())
def test_other_norms(x, affine):
    judged(nn.LayerNorm(3, elementwise_affine=affine), x)
    judged(nn.GroupNorm(2, 4, affine=affine), x)
    judged(nn.LocalResponseNorm(3, alpha=0.5, k=1.5), x)


@few
@given(x=values(2, 3, 2, 2), seed=SEEDS)
def test_dropout_of_whole_channels(x, seed):
    judged(lambda x: nn.Dropout2d(0.5, rng=rng(seed))(x), x)


@few
@given(x=values(3, 2), seed=SEEDS)
def test_dropout(x, seed):
    """With the same numbers at each call it is a product with a constant."""

    def f(x):
        layer = nn.Dropout(0.5, rng=rng(seed))
        return layer(x)

    judged(f, x)
    layer = nn.Dropout(0.5)
    layer.eval()
    judged(layer, x)


def test_containers_and_fused_layers():
    g = rng()
    images = g.normal(size=(2, 1, 6, 6))
    for activation in (nn.ReLU, nn.Tanh, nn.Sigmoid, nn.LeakyReLU):
        for pool in (nn.MaxPool2d, nn.AvgPool2d):
            chain = nn.Sequential(
                nn.Conv2d(1, 2, 3, rng=g), activation(), pool(2), nn.Flatten(), nn.Linear(8, 2, rng=g)
            )
            judged(chain, images, order=1)
    judged(
        nn.Sequential(nn.Linear(3, 2, rng=g), nn.Tanh(), nn.Linear(2, 2, rng=g), nn.Sigmoid()), g.normal(size=(2, 3))
    )
    judged(nn.Sequential(nn.BatchNorm2d(1), nn.ReLU()), images[:, :, :2, :2])


def test_every_layer_is_here():
    tested = {*ELEMENTWISE, "Linear", "Conv2d", "Conv1d", "ConvTranspose2d", "MaxPool2d", "AvgPool2d", "Dropout"}
    tested |= {"LayerNorm", "GroupNorm", "LocalResponseNorm", "Dropout2d"}
    tested |= {"AdaptiveAvgPool2d", "BatchNorm1d", "BatchNorm2d", "Sequential", "ModuleList", "Module", *LOSSES}
    layers = {
        name for name in nn.__all__ if isinstance(getattr(nn, name), type) and issubclass(getattr(nn, name), nn.Module)
    }
    assert layers == tested


# --- losses ----------------------------------------------------------------------------------------------------------

LOSSES = {
    "CrossEntropyLoss": (values(3, 4), lambda g: g.integers(0, 4, 3)),
    "NLLLoss": (values(3, 4, low=-3.0, high=-0.1), lambda g: g.integers(0, 4, 3)),
    "MSELoss": (values(3, 2), lambda g: tg.tensor(g.normal(size=(3, 2)))),
    "BCELoss": (values(3, 2, low=0.1, high=0.9), lambda g: tg.tensor(g.uniform(0.1, 0.9, (3, 2)))),
    "BCEWithLogitsLoss": (values(3, 2), lambda g: tg.tensor(g.uniform(0.1, 0.9, (3, 2)))),
}


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", LOSSES)
@settings(max_examples=examples(4))
@given(data=st.data(), seed=SEEDS)
def test_losses(name, reduction, data, seed):
    predictions, targets = LOSSES[name]
    x, target = data.draw(predictions), targets(rng(seed))
    loss = getattr(nn, name)(reduction=reduction)
    judged(lambda x: loss(x, target), x)


@few
@given(x=values(2, 3), seed=SEEDS)
def test_cross_entropy_of_probabilities(x, seed):
    p = rng(seed).dirichlet(np.ones(3), 2)
    judged(lambda x: nn.CrossEntropyLoss()(x, p), x)


# --- whole networks --------------------------------------------------------------------------------------------------


@settings(max_examples=examples(40))
@given(case=models())
def test_small_networks(case):
    judged(case.model, case.x)


def test_a_network_shrinks_to_what_matters():
    shortest = find(models(), lambda case: any(isinstance(layer, nn.MaxPool2d) for layer in case.model))
    assert [type(layer).__name__ for layer in shortest.model] == ["MaxPool2d", "Flatten", "Linear"]
    assert shortest.x.shape == (2, 1, 2, 2)
