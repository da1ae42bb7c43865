"""Networks that several tests look at."""

import nn
import tensorgraph as tg


def lenet(rng=None):
    """LeNet-5 with C5 as a convolution, for 28x28 images."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2, rng=rng),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5, rng=rng),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Conv2d(16, 120, 5, rng=rng),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(120, 84, rng=rng),
        nn.Tanh(),
        nn.Linear(84, 10, rng=rng),
    )


class BasicBlock(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, channels_in, channels, stride):
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = None
        if stride != 1 or channels_in != channels:
            shortcut = nn.Conv2d(channels_in, channels, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(channels))

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """Four stages of basic blocks; ResNet-18 has two blocks in each and 64 channels in the first."""

    def __init__(self, blocks=(2, 2, 2, 2), width=64, classes=1000):
        self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        channels = width
        for stage, count in enumerate(blocks):
            wide = width * 2**stage
            layers = []
            for i in range(count):
                layers.append(BasicBlock(channels, wide, 2 if stage and i == 0 else 1))
                channels = wide
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layers))
        self.stages = len(blocks)
        self.avgpool, self.flatten, self.fc = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for stage in range(self.stages):
            x = getattr(self, f"layer{stage + 1}")(x)
        return self.fc(self.flatten(self.avgpool(x)))


def neuron():
    """The course's W1: every value, and the output."""
    x1, x2 = (tg.tensor(x, dtype="float64", name=name) for name, x in (("x1", -1.0), ("x2", -2.0)))
    w1, w2, b = (
        tg.tensor(x, dtype="float64", requires_grad=True, name=name)
        for name, x in (("w1", 2.0), ("w2", -3.0), ("b", -3.0))
    )
    z = x1 * w1 + x2 * w2 + b
    z.name = "z"
    return tg.sigmoid(z)
