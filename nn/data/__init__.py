"""Data sets and how to go through them in batches."""

from nn.data.loader import DataLoader, train_test_split
from nn.data.mnist import mnist_mini

__all__ = ["DataLoader", "mnist_mini", "train_test_split"]
