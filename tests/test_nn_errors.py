"""What people get wrong with layers and losses, and the whole text of what they are told."""

import math

import numpy as np
import pytest

import nn
import tensorgraph as tg


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


class LeNet(nn.Module):
    def __init__(self, first=6):
        self.features = nn.Sequential(nn.Conv2d(3, first, 5), nn.ReLU(), nn.Conv2d(6, 16, 5), nn.MaxPool2d(2))
        self.classifier = nn.Sequential(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 10))

    def forward(self, x):
        return self.classifier(nn.Flatten()(self.features(x)))


RUNNING = [
    (
        lambda: nn.ModuleList([nn.Sequential(nn.ReLU(), nn.ReLU(), nn.Conv2d(6, 16, 5))])[0](zeros(32, 3, 28, 28)),
        tg.ShapeError,
        "2 (Conv2d): expected 6 input channels, got x of shape (32, 3, 28, 28)",
    ),
    (
        lambda: LeNet(first=3)(zeros(32, 3, 32, 32)),
        tg.ShapeError,
        "features.2 (Conv2d): expected 6 input channels, got x of shape (32, 3, 28, 28)",
    ),
    (
        lambda: LeNet()(zeros(32, 3, 16, 16)),
        tg.ShapeError,
        "classifier.0 (Linear): x of shape (32, 256) does not fit w of shape (120, 400): "
        "Linear(400, 120) got 256 features: flatten of (16, 4, 4) = 256",
    ),
    (
        lambda: LeNet()(zeros(3, 32, 32)),
        tg.ShapeError,
        "features.0 (Conv2d): x must have 4 axes (N, C, H, W), got shape (3, 32, 32); "
        "add a batch axis with x.reshape(1, 3, 32, 32)",
    ),
    (
        lambda: LeNet()(zeros(2, 3, 12, 4)),
        tg.ShapeError,
        "features.0 (Conv2d): a kernel of size (5, 5) does not fit into x of shape (2, 3, 12, 4); "
        "use a smaller kernel or more padding",
    ),
    (
        lambda: LeNet()(zeros(2, 3, 32, 32, dtype=np.uint8)),
        TypeError,
        'features.0 (Conv2d): x must hold floats, got uint8; convert it with x.astype("float32")',
    ),
    (
        lambda: LeNet()(zeros(2, 3, 32, 32, dtype=np.float64)),
        TypeError,
        'features.0 (Conv2d): x is float64 and w is float32; convert one, as with x.astype("float32")',
    ),
    (
        lambda: nn.Sequential(nn.Conv1d(2, 2, 3))(zeros(1, 3, 9)),
        tg.ShapeError,
        "0 (Conv1d): expected 2 input channels, got x of shape (1, 3, 9)",
    ),
    (
        lambda: nn.MaxPool2d(2, padding=2)(zeros(1, 2, 3, 3)),
        tg.ShapeError,
        "MaxPool2d: padding = (2, 2) is more than half of kernel_size = (2, 2)",
    ),
    (
        lambda: nn.BatchNorm1d(3)(zeros(4, 2)),
        tg.ShapeError,
        "BatchNorm1d: expected x of shape (N, C) or (N, C, L) with C = 3, got (4, 2)",
    ),
    (
        lambda: nn.Sequential(nn.BatchNorm2d(3))(zeros(4, 3)),
        tg.ShapeError,
        "0 (BatchNorm2d): expected x of shape (N, C, H, W) with C = 3, got (4, 3)",
    ),
    (
        lambda: nn.BatchNorm1d(3)(zeros(1, 3)),
        tg.ShapeError,
        "BatchNorm1d: batch_norm: needs more than one value a channel in training, got x of shape (1, 3)",
    ),
    (
        lambda: nn.Sequential(nn.Flatten(2))(zeros(4, 3)),
        tg.ShapeError,
        "0 (Flatten): x of shape (4, 3) has no axes 2 to -1",
    ),
    (
        lambda: nn.CrossEntropyLoss()(zeros(4, 3), zeros(4)),
        TypeError,
        "CrossEntropyLoss: softmax_cross_entropy: target must hold integer class numbers, got float32; "
        'convert it with target.astype("int64")',
    ),
    (
        lambda: nn.CrossEntropyLoss()(zeros(4, 3), [0, 1, 2, 3]),
        ValueError,
        "CrossEntropyLoss: softmax_cross_entropy: target must hold classes in 0..2, got 0..3",
    ),
    (
        lambda: nn.MSELoss()(tg.tensor(zeros(4)), zeros(4, 1)),
        tg.ShapeError,
        "MSELoss: x of shape (4,) and target of shape (4, 1) must have the same shape; use target.reshape(4,)",
    ),
]


@pytest.mark.parametrize(("mistake", "kind", "message"), RUNNING, ids=[message[:40] for *_, message in RUNNING])
def test_mistakes_when_a_layer_runs(mistake, kind, message):
    with pytest.raises(kind) as error:
        mistake()
    assert str(error.value) == message


MAKING = [
    (lambda: nn.Linear(-3, 2), tg.ShapeError, "Linear: in_features must be positive, got -3"),
    (lambda: nn.Linear(3, 0), tg.ShapeError, "Linear: out_features must be positive, got 0"),
    (lambda: nn.Linear(3.0, 2), TypeError, "Linear: in_features must be an integer, got 3.0"),
    (lambda: nn.Linear(True, 2), TypeError, "Linear: in_features must be an integer, got True"),
    (lambda: nn.Conv2d(0, 2, 3), tg.ShapeError, "Conv2d: in_channels must be positive, got 0"),
    (lambda: nn.Conv2d(1, 2, -3), tg.ShapeError, "Conv2d: kernel_size must be positive, got -3"),
    (
        lambda: nn.Conv2d(1, 2, (3, 3, 3)),
        tg.ShapeError,
        "Conv2d: kernel_size must be an integer or a pair (height, width), got (3, 3, 3)",
    ),
    (lambda: nn.Conv1d(1, 2, (3, 3)), tg.ShapeError, "Conv1d: kernel_size must be an integer, got (3, 3)"),
    (lambda: nn.Conv2d(1, 2, 3, stride=0), tg.ShapeError, "Conv2d: stride must be positive, got 0"),
    (lambda: nn.Conv2d(1, 2, 3, stride=-1), tg.ShapeError, "Conv2d: stride must be positive, got -1"),
    (lambda: nn.Conv2d(1, 2, 3, padding=(0, -1)), tg.ShapeError, "Conv2d: padding must be 0 or more, got -1"),
    (
        lambda: nn.Conv2d(1, 2, 3, padding="half"),
        tg.ShapeError,
        'Conv2d: padding must be numbers, "valid", "same" or "full", got \'half\'',
    ),
    (lambda: nn.Conv2d(4, 6, 3, groups=4), tg.ShapeError, "Conv2d: groups = 4 does not divide out_channels = 6"),
    (lambda: nn.Conv2d(3, 6, 3, groups=2), tg.ShapeError, "Conv2d: groups = 2 does not divide in_channels = 3"),
    (
        lambda: nn.ConvTranspose2d(1, 1, 2, padding="same"),
        TypeError,
        "ConvTranspose2d: padding must be an integer, got 'same'",
    ),
    (
        lambda: nn.ConvTranspose2d(1, 1, 2, output_padding=-1),
        tg.ShapeError,
        "ConvTranspose2d: output_padding must be 0 or more, got -1",
    ),
    (
        lambda: nn.CrossEntropyLoss(tg.tensor(zeros(4, 3)), [0, 1, 2, 3]),
        TypeError,
        "CrossEntropyLoss: create it first, f = nn.CrossEntropyLoss(), and call it then, f(logits, target)",
    ),
    (
        lambda: nn.BCELoss(zeros(4), zeros(4)),
        TypeError,
        "BCELoss: create it first, f = nn.BCELoss(), and call it then, f(p, target)",
    ),
    (
        lambda: nn.CrossEntropyLoss(weight=zeros(3)),
        TypeError,
        "CrossEntropyLoss: got an unexpected keyword argument 'weight'; its arguments are reduction",
    ),
    (
        lambda: nn.Conv1d(1, 2),
        TypeError,
        "Conv1d: missing a required argument: 'kernel_size'; its arguments are in_channels, out_channels, "
        "kernel_size, stride, padding, dilation, groups, bias, rng",
    ),
    (
        lambda: nn.BatchNorm2d(),
        TypeError,
        "BatchNorm2d: missing a required argument: 'num_features'; its arguments are num_features, eps, momentum, "
        "affine, track_running_stats",
    ),
    (
        lambda: nn.Dropout2d(0.1, inplace=True),
        TypeError,
        "Dropout2d: got an unexpected keyword argument 'inplace'; its arguments are p, rng",
    ),
    (lambda: nn.MaxPool2d(0), tg.ShapeError, "MaxPool2d: kernel_size must be positive, got 0"),
    (lambda: nn.AvgPool2d(2, stride=-2), tg.ShapeError, "AvgPool2d: stride must be positive, got -2"),
    (lambda: nn.AdaptiveAvgPool2d(0), tg.ShapeError, "AdaptiveAvgPool2d: output_size must be positive, got 0"),
    (lambda: nn.BatchNorm2d(0), tg.ShapeError, "BatchNorm2d: num_features must be positive, got 0"),
    (lambda: nn.BatchNorm2d(2, eps=-1.0), ValueError, "BatchNorm2d: eps must be at least 0 and finite, got -1.0"),
    (lambda: nn.BatchNorm1d(2, momentum=2), ValueError, "BatchNorm1d: momentum must lie in [0, 1], got 2"),
    (lambda: nn.Dropout(1.5), ValueError, "Dropout: p must lie in [0, 1], got 1.5"),
    (lambda: nn.Dropout(-0.1), ValueError, "Dropout: p must lie in [0, 1], got -0.1"),
    (lambda: nn.Dropout(math.nan), ValueError, "Dropout: p must lie in [0, 1], got nan"),
    (lambda: nn.Dropout("0.5"), TypeError, "Dropout: p must be a number, got '0.5'"),
    (
        lambda: nn.LeakyReLU(math.inf),
        ValueError,
        "LeakyReLU: negative_slope must be at least 0 and finite, got inf",
    ),
    (lambda: nn.Softplus(0), ValueError, "Softplus: beta must be greater than 0 and finite, got 0"),
    (lambda: nn.Softmax(dim=None), TypeError, "Softmax: dim must be an integer, got None"),
    (
        lambda: nn.MSELoss(reduction="average"),
        ValueError,
        'MSELoss: reduction must be one of "mean", "sum", "none", got \'average\'',
    ),
]


@pytest.mark.parametrize(("mistake", "kind", "message"), MAKING, ids=[message for *_, message in MAKING])
def test_mistakes_when_a_layer_is_made(mistake, kind, message):
    with pytest.raises(kind) as error:
        mistake()
    assert str(error.value) == message
