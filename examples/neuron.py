"""A neuron, then a small network: the course's worked examples W1 and W2, gate by gate and figure by figure.

python examples/neuron.py
"""

from typing import Any

import numpy as np

import nn
import tensorgraph as tg


def number(value: Any, name: str, learned: bool = True) -> tg.Tensor:
    """A weight or an input, in double precision so that all printed digits hold."""
    return tg.tensor(value, dtype="float64", requires_grad=learned, name=name)


def neuron() -> None:
    """W1: z = x1 w1 + x2 w2 + b, then its sigmoid."""
    x1, x2 = number(-1.0, "x1", learned=False), number(-2.0, "x2", learned=False)
    w1, w2, b = number(2.0, "w1"), number(-3.0, "w2"), number(-3.0, "b")
    z = x1 * w1 + x2 * w2 + b
    z.name = "z"
    out = tg.sigmoid(z)
    print("W1, a neuron\n")
    print(tg.explain(out))
    out.backward()
    check("z", z, 1.0)
    check("sigmoid(z)", out, 0.731059)
    slope = 0.731059 * (1 - 0.731059)  # of the sigmoid; the add gates pass it on, the mul gates multiply it by x
    check("d/dw1", w1.grad, slope * -1.0)
    check("d/dw2", w2.grad, slope * -2.0)
    check("d/db", b.grad, slope)


def perceptron() -> None:
    """W2: two inputs, two hidden neurons, two outputs, and one step of gradient descent."""
    i, target = number([0.05, 0.10], "i", learned=False), number([0.01, 0.99], "target", learned=False)
    w14 = number([[0.15, 0.20], [0.25, 0.30]], "W_hidden")  # a row for each hidden neuron
    w58 = number([[0.40, 0.45], [0.50, 0.55]], "W_out")  # a row for each output neuron
    b1, b2 = number(0.35, "b1"), number(0.60, "b2")  # one for a whole layer
    h = tg.sigmoid(w14 @ i + b1)  # (2, 2) @ (2,) -> (2,)
    o = tg.sigmoid(w58 @ h + b2)
    error = ((target - o) ** 2).sum() / 2
    h.name, o.name, error.name = "h", "o", "E"
    print("\nW2, a multilayer perceptron\n")
    print(tg.explain(error, lr=0.5))
    error.backward()
    check("h", h, [0.5932699921, 0.5968843783], digits=10)
    check("o", o, [0.7513650696, 0.7729284653], digits=10)
    check("E", error, 0.2983711088, digits=10)
    check("dE/dw1..w4", w14.grad, [[0.000439, 0.000877], [0.000498, 0.000995]])
    check("dE/dw5..w8", w58.grad, [[0.082167, 0.082668], [-0.022603, -0.022740]])
    check("dE/db1", b1.grad, 0.018726)
    check("dE/db2", b2.grad, 0.100400)
    nn.optim.SGD([w14, w58], lr=0.5).step()  # downhill
    check("new w1..w4", w14, [[0.149781, 0.199561], [0.249751, 0.299502]])
    check("new w5..w8", w58, [[0.358916, 0.408666], [0.511301, 0.561370]])


def check(name: str, got: tg.Tensor | None, expected: Any, digits: int = 6) -> None:
    """Print a value, and stop if it is not the one of the course."""
    assert got is not None
    values = got.detach().numpy()
    print(f"  {name} = {np.round(values, digits).tolist()}")
    np.testing.assert_allclose(values, expected, rtol=0, atol=0.6 * 10.0**-digits)


if __name__ == "__main__":
    neuron()
    perceptron()
