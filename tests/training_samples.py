"""A small training with everything that has a state: for tests."""

import numpy as np

import nn


def digits(n=60, classes=3, features=5, seed=0):
    """x (N, features) float32, y (N,) that depends on x."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, features)).astype(np.float32)
    return x, (x @ rng.normal(size=(features, classes))).argmax(axis=1)


def small(seed=0, dropout=0.0, rng=None):
    """Two layers with batch norm, ReLU and dropout, which draws from rng."""
    initial = np.random.default_rng(seed)
    return nn.Sequential(
        nn.Linear(5, 8, rng=initial),
        nn.BatchNorm1d(8),
        nn.ReLU(),
        nn.Dropout(dropout, rng=rng),
        nn.Linear(8, 3, rng=initial),
    )


def trainer(model=None, lr=0.05, **options):
    """A quiet one, with momentum."""
    model = small() if model is None else model
    options.setdefault("show", "quiet")
    return nn.Trainer(model, nn.optim.SGD(model.parameters(), lr=lr, momentum=0.9), **options)


def values(model):
    """The state of a model as arrays of now."""
    return {name: value.numpy().copy() for name, value in model.state_dict().items()}


def same(one, other):
    """Raise AssertionError where two states differ in a bit."""
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert np.asarray(value).tobytes() == np.asarray(other[name]).tobytes(), name
