"""Data sets and how to go through them in batches."""

from nn.data.loader import DataLoader
from nn.data.mnist import mnist_mini
from nn.data.split import train_test_split
from nn.data.transforms import cutout, normalize, random_crop, random_flip

__all__ = ["DataLoader", "cutout", "mnist_mini", "normalize", "random_crop", "random_flip", "train_test_split"]
