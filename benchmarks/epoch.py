"""An epoch of the Keras convnet on MNIST, 469 batches of 128 images, beside PyTorch's.

    python benchmarks/epoch.py [--quick] [--threads 2]

Both go through the same images in the same order, from the same weights, and take turns in one process, an epoch each;
gathering the images of a batch is part of it. `nn.data.MNIST` says where the images are looked for; --quick takes some
of those that come with the library. Without PyTorch only our figures are printed.
"""

import argparse
import importlib
import importlib.util
import time
from functools import partial

import numpy as np

import networks
import nn
import report
import timing
from networks import BY_NAME, OURS, THEIRS

NETWORK = BY_NAME["Keras convnet"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two batches and one round, to see that it works")
    parser.add_argument("--threads", type=int, help="for everybody (2; with --quick 1: the machine may be busy)")
    options = parser.parse_args()
    threads = options.threads or (1 if options.quick else 2)
    timing.use_threads(threads)
    names = (OURS, *THEIRS) if importlib.util.find_spec("torch") else (OURS,)
    if len(names) > 1:
        importlib.import_module("torch").set_num_threads(threads)
    images, labels = nn.data.mnist_mini()[0] if options.quick else nn.data.MNIST()[:]
    images, labels = (images[:256], labels[:256]) if options.quick else (images, labels)
    trainings = networks.trainings(NETWORK, names)
    epochs = {name: partial(epoch, name, training, images, labels) for name, training in trainings.items()}
    times, others = timing.watched(epochs, 1 if options.quick else 5)
    print(report.facts(timing.facts(threads)))
    for name, seconds in times.items():
        line = f"{name}: {timing.medians(seconds)[0]:.2f} s an epoch of {len(labels):,} images"
        if name != OURS:
            found = timing.ratio(seconds, times[OURS])
            line += f"; ours is {found['median']:.2f} times as fast ({found['low']:.2f} to {found['high']:.2f})"
        print(line)
    print(f"other programs used {others:.2f} cores meanwhile")


def epoch(name: str, training: networks.Training, images: np.ndarray, labels: np.ndarray) -> timing.Seconds:
    """Seconds of an epoch."""
    library = networks.library(name)
    order = np.random.default_rng(0).permutation(len(labels))
    start = time.perf_counter()
    for first in range(0, len(order), NETWORK.batch):
        chosen = order[first : first + NETWORK.batch]
        training.images = library.place(library.tensor(images[chosen]))
        training.labels = library.tensor(labels[chosen])
        training.step()
    return (time.perf_counter() - start,)


if __name__ == "__main__":
    main()
