"""Handwritten digits, and clothes in the same format."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from nn._checks import flag
from nn.data.download import Remote
from nn.data.folders import Place
from nn.data.idx import idx_header, read_idx
from nn.data.images import ImageSet, checked_labels, in_zero_to_one
from nn.serialization import FileFormatError

Array = np.ndarray[Any, np.dtype[Any]]
_FILES = tuple(f"{part}-{what}-ubyte" for part in ("train", "t10k") for what in ("images-idx3", "labels-idx1"))


def mnist_mini() -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """The handwritten digits that come with the library: a part of MNIST, as many of each class.

    Returns:
        (x_train, y_train), (x_test, y_test) with 5,000 and 1,000 images. x: (N, 1, 28, 28), float32 in [0, 1], 0 the
        paper and 1 the ink; y: (N,), int64, the digits.

    Example:
        >>> import nn
        >>> (x_train, y_train), (x_test, y_test) = nn.data.mnist_mini()
        >>> x_train.shape, y_test.shape
        ((5000, 1, 28, 28), (1000,))

    Source: LeCun, Cortes, Burges, MNIST; licence in MNIST-LICENSE.md beside the file.
    """
    with np.load(os.path.join(os.path.dirname(__file__), "mnist_mini.npz"), allow_pickle=False) as file:
        x_train, y_train, x_test, y_test = (file[name] for name in ("x_train", "y_train", "x_test", "y_test"))
    (x_train, x_test), (y_train, y_test) = (x_train[:, None], x_test[:, None]), (y_train, y_test)
    return (in_zero_to_one(x_train), y_train.astype(np.int64)), (in_zero_to_one(x_test), y_test.astype(np.int64))


class MNIST(ImageSet):
    """Handwritten digits: 60,000 images to train with and 10,000 to test with, grey, 28 x 28.

    Arguments:
        root: the folder with the four files, train-images-idx3-ubyte.gz and so on, compressed or not; or with a folder
            mnist that has them. The folder that TENSORGRAPH_DATA names if None, else one in the user's cache.
        train: the training images, else the test images. download: fetch them if they are not there.

    Raises:
        FileNotFoundError: they are not there. FileFormatError: a file is damaged, or not what its name says.
        TypeError: train or download is neither True nor False.

    Source: LeCun, Cortes, Burges, The MNIST database of handwritten digits; CC BY-SA 3.0.
    """

    _classes: tuple[str, ...] = tuple("0123456789")
    _folders: tuple[str, ...] = ("mnist", "MNIST", "MNIST/raw")

    _mirrors: tuple[str, ...] = (
        "https://ossci-datasets.s3.amazonaws.com/mnist",
        "https://storage.googleapis.com/cvdf-datasets/mnist",
    )
    _sha256: tuple[str, ...] = (  # of the uncompressed files, in the order of _FILES
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    )

    def __init__(self, root: str | os.PathLike[str] | None = None, train: bool = True, download: bool = False) -> None:
        train, download = flag(self, "train", train), flag(self, "download", download)
        half = slice(0, 2) if train else slice(2, 4)
        most = 60_000 if train else 10_000
        remote = [
            Remote(f"{name}.gz", 16 + most * 28 * 28, digest, unpacked=True)
            for name, digest in zip(_FILES[half], self._sha256[half])
        ]
        place = Place(type(self).__name__, root, self._folders)
        paths = place.files([_spellings(name) for name in _FILES[half]], self._mirrors, remote, download)
        labels = read_idx(paths[1], (), most)
        self._refuse_others(paths[1], labels)
        labels = checked_labels(paths[1], labels, len(self._classes))
        images = read_idx(paths[0], (28, 28), len(labels))
        if len(images) != len(labels):
            raise FileFormatError(f"{paths[0]}: it has {len(images):,} images for {len(labels):,} labels")
        super().__init__(images[:, None], labels, self._classes)

    def _refuse_others(self, path: str, labels: Array) -> None:
        """The files of MNIST and Fashion-MNIST have the same names, and so may lie where the others are expected."""
        from hashlib import sha256

        digest = sha256(idx_header(labels.shape) + labels.tobytes()).hexdigest()
        for kind in (MNIST, FashionMNIST):
            if digest in kind._sha256 and digest not in self._sha256:
                raise FileFormatError(f"{path}: these are the labels of {kind.__name__}, not of {type(self).__name__}")


class FashionMNIST(MNIST):
    """Pieces of clothing from a shop, as many and as large as MNIST's digits, but harder to tell apart.

    Arguments and errors as of `MNIST`; the folder below root is fashion-mnist.

    Source: Xiao, Rasul, Vollgraf, Fashion-MNIST (2017); MIT licence.
    """

    _classes = (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    )
    _folders = ("fashion-mnist", "FashionMNIST", "FashionMNIST/raw")
    _mirrors = (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
    )
    _sha256 = (
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    )


def _spellings(name: str) -> list[str]:
    """The names that a file may have: train-images-idx3-ubyte.gz, train-images.idx3-ubyte, ..."""
    return [spelling + suffix for spelling in (name, name.replace("-idx", ".idx")) for suffix in (".gz", "")]
