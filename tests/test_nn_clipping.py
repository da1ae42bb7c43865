"""Gradient clipping against the formulas."""

import math

import numpy as np
import pytest

import nn
import tensorgraph as tg
from nn.optim import clip_grad_norm_, clip_grad_value_


def parameters():
    found = [nn.Parameter(np.zeros(shape, np.float32)) for shape in ((3, 4), (5,), (), (0, 2))]
    rng = np.random.default_rng(0)
    for p in found:
        p.grad = rng.standard_normal(p.shape).astype(np.float32)
    return [*found, nn.Parameter([1.0])]  # the last has no gradient


def elements(found):
    return np.concatenate([p.grad.numpy().ravel() for p in found if p.grad is not None])


@pytest.mark.parametrize("norm_type", [2.0, 1, 3.0, math.inf])
@pytest.mark.parametrize("max_norm", [0.5, 100.0, 0.0])
def test_clip_grad_norm(norm_type, max_norm):
    found = parameters()
    before = elements(found)
    expected = np.linalg.norm(before.astype(np.float64), norm_type)
    norm = clip_grad_norm_(iter(found), max_norm, norm_type)
    assert norm.shape == ()
    assert norm.item() == pytest.approx(expected, rel=1e-6)
    scale = min(1.0, max_norm / (expected + 1e-6))
    np.testing.assert_allclose(elements(found), scale * before, rtol=1e-6, atol=0)
    assert all(p.grad.dtype == np.float32 for p in found[:-1])
    assert found[-1].grad is None


def test_clip_grad_value():
    found = parameters()
    before = elements(found)
    assert clip_grad_value_(found, 0.5) is None
    np.testing.assert_array_equal(elements(found), np.clip(before, -0.5, 0.5))
    clip_grad_value_(found[0], 0.25)
    assert np.abs(found[0].grad.numpy()).max() == 0.25


def test_nothing_to_clip():
    assert clip_grad_norm_([nn.Parameter([1.0])], 1.0).item() == 0
    assert clip_grad_norm_([], 1.0).item() == 0
    clip_grad_value_([], 1.0)


def test_parameters_that_share_a_gradient_are_scaled_once():
    a, b = nn.Parameter([3.0]), nn.Parameter([4.0])
    ((a + b) * 10.0).sum().backward()
    clip_grad_norm_([a, b], 1.0)
    np.testing.assert_allclose([a.grad.item(), b.grad.item()], [0.5**0.5] * 2, rtol=1e-6)


def test_the_gradient_that_somebody_else_holds_stays():
    w = nn.Parameter([3.0, 4.0])
    (w * w).sum().backward()
    held = w.grad
    clip_grad_norm_(w, 1.0)
    assert held.tolist() == [6, 8]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("norm_type", [2.0, math.inf])
def test_gradients_that_are_no_numbers(bad, norm_type):
    found = parameters()
    found[1].grad[2] = bad
    assert not math.isfinite(clip_grad_norm_(found, 1e9, norm_type).item())
    found = parameters()
    found[1].grad[2] = bad
    before = elements(found)
    message = rf"^clip_grad_norm_: the norm of the gradients is {bad}; tg.detect_nan\(\) finds where from$"
    with pytest.raises(RuntimeError, match=message):
        clip_grad_norm_(found, 1.0, norm_type, error_if_nonfinite=True)
    np.testing.assert_array_equal(elements(found), before)


@pytest.mark.parametrize("norm_type", [2.0, 1.0, math.inf])
@pytest.mark.parametrize("max_norm", [0.5, 100.0])
def test_the_clipped_gradients_are_pytorchs(norm_type, max_norm):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    ours = parameters()[:3]
    theirs = [torch.nn.Parameter(torch.tensor(p.detach().numpy())) for p in ours]
    for p, q in zip(ours, theirs, strict=True):
        q.grad = torch.tensor(p.grad.numpy())
    norm = torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type)
    assert clip_grad_norm_(ours, max_norm, norm_type).item() == pytest.approx(norm.item(), rel=1e-6)
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=2e-6)


MISTAKES = [
    (
        lambda: clip_grad_norm_(nn.Linear(1, 1), 1.0),
        TypeError,
        "clip_grad_norm_: parameters must be tensors, got Linear; pass model.parameters()",
    ),
    (lambda: clip_grad_norm_(3, 1.0), TypeError, "clip_grad_norm_: parameters must be tensors, got int"),
    (lambda: clip_grad_value_(["w"], 1.0), TypeError, "clip_grad_value_: parameters must be tensors, got str"),
    (lambda: clip_grad_norm_([], -1.0), ValueError, "clip_grad_norm_: max_norm must be at least 0, got -1.0"),
    (lambda: clip_grad_norm_([], "1"), TypeError, "clip_grad_norm_: max_norm must be a number, got '1'"),
    (lambda: clip_grad_value_([], math.nan), ValueError, "clip_grad_value_: clip_value must be at least 0, got nan"),
    (
        lambda: clip_grad_norm_([], 1.0, 0),
        ValueError,
        "clip_grad_norm_: norm_type must be a positive number or inf, got 0",
    ),
]


@pytest.mark.parametrize(("mistake", "kind", "message"), MISTAKES, ids=[message for *_, message in MISTAKES])
def test_mistakes(mistake, kind, message):
    with pytest.raises(kind) as error:
        mistake()
    assert str(error.value) == message


def test_clipping_keeps_training_in_one_place():
    w = tg.tensor([10.0], requires_grad=True)
    (w**4).sum().backward()
    clip_grad_norm_(w, 1.0)
    nn.optim.SGD([w], lr=1.0).step()
    assert w.item() == pytest.approx(9.0)
