"""The grids of the course's student project, in minutes where they took hours.

    python examples/study_student.py           600 and 6,000 MNIST images, 500 CIFAR-10 images: 357 trainings
    python examples/study_student.py --quick   a corner of one grid on the digits that come with the library

`nn.data.MNIST` says where the images are looked for, cifar_jpeg.py where the JPEG copy of CIFAR-10 must be. The project
trained a network of one convolution and two dense layers, written in NumPy by hand, for each pair of a learning
rate and a strength of the L2 penalty. Here each pair is trained for the three activations and both poolings, and then
the number of filters and hidden neurons is varied. Heat maps of the accuracies in training and validation go to the
folder of --out.
"""

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from cifar_jpeg import cifar10_jpeg

import nn
import tensorgraph as tg

RATES = (1e-4, 1e-3, 1e-2, 1e-1, 1e0)
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1e0)
FILTERS = (5, 10, 20, 40)
HIDDEN = (10, 20, 50, 100)
ACTIVATIONS: dict[str, type[nn.Module]] = {"sigmoid": nn.Sigmoid, "ReLU": nn.ReLU, "leaky ReLU": nn.LeakyReLU}
POOLINGS: dict[str, type[nn.MaxPool2d] | type[nn.AvgPool2d]] = {"max": nn.MaxPool2d, "average": nn.AvgPool2d}
STEPS = 1200  # of each training


class Setting(NamedTuple):
    """One training. It is the same whenever and wherever it runs."""

    data: str  # "digits", "MNIST" or "CIFAR-10"
    images: int
    rate: float
    penalty: float
    activation: str = "leaky ReLU"
    pooling: str = "max"
    filters: int = 20
    hidden: int = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("study_student"), metavar="FOLDER")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with ProcessPoolExecutor(initializer=tg.set_num_threads, initargs=(1,)) as processes:
        study = Study(processes, options.out)
        if options.quick:
            study.rates_and_penalties("digits", 300, "leaky ReLU", "max", rates=(1e-4, 1e-2), penalties=(1e-4, 1e0))
            assert study.best["digits", 300].validation > 0.6
        else:
            whole(study)
    print(f"{study.trainings} trainings, {time.monotonic() - started:.0f} s")


def whole(study: "Study") -> None:
    """Everything that the project has studied, and what it could not."""
    for images in (600, 6000):
        for activation in ACTIVATIONS:
            for pooling in POOLINGS:
                study.rates_and_penalties("MNIST", images, activation, pooling)
        study.filters_and_hidden("MNIST", images)
    study.rates_and_penalties("CIFAR-10", 500, "leaky ReLU", "max")
    assert study.best["MNIST", 600].validation >= 0.87
    assert study.best["MNIST", 6000].validation >= 0.94
    assert study.best["CIFAR-10", 500].validation >= 0.25


class Result(NamedTuple):
    training: float  # accuracy
    validation: float
    setting: Setting


class Study:
    """Grids of trainings, in as many processes as there are cores, and their pictures."""

    def __init__(self, processes: ProcessPoolExecutor, folder: Path) -> None:
        self.processes, self.folder = processes, folder
        self.trainings = 0
        self.best: dict[tuple[str, int], Result] = {}

    def rates_and_penalties(
        self,
        data: str,
        images: int,
        activation: str,
        pooling: str,
        rates: tuple[float, ...] = RATES,
        penalties: tuple[float, ...] = PENALTIES,
    ) -> None:
        """A row of the grid for each penalty, a column for each learning rate."""
        rows = [[Setting(data, images, rate, penalty, activation, pooling) for rate in rates] for penalty in penalties]
        self._grid(f"{images} {data} images, {activation}, {pooling} pooling", rows, "L2 strength", "learning rate")

    def filters_and_hidden(self, data: str, images: int) -> None:
        """A row for each number of hidden neurons, a column for each number of filters, at the best setting so far."""
        best = self.best[data, images].setting
        rows = [[best._replace(filters=filters, hidden=hidden) for filters in FILTERS] for hidden in HIDDEN]
        self._grid(f"{images} {data} images, filters and hidden neurons", rows, "hidden neurons", "filters")

    def _grid(self, title: str, rows: list[list[Setting]], down: str, across: str) -> None:
        started = time.monotonic()
        settings = [setting for row in rows for setting in row]
        found = list(self.processes.map(train, settings))
        self.trainings += len(found)
        best = max(found, key=lambda result: result.validation)
        key = best.setting.data, best.setting.images
        self.best[key] = max(best, self.best.get(key, best), key=lambda result: result.validation)
        names = {"L2 strength": "penalty", "learning rate": "rate", "hidden neurons": "hidden", "filters": "filters"}
        print(
            f"{title}: best {best.validation:.1%} in validation, {best.training:.1%} in training, "
            f"{across} {getattr(best.setting, names[across]):g}, {down} {getattr(best.setting, names[down]):g}; "
            f"{len(found)} trainings in {time.monotonic() - started:.0f} s",
            flush=True,
        )
        shape = len(rows), len(rows[0])
        figure = nn.pictures.heat_map(
            {
                "training": np.reshape([result.training for result in found], shape),
                "validation": np.reshape([result.validation for result in found], shape),
            },
            rows=[f"{getattr(row[0], names[down]):g}" for row in rows],
            columns=[f"{getattr(setting, names[across]):g}" for setting in rows[0]],
            row_label=down,
            column_label=across,
            title=title,
        )
        figure.savefig(self.folder / (title.replace(",", "").replace(" ", "_") + ".png"))


def train(setting: Setting) -> Result:
    """Plain gradient descent on a few images; what diverges stays at chance."""
    (x, y), validation = examples(setting.data)
    x, y = x[: setting.images], y[: setting.images]
    model = network(setting)
    optimizer = nn.optim.SGD(model.parameters(), lr=setting.rate, weight_decay=setting.penalty)
    trainer = nn.Trainer(model, optimizer, seed=0, show="quiet")
    batch = 10 if setting.images < 2000 else 50
    try:
        trainer.fit((x, y), epochs=max(1, STEPS * batch // setting.images), batch_size=batch)
    except FloatingPointError:
        return Result(0.1, 0.1, setting)
    training, held_out = (trainer.evaluate(part, batch_size=500)["accuracy"] for part in ((x, y), validation))
    return Result(training, held_out, setting)


def network(setting: Setting) -> nn.Module:
    """One convolution, pooling and, on digits, a hidden layer, as in `nn.models.student_mnist` and `student_cifar`."""
    rng = np.random.default_rng(0)
    activation, pooling = ACTIVATIONS[setting.activation], POOLINGS[setting.pooling]
    if setting.data == "CIFAR-10":
        return nn.models.student_cifar(rng=rng)
    return nn.Sequential(
        nn.Conv2d(1, setting.filters, 3, rng=rng),  # (N, 1, 28, 28) -> (N, filters, 26, 26)
        activation(),
        pooling(2),  # -> (N, filters, 13, 13)
        nn.Flatten(),
        nn.Linear(setting.filters * 13 * 13, setting.hidden, rng=rng),
        activation(),
        nn.Linear(setting.hidden, 10, rng=rng),
    )


@cache  # once a process
def examples(data: str) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """6,000 examples for training, and the 2,000 after them for validation: test images are not there to choose by."""
    if data == "digits":
        return nn.data.mnist_mini()
    read: Any = cifar10_jpeg if data == "CIFAR-10" else nn.data.MNIST
    images = read(train=True)
    return images[:6000], images[6000:8000]


if __name__ == "__main__":
    main()
