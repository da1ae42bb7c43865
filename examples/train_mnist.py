"""Train a small convolutional network on handwritten digits, save it, load it and let it read some.

    python examples/train_mnist.py            8 epochs, about ten seconds
    python examples/train_mnist.py --quick    1 epoch

`python -m nn train` trains the same network from the command line.
"""

import os
import sys
import tempfile

import numpy as np

import nn
import tensorgraph as tg


def main(quick: bool) -> None:
    epochs = 1 if quick else 8
    training, testing = nn.data.mnist_mini()
    tg.manual_seed(0)
    model = nn.models.numpy_cnn()
    optimizer = nn.optim.Adam(model.parameters(), lr=0.003)
    # The images of a batch are shifted by up to a pixel: 5,000 are so few that the network would learn them by heart.
    loader = nn.data.DataLoader(training, batch_size=32, shuffle=True, transform=nn.data.random_crop(padding=1))
    schedule = nn.optim.CosineAnnealingLR(optimizer, epochs * len(loader))
    trainer = nn.Trainer(model, optimizer, schedule=schedule, schedule_every="step")
    history = trainer.fit(loader, validation=testing, epochs=epochs)
    accuracy = history["val_accuracy"][-1]
    print(f"{accuracy:.1%} of the test images are recognized")
    assert accuracy >= (0.88 if quick else 0.97)

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "digits.safetensors")
        nn.save(path, model.state_dict())
        again = nn.models.numpy_cnn().eval()
        again.load_state_dict(nn.load(path))

    images, digits = testing
    chosen = np.random.default_rng(0).choice(len(digits), 10, replace=False)
    with tg.no_grad():
        read = again(images[chosen]).data.argmax(axis=1)
    print("digits:", *digits[chosen])
    print("read:  ", *read)
    assert (read == digits[chosen]).sum() >= 7


if __name__ == "__main__":
    main(quick="--quick" in sys.argv[1:])
