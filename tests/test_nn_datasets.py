"""The readers of MNIST, Fashion-MNIST and CIFAR-10: where they look, what they give, what they refuse."""

import gzip
import io
import os
import re
import tarfile
import tracemalloc
from hashlib import md5

import hostile
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nn
import tensorgraph as tg
from nn.data import CIFAR10, MNIST, DataLoader, FashionMNIST, ImageSet

FOLDER = os.environ.get("TENSORGRAPH_DATA")
needs_data = pytest.mark.skipif(not FOLDER, reason="TENSORGRAPH_DATA does not name the folder with the data sets")

rng = np.random.default_rng(0)
DIGITS, NUMBERS = rng.integers(0, 256, (6, 28, 28), np.uint8), np.array([3, 1, 4, 1, 5, 9], np.uint8)
PHOTOS = rng.integers(0, 256, (12, 3073), np.uint8)  # records, of which two go into a file
PHOTOS[:, 0] %= 10
BATCHES = [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]


@pytest.fixture(autouse=True)
def nowhere(monkeypatch, tmp_path):
    """No data sets but those that a test makes."""
    monkeypatch.delenv("TENSORGRAPH_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def write_digits(folder, part="train", suffix=".gz", dot="-"):
    pack = gzip.compress if suffix else bytes
    write(folder / f"{part}-images{dot}idx3-ubyte{suffix}", pack(hostile.idx(DIGITS.shape, DIGITS.tobytes())))
    write(folder / f"{part}-labels{dot}idx1-ubyte{suffix}", pack(hostile.idx(NUMBERS.shape, NUMBERS.tobytes())))


def write_photos(folder):
    for i, name in enumerate(BATCHES):
        write(folder / name, PHOTOS[2 * i : 2 * i + 2].tobytes())


def archive(**settings):
    """The archive as the tar of this computer would make it."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz", **settings) as tar:
        tar.addfile(tarfile.TarInfo("cifar-10-batches-bin/readme.html"), io.BytesIO())
        for i in rng.permutation(6):
            content = PHOTOS[2 * i : 2 * i + 2].tobytes()
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{BATCHES[i]}")
            info.size, info.mtime = len(content), 1234567890.5
            tar.addfile(info, io.BytesIO(content))
    return file.getvalue()


# --- what is read ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dot", ["-", "."])
@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize(
    ("kind", "below"),
    [
        (MNIST, ""),
        (MNIST, "mnist"),
        (MNIST, "MNIST/raw"),
        (FashionMNIST, ""),
        (FashionMNIST, "fashion-mnist"),
        (FashionMNIST, "FashionMNIST/raw"),
    ],
)
def test_idx_files_in_any_of_the_usual_places(tmp_path, kind, below, suffix, dot):
    write_digits(tmp_path / below, "t10k", suffix, dot)
    data = kind(tmp_path, train=False)
    assert (data.images.dtype, data.labels.dtype) == (np.uint8, np.int64)
    np.testing.assert_array_equal(data.images, DIGITS[:, None])
    assert data.labels.tolist() == NUMBERS.tolist()
    with pytest.raises(FileNotFoundError):
        kind(tmp_path)  # the training images


@pytest.mark.parametrize("below", ["", "cifar10", "cifar-10-batches-bin", "cifar10/cifar-10-batches-bin"])
def test_cifar_in_any_of_the_usual_places(tmp_path, below):
    write_photos(tmp_path / below)
    check_photos(tmp_path)


@pytest.mark.parametrize("settings", [{"format": tarfile.USTAR_FORMAT}, {"format": tarfile.GNU_FORMAT}, {}])
@pytest.mark.parametrize("below", ["", "cifar10"])
def test_the_archive_of_cifar_needs_no_unpacking(tmp_path, below, settings):
    write(tmp_path / below / "cifar-10-binary.tar.gz", archive(**settings))
    before = sorted(tmp_path.rglob("*"))
    check_photos(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


def check_photos(folder):
    train, test = CIFAR10(folder), CIFAR10(folder, train=False)
    for data, records in ((train, PHOTOS[:10]), (test, PHOTOS[10:])):
        np.testing.assert_array_equal(data.images, records[:, 1:].reshape(-1, 3, 32, 32))
        assert data.labels.tolist() == records[:, 0].tolist()
        assert data.classes[1] == "automobile"


def test_the_folder_of_the_environment_and_the_cache(tmp_path, monkeypatch):
    write_digits(tmp_path / "cache" / "tensorgraph" / "mnist")
    assert len(MNIST()) == 6
    write_digits(tmp_path / "data" / "fashion-mnist")
    monkeypatch.setenv("TENSORGRAPH_DATA", str(tmp_path / "data"))
    assert len(FashionMNIST()) == 6
    with pytest.raises(FileNotFoundError):
        MNIST()  # only in the one that is named
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(FashionMNIST("~/data")) == 6


def test_the_folder_of_the_data_set_comes_before_the_folder_around_it(tmp_path):
    write_digits(tmp_path)
    write(tmp_path / "fashion-mnist" / "train-images-idx3-ubyte", hostile.idx((1, 28, 28)))
    write(tmp_path / "fashion-mnist" / "train-labels-idx1-ubyte", hostile.idx((1,)))
    assert (len(MNIST(tmp_path)), len(FashionMNIST(tmp_path))) == (6, 1)


def test_a_data_set_is_a_sequence_of_images_with_labels(tmp_path):
    write_digits(tmp_path)
    data = MNIST(tmp_path)
    assert isinstance(data, ImageSet)
    assert repr(data) == "<MNIST: 6 images of 1 x 28 x 28, 10 classes>"
    image, label = data[-1]
    assert (image.shape, image.dtype, label) == ((1, 28, 28), np.float32, 9)
    np.testing.assert_array_equal(image[0], (DIGITS[-1] / 255).astype(np.float32))
    x, y = data[:]
    assert (x.shape, x.dtype, y.tolist()) == ((6, 1, 28, 28), np.float32, NUMBERS.tolist())
    x, y = data[np.array([2, 0])]
    assert y.tolist() == [4, 3]
    assert [label for _, label in data] == NUMBERS.tolist()
    with pytest.raises(IndexError):
        data[6]
    ((x, y),) = DataLoader(data, 6)
    assert (x.dtype, y.dtype) == (np.float32, np.int64)
    np.testing.assert_array_equal(x, data[:][0])


def test_what_is_given_are_copies(tmp_path):
    write_digits(tmp_path)
    data = MNIST(tmp_path)
    for which in (0, slice(None), [1, 2]):
        image, label = data[which]
        image[...] = 0
        if which:
            label[...] = 0
    np.testing.assert_array_equal(data.images, DIGITS[:, None])
    assert data.labels.tolist() == NUMBERS.tolist()


@pytest.mark.parametrize("kind", [MNIST, FashionMNIST, CIFAR10])
def test_a_word_is_not_a_choice_of_images(tmp_path, kind):
    write_digits(tmp_path)
    write_photos(tmp_path)
    for name, value in [("train", "test"), ("train", "False"), ("train", None), ("train", 0), ("download", "no")]:
        with pytest.raises(TypeError) as error:
            kind(tmp_path, **{name: value})
        assert str(error.value) == f"{kind.__name__}: give {name}=True or {name}=False, got {value!r}"
    assert len(kind(tmp_path, train=np.True_)) == (10 if kind is CIFAR10 else 6)


@pytest.mark.parametrize(
    ("images", "labels", "kind", "message"),
    [
        (
            np.zeros((2, 3, 3), np.uint8),
            np.zeros(2, int),
            tg.ShapeError,
            r"images must have the shape \(N, C, H, W\) and labels \(N,\), got \(2, 3, 3\) and \(2,\)",
        ),
        (
            np.zeros((2, 1, 3, 3), np.uint8),
            np.zeros(3, int),
            tg.ShapeError,
            r"images must have the shape \(N, C, H, W\) and labels \(N,\), got \(2, 1, 3, 3\) and \(3,\)",
        ),
        (
            np.zeros((2, 1, 3, 3)),
            np.zeros(2, int),
            TypeError,
            "images must be uint8 and labels integers, got float64 and int64",
        ),
        (
            np.zeros((2, 1, 3, 3), np.uint8),
            np.array([0, 2]),
            ValueError,
            "labels must be between 0 and 1, got 0 to 2",
        ),
    ],
)
def test_images_that_make_no_set(images, labels, kind, message):
    with pytest.raises(kind, match=f"^ImageSet: {message}$"):
        ImageSet(images, labels, ["no", "yes"])


# --- the real ones ---------------------------------------------------------------------------------------------------


@needs_data
@pytest.mark.parametrize(
    ("train", "images", "labels"),
    [
        (True, "6bbc9ace898e44ae57da46a324031adb", "a25bea736e30d166cdddb491f175f624"),
        (False, "2646ac647ad5339dbf082846283269ea", "27ae3e4e09519cfbb04c329615203637"),
    ],
)
def test_mnist_as_published(train, images, labels):
    data = MNIST(FOLDER, train)
    n = len(data)
    assert md5(hostile.idx((n, 28, 28), data.images.tobytes())).hexdigest() == images
    assert md5(hostile.idx((n,), data.labels.astype(np.uint8).tobytes())).hexdigest() == labels


@needs_data
def test_the_embedded_digits_are_some_of_mnist():
    (x_train, _), (x_test, _) = nn.data.mnist_mini()
    for train, some in ((True, x_train), (False, x_test)):
        every = {image.tobytes() for image in MNIST(FOLDER, train).images}
        assert {np.rint(image * 255).astype(np.uint8).tobytes() for image in some} <= every


@needs_data
@pytest.mark.parametrize("train", [True, False])
def test_mnist_is_not_taken_for_fashion_mnist(train):
    """The files have the same names."""
    with pytest.raises(nn.FileFormatError, match=r"ubyte\.gz: these are the labels of MNIST, not of FashionMNIST$"):
        FashionMNIST(os.path.join(FOLDER, "mnist"), train)


# --- what is not there -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (
            MNIST,
            "MNIST: there is no train-images-idx3-ubyte.gz with train-labels-idx1-ubyte.gz in {}, nor in mnist or "
            "MNIST or MNIST/raw there. MNIST(download=True) fetches it; root= or the environment variable "
            "TENSORGRAPH_DATA names another folder",
        ),
        (
            CIFAR10,
            "CIFAR10: there is no cifar-10-binary.tar.gz in {}, nor in cifar10 or cifar10/cifar-10-batches-bin or "
            "cifar-10-batches-bin there. CIFAR10(download=True) fetches it; root= or the environment variable "
            "TENSORGRAPH_DATA names another folder",
        ),
    ],
)
def test_what_is_not_there(tmp_path, kind, message):
    with pytest.raises(FileNotFoundError) as error:
        kind(tmp_path)
    assert str(error.value) == message.format(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_cifar_that_is_missing_is_named(tmp_path):
    write_photos(tmp_path / "cifar10")
    (tmp_path / "cifar10" / "data_batch_5.bin").unlink()
    with pytest.raises(FileNotFoundError) as error:
        CIFAR10(tmp_path)
    assert f"(in {tmp_path / 'cifar10'} only data_batch_5.bin is missing)" in str(error.value)
    assert len(CIFAR10(tmp_path, train=False)) == 2


@pytest.mark.parametrize(
    "name",
    ["cifar-10-python.tar.gz", "cifar10/cifar-10-python.tar.gz", "data_batch_1", "cifar-10-batches-py/test_batch"],
)
def test_the_python_version_of_cifar_is_not_read(tmp_path, name):
    write(tmp_path / name, b"")
    shown = name.removesuffix("/test_batch")
    with pytest.raises(
        FileNotFoundError, match=rf"\({shown} is the Python version, a pickle, which is never read, as to"
    ):
        CIFAR10(tmp_path)


# --- damaged and hostile files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [1, 2, 3, 4], ids=["labels", "images", "batches", "archives"])
def test_hostile_files_are_refused(tmp_path, kind):
    """With the one documented exception, which names the file, without much memory, and nothing is written."""
    path, files, read = hostile.readers(tmp_path)[kind]
    for name, make in files.items():
        path.write_bytes(make())
        before = sorted(tmp_path.rglob("*"))
        tracemalloc.start()
        try:
            with pytest.raises(nn.FileFormatError, match=f"{re.escape(str(path))}: ") as refusal:
                read()
            assert tracemalloc.get_traced_memory()[1] < 40_000_000, name
        finally:
            tracemalloc.stop()
        assert len(str(refusal.value)) < len(str(path)) + 400, name
        assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_files_cut_short_anywhere_are_refused(tmp_path, suffix):
    write_digits(tmp_path, suffix=suffix)
    for name in ("labels-idx1", "images-idx3"):
        path = tmp_path / f"train-{name}-ubyte{suffix}"
        whole = path.read_bytes()
        for length in [*range(min(40, len(whole))), *range(40, len(whole), 97), len(whole) - 1]:
            path.write_bytes(whole[:length])
            with pytest.raises(nn.FileFormatError):
                MNIST(tmp_path)
        path.write_bytes(whole + b" ")
        with pytest.raises(nn.FileFormatError):
            MNIST(tmp_path)
        path.write_bytes(whole)
    assert len(MNIST(tmp_path)) == 6


@given(st.data())
def test_a_damaged_archive_gives_images_or_a_format_error(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("damaged")
    raw = bytearray(gzip.decompress(archive()))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    write(folder / "cifar-10-binary.tar.gz", gzip.compress(bytes(raw)))
    try:
        found = CIFAR10(folder)
    except nn.FileFormatError:
        return
    assert found.images.shape == (10, 3, 32, 32)
