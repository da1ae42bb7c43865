"""CIFAR-10 from JPEG copies of its images, decoded once and kept; other examples import `cifar10_jpeg`.

The copies are cifar10/cifar10_train_jpeg.npz and cifar10/cifar10_test_jpeg.npz in the folder that the environment
variable TENSORGRAPH_DATA names: `jpeg`, the bytes of all images one after the other, `offsets`, where each begins, and
`labels`. A JPEG is not what it was made from: say "CIFAR-10, JPEG copy" beside every figure got from it.

python examples/cifar_jpeg.py            decodes all of them and shows some as text
python examples/cifar_jpeg.py --quick    decodes a hundred, and keeps nothing
"""

import io
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

import nn

CLASSES = "airplane automobile bird cat deer dog frog horse ship truck".split()
Array = np.ndarray[Any, np.dtype[Any]]


def cifar10_jpeg(train: bool = True, limit: int | None = None) -> nn.data.ImageSet:
    """The training or the test images, all, or the first `limit` of them. Takes ten seconds, the first time.

    The decoded images stay in a file of the user's cache and are read from there batch by batch, so they take no
    memory.
    """
    source = folder() / f"cifar10_{'train' if train else 'test'}_jpeg.npz"
    with np.load(source, allow_pickle=False) as file:
        labels = file["labels"][:limit].astype(np.int64)
        if limit is not None:
            return nn.data.ImageSet(decoded(file["jpeg"], file["offsets"], limit), labels, CLASSES)
        kept = cache() / f"{source.stem}-{source.stat().st_size}.npy"
        if not kept.exists():
            print(f"decoding {len(labels):,} JPEG images, once", flush=True)
            unfinished = kept.with_suffix(f".{os.getpid()}.npy")
            np.save(unfinished, decoded(file["jpeg"], file["offsets"], len(labels)))
            unfinished.replace(kept)
    return nn.data.ImageSet(np.load(kept, mmap_mode="r"), labels, CLASSES)


def folder() -> Path:
    """Where the JPEG copies are."""
    found = Path(os.environ.get("TENSORGRAPH_DATA", ".")) / "cifar10"
    if not found.is_dir():
        raise FileNotFoundError(
            f"there is no {found.absolute()} with cifar10_train_jpeg.npz; set TENSORGRAPH_DATA to the folder around it"
        )
    return found


def cache() -> Path:
    """Where decoded images are kept."""
    place = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tensorgraph"
    place.mkdir(parents=True, exist_ok=True)
    return place


def decoded(jpeg: Array, offsets: Array, count: int) -> Array:
    """(count, 3, 32, 32), uint8."""
    from PIL import Image

    images = np.empty((count, 3, 32, 32), np.uint8)
    for i in range(count):
        with Image.open(io.BytesIO(jpeg[offsets[i] : offsets[i + 1]].tobytes()), formats=["JPEG"]) as picture:
            images[i] = np.asarray(picture.convert("RGB")).transpose(2, 0, 1)  # (H, W, C) -> (C, H, W)
    return images


def main() -> None:
    limit = 100 if "--quick" in sys.argv else None
    try:
        data = cifar10_jpeg(train=False, limit=limit)
    except (FileNotFoundError, ImportError) as reason:
        print(f"skipped: {reason}")
        return
    assert data.images.shape == (limit or 10_000, 3, 32, 32)
    assert set(data.labels.tolist()) == set(range(10))
    for image, label in (data[i] for i in range(3)):
        print(f"\n{data.classes[label]}")
        for row in image.mean(0)[::2]:  # the mean of the colours, every other row
            print("".join(" .:-=+*#%@"[int(grey * 9.99)] for grey in row))


if __name__ == "__main__":
    main()
