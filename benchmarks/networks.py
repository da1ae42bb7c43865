"""What the comparison trains: nine networks and ten convolution layers, each written once for both libraries.

A network is a function of `layers`, which is `nn` or `torch.nn`: names and arguments of the layers are the same.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import nn
import tensorgraph as tg
from by_hand import Perceptron
from timing import Seconds, mebibytes

Build = Callable[[Any], Any]

# --- the networks ----------------------------------------------------------------------------------------------------


def perceptron(layers: Any) -> Any:
    return layers.Sequential(
        layers.Flatten(),  # (N, 1, 28, 28) -> (N, 784)
        layers.Linear(784, 16),
        layers.ReLU(),
        layers.Linear(16, 16),
        layers.ReLU(),
        layers.Linear(16, 10),
    )


def numpy_cnn(layers: Any) -> Any:
    return layers.Sequential(
        layers.Conv2d(1, 8, 5),  # (N, 1, 28, 28) -> (N, 8, 24, 24)
        layers.ReLU(),
        layers.Conv2d(8, 8, 5),  # -> (N, 8, 20, 20)
        layers.ReLU(),
        layers.MaxPool2d(2),
        layers.Flatten(),
        layers.Linear(800, 128),
        layers.ReLU(),
        layers.Linear(128, 10),
    )


def student(layers: Any) -> Any:
    return layers.Sequential(
        layers.Conv2d(1, 20, 3),  # (N, 1, 28, 28) -> (N, 20, 26, 26)
        layers.LeakyReLU(),
        layers.MaxPool2d(2),
        layers.Flatten(),
        layers.Linear(3380, 20),
        layers.LeakyReLU(),
        layers.Linear(20, 10),
    )


def codelab(layers: Any) -> Any:
    return layers.Sequential(
        layers.Conv2d(1, 12, 3, padding=1),  # (N, 1, 28, 28) -> (N, 12, 28, 28)
        layers.ReLU(),
        layers.Conv2d(12, 24, 6, stride=2, padding=2),  # -> (N, 24, 14, 14)
        layers.ReLU(),
        layers.Conv2d(24, 32, 6, stride=2, padding=2),  # -> (N, 32, 7, 7)
        layers.ReLU(),
        layers.Flatten(),
        layers.Linear(1568, 200),
        layers.ReLU(),
        layers.Linear(200, 10),
    )


def keras_convnet(layers: Any) -> Any:
    return layers.Sequential(
        layers.Conv2d(1, 32, 3),  # (N, 1, 28, 28) -> (N, 32, 26, 26)
        layers.ReLU(),
        layers.MaxPool2d(2),
        layers.Conv2d(32, 64, 3),  # (N, 32, 13, 13) -> (N, 64, 11, 11)
        layers.ReLU(),
        layers.MaxPool2d(2),
        layers.Flatten(),
        layers.Dropout(0.5),
        layers.Linear(1600, 10),
    )


def lenet5(layers: Any) -> Any:
    return layers.Sequential(
        layers.Conv2d(1, 6, 5),  # (N, 1, 32, 32) -> (N, 6, 28, 28)
        layers.Tanh(),
        layers.AvgPool2d(2),
        layers.Conv2d(6, 16, 5),  # (N, 6, 14, 14) -> (N, 16, 10, 10)
        layers.Tanh(),
        layers.AvgPool2d(2),
        layers.Conv2d(16, 120, 5),  # (N, 16, 5, 5) -> (N, 120, 1, 1)
        layers.Tanh(),
        layers.Flatten(),
        layers.Linear(120, 84),
        layers.Tanh(),
        layers.Linear(84, 10),
    )


def resnet20(layers: Any) -> Any:
    def convolution(c: int, f: int, k: int, stride: int = 1) -> list[Any]:
        return [layers.Conv2d(c, f, k, stride=stride, padding=k // 2, bias=False), layers.BatchNorm2d(f)]

    def block(c: int, f: int, stride: int) -> Any:
        body = [*convolution(c, f, 3, stride), layers.ReLU(), *convolution(f, f, 3)]
        shortcut = [] if c == f else convolution(c, f, 1, stride)
        return residual(layers, layers.Sequential(*body), layers.Sequential(*shortcut))

    sizes = [(16, 16, 1)] * 3 + [(16, 32, 2)] + [(32, 32, 1)] * 2 + [(32, 64, 2)] + [(64, 64, 1)] * 2
    stem = [*convolution(3, 16, 3), layers.ReLU()]  # (N, 3, 32, 32) -> (N, 16, 32, 32)
    head = [layers.AdaptiveAvgPool2d(1), layers.Flatten(), layers.Linear(64, 10)]
    return layers.Sequential(*stem, *(block(*size) for size in sizes), *head)


def residual(layers: Any, body: Any, shortcut: Any) -> Any:
    """A module that computes relu(body(x) + shortcut(x))."""

    def forward(self: Any, x: Any) -> Any:
        return self.relu(self.body(x) + self.shortcut(x))

    block = type("Residual", (layers.Module,), {"forward": forward})()
    block.body, block.shortcut, block.relu = body, shortcut, layers.ReLU()
    return block


def vgg(layers: Any) -> Any:
    found, c = [], 3  # (N, 3, 32, 32)
    for f in (64, 64, 0, 128, 128, 0, 256, 256, 256, 0):
        found += [layers.Conv2d(c, f, 3, padding=1), layers.ReLU()] if f else [layers.MaxPool2d(2)]
        c = f or c
    return layers.Sequential(*found, layers.Flatten(), layers.Linear(4096, 10))


def alexnet(layers: Any) -> Any:
    return layers.Sequential(
        layers.Conv2d(3, 96, 11, stride=4),  # (N, 3, 227, 227) -> (N, 96, 55, 55)
        layers.ReLU(),
        layers.MaxPool2d(3, 2),
        layers.Conv2d(96, 256, 5, padding=2),  # (N, 96, 27, 27) -> (N, 256, 27, 27)
        layers.ReLU(),
        layers.MaxPool2d(3, 2),
        layers.Conv2d(256, 384, 3, padding=1),  # (N, 256, 13, 13) -> (N, 384, 13, 13)
        layers.ReLU(),
        layers.Conv2d(384, 384, 3, padding=1),
        layers.ReLU(),
        layers.Conv2d(384, 256, 3, padding=1),
        layers.ReLU(),
        layers.MaxPool2d(3, 2),
        layers.Flatten(),  # (N, 256, 6, 6) -> (N, 9216)
        layers.Linear(9216, 4096),
        layers.ReLU(),
        layers.Linear(4096, 4096),
        layers.ReLU(),
        layers.Linear(4096, 1000),
    )


class Network(NamedTuple):
    name: str
    batch: int
    image: tuple[int, int, int]  # (C, H, W)
    build: Build
    goal: float  # so many times as fast as PyTorch
    ours: str = ""  # in nn.models; where the library has the network, its own is measured
    classes: int = 10


NETWORKS = (
    Network("perceptron", 32, (1, 28, 28), perceptron, 4.5, "perceptron"),
    Network("numpy-cnn", 32, (1, 28, 28), numpy_cnn, 3.0, "numpy_cnn"),
    Network("student project", 100, (1, 28, 28), student, 5.0, "student_mnist"),
    Network("codelab", 128, (1, 28, 28), codelab, 1.5, "codelab_cnn"),
    Network("Keras convnet", 128, (1, 28, 28), keras_convnet, 4.0),
    Network("LeNet-5", 128, (1, 32, 32), lenet5, 2.5),
    Network("ResNet-20", 32, (3, 32, 32), resnet20, 1.6),
    Network("VGG", 16, (3, 32, 32), vgg, 2.2),
    Network("AlexNet", 8, (3, 227, 227), alexnet, 1.5, classes=1000),
)
BY_NAME = {network.name: network for network in NETWORKS}


class Layer(NamedTuple):
    """A convolution of N images of C x H x H with F filters of K x K."""

    n: int
    c: int
    h: int
    f: int
    k: int
    stride: int = 1
    padding: int = 0

    @property
    def name(self) -> str:
        steps = (f"/{self.stride}" if self.stride > 1 else "") + (f" p{self.padding}" if self.padding else "")
        return f"{self.n} x {self.c}x{self.h}x{self.h}, {self.f}@{self.k}x{self.k}{steps}"

    @property
    def gflop(self) -> float:
        """Multiplications and additions of the forward pass, in 10^9; both gradients together have twice as many."""
        size = (self.h + 2 * self.padding - self.k) // self.stride + 1
        return 2e-9 * self.n * self.f * size * size * self.c * self.k * self.k

    @property
    def goal(self) -> float:
        return 1.8 if (self.k, self.stride) == (3, 1) else 1.0


LAYERS = (
    Layer(128, 1, 28, 32, 3),
    Layer(128, 32, 13, 64, 3),
    Layer(128, 12, 28, 24, 6, 2, 2),
    Layer(32, 16, 32, 16, 3, 1, 1),
    Layer(16, 64, 32, 64, 3, 1, 1),
    Layer(16, 128, 16, 256, 3, 1, 1),
    Layer(16, 256, 8, 256, 3, 1, 1),
    Layer(8, 96, 27, 256, 5, 1, 2),
    Layer(8, 3, 227, 96, 11, 4),
    Layer(32, 64, 8, 64, 3, 1, 1),
)

# --- the libraries ---------------------------------------------------------------------------------------------------

OURS = "tensorgraph"
THEIRS = ("PyTorch", "PyTorch channels_last")
BY_HAND = "NumPy by hand"


class Library(NamedTuple):
    layers: Any
    optim: Any
    tensor: Callable[[Any], Any]
    place: Callable[[Any], Any]  # brings images or a model into the library's memory layout


def library(name: str) -> Library:
    if name == OURS:
        return Library(nn, nn.optim, tg.tensor, lambda x: x)
    import torch

    layout = torch.channels_last if name.endswith("channels_last") else torch.contiguous_format
    return Library(torch.nn, torch.optim, torch.tensor, lambda x: x.to(memory_format=layout))


class Training:
    """A network in a library, its optimizer, and one batch of noise."""

    def __init__(self, network: Network, name: str, batch: int = 0) -> None:
        layers, optim, tensor, place = library(name)
        rng = np.random.default_rng(0)
        shape = (batch or network.batch, *network.image)
        self.images = place(tensor(rng.random(shape, dtype=np.float32)))
        self.labels = tensor(rng.integers(0, network.classes, shape[0]))
        own = getattr(nn.models, network.ours, None) if name == OURS and network.ours else None
        self.model = place(own() if own else network.build(layers))
        self.optimizer = optim.SGD(self.model.parameters(), lr=0.01, momentum=0.9)
        self.loss = layers.CrossEntropyLoss()

    def step(self) -> Seconds:
        start = time.perf_counter()
        self._step()
        return (time.perf_counter() - start,)

    def _step(self) -> Any:
        self.optimizer.zero_grad()
        loss = self.loss(self.model(self.images), self.labels)
        loss.backward()
        self.optimizer.step()
        return loss

    def losses(self, n: int) -> list[float]:
        """The losses of n steps without dropout."""
        for _, module in self.model.named_modules():
            if type(module).__name__ == "Dropout":
                module.eval()
        found = [self._step().item() for _ in range(n)]
        self.model.train()
        return found


def trainings(network: Network, names: tuple[str, ...], batch: int = 0) -> dict[str, Training]:
    """The same network in each library, with the same weights. Raises ArithmeticError if they do not train alike."""
    found = {name: Training(network, name, batch) for name in names}
    first, *others = found.values()
    weights = [p.detach().numpy() for p in first.model.parameters()]
    for other in others:
        for p, weight in zip(other.model.parameters(), weights, strict=True):
            p.data.copy_(library(THEIRS[0]).tensor(weight))
    losses = {name: training.losses(2) for name, training in found.items()}
    for tolerance, alike in zip((1e-4, 1e-3), zip(*losses.values(), strict=True), strict=True):
        if not all(math.isclose(loss, alike[0], rel_tol=tolerance) for loss in alike):
            raise ArithmeticError(f"{network.name}: the first losses differ: {losses}")
    return found


def by_hand(training: Training) -> Perceptron:
    """Our perceptron's training from here on, without its momentum, by hand."""
    parameters = [p.detach().numpy() for p in training.model.parameters()]
    return Perceptron(parameters, training.images.numpy(), training.labels.numpy())


class Convolution:
    """A convolution layer in a library, and what it is called with."""

    def __init__(self, layer: Layer, name: str) -> None:
        layers, _, tensor, place = library(name)
        rng = np.random.default_rng(0)
        n, c, h, f, k, stride, padding = layer
        self.layer = place(layers.Conv2d(c, f, k, stride=stride, padding=padding))
        self.x = place(tensor(rng.random((n, c, h, h), dtype=np.float32)))
        self.x.requires_grad = True
        self.upstream = place(tensor(rng.random(self.layer(self.x).shape, dtype=np.float32)))

    def step(self) -> Seconds:
        """Seconds of the forward pass, and of both gradients."""
        start = time.perf_counter()
        out = self.layer(self.x)
        middle = time.perf_counter()
        out.backward(self.upstream)
        end = time.perf_counter()
        for t in (self.x, self.layer.weight, self.layer.bias):
            t.grad = None
        return middle - start, end - middle


def step_on(kind: str, network: str, batch: int, seconds: float, threads: int) -> str:
    """Code for a new process that prints [seconds of a training step] on these kernels, which are chosen at import."""
    return (
        f"import os; os.environ['TENSORGRAPH_KERNELS'] = {kind!r}; import networks, timing; "
        f"networks.tg.set_num_threads({threads}); "
        f"training = networks.Training(networks.BY_NAME[{network!r}], networks.OURS, {batch}); "
        f"print(list(timing.turn(training.step, {seconds})()))"
    )


def peak_memory(network: str, name: str, batch: int) -> float:
    """MiB that three steps need at most, model and images included, above what this process has by now."""
    library(name)
    before = mebibytes("VmRSS")
    training = Training(BY_NAME[network], name, batch)
    for _ in range(3):
        training.step()
    return mebibytes("VmHWM") - before
