"""Pictures: a neuron, the toy CNN, LeNet on a handwritten digit, ResNet-18 folded, shared weights, an error.

python examples/gallery.py folder     writes an SVG for each into the folder; docs/gallery.md shows them
python examples/gallery.py --quick    writes them nowhere
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import nn
import tensorgraph as tg


def learned(graph: tg.Graph) -> int:
    """How many numbers the parameters of a graph hold."""
    return sum(np.size(node.value) for node in graph.nodes if node.op == "parameter" and node.value is not None)


def neuron() -> tg.Graph:
    """The course's W1, two inputs and a sigmoid."""
    x1, x2 = tg.tensor(-1.0, name="x1"), tg.tensor(-2.0, name="x2")
    w1 = tg.tensor(2.0, requires_grad=True, name="w1")
    w2 = tg.tensor(-3.0, requires_grad=True, name="w2")
    b = tg.tensor(-3.0, requires_grad=True, name="b")
    graph = tg.draw(tg.sigmoid(x1 * w1 + x2 * w2 + b))
    gradients = np.array([node.grad for node in graph.nodes if node.op == "parameter"])
    np.testing.assert_allclose(gradients, [-0.196612, -0.393224, 0.196612], atol=1e-6)
    return graph


def toy_cnn() -> tg.Graph:
    """The course's W3, a whole CNN on a 3x3 image."""
    net = nn.Sequential(
        {
            "conv": nn.Conv2d(1, 1, kernel_size=2),
            "relu1": nn.ReLU(),
            "flatten": nn.Flatten(),
            "hidden": nn.Linear(4, 2),
            "relu2": nn.ReLU(),
            "output": nn.Linear(2, 2),
        }
    )
    weights = {
        "conv.weight": [[[[0.9, 0.1], [0.1, 0.9]]]],
        "conv.bias": [0.1],
        "hidden.weight": [[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8]],
        "hidden.bias": [0.2, 0.2],
        "output.weight": [[0.1, 0.2], [0.3, 0.4]],
        "output.bias": [0.3, 0.3],
    }
    net.load_state_dict({name: np.array(value) for name, value in weights.items()})
    image = tg.tensor([[[[1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 1.0]]]], requires_grad=True, name="image")
    graph = tg.draw(nn.CrossEntropyLoss()(net(image), [0]))
    grads = {node.name: node.grad for node in graph.nodes}
    np.testing.assert_allclose(np.asarray(grads["conv.weight"]), np.full((1, 1, 2, 2), 0.253858), atol=1e-6)
    return graph


def lenet() -> tg.Graph:
    """LeNet-5 on the first of the handwritten digits, before it has learned anything."""
    tg.manual_seed(0)
    net = nn.Sequential(
        {
            "conv1": nn.Conv2d(1, 6, 5, padding=2),
            "tanh1": nn.Tanh(),
            "pool1": nn.AvgPool2d(2),
            "conv2": nn.Conv2d(6, 16, 5),
            "tanh2": nn.Tanh(),
            "pool2": nn.AvgPool2d(2),
            "flatten": nn.Flatten(),
            "fc1": nn.Linear(400, 120),
            "tanh3": nn.Tanh(),
            "fc2": nn.Linear(120, 84),
            "tanh4": nn.Tanh(),
            "fc3": nn.Linear(84, 10),
        }
    )
    (images, labels), _ = nn.data.mnist_mini()
    digit = tg.tensor(images[:1], requires_grad=True, name="digit")  # (1, 1, 28, 28)
    graph = tg.draw(nn.CrossEntropyLoss()(net(digit), labels[:1]))
    assert learned(graph) == 61_706
    assert len(graph.nodes) == 25
    return graph


class Block(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride=stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: tg.Tensor) -> tg.Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


def resnet() -> tg.Graph:
    """ResNet-18: four stages of two blocks, in a picture of one page."""
    tg.manual_seed(0)
    stem = nn.Sequential(
        nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1),
    )
    stages = {}
    for i, channels in enumerate((64, 128, 256, 512), 1):
        first = Block(channels if i == 1 else channels // 2, channels, stride=1 if i == 1 else 2)
        stages[f"stage{i}"] = nn.Sequential(first, Block(channels, channels, stride=1))
    net = nn.Sequential(
        {"stem": stem, **stages, "pool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten(), "fc": nn.Linear(512, 1000)}
    )
    image = tg.tensor(np.linspace(-1, 1, 3 * 64 * 64, dtype=np.float32).reshape(1, 3, 64, 64), name="image")
    graph = tg.draw(nn.CrossEntropyLoss()(net(image), [3]), depth=1)
    assert learned(graph) == 11_689_512
    assert sum(node.op == "add" for node in graph.nodes) == 8  # where the shortcuts come back
    return graph


def shared() -> tg.Graph:
    """A recurrent cell that runs three times: the gradients of its weights are sums."""
    w, u = tg.tensor(0.5, requires_grad=True, name="w"), tg.tensor(2.0, requires_grad=True, name="u")
    h = tg.tensor(0.0, name="h0")
    for step, x in enumerate((1.0, -1.0, 0.5), 1):
        h = tg.tanh(w * h + u * x)
        h.name = f"h{step}"
    graph = tg.draw(h)
    assert sum(node.op == "copy" for node in graph.nodes) == 2  # of w and of u
    return graph


def failure() -> tg.Graph:
    """A network whose last layer does not fit, up to the call that failed."""
    tg.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(5, 2))
    try:
        net(tg.tensor([[1.0, 2.0, 3.0]], name="x"))
    except tg.ShapeError as error:
        graph: tg.Graph = error.graph  # type: ignore[attr-defined]
        assert graph.output.error is not None
        return graph
    raise AssertionError("a layer for 5 features took 4")


PICTURES = (neuron, toy_cnn, lenet, resnet, shared, failure)


def main(folder: Path) -> None:
    for picture in PICTURES:
        path = folder / f"{picture.__name__}.svg"
        picture().save(path)
        print(f"{path.name}: {path.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    if sys.argv[1:] == ["--quick"]:
        with TemporaryDirectory() as nowhere:
            main(Path(nowhere))
    elif len(sys.argv) == 2:
        main(Path(sys.argv[1]))
    else:
        sys.exit(__doc__)
