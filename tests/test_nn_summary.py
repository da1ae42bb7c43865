"""nn.summary: the figures of published tables, layers that run twice, and that the model is left as it was."""

from __future__ import annotations

import numpy as np
import pytest

import nn
import tensorgraph as tg


def alexnet():
    """The one-tower AlexNet of the course, with small weights so that nothing overflows."""
    return nn.Sequential(
        *(nn.Conv2d(3, 96, 11, stride=4), nn.ReLU(), nn.MaxPool2d(3, stride=2)),
        *(nn.Conv2d(96, 256, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, stride=2)),
        *(nn.Conv2d(256, 384, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(384, 384, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, stride=2)),
        *(nn.Flatten(), nn.Linear(9216, 4096), nn.ReLU(), nn.Dropout(0.5)),
        *(nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(0.5)),
        nn.Linear(4096, 1000),
    )


def test_alexnet_has_the_figures_of_the_course():
    found = nn.summary(alexnet(), (3, 227, 227))
    assert found.parameters == found.trainable == 62_378_344
    layers = [row for row in found.rows if row.parameters]
    assert [row.parameters for row in layers] == [
        *(34_944, 614_656, 885_120, 1_327_488, 884_992),
        *(37_752_832, 16_781_312, 4_097_000),
    ]
    shapes = [row.output_shape[1:] for row in found.rows if row.parameters or row.kind == "MaxPool2d"]
    assert shapes == [
        *((96, 55, 55), (96, 27, 27), (256, 27, 27), (256, 13, 13), (384, 13, 13), (384, 13, 13), (256, 13, 13)),
        *((256, 6, 6), (4096,), (4096,), (1000,)),
    ]
    taps = [3 * 121, 96 * 25, 256 * 9, 384 * 9, 384 * 9, 9216, 4096, 4096]
    pixels = [96 * 55**2, 256 * 27**2, 384 * 13**2, 384 * 13**2, 256 * 13**2, 4096, 4096, 1000]
    assert [row.multiply_adds for row in layers] == [t * p for t, p in zip(taps, pixels, strict=True)]
    assert layers[0].activation_bytes == 4 * 96 * 55**2


class Twice(nn.Module):
    """One layer that runs twice, an operation of the model's own, and a layer that is never used."""

    def __init__(self):
        self.shared = nn.Linear(4, 4)
        self.again = self.shared
        self.unused = nn.Dropout(0.5)

    def forward(self, x):
        return tg.relu(self.again(self.shared(x)))


def test_a_layer_that_runs_twice_is_one_row():
    found = nn.summary(Twice(), (4,))
    own, shared, unused = found.rows
    assert (own.name, own.kind, own.output_shape, own.calls) == ("", "Twice", (1, 4), 1)
    assert (shared.name, shared.parameters, shared.multiply_adds, shared.calls) == ("shared", 20, 32, 2)
    assert shared.activation_bytes == 2 * 16
    assert (unused.output_shape, unused.calls, unused.activation_bytes) == (None, 0, 0)
    assert (found.parameters, found.multiply_adds, found.activation_bytes) == (20, 32, 48)


def test_shared_weights_count_once():
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    model[1].weight = model[0].weight
    found = nn.summary(model, (4,))
    assert [row.parameters for row in found.rows] == [16, 0]
    assert found.parameters == 16


def test_the_text():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Dropout(), Twice())
    model[0].requires_grad_(False)
    found = nn.summary(model, (1, 3, 6))
    assert repr(found) == (
        "layer                output shape  parameters  multiply-adds  activation bytes\n"
        "------------------------------------------------------------------------------\n"
        "          input      (1, 1, 3, 6)\n"
        "0         Conv2d     (1, 2, 1, 4)          20             72                32\n"
        "1         Dropout    -\n"
        "2         Twice      (1, 2, 1, 4)                                           32\n"
        "2.shared  Linear x2  (1, 2, 1, 4)          20             64                64\n"
        "2.unused  Dropout    -\n"
        "------------------------------------------------------------------------------\n"
        "Sequential: 40 parameters (20 learn), 136 multiply-adds, 128 bytes of activations"
    )


def test_a_shape_with_the_batch_axis_is_taken_too():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(32, 3))
    one, batch = nn.summary(model, (1, 6, 6)), nn.summary(model, (5, 1, 6, 6))
    assert batch.rows[-1].output_shape == (5, 3)
    assert batch.multiply_adds == 5 * one.multiply_adds == 5 * (32 * 9 + 96)


def test_transposed_convolutions_and_products_count():
    model = nn.ConvTranspose2d(2, 3, 4, stride=2)
    assert nn.summary(model, (2, 5, 5)).multiply_adds == 2 * 5 * 5 * 3 * 4 * 4


def test_the_model_is_left_as_it_was():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(0.5))
    model[1].eval()
    before = {name: value.copy() for name, value in model.state_dict().items()}
    with tg.no_grad():
        nn.summary(model, (1, 6, 6))
    assert [module.training for module in model] == [True, False, True]
    assert all(p.grad is None for p in model.parameters())
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_mistakes():
    with pytest.raises(TypeError, match=r"^summary: model must be a Module, got int$"):
        nn.summary(3, (4,))
    with pytest.raises(
        TypeError, match=r"^summary: input_shape must be a tuple of integers such as \(1, 28, 28\), got 4$"
    ):
        nn.summary(nn.Linear(4, 2), 4)
    with pytest.raises(tg.ShapeError, match=r"x of shape \(1, 5\) does not fit w of shape \(2, 4\)"):
        nn.summary(nn.Linear(4, 2), (5,))
