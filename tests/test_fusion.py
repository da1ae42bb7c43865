"""Fused operations: the numbers of the plain ones, when they run, and what errors say."""

import numpy as np
import pytest

import nn
import tensorgraph as tg


def network():
    rng = np.random.default_rng(0)
    return nn.Sequential(
        nn.Conv2d(2, 5, 3, padding=1, rng=rng),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(5, 6, 3, rng=rng),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(6 * 2 * 3, 3, rng=rng),
    )


def step(net, x):
    """The output and all gradients of a training step."""
    x = tg.tensor(x, requires_grad=True)
    out = net(x)
    net.zero_grad()
    tg.softmax_cross_entropy(out, np.array([0, 2, 1])).backward()
    return [t.detach().numpy() for t in (out, x.grad, *(p.grad for p in net.parameters()))]


def recorded(out):
    """The names of the operations behind a tensor."""
    names, nodes = [], [out._node]
    for node in nodes:
        names.append(node.op)
        nodes += [parent for parent in node.parents if parent is not None and parent.op != "leaf"]
    return names


def test_the_numbers_are_those_of_the_plain_operations():
    x = np.random.default_rng(1).standard_normal((3, 2, 8, 10)).astype(np.float32)
    net = network()
    fused = step(net, x)
    with tg.fusion(False):
        plain = step(net, x)
    for a, b in zip(fused, plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


def test_leaky_relu_runs_with_them_too():
    rng = np.random.default_rng(4)
    x = rng.standard_normal((3, 1, 9, 8)).astype(np.float32)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, rng=rng), nn.LeakyReLU(0.2), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3, rng=rng)
    )
    assert recorded(net(x)) == ["linear", "reshape", "conv2d_relu_max_pool2d"]
    fused = step(net, x)
    with tg.fusion(False):
        plain = step(net, x)
    for a, b in zip(fused, plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    x = tg.tensor(x, requires_grad=True)
    for allowed in (True, False):
        with tg.fusion(allowed):
            (g,) = tg.gradients([net(x).sum()], [x], create_graph=True)
            net.zero_grad()
            (g * g).sum().backward()
            second = net[0].weight.grad.numpy()
        if allowed:
            first = second
    np.testing.assert_allclose(first, second, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh, nn.Sigmoid])
def test_activations_and_average_pooling(activation):
    rng = np.random.default_rng(5)
    x = rng.standard_normal((3, 2, 11, 9)).astype(np.float32)
    net = nn.Sequential(
        nn.Conv2d(2, 5, 3, rng=rng),
        activation(),
        nn.AvgPool2d(2, padding=1, count_include_pad=False, ceil_mode=True),  # (N, 5, 9, 7) -> (N, 5, 5, 4)
        nn.Conv2d(5, 6, 2, rng=rng),
        activation(),
        nn.Flatten(),
        nn.Linear(6 * 4 * 3, 4, rng=rng),
        activation(),
        nn.Linear(4, 3, rng=rng),
    )
    name = activation.__name__.lower()
    assert recorded(net(x)) == ["linear_layers", f"conv2d_{name}", f"conv2d_{name}_avg_pool2d"]
    fused = step(net, x)
    with tg.fusion(False):
        plain = step(net, x)
    for a, b in zip(fused, plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("affine", [True, False])
def test_batch_norm_and_relu(affine):
    rng = np.random.default_rng(6)
    x = rng.standard_normal((3, 2, 8, 10)).astype(np.float32)

    def built():
        rng = np.random.default_rng(7)
        return nn.Sequential(
            nn.Conv2d(2, 5, 3, bias=False, rng=rng),
            nn.BatchNorm2d(5, affine=affine),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(240, 4, rng=rng),
            nn.BatchNorm1d(4, affine=affine, track_running_stats=False),
            nn.ReLU(),
            nn.Linear(4, 3, rng=rng),
        )

    fused, plain = built(), built()
    assert recorded(fused(x)) == ["linear", "batch_norm_relu", "linear", "reshape", "batch_norm_relu", "conv2d"]
    got = step(fused, x)
    with tg.fusion(False):
        plain(x)
        expected = step(plain, x)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    for name, value in fused.state_dict().items():
        np.testing.assert_allclose(value.numpy(), plain.state_dict()[name].numpy(), rtol=1e-5, atol=1e-6)
    assert fused[1].num_batches_tracked.item() == 2
    fused.eval()
    with tg.fusion(False):
        expected = fused(x)
    np.testing.assert_array_equal(fused(x).data, expected.data)
    with pytest.raises(tg.ShapeError, match=r"^1 \(BatchNorm2d\): expected x of shape"):
        nn.Sequential(nn.Flatten(), nn.BatchNorm2d(5), nn.ReLU())(x)


def test_what_runs_as_one():
    net, x = network(), tg.zeros(1, 2, 8, 10)
    fused = ["linear", "reshape", "conv2d_relu", "conv2d_relu_max_pool2d"]
    plain = ["linear", "reshape", "relu", "conv2d", "max_pool2d", "relu", "conv2d"]
    assert recorded(net(x)) == fused
    with tg.fusion(False):
        assert recorded(net(x)) == plain
        with tg.fusion(True):
            assert recorded(net(x)) == fused
        assert recorded(net(x)) == plain
    with tg.record():  # every operation keeps its line
        assert recorded(net(x)) == plain
    with tg.hooks.watch(forward=lambda node: None):
        assert recorded(net(x)) == plain
    assert recorded(net(x)) == fused
    tg.fusion(False)
    try:
        assert recorded(net(x)) == plain
    finally:
        tg.fusion(True)


def test_layers_that_compute_something_else_are_left_alone():
    class Shifted(nn.ReLU):
        def forward(self, x):
            return tg.relu(x) + 1.0

    conv, x = nn.Conv2d(1, 1, 1), tg.ones(1, 1, 2, 2)
    assert recorded(nn.Sequential(conv, Shifted())(x)) == ["add", "relu", "conv2d"]
    falling = nn.LeakyReLU()
    falling.negative_slope = -1.0  # |x|: the largest after it is not the largest before
    net = nn.Sequential(conv, falling, nn.MaxPool2d(2))
    assert recorded(net(x)) == ["max_pool2d", "leaky_relu", "conv2d"]
    relu = nn.ReLU()
    relu.forward = lambda x: x * 2.0
    assert recorded(nn.Sequential(conv, relu)(x)) == ["mul", "conv2d"]


def test_a_class_that_got_another_forward_is_left_alone(monkeypatch):
    net, x = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU(), nn.MaxPool2d(2)), tg.ones(1, 1, 2, 2)
    assert recorded(net(x)) == ["conv2d_relu_max_pool2d"]
    with monkeypatch.context() as patch:
        patch.setattr(nn.ReLU, "forward", lambda self, x: x * 0.0 + 7.0)
        assert recorded(net(x)) == ["max_pool2d", "add", "mul", "conv2d"]
        assert net(x).item() == 7.0
    assert recorded(net(x)) == ["conv2d_relu_max_pool2d"]


def test_a_chain_that_changes_between_two_calls_runs_as_it_is_now():
    net, x = nn.Sequential(nn.Linear(2, 2), nn.ReLU()), tg.ones(1, 2)
    net[0].load_state_dict({"weight": np.eye(2, dtype="f"), "bias": np.zeros(2, "f")})
    assert recorded(net(x)) == ["linear_relu"]
    net[1].forward = lambda x: x * 3.0
    assert recorded(net(x)) == ["mul", "linear"]
    del net[1].forward
    assert recorded(net(x)) == ["linear_relu"]
    setattr(net, "1", nn.Softplus())
    assert recorded(net(x)) == ["softplus", "linear"]
    setattr(net, "1", nn.ReLU())
    setattr(net, "0", nn.Linear(2, 1))
    net.append(nn.Linear(1, 1)).append(nn.ReLU())
    assert recorded(net(x)) == ["linear_layers"]
    assert net[0].weight.shape == (1, 2)
    other = nn.Sequential(nn.Linear(2, 1), nn.ReLU(), nn.Linear(1, 1), nn.ReLU())  # of the same kinds
    other.load_state_dict({name: np.zeros(value.shape, "f") for name, value in other.state_dict().items()})
    assert other(x).item() == 0.0


def test_linear_layers_one_after_another():
    rng = np.random.default_rng(6)
    x = rng.standard_normal((7, 5)).astype(np.float32)
    net = nn.Sequential(
        nn.Linear(5, 6, rng=rng),
        nn.Tanh(),
        nn.Linear(6, 4, bias=False, rng=rng),
        nn.Linear(4, 4, rng=rng),
        nn.ReLU(),
        nn.Linear(4, 3, rng=rng),
    )
    assert recorded(net(x)) == ["linear_layers"]
    steps = ["linear", "relu", "linear", "linear", "tanh", "linear"]
    with tg.fusion(False):
        assert recorded(net(x)) == steps
    shown = [node for node in tg.graph(net(x)).nodes if node.gate in ("mul", "max", "function")]
    assert [node.op for node in shown] == steps[::-1]
    assert [node.scope for node in shown] == [f"{i} ({type(layer).__name__})" for i, layer in enumerate(net)]
    tg.graph(net(x).sum()).check()
    for frozen in ((), (0,), (0, 2), (5,), (2, 3)):
        for i, layer in enumerate(net):
            layer.requires_grad_(i not in frozen)
        for needs in (True, False):
            found = []
            for allowed in (True, False):
                given = tg.tensor(x, requires_grad=needs)
                net.zero_grad()
                with tg.fusion(allowed):
                    tg.softmax_cross_entropy(net(given), np.arange(7) % 3).backward()
                found.append([None if t.grad is None else t.grad.numpy() for t in (given, *net.parameters())])
            for a, b in zip(*found, strict=True):
                assert (a is None) == (b is None)
                if a is not None:
                    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_second_derivatives_of_linear_layers():
    rng = np.random.default_rng(7)
    net = nn.Sequential(nn.Linear(3, 4, rng=rng), nn.Tanh(), nn.Linear(4, 2, bias=False, rng=rng), nn.Sigmoid())
    found = []
    for allowed in (True, False):
        x = tg.tensor(np.linspace(-1, 1, 6).reshape(2, 3), dtype="float32", requires_grad=True)
        net.zero_grad()
        with tg.fusion(allowed):
            (g,) = tg.gradients([net(x).sum()], [x], create_graph=True)
            (g * g).sum().backward()
        found.append([p.grad.numpy() for p in (*net.parameters(), x)])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("dims", [(1, -1), (0, 1), (-2, -1), (2, 2)])
def test_a_flatten_before_linear_layers_runs_with_them(dims):
    rng = np.random.default_rng(8)
    x = rng.standard_normal((2, 3, 4)).astype(np.float32)
    features = tg.flatten(x, *dims).shape[-1]
    net = nn.Sequential(nn.Flatten(*dims), nn.Linear(features, 3, rng=rng), nn.ReLU(), nn.Linear(3, 2, rng=rng))
    assert recorded(net(x)) == ["linear_layers"]
    found = []
    for allowed in (True, False):
        given = tg.tensor(x, requires_grad=True)
        net.zero_grad()
        with tg.fusion(allowed):
            (net(given) ** 2).sum().backward()
        found.append([t.grad.numpy() for t in (given, *net.parameters())])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    shown = [(node.op, node.scope) for node in tg.graph(net(x)).nodes if node.gate]
    assert shown == [("linear", "1 (Linear)"), ("relu", "2 (ReLU)"), ("linear", "3 (Linear)")]  # an array has no gates
    steps = [(node.op, node.scope) for node in tg.graph(net(given)).nodes if node.gate]
    assert steps == [("reshape", "0 (Flatten)"), *shown]
    tg.graph(net(given).sum()).check()


def test_an_error_in_one_of_the_linear_layers_names_it():
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(4, 2))
    with pytest.raises(tg.ShapeError, match=r"^2 \(Linear\): x of shape \(1, 3\) does not fit w of shape \(2, 4\)"):
        net(tg.ones(1, 2))
    net = nn.Sequential(nn.Flatten(), nn.Linear(9, 3), nn.Linear(3, 3))
    with pytest.raises(tg.ShapeError, match=r"^1 \(Linear\): x of shape \(2, 12\) .*flatten of \(3, 4\) = 12"):
        net(tg.ones(2, 3, 4, requires_grad=True))
    with pytest.raises(tg.ShapeError, match=r"^0 \(Flatten\): x of shape \(2,\) has no axes 1 to -1"):
        net(tg.ones(2))


def test_a_layer_may_forbid_it_to_those_after_it():
    class Forbids(nn.Module):
        def forward(self, x):
            tg.fusion(False)
            return x

    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), Forbids(), nn.Linear(2, 2), nn.ReLU())
    with tg.fusion(True):
        assert recorded(net(tg.ones(1, 2))) == ["relu", "linear", "linear_relu"]


def test_derivatives_of_higher_order_go_through_the_plain_operations():
    rng = np.random.default_rng(2)
    net = nn.Sequential(nn.Conv2d(1, 2, 2, rng=rng), nn.ReLU(), nn.MaxPool2d(2))
    x = tg.tensor(rng.standard_normal((1, 1, 5, 5)), requires_grad=True)
    net.load_state_dict({name: value.astype("float64") for name, value in net.state_dict().items()})
    for p in net.parameters():
        p.data = p.data * 3.0

    def second(allowed):
        with tg.fusion(allowed):
            out = (net(x.astype("float32")) ** 3).sum()
            (g,) = tg.gradients([out], [x], create_graph=True)
            (h,) = tg.gradients([(g * g).sum()], [net[0].weight])
        return g.detach().numpy(), h.numpy()

    for fused, plain in zip(second(True), second(False), strict=True):
        np.testing.assert_allclose(fused, plain, rtol=1e-5, atol=1e-6)
        assert np.abs(fused).max() > 0


def test_a_frozen_layer_gets_no_gradient():
    net, x = network(), tg.ones(1, 2, 8, 10)
    net[0].weight.requires_grad = False
    net[3].bias.requires_grad = False
    net(x).sum().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None] == ["0.weight", "3.bias"]
    with tg.fusion(False):
        grads = [p.grad for p in net.parameters()]
        net.zero_grad()
        net(x).sum().backward()
    for fused, p in zip(grads, net.parameters(), strict=True):
        if fused is not None:
            np.testing.assert_allclose(fused.numpy(), p.grad.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.Identity()])
@pytest.mark.parametrize("frozen", ["weight", "bias"])
def test_the_gradients_of_a_linear_layer_with_one_parameter_frozen(activation, frozen):
    net = nn.Sequential(nn.Linear(3, 2, rng=np.random.default_rng(5)), activation)
    x = np.random.default_rng(6).standard_normal((4, 3)).astype(np.float32)
    getattr(net[0], frozen).requires_grad = False
    out = net(tg.tensor(x))
    passed = np.where(out.detach().numpy() > 0, 1.0, 0.0) if isinstance(activation, nn.ReLU) else np.ones((4, 2))
    out.backward(tg.ones(4, 2))
    assert getattr(net[0], frozen).grad is None
    if frozen == "weight":
        np.testing.assert_allclose(net[0].bias.grad.numpy(), passed.sum(axis=0))
    else:
        np.testing.assert_allclose(net[0].weight.grad.numpy(), passed.T @ x, rtol=1e-5, atol=1e-6)


def test_an_error_is_that_of_the_layer_at_fault():
    net = network()
    with pytest.raises(tg.ShapeError, match=r"^0 \(Conv2d\): expected 2 input channels, got x of shape \(1, 3, 8, 8\)"):
        net(tg.zeros(1, 3, 8, 8))
    with pytest.raises(tg.ShapeError, match=r"^2 \(MaxPool2d\): "):
        net(tg.zeros(1, 2, 1, 1))
    net = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Tanh(), nn.AvgPool2d(3))
    with pytest.raises(tg.ShapeError, match=r"^2 \(AvgPool2d\): "):
        net(tg.zeros(1, 1, 2, 2))


def test_nan_goes_through():
    net = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU(), nn.MaxPool2d(2))
    net.load_state_dict({"0.weight": np.ones((1, 1, 1, 1), np.float32), "0.bias": np.zeros(1, np.float32)})
    x = tg.tensor([[[[1.0, np.nan], [2.0, -1.0]]]], requires_grad=True)
    out = net(x)
    assert np.isnan(out.item())
    out.backward(tg.ones(1, 1, 1, 1))
    np.testing.assert_array_equal(x.grad.numpy(), [[[[0.0, 1.0], [0.0, 0.0]]]])
