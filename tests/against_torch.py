"""A network of ours and PyTorch's of the same weights, compared; what compares them needs PyTorch."""

import numpy as np
import pytest

import nn
import tensorgraph as tg

torch = pytest.importorskip("torch", reason="PyTorch is not installed")  # docstrings are looked for in this file, too


def through_files(ours, theirs, folder):
    """Our network gets the weights of PyTorch's, by the file that `torch.save` writes."""
    path = folder / "weights.pth"
    torch.save(theirs.state_dict(), path)
    report = nn.load_state_dict_file(ours, path)
    path.unlink()  # pytest keeps the folders of its last runs, and some are large
    assert list(ours.state_dict()) == list(theirs.state_dict()) == report.matched
    assert report.notes == []


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


def compare(ours, theirs, x, tolerance):
    """Outputs in use, and the gradients of the loss with respect to the images and all parameters."""
    ours_x, theirs_x = tg.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    ours.eval()
    theirs.eval()
    out, expected = ours(ours_x), theirs(theirs_x)
    near(out, expected, tolerance)
    labels = [1, 2]
    nn.CrossEntropyLoss()(out, labels).backward()
    torch.nn.functional.cross_entropy(expected, torch.tensor(labels)).backward()
    near(ours_x.grad, theirs_x.grad, tolerance)
    gradients = dict(theirs.named_parameters())
    for path, parameter in ours.named_parameters():
        if parameter.grad is None:
            assert gradients[path].grad is None, path
        else:
            near(parameter.grad, gradients[path].grad, tolerance)


def images(channels, size, count=2):
    return np.random.default_rng(0).standard_normal((count, channels, size, size)).astype(np.float32)
