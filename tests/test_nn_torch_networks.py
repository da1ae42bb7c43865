"""The networks of the course that torchvision has not, against the same in PyTorch, built here from their papers."""

from collections import OrderedDict

import numpy as np
import pytest

import nn

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from against_torch import compare, doubled, images, through_files  # noqa: E402 (needs PyTorch)
from torch.nn import (  # noqa: E402
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    LeakyReLU,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    ReLU,
    Sequential,
    Tanh,
)


def classifier(features, *dense):
    head = dense[0] if len(dense) == 1 else Sequential(*dense)
    return Sequential(OrderedDict(features=Sequential(*features), flatten=Flatten(), classifier=head))


def numpy_cnn():
    features = [Conv2d(1, 8, 5), ReLU(), Conv2d(8, 8, 5), ReLU(), MaxPool2d(2)]
    return classifier(features, Linear(800, 128), ReLU(), Linear(128, 10))


def student_mnist(pool=MaxPool2d):
    return classifier([Conv2d(1, 20, 3), LeakyReLU(), pool(2)], Linear(3380, 20), LeakyReLU(), Linear(20, 10))


def student_cifar():
    return classifier([Conv2d(3, 6, 4), LeakyReLU(), MaxPool2d(2)], Linear(1176, 10))


def perceptron():
    return Sequential(Flatten(), Linear(784, 16), ReLU(), Linear(16, 16), ReLU(), Linear(16, 10))


def codelab_cnn():
    """Of TensorFlow, whose "same" with a stride adds half of what is missing on each side: here 2 and 2."""
    first, second = Conv2d(1, 12, 3, padding=1), Conv2d(12, 24, 6, stride=2, padding=2)
    features = [first, ReLU(), second, ReLU(), Conv2d(24, 32, 6, stride=2, padding=2), ReLU()]
    return classifier(features, Linear(1568, 200), ReLU(), Linear(200, 10))


def keras_convnet():
    features = [Conv2d(1, 32, 3), ReLU(), MaxPool2d(2), Conv2d(32, 64, 3), ReLU(), MaxPool2d(2)]
    return classifier(features, Dropout(0.5), Linear(1600, 10))


def lenet5(image_size=32):
    features = [Conv2d(1, 6, 5, padding=(32 - image_size) // 2), Tanh(), AvgPool2d(2)]
    features += [Conv2d(6, 16, 5), Tanh(), AvgPool2d(2), Conv2d(16, 120, 5), Tanh()]
    return classifier(features, Linear(120, 84), Tanh(), Linear(84, 10))


def alexnet():
    def norm():
        return LocalResponseNorm(5, alpha=5 * 1e-4, beta=0.75, k=2)  # the paper's alpha is not divided by the size

    features = [Conv2d(3, 96, 11, stride=4), ReLU(), norm(), MaxPool2d(3, 2)]
    features += [Conv2d(96, 256, 5, padding=2), ReLU(), norm(), MaxPool2d(3, 2)]
    for channels, width in [(256, 384), (384, 384), (384, 256)]:
        features += [Conv2d(channels, width, 3, padding=1), ReLU()]
    dense = [Dropout(), Linear(9216, 4096), ReLU(), Dropout(), Linear(4096, 4096), ReLU(), Linear(4096, 10)]
    return classifier([*features, MaxPool2d(3, 2)], *dense)


class Block(torch.nn.Module):
    """Of ResNet for CIFAR-10: with stride 2, the shortcut takes every second pixel and adds channels of zeros."""

    def __init__(self, channels, width):
        super().__init__()
        self.stride = width // channels
        self.conv1 = Conv2d(channels, width, 3, stride=self.stride, padding=1, bias=False)
        self.bn1 = BatchNorm2d(width)
        self.conv2 = Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = BatchNorm2d(width)

    def forward(self, x):
        out = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        shortcut = x[:, :, :: self.stride, :: self.stride]
        zeros = shortcut.new_zeros(out.shape[0], out.shape[1] - x.shape[1], *out.shape[2:])
        return torch.relu(out + torch.cat([shortcut, zeros], dim=1))


class ResNet20(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = BatchNorm2d(16)
        self.layer1 = Sequential(Block(16, 16), Block(16, 16), Block(16, 16))
        self.layer2 = Sequential(Block(16, 32), Block(32, 32), Block(32, 32))
        self.layer3 = Sequential(Block(32, 64), Block(64, 64), Block(64, 64))
        self.fc = Linear(64, 10)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(torch.relu(self.bn1(self.conv1(x))))))
        return self.fc(x.mean(dim=(2, 3)))


NETWORKS = {  # ours, PyTorch's, channels and size of the images
    "numpy_cnn": (nn.models.numpy_cnn, numpy_cnn, 1, 28),
    "student_mnist": (nn.models.student_mnist, student_mnist, 1, 28),
    "student_mnist, avg": (lambda: nn.models.student_mnist("avg"), lambda: student_mnist(AvgPool2d), 1, 28),
    "student_cifar": (nn.models.student_cifar, student_cifar, 3, 32),
    "perceptron": (nn.models.perceptron, perceptron, 1, 28),
    "codelab_cnn": (nn.models.codelab_cnn, codelab_cnn, 1, 28),
    "keras_convnet": (nn.models.keras_convnet, keras_convnet, 1, 28),
    "lenet5": (nn.models.lenet5, lenet5, 1, 32),
    "lenet5, 28": (lambda: nn.models.lenet5(image_size=28), lambda: lenet5(28), 1, 28),
    "alexnet": (lambda: nn.models.alexnet(num_classes=10), alexnet, 3, 227),
    "resnet20": (nn.models.resnet20, ResNet20, 3, 32),
}
every_network = pytest.mark.parametrize("name", NETWORKS)


def networks(name):
    """Ours and PyTorch's, with weights of PyTorch and statistics of their own, and two images."""
    ours, theirs, channels, size = NETWORKS[name]
    torch.manual_seed(0)
    theirs = theirs()
    for module in theirs.modules():
        if isinstance(module, BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.5, 1)
    return ours(), theirs, images(channels, size)


@every_network
def test_outputs_and_gradients_are_pytorchs(name, tmp_path):
    ours, theirs, x = networks(name)
    through_files(ours, theirs, tmp_path)
    compare(ours, theirs, x, 1e-4)


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "alexnet"])  # it is large
def test_in_double_precision_they_are_the_same(name, tmp_path):
    ours, theirs, x = networks(name)
    through_files(ours, theirs, tmp_path)
    compare(*doubled(ours, theirs), x.astype(np.float64), 1e-11)


@pytest.mark.parametrize("name", ["alexnet", "resnet20", "lenet5"])
def test_pytorch_reads_what_we_save(name, tmp_path, seeded):
    safetensors = pytest.importorskip("safetensors.torch", reason="safetensors is not installed")
    seeded(0)  # for the weights, ours here: whether a ReLU is so near 0 that rounding turns it must be no chance
    ours, theirs, x = networks(name)
    path = tmp_path / "weights.safetensors"
    nn.save(path, ours.state_dict())
    theirs.load_state_dict(safetensors.load_file(path))
    compare(ours, theirs, x, 1e-4)
    safetensors.save_file(theirs.state_dict(), path)
    again = NETWORKS[name][0]()
    nn.load_state_dict_file(again, path)
    path.unlink()
    for key, value in again.state_dict().items():
        np.testing.assert_array_equal(value, theirs.state_dict()[key].numpy())


@pytest.mark.parametrize("kind", ["dtypes", "checkpoint", "views"])
def test_files_that_pytorch_writes(kind, tmp_path):
    """Not of networks: types, views and what else is in a checkpoint."""
    path = tmp_path / "file.pt"
    base = torch.arange(12.0).reshape(3, 4)
    states = {
        "dtypes": {f"t{i}": base.to(dtype) for i, dtype in enumerate([torch.float16, torch.bfloat16, torch.float64])},
        "checkpoint": {"w": torch.nn.Parameter(base), "half": base[:, 0].half()},
        "views": {
            "t": base.T,
            "part": base[1:, 1::2],
            "wide": base[:1].expand(5, 4),
            "zero": base[0, 0],
            "none": base[:0],
        },
    }
    state = states[kind]
    if kind == "checkpoint":
        optimizer = torch.optim.Adam([torch.nn.Parameter(base)])
        torch.save({"state_dict": state, "optimizer": optimizer.state_dict(), "epoch": 3, "best": None}, path)
    else:
        torch.save(state, path)
    model = nn.Sequential()
    for key, value in state.items():
        setattr(model, key, nn.Parameter(np.zeros(value.shape, np.float64 if kind == "dtypes" else np.float32)))
    assert nn.load_state_dict_file(model, path).matched == list(state)
    for key, value in state.items():
        np.testing.assert_array_equal(model.state_dict()[key], value.detach().double().numpy())


def test_older_files_and_whole_models_are_refused(tmp_path):
    path, model = tmp_path / "file.pt", torch.nn.Linear(2, 3)
    torch.save(model.state_dict(), path, _use_new_zipfile_serialization=False)
    with pytest.raises(nn.FileFormatError, match=r"before 1\.6, which is not read; convert it"):
        nn.load_state_dict_file(nn.Linear(2, 3), path)
    torch.save(model, path)
    with pytest.raises(nn.FileFormatError, match=r"it wants to use torch\.nn\.modules\.linear\.Linear, and is not"):
        nn.load_state_dict_file(nn.Linear(2, 3), path)
