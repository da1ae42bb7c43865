"""The large networks: parameters and tensor sizes as published, torchvision's names, and figures recorded from it."""

import hashlib

import numpy as np
import pytest

import nn
import tensorgraph as tg
from nn import models


def count(model):
    return sum(p.size for p in model.parameters())


def image(*shape):
    return np.random.default_rng(0).random((1, *shape), np.float32)


def sizes(layers, x, kinds):
    """The sizes of the maps behind the layers of these kinds."""
    found = []
    for layer in layers:
        x = layer(x)
        found += [x.shape[1:]] if isinstance(layer, kinds) else []
    return found


def test_lenet5():
    model = models.lenet5()
    assert count(model) == 61_706
    maps = sizes(model.features, image(1, 32, 32), (nn.Conv2d, nn.AvgPool2d))
    assert maps == [(6, 28, 28), (6, 14, 14), (16, 10, 10), (16, 5, 5), (120, 1, 1)]
    assert model(image(1, 32, 32)).shape == (1, 10)
    small = models.lenet5(num_classes=7, image_size=28)
    assert small(image(1, 28, 28)).shape == (1, 7)
    with pytest.raises(ValueError, match=r"^lenet5: image_size must be 32 or 28, got 30$"):
        models.lenet5(image_size=30)


def test_alexnet():
    model = models.alexnet().eval()
    assert count(model) == 62_378_344
    learned = [m for _, m in model.named_modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    each = [sum(p.size for p in layer.parameters()) for layer in learned]
    assert each == [34_944, 614_656, 885_120, 1_327_488, 884_992, 37_752_832, 16_781_312, 4_097_000]
    with tg.no_grad():
        maps = sizes(model.features, image(3, 227, 227), (nn.Conv2d, nn.MaxPool2d))
        assert model(image(3, 227, 227)).shape == (1, 1000)
    assert maps == [
        (96, 55, 55),
        (96, 27, 27),
        (256, 27, 27),
        (256, 13, 13),
        (384, 13, 13),
        (384, 13, 13),
        (256, 13, 13),
        (256, 6, 6),
    ]


def test_resnet20():
    model = models.resnet20()
    assert count(model) == 269_722
    assert len([m for _, m in model.named_modules() if isinstance(m, (nn.Conv2d, nn.Linear))]) == 20
    x = np.random.default_rng(0).random((4, 3, 32, 32), np.float32)
    out = model(x)
    assert out.shape == (4, 10)
    nn.CrossEntropyLoss()(out, [1, 2, 3, 4]).backward()
    assert all(np.abs(p.grad.numpy()).max() > 0 for p in model.parameters())
    assert model.layer2(np.zeros((1, 16, 32, 32), np.float32)).shape == (1, 32, 16, 16)
    assert model.layer3(np.zeros((1, 32, 16, 16), np.float32)).shape == (1, 64, 8, 8)


def test_a_shortcut_without_parameters_takes_every_second_pixel():
    x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    out = models.resnet20().layer2[0].downsample(x)
    assert out.tolist() == [[[[0, 2], [8, 10]], [[0, 0], [0, 0]]]]


# the number of parameters and of tensors, and a digest of "name shape" of each, recorded from torchvision
PUBLISHED = [
    (models.vgg11, 132_863_336, 22, "cb3dc23f2a13e182"),
    (models.vgg13, 133_047_848, 26, "67c1dc8b57fde74b"),
    (models.vgg16, 138_357_544, 32, "35c4623e0cd4a39d"),
    (models.vgg19, 143_667_240, 38, "4723255af8f6c485"),
    (models.googlenet, 13_004_888, 364, "7f541ca29410efb1"),
    (models.resnet18, 11_689_512, 122, "84fb10d9c6905a1c"),
    (models.resnet34, 21_797_672, 218, "28f9096d51307499"),
    (models.resnet50, 25_557_032, 320, "d7e4f8bb0a536344"),
    (models.resnet101, 44_549_160, 626, "02c0f34f4842751f"),
    (models.resnet152, 60_192_808, 932, "685c66205bc823aa"),
]


@pytest.mark.parametrize(
    ("build", "parameters", "tensors", "digest"), PUBLISHED, ids=lambda v: getattr(v, "__name__", "")
)
def test_parameters_have_torchvisions_names_and_shapes(build, parameters, tensors, digest, monkeypatch):
    monkeypatch.setattr(
        nn.init, "normal_", lambda tensor, *_, **__: tensor
    )  # their values do not matter, and take long
    monkeypatch.setattr(nn.init, "uniform_", lambda tensor, *_, **__: tensor)
    model = build()
    assert count(model) == parameters
    lines = [f"{name} {value.shape}" for name, value in model.state_dict().items()]
    assert len(lines) == tensors
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16] == digest


def fill(model, middle):
    """Weights that can be made again anywhere; `middle` is about which the factors of the batch norms lie."""
    state = {}
    for i, (name, value) in enumerate(model.state_dict().items()):
        uniform = 2 * np.random.default_rng(i).random(value.shape) - 1
        if value.ndim > 1:
            state[name] = uniform * np.sqrt(6 / np.prod(value.shape[1:]))
        elif name.endswith("running_var"):
            state[name] = 1 + 0.5 * uniform
        elif value.ndim == 1:
            state[name] = middle + 0.2 * uniform if name.endswith("weight") else 0.1 * uniform
    model.load_state_dict(state, strict=False)


RECORDED = [  # logits, and the norms of some gradients, of torchvision's networks in double precision
    (
        nn.models.googlenet,
        1.0,
        [[-10.389925, -3.92647, 0.162672, -19.433983, 9.671133], [-11.528774, -5.235053, 1.91573, -21.013736, 7.74709]],
        {
            "conv1.conv.weight": 29.27919,
            "inception4c.branch2.0.bn.bias": 0.6422982,
            "fc.weight": 451.7288,
            "fc.bias": 1.222906,
        },
    ),
    (
        nn.models.resnet18,
        0.5,
        [[-0.636832, -0.331736, -0.583388, 0.220884, 0.597173], [-0.772442, -0.316103, -0.60309, 0.169471, 0.638638]],
        {"conv1.weight": 0.5796708, "layer3.0.bn1.weight": 0.1794692, "fc.weight": 4.295419, "fc.bias": 0.7015588},
    ),
    (
        nn.models.resnet50,
        0.5,
        [[-0.562466, 0.138282, 0.126767, -0.302785, -0.157598], [-0.593309, 0.193916, 0.134541, -0.320205, -0.163307]],
        {"conv1.weight": 0.2229046, "layer3.0.bn3.bias": 0.1738345, "fc.weight": 4.248463, "fc.bias": 0.441011},
    ),
]


@pytest.mark.parametrize(("build", "middle", "logits", "norms"), RECORDED, ids=lambda v: getattr(v, "__name__", ""))
def test_outputs_and_gradients_are_those_recorded_from_torchvision(build, middle, logits, norms):
    model = build(num_classes=5).eval()
    fill(model, middle)
    x = (4 * np.random.default_rng(1000).random((2, 3, 64, 64)) - 2).astype(np.float32)
    out = model(x)
    np.testing.assert_allclose(out.detach().numpy(), logits, rtol=1e-4, atol=1e-4 * np.abs(logits).max())
    nn.CrossEntropyLoss()(out, [1, 2]).backward()
    parameters = dict(model.named_parameters())
    for name, norm in norms.items():
        assert np.linalg.norm(parameters[name].grad.numpy()) == pytest.approx(norm, rel=1e-3), name


def test_googlenet_in_training_gives_three_logits():
    model = models.googlenet(num_classes=5)
    x = np.random.default_rng(0).random((2, 3, 64, 64), np.float32)
    out = model(x)
    assert out._fields == ("logits", "aux_logits2", "aux_logits1")
    assert [logits.shape for logits in out] == [(2, 5)] * 3
    loss = nn.CrossEntropyLoss()
    (loss(out.logits, [1, 2]) + 0.3 * (loss(out.aux_logits1, [1, 2]) + loss(out.aux_logits2, [1, 2]))).backward()
    assert all(p.grad is not None for p in model.parameters())
    assert model.eval()(x).shape == (2, 5)
    without = models.googlenet(num_classes=5, aux_logits=False)
    assert without(x).shape == (2, 5)
    assert "aux1.fc1.weight" not in without.state_dict()


def test_googlenet_with_images_standardized_for_other_networks():
    plain, other = models.googlenet(5).eval(), models.googlenet(5, transform_input=True).eval()
    fill(plain, 1.0)
    fill(other, 1.0)
    pixels = np.random.default_rng(0).random((2, 3, 64, 64), np.float32)
    mean = np.array([0.485, 0.456, 0.406], np.float32).reshape(3, 1, 1)
    std = np.array([0.229, 0.224, 0.225], np.float32).reshape(3, 1, 1)
    expected = plain(2 * pixels - 1).detach().numpy()
    np.testing.assert_allclose(other((pixels - mean) / std).detach().numpy(), expected, rtol=1e-3, atol=1e-3)


def test_a_generator_makes_networks_again():
    first, second = (models.resnet20(rng=np.random.default_rng(4)).state_dict() for _ in range(2))
    assert all(first[name].tolist() == second[name].tolist() for name in first)


def test_initial_values_keep_the_variance_of_gradients():
    weight = models.resnet18(rng=np.random.default_rng(0)).layer3[0].conv1.weight
    assert weight.detach().numpy().std() == pytest.approx((2 / (256 * 9)) ** 0.5, rel=0.01)
