"""ResNet: blocks that add what they compute to what came in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import tensorgraph as tg
from nn._fusion import run_chain
from nn.activation import ReLU
from nn.containers import Sequential
from nn.conv import Conv2d
from nn.linear import Linear
from nn.models.initial import draw_convolutions
from nn.module import Module
from nn.normalization import BatchNorm2d
from nn.pooling import AdaptiveAvgPool2d, MaxPool2d
from nn.shape import Flatten

if TYPE_CHECKING:
    Rng = np.random.Generator | None


def _conv(channels: int, width: int, size: int, stride: int, rng: Rng) -> Conv2d:
    """A convolution before a batch norm, which has the bias; it keeps H and W, or divides them by the stride."""
    return Conv2d(channels, width, size, stride, padding=size // 2, bias=False, rng=rng)


class BasicBlock(Module):
    """relu(x + conv 3x3, norm, relu, conv 3x3, norm): (N, channels, H, W) -> (N, width, H / stride, W / stride).

    Arguments:
        channels, width, stride: of the first convolution. downsample: what x goes through to be added; None if the
            shapes are the same.
    """

    expansion = 1  # output channels by width

    def __init__(
        self, channels: int, width: int, stride: int = 1, downsample: Module | None = None, *, rng: Rng = None
    ) -> None:
        self.conv1 = _conv(channels, width, 3, stride, rng)
        self.bn1 = BatchNorm2d(width)
        self.relu = ReLU()
        self.conv2 = _conv(width, width, 3, 1, rng)
        self.bn2 = BatchNorm2d(width)
        self.downsample = downsample

    def forward(self, x: Any) -> Any:
        out = run_chain([self.conv1, self.bn1, self.relu, self.conv2, self.bn2], x)
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(Module):
    """`BasicBlock` of conv 1x1, conv 3x3, conv 1x1, each with its norm: (N, channels, H, W) -> (N, 4 width, ...).

    The stride is that of the convolution 3x3, as in torchvision; in the paper the first one has it.
    """

    expansion = 4

    def __init__(
        self, channels: int, width: int, stride: int = 1, downsample: Module | None = None, *, rng: Rng = None
    ) -> None:
        self.conv1 = _conv(channels, width, 1, 1, rng)
        self.bn1 = BatchNorm2d(width)
        self.conv2 = _conv(width, width, 3, stride, rng)
        self.bn2 = BatchNorm2d(width)
        self.conv3 = _conv(width, 4 * width, 1, 1, rng)
        self.bn3 = BatchNorm2d(4 * width)
        self.relu = ReLU()
        self.downsample = downsample

    def forward(self, x: Any) -> Any:
        first = [self.conv1, self.bn1, self.relu, self.conv2, self.bn2, self.relu]
        out = run_chain([*first, self.conv3, self.bn3], x)
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


# --- for ImageNet ----------------------------------------------------------------------------------------------------


class ResNet(Module):
    """A stem, four stages of blocks, each with half the resolution and more channels, the average, one dense layer.

    The names of the parameters are torchvision's.

    Arguments:
        block: `BasicBlock` or `Bottleneck`. blocks: how many of them each stage has. num_classes: how many logits.
            rng: draws the initial values.

    Input and output: x (N, 3, H, W), made for 224x224 -> (N, num_classes).
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        blocks: tuple[int, int, int, int],
        num_classes: int = 1000,
        *,
        rng: Rng = None,
    ) -> None:
        self.conv1 = _conv(3, 64, 7, 2, rng)  # (N, 3, 224, 224) -> (N, 64, 112, 112)
        self.bn1 = BatchNorm2d(64)
        self.relu = ReLU()
        self.maxpool = MaxPool2d(3, 2, 1)  # -> (N, 64, 56, 56)
        grow = block.expansion
        self.layer1 = _stage(block, 64, 64, blocks[0], 1, rng)
        self.layer2 = _stage(block, 64 * grow, 128, blocks[1], 2, rng)
        self.layer3 = _stage(block, 128 * grow, 256, blocks[2], 2, rng)
        self.layer4 = _stage(block, 256 * grow, 512, blocks[3], 2, rng)  # -> (N, 512 grow, 7, 7)
        self.avgpool = AdaptiveAvgPool2d(1)
        self.flatten = Flatten()
        self.fc = Linear(512 * grow, num_classes, rng=rng)
        draw_convolutions(self, rng)

    def forward(self, x: Any) -> Any:
        x = run_chain([self.conv1, self.bn1, self.relu, self.maxpool], x)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.flatten(self.avgpool(x)))


def _stage(
    block: type[BasicBlock] | type[Bottleneck], channels: int, width: int, blocks: int, stride: int, rng: Rng
) -> Sequential:
    """Blocks, the first of which changes the number of channels and the resolution."""
    out = width * block.expansion
    same = stride == 1 and channels == out
    downsample = None if same else Sequential(_conv(channels, out, 1, stride, rng), BatchNorm2d(out))
    first = block(channels, width, stride, downsample, rng=rng)
    return Sequential(first, *(block(out, width, rng=rng) for _ in range(blocks - 1)))


def resnet18(num_classes: int = 1000, *, rng: Rng = None) -> ResNet:
    """ResNet with 17 convolutions and one dense layer: 11,689,512 parameters.

    Example:
        >>> import nn
        >>> nn.models.resnet18(num_classes=10).layer2[0].downsample[0].weight.shape
        (128, 64, 1, 1)

    Source: He, Zhang, Ren, Sun, "Deep residual learning for image recognition", 2016; names, strides and initial values
    as in torchvision.
    """
    return ResNet(BasicBlock, (2, 2, 2, 2), num_classes, rng=rng)


def resnet34(num_classes: int = 1000, *, rng: Rng = None) -> ResNet:
    """ResNet with 33 convolutions and one dense layer: 21,797,672 parameters. Source: as `resnet18`."""
    return ResNet(BasicBlock, (3, 4, 6, 3), num_classes, rng=rng)


def resnet50(num_classes: int = 1000, *, rng: Rng = None) -> ResNet:
    """ResNet of bottlenecks, 49 convolutions and one dense layer: 25,557,032 parameters. Source: as `resnet18`."""
    return ResNet(Bottleneck, (3, 4, 6, 3), num_classes, rng=rng)


def resnet101(num_classes: int = 1000, *, rng: Rng = None) -> ResNet:
    """ResNet of bottlenecks, 100 convolutions and one dense layer: 44,549,160 parameters. Source: as `resnet18`."""
    return ResNet(Bottleneck, (3, 4, 23, 3), num_classes, rng=rng)


def resnet152(num_classes: int = 1000, *, rng: Rng = None) -> ResNet:
    """ResNet of bottlenecks, 151 convolutions and one dense layer: 60,192,808 parameters. Source: as `resnet18`."""
    return ResNet(Bottleneck, (3, 8, 36, 3), num_classes, rng=rng)


# --- for CIFAR-10 ----------------------------------------------------------------------------------------------------


class Subsample(Module):
    """Every second row and column, and as many channels of zeros: (N, C, H, W) -> (N, 2 C, H / 2, W / 2).

    A shortcut without parameters, the paper's option A.
    """

    def forward(self, x: Any) -> Any:
        return tg.pad(x[:, :, ::2, ::2], ((0, 0), (0, x.shape[1]), (0, 0), (0, 0)))


class CifarResNet(Module):
    """A convolution, three stages of basic blocks with 16, 32 and 64 channels, the average, one dense layer.

    Arguments:
        blocks: how many of them each stage has. num_classes: how many logits. rng: draws the initial values.

    Input and output: x (N, 3, 32, 32) -> (N, num_classes).
    """

    def __init__(self, blocks: int, num_classes: int = 10, *, rng: Rng = None) -> None:
        self.conv1 = _conv(3, 16, 3, 1, rng)  # (N, 3, 32, 32) -> (N, 16, 32, 32)
        self.bn1 = BatchNorm2d(16)
        self.relu = ReLU()
        self.layer1 = Sequential(*(BasicBlock(16, 16, rng=rng) for _ in range(blocks)))
        self.layer2 = Sequential(  # -> (N, 32, 16, 16)
            BasicBlock(16, 32, 2, Subsample(), rng=rng), *(BasicBlock(32, 32, rng=rng) for _ in range(blocks - 1))
        )
        self.layer3 = Sequential(  # -> (N, 64, 8, 8)
            BasicBlock(32, 64, 2, Subsample(), rng=rng), *(BasicBlock(64, 64, rng=rng) for _ in range(blocks - 1))
        )
        self.avgpool = AdaptiveAvgPool2d(1)
        self.flatten = Flatten()
        self.fc = Linear(64, num_classes, rng=rng)
        draw_convolutions(self, rng)

    def forward(self, x: Any) -> Any:
        x = run_chain([self.conv1, self.bn1, self.relu], x)
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(self.flatten(self.avgpool(x)))


def resnet20(num_classes: int = 10, *, rng: Rng = None) -> CifarResNet:
    """ResNet for 32x32 colour images, with 19 convolutions and one dense layer: 269,722 parameters.

    Source: He, Zhang, Ren, Sun, "Deep residual learning for image recognition", 2016, section 4.2.
    """
    return CifarResNet(3, num_classes, rng=rng)
