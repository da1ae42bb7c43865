"""VGG, GoogLeNet and ResNet against torchvision's, with the same weights: names, outputs and gradients."""

import numpy as np
import pytest

import nn

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
models = pytest.importorskip("torchvision.models", reason="torchvision is not installed")
from against_torch import compare, doubled, images, near, through_files  # noqa: E402 (needs PyTorch)

NETWORKS = [  # with images that are small, and still reach the last stage with more than one pixel
    ("vgg11", 32),
    ("vgg11", 64),  # in double precision: in single, one ReLU of the 65,536 of a layer is on in one, off in the other
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


def pair(name, folder, **options):
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
    through_files(ours, theirs, folder)
    return ours, theirs


@pytest.mark.parametrize(("name", "size"), NETWORKS)
def test_outputs_and_gradients_are_torchvisions(name, size, tmp_path):
    ours, theirs = pair(name, tmp_path)
    x, tolerance = images(3, size), 1e-4
    if size > 32 or not name.startswith("vgg"):  # it is not deep, and large
        (ours, theirs), x, tolerance = doubled(ours, theirs), x.astype(np.float64), 1e-9
    compare(ours, theirs, x, tolerance)


@pytest.mark.parametrize("name", ["googlenet", "resnet18", "resnet50"])
def test_in_training_the_statistics_are_torchvisions_too(name, tmp_path):
    ours, theirs = pair(name, tmp_path)
    x = images(3, 96, 4)
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
def test_googlenet_with_other_settings(options, tmp_path):
    ours, theirs = pair("googlenet", tmp_path, **options)
    x = images(3, 64)
    near(ours.eval()(x), theirs.eval()(torch.from_numpy(x)))
