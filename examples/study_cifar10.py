"""CIFAR-10: a narrow VGG with batch norm. The goal is 88 % in at most 45 minutes on two cores.

    python examples/study_cifar10.py           the JPEG copy of CIFAR-10 (cifar_jpeg.py says where it must be)
    python examples/study_cifar10.py --quick   two epochs on the digits that come with the library, made as large and as
                                               coloured as CIFAR's images: shows that all of it works

The network follows VGG's rules (3x3 convolutions with stride 1 and padding 1, 2x2 pooling and twice the channels after
it), with batch norm behind each convolution. Images are cropped and mirrored at random, and the learning rate goes
through one cycle. A checkpoint and pictures go to the folder of --out; after Ctrl-C the same command goes on where it
was stopped.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from cifar_jpeg import CLASSES, cifar10_jpeg

import nn
import tensorgraph as tg

EPOCHS, BATCH, RATE, WIDTH = 24, 128, 0.1, 48
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)  # of the training images, by channel


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("study_cifar10"), metavar="FOLDER")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    train: Any
    test: Any
    if options.quick:
        train, test = (coloured(part) for part in nn.data.mnist_mini())
        epochs, width, goal = 2, 8, 0.8
    else:
        train, test = cifar10_jpeg(train=True), cifar10_jpeg(train=False)
        epochs, width, goal = EPOCHS, WIDTH, 0.88

    trainer = trained(train, test, epochs, width, options.out)
    accuracies = trainer.history["val_accuracy"]
    minutes = np.cumsum(trainer.history.seconds) / 60
    early = accuracies[max(0, int(np.searchsorted(minutes, 10, side="right")) - 1)]
    print(
        f"{accuracies[-1]:.2%} of the test images after {minutes[-1]:.1f} minutes, goal {goal:.0%}; "
        f"{early:.2%} after the epochs of the first 10 minutes"
    )
    draw(trainer, test, options.out)
    assert accuracies[-1] >= goal


def vgg(width: int) -> nn.Sequential:
    """Seven convolutions in three stages, for ten classes."""
    layers: list[nn.Module] = []
    channels = 3  # (N, 3, 32, 32)
    for filters in (width, width, 0, 2 * width, 2 * width, 0, 4 * width, 4 * width, 4 * width, 0):
        if filters:
            layers += [nn.Conv2d(channels, filters, 3, padding=1, bias=False), nn.BatchNorm2d(filters), nn.ReLU()]
            channels = filters
        else:
            layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * 4 * 4, 10))


def trained(train: Any, test: Any, epochs: int, width: int, folder: Path) -> nn.Trainer:
    """Momentum, one cycle of the learning rate, augmented images."""
    tg.manual_seed(0)
    normalize = nn.data.normalize(MEAN, STD)
    augment: list[Any] = [nn.data.random_crop(padding=4, mode="reflect"), nn.data.random_flip(), normalize]
    loader = nn.data.DataLoader(train, BATCH, shuffle=True, rng=0, drop_last=True, transform=augment)
    model = vgg(width)
    optimizer = nn.optim.SGD(model.parameters(), lr=RATE, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = nn.optim.OneCycleLR(optimizer, max_lr=RATE, total_steps=epochs * len(loader))
    checkpoint = folder / "checkpoint.safetensors"
    trainer = nn.Trainer(
        model, optimizer, schedule=schedule, callbacks=[nn.training.Checkpoint(checkpoint, every_steps=100)]
    )
    trainer.fit(
        loader,
        validation=nn.data.DataLoader(test, 500, transform=normalize),
        epochs=epochs,
        resume=checkpoint if checkpoint.exists() else None,
    )
    return trainer


def coloured(part: tuple[Any, Any]) -> tuple[Any, Any]:
    """Grey images (N, 1, 28, 28) as (N, 3, 32, 32)."""
    images, classes = part
    return np.pad(images, ((0, 0), (0, 0), (2, 2), (2, 2))).repeat(3, axis=1), classes


def draw(trainer: nn.Trainer, test: Any, folder: Path) -> None:
    """The curves, and what is taken for what, as PNG."""
    images, classes = test[:]
    logits = trainer.predict(nn.data.normalize(MEAN, STD)(images), batch_size=500)
    matrix = nn.training.ConfusionMatrix(10)
    matrix.update(logits, classes)
    names = [str(digit) for digit in range(10)] if isinstance(test, tuple) else CLASSES
    pictures = {
        "curves": nn.pictures.curves(trainer.history),
        "confusion": nn.pictures.confusion_matrix(matrix.result(), names),
        "mistakes": nn.pictures.mistakes(images, classes, tg.softmax(logits, axis=1), names),
        "filters": nn.pictures.filters(trainer.model),
    }
    for name, figure in pictures.items():
        figure.savefig(folder / f"{name}.png")
    print(f"{len(pictures)} pictures in {folder}/: {', '.join(pictures)}")


if __name__ == "__main__":
    main()
