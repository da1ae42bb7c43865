"""Train a small convolutional network on handwritten digits, save it, load it and let it read some.

    python examples/train_mnist.py            8 epochs, about a quarter of a minute
    python examples/train_mnist.py --quick    1 epoch

The loop itself is `train_mnist` in nn/training.py, the same that runs in `python -m nn train`.
"""

import os
import sys
import tempfile

import numpy as np

import nn
import tensorgraph as tg
from nn.training import Progress, train_mnist


def main(quick: bool) -> None:
    model, accuracy = train_mnist(epochs=1 if quick else 8, show=show)
    print(f"{accuracy:.1%} of the test images are recognized")
    assert accuracy >= (0.88 if quick else 0.97)

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "digits.safetensors")
        nn.save(path, model.state_dict())
        again = nn.models.numpy_cnn().eval()
        again.load_state_dict(nn.load(path))

    _, (images, digits) = nn.data.mnist_mini()
    chosen = np.random.default_rng(0).choice(len(digits), 10, replace=False)
    with tg.no_grad():
        read = again(images[chosen]).data.argmax(axis=1)
    print("digits:", *digits[chosen])
    print("read:  ", *read)
    assert (read == digits[chosen]).sum() >= 7


def show(progress: Progress) -> None:
    if progress.accuracy is not None:
        print(f"epoch {progress.epoch}: loss {progress.loss:.4f}, test accuracy {progress.accuracy:.1%}")


if __name__ == "__main__":
    main(quick="--quick" in sys.argv[1:])
