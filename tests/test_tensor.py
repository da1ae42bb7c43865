"""class Tensor: every named method against NumPy's, the public names of the contract, and what can be set."""

from __future__ import annotations

import math

import numpy as np
import pytest

import nn
import tensorgraph as tg
from tensorgraph import _renamed

X = np.array([[0.5, -1.5, 2.0], [1.0, 0.25, -0.75]])
P = np.abs(X)
Y = np.array([2.0, -1.0, 0.5])


def softmax(a, axis=-1):
    powers = np.exp(a - a.max(axis, keepdims=True))
    return powers / powers.sum(axis, keepdims=True)


# (the call on a tensor of X, what NumPy gives for it); each method once with its defaults and once with its options
METHODS = {
    "add": [(lambda t: t.add(Y), X + Y)],
    "sub": [(lambda t: t.sub(Y), X - Y)],
    "mul": [(lambda t: t.mul(Y), X * Y)],
    "div": [(lambda t: t.div(Y), X / Y)],
    "pow": [(lambda t: t.abs().pow(Y), P**Y)],
    "neg": [(lambda t: t.neg(), -X)],
    "abs": [(lambda t: t.abs(), P)],
    "sqrt": [(lambda t: t.abs().sqrt(), np.sqrt(P))],
    "exp": [(lambda t: t.exp(), np.exp(X))],
    "expm1": [(lambda t: t.expm1(), np.expm1(X))],
    "log": [(lambda t: t.abs().log(), np.log(P))],
    "log1p": [(lambda t: t.abs().log1p(), np.log1p(P))],
    "sin": [(lambda t: t.sin(), np.sin(X))],
    "cos": [(lambda t: t.cos(), np.cos(X))],
    "tan": [(lambda t: t.tan(), np.tan(X))],
    "arctan": [(lambda t: t.arctan(), np.arctan(X))],
    "sinh": [(lambda t: t.sinh(), np.sinh(X))],
    "cosh": [(lambda t: t.cosh(), np.cosh(X))],
    "tanh": [(lambda t: t.tanh(), np.tanh(X))],
    "sigmoid": [(lambda t: t.sigmoid(), 1 / (1 + np.exp(-X)))],
    "relu": [(lambda t: t.relu(), X * (X > 0))],
    "leaky_relu": [
        (lambda t: t.leaky_relu(), np.where(X > 0, X, 0.01 * X)),
        (lambda t: t.leaky_relu(0.2), np.where(X > 0, X, 0.2 * X)),
    ],
    "elu": [
        (lambda t: t.elu(), np.where(X > 0, X, np.expm1(X))),
        (lambda t: t.elu(2.0), np.where(X > 0, X, 2 * np.expm1(X))),
    ],
    "gelu": [(lambda t: t.gelu(), X / 2 * (1 + np.vectorize(math.erf)(X / math.sqrt(2))))],
    "softplus": [(lambda t: t.softplus(), np.log1p(np.exp(X)))],
    "maximum": [(lambda t: t.maximum(Y), np.maximum(X, Y))],
    "minimum": [(lambda t: t.minimum(Y), np.minimum(X, Y))],
    "clip": [
        (lambda t: t.clip(-1, 1), X.clip(-1, 1)),
        (lambda t: t.clip(max=0.5), X.clip(max=0.5)),
        (lambda t: t.clip(0.5), X.clip(0.5)),
    ],
    "astype": [(lambda t: t.astype("int32"), X.astype("int32"))],
    "copy": [(lambda t: t.copy(), X)],
    "sum": [(lambda t: t.sum(), X.sum()), (lambda t: t.sum(0, True), X.sum(0, keepdims=True))],
    "mean": [(lambda t: t.mean(), X.mean()), (lambda t: t.mean(1, True), X.mean(1, keepdims=True))],
    "var": [(lambda t: t.var(), X.var()), (lambda t: t.var(1, True, 1), X.var(1, keepdims=True, ddof=1))],
    "std": [(lambda t: t.std(), X.std()), (lambda t: t.std(1, True, 1), X.std(1, keepdims=True, ddof=1))],
    "prod": [(lambda t: t.prod(), X.prod()), (lambda t: t.prod(0, True), X.prod(0, keepdims=True))],
    "max": [(lambda t: t.max(), X.max()), (lambda t: t.max(0, True), X.max(0, keepdims=True))],
    "min": [(lambda t: t.min(), X.min()), (lambda t: t.min(0, True), X.min(0, keepdims=True))],
    "argmax": [(lambda t: t.argmax(), X.argmax()), (lambda t: t.argmax(0, True), X.argmax(0, keepdims=True))],
    "argmin": [(lambda t: t.argmin(), X.argmin()), (lambda t: t.argmin(0, True), X.argmin(0, keepdims=True))],
    "cumsum": [(lambda t: t.cumsum(), X.cumsum()), (lambda t: t.cumsum(0), X.cumsum(0))],
    "logsumexp": [
        (lambda t: t.logsumexp(), np.log(np.exp(X).sum())),
        (lambda t: t.logsumexp(0, True), np.log(np.exp(X).sum(0, keepdims=True))),
    ],
    "softmax": [(lambda t: t.softmax(), softmax(X)), (lambda t: t.softmax(0), softmax(X, 0))],
    "log_softmax": [
        (lambda t: t.log_softmax(), np.log(softmax(X))),
        (lambda t: t.log_softmax(0), np.log(softmax(X, 0))),
    ],
    "norm": [
        (lambda t: t.norm(), np.sqrt((X * X).sum())),
        (lambda t: t.norm(1, 0, True), P.sum(0, keepdims=True)),
        (lambda t: t.norm(3, axis=1), (P**3).sum(1) ** (1 / 3)),
        (lambda t: t.norm(math.inf), P.max()),
    ],
    "reshape": [
        (lambda t: t.reshape(3, 2), X.reshape(3, 2)),
        (lambda t: t.reshape((3, -1)), X.reshape(3, 2)),
        (lambda t: t.reshape(6), X.reshape(6)),
    ],
    "transpose": [
        (lambda t: t.transpose(), X.T),
        (lambda t: t.transpose(1, 0), X.T),
        (lambda t: t.transpose((0, 1)), X),
        (lambda t: t.T, X.T),
    ],
    "permute": [(lambda t: t.permute(1, 0), X.T), (lambda t: t.permute((1, 0)), X.T)],
    "swapaxes": [(lambda t: t.swapaxes(0, -1), X.T)],
    "flip": [(lambda t: t.flip(), X[::-1, ::-1]), (lambda t: t.flip(1), X[:, ::-1])],
    "expand_dims": [(lambda t: t.expand_dims(1), X[:, None]), (lambda t: t.expand_dims((0, -1)), X[None, ..., None])],
    "squeeze": [(lambda t: t[:1].squeeze(), X[0]), (lambda t: t[:1, :1].squeeze(1), X[:1, 0])],
    "flatten": [
        (lambda t: t.flatten(), X.ravel()),
        (lambda t: t[None].flatten(1), X.reshape(1, 6)),
        (lambda t: t[None].flatten(end_dim=1), X),
        (lambda t: t[0, 0].flatten(), X[0, :1]),
    ],
    "broadcast_to": [(lambda t: t.broadcast_to((2, 2, 3)), np.stack([X, X]))],
    "pad": [
        (lambda t: t.pad(1), np.pad(X, 1)),
        (lambda t: t.pad(((0, 1), (2, 0)), constant_values=7.0), np.pad(X, ((0, 1), (2, 0)), constant_values=7.0)),
    ],
    "split": [(lambda t: t.split(2)[1], X[1:]), (lambda t: t.split([1, 2], 1)[1], X[:, 1:2])],
    "take": [(lambda t: t.take([5, 0]), X.take([5, 0])), (lambda t: t.take([2, 0], 1), X[:, [2, 0]])],
    "matmul": [(lambda t: t.matmul(Y), X @ Y)],
    "dot": [(lambda t: t.dot(Y), X @ Y)],
    "item": [(lambda t: t[0, 1].item(), -1.5)],
    "numpy": [(lambda t: t.detach().numpy(), X)],
    "tolist": [(lambda t: t.tolist(), X.tolist())],
    "detach": [(lambda t: t.detach(), X)],
}
CALLS = [pytest.param(*call, id=f"{name}-{i}") for name, calls in METHODS.items() for i, call in enumerate(calls)]


@pytest.mark.parametrize(("call", "expected"), CALLS)
def test_method(call, expected):
    result = call(tg.tensor(X, requires_grad=True))
    values = result.detach().numpy() if isinstance(result, tg.Tensor) else np.asarray(result)
    assert values.shape == np.shape(expected)
    assert values.dtype == np.asarray(expected).dtype
    np.testing.assert_allclose(values, expected, rtol=1e-14)


def test_every_method_is_in_the_table():
    public = {name for name in dir(tg.Tensor) if not name.startswith("_") and callable(getattr(tg.Tensor, name))}
    assert public - METHODS.keys() == {"backward", "requires_grad_"}  # they have tests of their own


def test_pythons_words_about_a_wrong_call_name_the_tensor():
    with pytest.raises(TypeError, match=r"^Tensor\.exp\(\) takes 1 positional argument but 2 were given$"):
        tg.ones(1).exp(0)


# --- the names that programs are written against ---------------------------------------------------------------------

NAMES = """
tensor zeros ones full arange eye zeros_like ones_like rand randn manual_seed Tensor ShapeError GradError
add sub mul div neg pow abs sqrt exp expm1 log log1p sin cos tan arctan sinh cosh tanh sigmoid relu leaky_relu elu gelu
softplus maximum minimum clip where sum mean var std prod max min argmax argmin cumsum logsumexp softmax log_softmax
matmul dot einsum reshape transpose permute swapaxes flip expand_dims squeeze broadcast_to pad concatenate stack split
flatten take one_hot norm conv2d conv2d_transpose conv1d max_pool2d avg_pool2d adaptive_avg_pool2d unfold fold
softmax_cross_entropy nll_loss binary_cross_entropy binary_cross_entropy_with_logits mse_loss batch_norm dropout linear
no_grad enable_grad is_grad_enabled grad value_and_grad vjp jvp jacobian hessian hvp gradients extend record
"""
MEMBERS = "data grad requires_grad is_leaf shape dtype ndim size T name item numpy detach copy astype backward"


def test_the_names_of_the_contract_exist():
    assert [name for name in NAMES.split() if name not in tg.__all__] == []
    assert [name for name in MEMBERS.split() if not hasattr(tg.Tensor, name)] == []
    assert {"primitive", "elementwise"} <= set(tg.extend.__all__)


# --- what can be set -------------------------------------------------------------------------------------------------


def test_new_values_by_assignment():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    x.data = np.array([3, 4])
    assert (x.tolist(), x.dtype, x.requires_grad) == ([3.0, 4.0], np.float32, True)
    x.data = tg.tensor([5.0, 6.0])
    assert x.tolist() == [5.0, 6.0]
    x.data += 1
    assert x.tolist() == [6.0, 7.0]
    n = tg.tensor([1, 2])
    n.data = [3.0, 4.0]
    assert (n.tolist(), n.dtype) == ([3, 4], np.int64)


def test_new_values_while_the_old_array_is_held():
    x = tg.tensor([1.0, 2.0])
    held = x.data
    new = np.array([3.0, 4.0], np.float32)
    x.data = new
    held[:] = new[:] = 9.0
    assert x.tolist() == [3.0, 4.0]


def test_a_leaf_starts_and_stops_to_require_a_gradient():
    x = tg.tensor([1.0, 2.0], name="x")
    assert x.requires_grad_() is x
    (x * x).sum().backward()
    x.requires_grad = False
    assert not (x * x).requires_grad
    assert x.is_leaf
    assert x.grad.tolist() == [2.0, 4.0]
    x.requires_grad = x.requires_grad = True
    assert (x * x).requires_grad
    y = x * 2
    y.requires_grad = True  # it does already
    assert not y.is_leaf


RENAMED = {
    "view": "PyTorch's view is reshape here",
    "unsqueeze": "PyTorch's unsqueeze is expand_dims here",
    "cat": "PyTorch's cat is concatenate here",
    "to": "PyTorch's to is astype here",
    "float": 'PyTorch\'s float is astype("float32") here',
    "cuda": "leave cuda out, every tensor is a NumPy array in the memory of the CPU",
}


@pytest.mark.parametrize(("name", "hint"), RENAMED.items())
def test_names_of_pytorch_are_told_ours(name, hint):
    for owner, subject in ((tg.ones(2), "'Tensor' object"), (nn.Parameter(np.ones(2)), "'Parameter' object")):
        with pytest.raises(AttributeError) as caught:
            getattr(owner, name)
        assert str(caught.value) == f"{subject} has no attribute {name!r}; {hint}"
        assert caught.value.name == name
        assert caught.value.obj is owner
    with pytest.raises(AttributeError) as caught:
        getattr(tg, name)
    assert str(caught.value) == f"module 'tensorgraph' has no attribute {name!r}; {hint}"


def test_the_names_that_are_told_exist_and_those_of_pytorch_do_not():
    for theirs, ours in _renamed._OURS.items():
        assert not hasattr(tg.Tensor, theirs), theirs
        assert theirs not in tg.__all__, theirs
        known = ours.partition("(")[0]
        assert hasattr(tg.Tensor, known) or known in tg.__all__ or known.startswith("the word"), ours


def test_what_nobody_has_is_missing_as_usual():
    with pytest.raises(AttributeError, match=r"^'Tensor' object has no attribute 'bogus'$"):
        tg.ones(2).bogus  # noqa: B018 (it fails)
    assert not hasattr(tg.ones(2), "bogus")
    with pytest.raises(AttributeError, match=r"^module 'tensorgraph' has no attribute 'bogus'$"):
        tg.bogus  # noqa: B018 (it fails)
