"""A whole convolutional network on a 3x3 image, forward, backward and update: the course's worked example W3.

python examples/toy_cnn.py
"""

from typing import Any

import numpy as np

import nn
import tensorgraph as tg

IMAGE = [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 1.0]]
WEIGHTS = {
    "conv.weight": [[[[0.9, 0.1], [0.1, 0.9]]]],
    "conv.bias": [0.1],
    "hidden.weight": [[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8]],
    "hidden.bias": [0.2, 0.2],
    "output.weight": [[0.1, 0.2], [0.3, 0.4]],
    "output.bias": [0.3, 0.3],
}
GRADIENTS = {
    "conv.weight": [[[[0.253858, 0.253858], [0.253858, 0.253858]]]],
    "conv.bias": [0.507716],
    "hidden.weight": [[0.267961, 0.042310, 0.042310, 0.267961]] * 2,
    "hidden.bias": [0.141032, 0.141032],
    "output.weight": [[-0.916710, -2.157795], [0.916710, 2.157795]],
    "output.bias": [-0.705162, 0.705162],
}
UPDATED = {
    "conv.weight": [[[[0.773071, -0.026929], [-0.026929, 0.773071]]]],
    "conv.bias": [-0.153858],
    "hidden.weight": [[-0.033981, 0.178845, 0.278845, 0.266019], [0.366019, 0.578845, 0.678845, 0.666019]],
    "hidden.bias": [0.129484, 0.129484],
    "output.weight": [[0.558355, 1.278897], [-0.158355, -0.678897]],
    "output.bias": [0.652581, -0.052581],
}


def main() -> None:
    net = nn.Sequential(
        {
            "conv": nn.Conv2d(1, 1, kernel_size=2),
            "relu1": nn.ReLU(),
            "flatten": nn.Flatten(),
            "hidden": nn.Linear(4, 2),
            "relu2": nn.ReLU(),
            "output": nn.Linear(2, 2),
        }
    )
    net.load_state_dict({name: np.array(value) for name, value in WEIGHTS.items()})
    image = tg.tensor([[IMAGE]], requires_grad=True, name="image")  # (1, 1, 3, 3): one image, one channel

    print("forward")
    check("after convolution, ReLU and flatten", net[:3](image), [[1.9, 0.3, 0.3, 1.9]])
    check("after the hidden layer", net[:5](image), [[1.3, 3.06]])
    logits = net(image)
    check("logits", logits, [[1.042, 1.914]])
    check("softmax", tg.softmax(logits), [[0.294838, 0.705162]])
    loss = nn.CrossEntropyLoss()(logits, [0])  # the image is of class 0
    check("loss", loss, 1.221328)

    print("\nthe same, gate by gate\n")
    print(tg.explain(loss, lr=0.5))

    print("backward")
    loss.backward()
    for name, parameter in net.named_parameters():
        check(f"gradient of {name}", parameter.grad, GRADIENTS[name])
    dimage = [[0.076157, 0.110005, 0.011283], [0.135391, 0.253858, 0.118467], [0.014103, 0.143853, 0.152315]]
    check("gradient of the image", image.grad, [[dimage]])

    print("update")
    nn.optim.SGD(net.parameters(), lr=0.5).step()
    for name, parameter in net.named_parameters():
        check(name, parameter, UPDATED[name])
    after = nn.CrossEntropyLoss()(net(image), [0])
    print(f"  loss {loss:.6f} -> {after:.6f}")
    assert after < loss


def check(name: str, got: tg.Tensor | None, expected: Any) -> None:
    """Print a value, and stop if it is not the one of the course."""
    assert got is not None
    values = got.detach().numpy().astype(np.float64)
    print(f"  {name} = {np.round(values, 6).tolist()}")
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-6)


if __name__ == "__main__":
    main()
