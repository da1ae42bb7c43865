"""The digits, the batches and the split."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nn
import tensorgraph as tg
from nn.data import DataLoader, mnist_mini, train_test_split


def batches(loader):
    return [tuple(column.tolist() for column in batch) for batch in loader]


# --- the digits ------------------------------------------------------------------------------------------------------


def test_the_digits_are_those_of_the_licence_note():
    folder = Path(nn.data.__file__).parent
    digest = hashlib.sha256((folder / "mnist_mini.npz").read_bytes()).hexdigest()
    assert digest == "3a70a2c59eccab98fde41f67bf81107e6cd9b6bfa1ab8e273d0a8f99b5e9baa4"
    note = (folder / "MNIST-LICENSE.md").read_text(encoding="utf-8")
    assert digest in note
    assert "CC BY-SA 3.0" in note or "Attribution-ShareAlike 3.0" in note


def test_the_digits_are_balanced_and_in_zero_to_one():
    (x_train, y_train), (x_test, y_test) = mnist_mini()
    for x, y, size in ((x_train, y_train, 500), (x_test, y_test, 100)):
        assert x.shape == (10 * size, 1, 28, 28)
        assert x.dtype == np.float32
        assert (x.min(), x.max()) == (0, 1)
        assert y.dtype == np.int64
        assert np.bincount(y).tolist() == [size] * 10
        assert 0.1 < x.mean() < 0.2  # mostly paper


# --- batches ---------------------------------------------------------------------------------------------------------


def test_batches_come_in_order_with_a_smaller_last_one():
    x, y = np.arange(10).reshape(5, 2), np.arange(5)
    loader = DataLoader((x, y), batch_size=2)
    assert len(loader) == 3
    assert batches(loader) == [([[0, 1], [2, 3]], [0, 1]), ([[4, 5], [6, 7]], [2, 3]), ([[8, 9]], [4])]
    assert batches(loader) == batches(loader)
    assert len(DataLoader((x, y), 2, drop_last=True)) == len(list(DataLoader((x, y), 2, drop_last=True))) == 2
    assert batches(DataLoader((x, y), 2, drop_last=True)) == batches(loader)[:2]


@given(st.integers(1, 50), st.integers(1, 60), st.booleans(), st.booleans(), st.integers(0, 9))
def test_every_example_comes_once(examples, batch_size, shuffle, drop_last, seed):
    if drop_last and batch_size > examples:
        return
    x = np.arange(examples)
    loader = DataLoader((x, -x), batch_size, shuffle, seed, drop_last)
    found = list(loader)
    assert len(found) == len(loader)
    assert all(len(a) == batch_size for a, _ in found[:-1])
    a, b = (np.concatenate(column) for column in zip(*found, strict=True))
    assert (a == -b).all()  # pairs stay pairs
    expected = examples // batch_size * batch_size if drop_last else examples
    assert len(a) == len(set(a.tolist())) == expected
    if not shuffle:
        assert (a == x[:expected]).all()


def test_a_seed_gives_the_same_orders_and_each_pass_another():
    x = np.arange(100)
    one, two = (DataLoader((x,), 10, shuffle=True, rng=7) for _ in range(2))
    first, second = batches(one), batches(one)
    assert first != second
    assert [batches(two), batches(two)] == [first, second]
    assert batches(DataLoader((x,), 10, shuffle=True, rng=8)) != first
    assert batches(DataLoader((x,), 10, shuffle=True, rng=np.random.default_rng(7))) == first


def test_without_rng_the_librarys_seed_decides(seeded):
    loader = DataLoader((np.arange(50),), 50, shuffle=True)
    seeded(1)
    first = batches(loader)
    seeded(1)
    assert batches(loader) == first != batches(loader)


def test_a_sequence_of_examples_is_stacked():
    pairs = [(np.full((2, 2), i), i) for i in range(3)]
    found = list(DataLoader(pairs, batch_size=2))
    assert [x.shape for x, _ in found] == [(2, 2, 2), (1, 2, 2)]
    assert [y.tolist() for _, y in found] == [[0, 1], [2]]


def test_tensors_and_lists_are_columns_too():
    loader = DataLoader((tg.tensor([[1.0], [2.0]]), [3, 4]), batch_size=2)
    assert batches(loader) == [([[1.0], [2.0]], [3, 4])]


def test_a_transform_changes_x_and_nothing_else():
    x, y = np.ones((4, 2)), np.arange(4)
    loader = DataLoader((x, y), 2, transform=lambda images: images * 5)
    assert batches(loader) == [([[5, 5], [5, 5]], [0, 1]), ([[5, 5], [5, 5]], [2, 3])]
    assert (x == 1).all()


def test_batches_are_copies():
    x = np.zeros((4, 2))
    for (batch,) in DataLoader((x,), 2):
        batch += 1
    assert (x == 0).all()


# --- the split -------------------------------------------------------------------------------------------------------


@given(st.integers(2, 40), st.floats(0.01, 0.99), st.integers(0, 9))
def test_a_split_deals_out_every_example(examples, share, seed):
    if np.ceil(share * examples) == examples:
        return
    x = np.arange(examples)
    x_train, x_test, y_train, y_test = train_test_split(x, -x, share, seed)
    assert len(x_test) == np.ceil(share * examples)
    assert sorted([*x_train, *x_test]) == x.tolist()
    assert (x_train == -y_train).all()
    assert (x_test == -y_test).all()
    assert x_train.tolist() == train_test_split(x, x, share, seed)[0].tolist()


def test_a_split_by_number():
    _, x_test, _, _ = train_test_split(np.arange(10), np.arange(10), 3, 0)
    assert len(x_test) == 3


# --- mistakes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mistake", "kind", "message"),
    [
        (
            lambda: DataLoader((np.zeros((3, 2)), np.zeros(4))),
            tg.ShapeError,
            r"DataLoader: the arrays must have the same length, got \(3, 2\) and \(4,\)",
        ),
        (lambda: DataLoader(()), tg.ShapeError, "DataLoader: the arrays must have the same length, got none"),
        (lambda: DataLoader((np.zeros(0),)), ValueError, "DataLoader: the data are empty"),
        (lambda: DataLoader([]), ValueError, "DataLoader: the data are empty"),
        (
            lambda: DataLoader(iter([1])),
            TypeError,
            "DataLoader: data must be a tuple of arrays or a sequence of examples, got list_iterator",
        ),
        (
            lambda: DataLoader(np.zeros((3, 2)), np.zeros(3)),
            TypeError,
            "DataLoader: batch_size must be an integer, got ndarray; "
            r"give arrays that belong together as one tuple, DataLoader\(\(x, y\)\)",
        ),
        (lambda: DataLoader((np.zeros(3),), 0), tg.ShapeError, "DataLoader: batch_size must be positive, got 0"),
        (lambda: DataLoader((np.zeros(3),), 1.5), TypeError, r"DataLoader: batch_size must be an integer, got 1\.5"),
        (
            lambda: DataLoader((np.zeros(3),), 4, drop_last=True),
            ValueError,
            "DataLoader: batch_size = 4 with drop_last leaves no batch of 3 examples",
        ),
        (
            lambda: train_test_split(np.zeros(3), np.zeros(3), 1.0),
            ValueError,
            r"train_test_split: test_size = 1\.0 leaves an empty part of 3 examples",
        ),
    ],
)
def test_mistakes(mistake, kind, message):
    with pytest.raises(kind, match=f"^{message}$"):
        mistake()
