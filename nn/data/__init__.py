"""Data sets and how to go through them in batches."""

from nn.data.cifar import CIFAR10
from nn.data.images import ImageSet
from nn.data.loader import DataLoader
from nn.data.mnist import MNIST, FashionMNIST, mnist_mini
from nn.data.split import train_test_split
from nn.data.transforms import cutout, normalize, random_crop, random_flip

__all__ = [
    "CIFAR10",
    "MNIST",
    "DataLoader",
    "FashionMNIST",
    "ImageSet",
    "cutout",
    "mnist_mini",
    "normalize",
    "random_crop",
    "random_flip",
    "train_test_split",
]
