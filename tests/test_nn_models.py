"""The networks of the course, their parameters as published; and its worked examples W1, W2, W3 and W7."""

import numpy as np
import pytest

import nn
import tensorgraph as tg

NETWORKS = [
    (nn.models.numpy_cnn, 105_634, (1, 28, 28)),
    (nn.models.student_mnist, 68_030, (1, 28, 28)),
    (lambda: nn.models.student_mnist("avg"), 68_030, (1, 28, 28)),
    (nn.models.student_cifar, 12_064, (3, 32, 32)),
    (nn.models.perceptron, 13_002, (1, 28, 28)),
    (nn.models.codelab_cnn, 354_002, (1, 28, 28)),
    (nn.models.keras_convnet, 34_826, (1, 28, 28)),
]


def count(model):
    return sum(p.size for p in model.parameters())


@pytest.mark.parametrize(("build", "parameters", "image"), NETWORKS)
def test_networks_have_the_published_number_of_parameters(build, parameters, image):
    model = build()
    assert count(model) == parameters
    logits = model(np.random.default_rng(0).random((2, *image), np.float32))
    assert logits.shape == (2, 10)
    assert logits.dtype == np.float32
    nn.CrossEntropyLoss()(logits, [1, 2]).backward()
    assert all(p.grad is not None and np.abs(p.grad.numpy()).max() > 0 for p in model.parameters())


def test_the_codelab_network_has_maps_of_28_14_7():
    x, sizes = np.zeros((1, 1, 28, 28), np.float32), []
    for layer in nn.models.codelab_cnn().features:
        x = layer(x)
        sizes += [x.shape[2]] if isinstance(layer, nn.Conv2d) else []
    assert sizes == [28, 14, 7]


def test_the_students_network_pools_as_told():
    assert any(isinstance(layer, nn.MaxPool2d) for layer in nn.models.student_mnist().features)
    assert any(isinstance(layer, nn.AvgPool2d) for layer in nn.models.student_mnist("avg").features)
    with pytest.raises(ValueError, match=r'^student_mnist: pooling must be "max" or "avg", got \'min\'$'):
        nn.models.student_mnist("min")


@pytest.mark.parametrize("build", [nn.models.numpy_cnn, nn.models.codelab_cnn, nn.models.perceptron])
def test_a_generator_makes_networks_again(build):
    first, second = (build(rng=np.random.default_rng(4)).state_dict() for _ in range(2))
    assert all(first[name].tolist() == second[name].tolist() for name in first)


def test_layers_have_readable_names():
    names = list(nn.models.numpy_cnn().state_dict())
    assert names[:2] == ["features.0.weight", "features.0.bias"]
    assert names[-1] == "classifier.2.bias"


# --- worked examples -------------------------------------------------------------------------------------------------


def near(got, expected):
    np.testing.assert_allclose(got.detach().numpy(), expected, atol=6e-7)


def linear(weight, bias):
    layer = nn.Linear(len(weight[0]), len(weight))
    layer.load_state_dict({"weight": weight, "bias": bias})
    return layer


def test_w1_a_sigmoid_neuron():
    neuron = nn.Sequential(linear([[2.0, -3.0]], [-3.0]), nn.Sigmoid())
    near(neuron(tg.tensor([[-1.0, -2.0]])), [[0.731059]])


def test_w2_a_multilayer_perceptron():
    class Perceptron(nn.Module):
        """The course has one bias a layer, not one a neuron."""

        def __init__(self):
            self.w1 = nn.Parameter([[0.15, 0.20], [0.25, 0.30]])
            self.w2 = nn.Parameter([[0.40, 0.45], [0.50, 0.55]])
            self.b1, self.b2 = nn.Parameter(0.35), nn.Parameter(0.60)

        def forward(self, x):
            return tg.sigmoid(tg.sigmoid(x @ self.w1.T + self.b1) @ self.w2.T + self.b2)

    net = Perceptron()
    out = net(tg.tensor([0.05, 0.10]))
    near(out, [0.7513650696, 0.7729284653])
    loss = nn.MSELoss(reduction="sum")(out, tg.tensor([0.01, 0.99])) / 2
    near(loss, 0.2983711088)
    loss.backward()
    near(net.w1.grad, [[0.000439, 0.000877], [0.000498, 0.000995]])
    near(net.w2.grad, [[0.082167, 0.082668], [-0.022603, -0.022740]])
    near(net.b1.grad, 0.018726)
    near(net.b2.grad, 0.100400)
    nn.optim.SGD(net.parameters(), lr=0.5).step()
    near(net.w1, [[0.149781, 0.199561], [0.249751, 0.299502]])
    near(net.w2, [[0.358916, 0.408666], [0.511301, 0.561370]])


def test_w3_a_whole_network_forward_backward_update():
    conv, hidden = nn.Conv2d(1, 1, 2), linear([[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8]], [0.2, 0.2])
    conv.load_state_dict({"weight": [[[[0.9, 0.1], [0.1, 0.9]]]], "bias": [0.1]})
    output = linear([[0.1, 0.2], [0.3, 0.4]], [0.3, 0.3])
    net = nn.Sequential(conv, nn.ReLU(), nn.Flatten(), hidden, nn.ReLU(), output)
    image = tg.tensor([[[[1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 1.0]]]], requires_grad=True)
    near(net[:3](image), [[1.9, 0.3, 0.3, 1.9]])
    near(net[:5](image), [[1.3, 3.06]])
    logits = net(image)
    near(logits, [[1.042, 1.914]])
    loss = nn.CrossEntropyLoss()(logits, [0])
    near(loss, 1.221328)
    loss.backward()
    near(output.bias.grad, [-0.705162, 0.705162])
    near(output.weight.grad, [[-0.916710, -2.157795], [0.916710, 2.157795]])
    near(hidden.weight.grad, [[0.267961, 0.042310, 0.042310, 0.267961]] * 2)
    near(hidden.bias.grad, [0.141032, 0.141032])
    near(conv.weight.grad, [[[[0.253858] * 2] * 2]])
    near(conv.bias.grad, [0.507716])
    expected = [[0.076157, 0.110005, 0.011283], [0.135391, 0.253858, 0.118467], [0.014103, 0.143853, 0.152315]]
    near(image.grad, [[expected]])
    nn.optim.SGD(net.parameters(), lr=0.5).step()
    near(conv.weight, [[[[0.773071, -0.026929], [-0.026929, 0.773071]]]])
    near(conv.bias, [-0.153858])
    near(hidden.weight, [[-0.033981, 0.178845, 0.278845, 0.266019], [0.366019, 0.578845, 0.678845, 0.666019]])
    near(hidden.bias, [0.129484, 0.129484])
    near(output.weight, [[0.558355, 1.278897], [-0.158355, -0.678897]])
    near(output.bias, [0.652581, -0.052581])


def test_w7_an_rgb_input():
    net = nn.Sequential(
        nn.Conv2d(3, 2, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2, stride=1),
        nn.Flatten(),
        nn.Linear(8, 8),
        nn.ReLU(),
        nn.Linear(8, 2),
    )
    assert count(net) == 146
    image = np.random.default_rng(0).random((1, 3, 5, 5), np.float32)
    assert [net[:n](image).shape for n in (1, 3, 4, 7)] == [(1, 2, 3, 3), (1, 2, 2, 2), (1, 8), (1, 2)]
