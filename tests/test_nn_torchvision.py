"""VGG, GoogLeNet and ResNet against torchvision's, with the same weights: names, outputs and gradients."""

import numpy as np
import pytest

import nn
import tensorgraph as tg

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
models = pytest.importorskip("torchvision.models", reason="torchvision is not installed")

NETWORKS = [  # with images that are small, and still reach the last stage with more than one pixel
    ("vgg11", 32),
    ("vgg13", 32),
    ("vgg16", 32),
    ("vgg19", 32),
    ("googlenet", 96),
    ("resnet18", 96),
    ("resnet34", 96),
    ("resnet50", 96),
    ("resnet101", 64),
    ("resnet152", 64),
]


def pair(name, **options):
    """Our network with torchvision's weights, and torchvision's; batch norms with statistics of their own."""
    torch.manual_seed(0)
    plain = {"init_weights": True} if name.startswith(("vgg", "goog")) else {}
    theirs = getattr(models, name)(num_classes=10, **plain, **options)
    for module in theirs.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.5, 1)
            module.bias.data.normal_(0, 0.1)
        elif isinstance(module, torch.nn.Dropout):
            module.p = 0.0  # its random numbers are PyTorch's own
        elif isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)) and name == "googlenet":
            torch.nn.init.kaiming_normal_(module.weight)  # with its own of 0.01 everything is nearly 0
    ours = getattr(nn.models, name)(num_classes=10, **options)
    for _, module in ours.named_modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    ours.load_state_dict({key: value.numpy() for key, value in theirs.state_dict().items()})
    assert list(ours.state_dict()) == list(theirs.state_dict())
    return ours, theirs


def doubled(ours, theirs):
    """Both in double precision, where rounding does not turn a ReLU on or off, and all gradients below it."""
    for _, module in ours.named_modules():
        for name, value in list(vars(module).items()):
            if isinstance(value, nn.Parameter):
                setattr(module, name, nn.Parameter(value.detach().numpy().astype(np.float64)))
            elif isinstance(value, tg.Tensor) and value.dtype.kind == "f":
                setattr(module, name, value.astype("float64"))
    return ours, theirs.double()


def near(got, expected, tolerance=1e-4):
    got, expected = got.detach().numpy(), expected.detach().numpy()
    assert np.abs(got - expected).max() <= tolerance * np.abs(expected).max()


def images(size, count=2):
    return np.random.default_rng(0).standard_normal((count, 3, size, size)).astype(np.float32)


@pytest.mark.parametrize(("name", "size"), NETWORKS)
def test_outputs_and_gradients_are_torchvisions(name, size):
    ours, theirs = pair(name)
    x, tolerance = images(size), 1e-4
    if not name.startswith("vgg"):  # it is not deep, and large
        (ours, theirs), x, tolerance = doubled(ours, theirs), x.astype(np.float64), 1e-9
    ours_x, theirs_x = tg.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    ours.eval()
    theirs.eval()
    out, expected = ours(ours_x), theirs(theirs_x)
    near(out, expected, tolerance)
    nn.CrossEntropyLoss()(out, [1, 2]).backward()
    torch.nn.functional.cross_entropy(expected, torch.tensor([1, 2])).backward()
    near(ours_x.grad, theirs_x.grad, tolerance)
    gradients = dict(theirs.named_parameters())
    for path, parameter in ours.named_parameters():
        if parameter.grad is None:
            assert gradients[path].grad is None, path
        else:
            near(parameter.grad, gradients[path].grad, tolerance)


@pytest.mark.parametrize("name", ["googlenet", "resnet18", "resnet50"])
def test_in_training_the_statistics_are_torchvisions_too(name):
    ours, theirs = pair(name)
    x = images(96, 4)
    out, expected = ours(x), theirs(torch.from_numpy(x))
    if name == "googlenet":
        assert out._fields == expected._fields
        for a, b in zip(out, expected, strict=True):
            near(a, b)
    else:
        near(out, expected)
    statistics = theirs.state_dict()
    for path, value in ours.state_dict().items():
        if "running" in path:
            near(value, statistics[path])


@pytest.mark.parametrize("options", [{"aux_logits": False}, {"transform_input": True}])
def test_googlenet_with_other_settings(options):
    ours, theirs = pair("googlenet", **options)
    x = images(64)
    near(ours.eval()(x), theirs.eval()(torch.from_numpy(x)))
