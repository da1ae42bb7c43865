"""GoogLeNet: blocks of four branches side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import tensorgraph as tg
from nn import init
from nn._fusion import run_chain
from nn.activation import ReLU
from nn.containers import Sequential
from nn.conv import Conv2d
from nn.dropout import Dropout
from nn.linear import Linear
from nn.module import Module
from nn.normalization import BatchNorm2d
from nn.pooling import AdaptiveAvgPool2d, MaxPool2d
from nn.shape import Flatten

if TYPE_CHECKING:
    Rng = np.random.Generator | None


class GoogLeNetOutputs(NamedTuple):
    """What GoogLeNet gives in training: the logits of its end and of its two auxiliary classifiers."""

    logits: Any
    aux_logits2: Any
    aux_logits1: Any


class BasicConv2d(Module):
    """Convolution, batch norm, ReLU: (N, channels, H, W) -> (N, width, H / stride, W / stride)."""

    def __init__(self, channels: int, width: int, size: int, stride: int = 1, *, rng: Rng = None) -> None:
        self.conv = Conv2d(channels, width, size, stride, padding=size // 2, bias=False, rng=rng)
        self.bn = BatchNorm2d(width, eps=0.001)
        self.relu = ReLU()

    def forward(self, x: Any) -> Any:
        return run_chain([self.conv, self.bn, self.relu], x)


class Inception(Module):
    """Four branches, whose channels are put together: 1x1; 1x1, 3x3; 1x1, 3x3; pooling, 1x1.

    The paper has 5x5 in the third branch; torchvision, whose weights these are made for, has 3x3.

    Arguments:
        channels: of x. ones: channels of the first branch. threes, fives: (reduced, final) channels of the second and
            the third. pooled: channels of the fourth.

    Input and output: x (N, channels, H, W) -> (N, ones + threes[1] + fives[1] + pooled, H, W).
    """

    def __init__(
        self,
        channels: int,
        ones: int,
        threes: tuple[int, int],
        fives: tuple[int, int],
        pooled: int,
        *,
        rng: Rng = None,
    ) -> None:
        self.branch1 = BasicConv2d(channels, ones, 1, rng=rng)
        self.branch2 = Sequential(
            BasicConv2d(channels, threes[0], 1, rng=rng), BasicConv2d(threes[0], threes[1], 3, rng=rng)
        )
        self.branch3 = Sequential(
            BasicConv2d(channels, fives[0], 1, rng=rng), BasicConv2d(fives[0], fives[1], 3, rng=rng)
        )
        self.branch4 = Sequential(MaxPool2d(3, 1, 1), BasicConv2d(channels, pooled, 1, rng=rng))

    def forward(self, x: Any) -> Any:
        return tg.concatenate([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], axis=1)


class InceptionAux(Module):
    """An auxiliary classifier: the average over 4x4 bins, a convolution 1x1, two dense layers; to logits."""

    def __init__(self, channels: int, num_classes: int, dropout: float = 0.7, *, rng: Rng = None) -> None:
        self.avgpool = AdaptiveAvgPool2d(4)
        self.conv = BasicConv2d(channels, 128, 1, rng=rng)
        self.flatten = Flatten()
        self.fc1 = Linear(2048, 1024, rng=rng)
        self.relu = ReLU()
        self.dropout = Dropout(dropout)
        self.fc2 = Linear(1024, num_classes, rng=rng)

    def forward(self, x: Any) -> Any:
        x = self.flatten(self.conv(self.avgpool(x)))
        return self.fc2(self.dropout(run_chain([self.fc1, self.relu], x)))


class GoogLeNet(Module):
    """A stem, nine inception blocks, the average over the image, one dense layer; and two auxiliary classifiers.

    The names of the parameters are torchvision's.

    Arguments:
        num_classes: how many logits. aux_logits: whether there are auxiliary classifiers, which take part in training
            only. transform_input: x is standardized as for torchvision's other networks; its weights for this one want
            it in [-1, 1]. dropout: the probability before the dense layer. rng: draws the initial values.

    Input and output: x (N, 3, H, W), made for 224x224 -> (N, num_classes); in training with auxiliary classifiers
    `GoogLeNetOutputs` of three such, of which the paper adds the losses with the weights 1, 0.3 and 0.3.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        aux_logits: bool = True,
        transform_input: bool = False,
        dropout: float = 0.2,
        *,
        rng: Rng = None,
    ) -> None:
        self.aux_logits = aux_logits
        self.transform_input = transform_input
        self.conv1 = BasicConv2d(3, 64, 7, 2, rng=rng)  # (N, 3, 224, 224) -> (N, 64, 112, 112)
        self.maxpool1 = MaxPool2d(3, 2, ceil_mode=True)  # -> (N, 64, 56, 56)
        self.conv2 = BasicConv2d(64, 64, 1, rng=rng)
        self.conv3 = BasicConv2d(64, 192, 3, rng=rng)
        self.maxpool2 = MaxPool2d(3, 2, ceil_mode=True)  # -> (N, 192, 28, 28)
        self.inception3a = Inception(192, 64, (96, 128), (16, 32), 32, rng=rng)
        self.inception3b = Inception(256, 128, (128, 192), (32, 96), 64, rng=rng)
        self.maxpool3 = MaxPool2d(3, 2, ceil_mode=True)  # -> (N, 480, 14, 14)
        self.inception4a = Inception(480, 192, (96, 208), (16, 48), 64, rng=rng)
        self.inception4b = Inception(512, 160, (112, 224), (24, 64), 64, rng=rng)
        self.inception4c = Inception(512, 128, (128, 256), (24, 64), 64, rng=rng)
        self.inception4d = Inception(512, 112, (144, 288), (32, 64), 64, rng=rng)
        self.inception4e = Inception(528, 256, (160, 320), (32, 128), 128, rng=rng)
        self.maxpool4 = MaxPool2d(2, 2, ceil_mode=True)  # -> (N, 832, 7, 7)
        self.inception5a = Inception(832, 256, (160, 320), (32, 128), 128, rng=rng)
        self.inception5b = Inception(832, 384, (192, 384), (48, 128), 128, rng=rng)
        self.aux1 = InceptionAux(512, num_classes, rng=rng) if aux_logits else None
        self.aux2 = InceptionAux(528, num_classes, rng=rng) if aux_logits else None
        self.avgpool = AdaptiveAvgPool2d(1)
        self.flatten = Flatten()
        self.dropout = Dropout(dropout)
        self.fc = Linear(1024, num_classes, rng=rng)
        for _, layer in self.named_modules():
            if isinstance(layer, (Conv2d, Linear)):
                init.normal_(layer.weight, 0.0, 0.01, rng=rng)

    def forward(self, x: Any) -> Any:
        if self.transform_input:
            x = _in_minus_1_to_1(x)
        x = self.maxpool2(self.conv3(self.conv2(self.maxpool1(self.conv1(x)))))
        x = self.maxpool3(self.inception3b(self.inception3a(x)))
        middle1 = self.inception4a(x)
        middle2 = self.inception4d(self.inception4c(self.inception4b(middle1)))
        x = self.inception5b(self.inception5a(self.maxpool4(self.inception4e(middle2))))
        logits = self.fc(self.dropout(self.flatten(self.avgpool(x))))
        if not self.training or self.aux1 is None or self.aux2 is None:
            return logits
        return GoogLeNetOutputs(logits, self.aux2(middle2), self.aux1(middle1))


def _in_minus_1_to_1(x: Any) -> Any:
    """(p - mean) / std, with ImageNet's mean and std of each channel -> (p - 0.5) / 0.5, where p is in [0, 1]."""
    mean = np.array([0.485, 0.456, 0.406], x.dtype).reshape(3, 1, 1)
    std = np.array([0.229, 0.224, 0.225], x.dtype).reshape(3, 1, 1)
    return x * (std / 0.5) + (mean - 0.5) / 0.5


def googlenet(
    num_classes: int = 1000,
    *,
    aux_logits: bool = True,
    transform_input: bool = False,
    dropout: float = 0.2,
    rng: Rng = None,
) -> GoogLeNet:
    """GoogLeNet with batch norm: 13,004,888 parameters, or 6,624,904 without auxiliary classifiers.

    Arguments: as `GoogLeNet`. Those of torchvision's own weights are transform_input=True, and aux_logits=False if they
    come without the classifiers.

    Example:
        >>> import nn
        >>> model = nn.models.googlenet(aux_logits=False)
        >>> sum(p.size for p in model.parameters())
        6624904

    Source: Szegedy et al., "Going deeper with convolutions", 2015; torchvision's googlenet.
    """
    return GoogLeNet(num_classes, aux_logits, transform_input, dropout, rng=rng)
