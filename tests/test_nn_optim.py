"""Optimizers against their rules written out in NumPy, over many steps; groups, state, and what they refuse."""

import math
import re

import numpy as np
import pytest

import nn
import tensorgraph as tg
from nn.optim import SGD, Adagrad, Adam, AdamW, RMSprop

# --- the rules -------------------------------------------------------------------------------------------------------


def sgd(p, gradients, lr, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False, lr_in_momentum=False):
    if lr_in_momentum:
        yield from alexnet(p, gradients, lr, momentum, weight_decay)
        return
    v = None
    for gradient in gradients:
        d = gradient + weight_decay * p
        if momentum:
            v = d if v is None else momentum * v + (1 - dampening) * d
            d = d + momentum * v if nesterov else v
        p = p - lr * d
        yield p


def adam(p, gradients, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
    m = v = 0.0
    for t, gradient in enumerate(gradients, 1):
        g = gradient + weight_decay * p
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g**2
        p = p - lr * (m / (1 - betas[0] ** t)) / (np.sqrt(v / (1 - betas[1] ** t)) + eps)
        yield p


def alexnet(w, gradients, lr, momentum, decay):
    """As in the paper, section 5."""
    v = 0.0
    for gradient in gradients:
        v = momentum * v - decay * lr * w - lr * gradient
        w = w + v
        yield w


def adamw(p, gradients, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2):
    m = v = 0.0
    for t, g in enumerate(gradients, 1):
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g**2
        step = (m / (1 - betas[0] ** t)) / (np.sqrt(v / (1 - betas[1] ** t)) + eps)
        p = p - lr * step - lr * weight_decay * p
        yield p


def rmsprop(p, gradients, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0, centered=False):
    v = m = b = 0.0
    for gradient in gradients:
        g = gradient + weight_decay * p
        v = alpha * v + (1 - alpha) * g**2
        m = alpha * m + (1 - alpha) * g
        b = momentum * b + g / (np.sqrt(v - m**2 if centered else v) + eps)
        p = p - lr * b
        yield p


def adagrad(p, gradients, lr=1e-2, lr_decay=0.0, weight_decay=0.0, initial_accumulator_value=0.0, eps=1e-10):
    s = initial_accumulator_value
    for t, gradient in enumerate(gradients):
        g = gradient + weight_decay * p
        s = s + g**2
        p = p - lr / (1 + t * lr_decay) * g / (np.sqrt(s) + eps)
        yield p


RULES = [
    (SGD, sgd, {"lr": 0.02}),
    (SGD, sgd, {"lr": 0.01, "momentum": 0.9}),
    (SGD, sgd, {"lr": 0.01, "momentum": 0.9, "nesterov": True}),
    (SGD, sgd, {"lr": 0.01, "momentum": 0.5, "dampening": 0.3, "weight_decay": 0.1}),
    (SGD, sgd, {"lr": 0.01, "weight_decay": 0.1}),
    (Adam, adam, {}),
    (Adam, adam, {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-3}),
    (Adam, adam, {"lr": 0.01, "weight_decay": 0.1}),
    (SGD, sgd, {"lr": 0.01, "momentum": 0.9, "weight_decay": 0.0005, "lr_in_momentum": True}),
    (AdamW, adamw, {}),
    (AdamW, adamw, {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1}),
    (RMSprop, rmsprop, {}),
    (RMSprop, rmsprop, {"lr": 0.02, "alpha": 0.9, "eps": 1e-3, "weight_decay": 0.1}),
    (RMSprop, rmsprop, {"momentum": 0.5}),
    (RMSprop, rmsprop, {"momentum": 0.9, "centered": True, "eps": 0.1}),
    (Adagrad, adagrad, {}),
    (Adagrad, adagrad, {"lr": 0.5, "lr_decay": 0.01, "weight_decay": 0.1, "initial_accumulator_value": 0.5}),
]
ALL = [SGD, Adam, AdamW, RMSprop, Adagrad]


def test_alexnets_rule_keeps_the_rate_of_every_step():
    options = {"momentum": 0.9, "weight_decay": 0.0005}
    w, plain = nn.Parameter([1.0]), nn.Parameter([1.0])
    steps = SGD([w], lr=0.1, **options, lr_in_momentum=True)
    other = SGD([plain], lr=0.1, **options)
    v, expected = 0.0, 1.0
    for i in range(6):
        steps.param_groups[0]["lr"] = other.param_groups[0]["lr"] = lr = 0.1 if i < 3 else 0.01
        for parameter, optimizer in ((w, steps), (plain, other)):
            optimizer.zero_grad()
            (parameter * parameter).sum().backward()
            optimizer.step()
        v = 0.9 * v - 0.0005 * lr * expected - lr * 2 * expected
        expected += v
        assert w.item() == pytest.approx(expected, rel=1e-5)
        assert (w.item() == pytest.approx(plain.item(), rel=1e-5)) == (i < 3)


@pytest.mark.parametrize(("optimizer", "rule", "options"), RULES)
def test_a_thousand_steps_follow_the_rule(optimizer, rule, options):
    rng = np.random.default_rng(0)
    start, gradients = rng.standard_normal((2, 3)), rng.standard_normal((1000, 2, 3)) + 0.5
    w = nn.Parameter(start)  # float64
    steps = optimizer([w], **options)
    for gradient, expected in zip(gradients, rule(start, gradients, **options), strict=True):
        steps.zero_grad()
        (w * gradient).sum().backward()
        steps.step()
        np.testing.assert_allclose(w.detach().numpy(), expected, rtol=1e-10, atol=1e-10)
    assert np.abs(expected - start).min() > 0.1


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("optimizer", "rule", "options"), RULES)
def test_ten_thousand_steps_are_pytorchs(optimizer, rule, options, dtype):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    options = dict(options)
    rng = np.random.default_rng(1)
    start, target = rng.standard_normal((2, 3)).astype(dtype), rng.standard_normal((2, 3)).astype(dtype)
    noise = rng.standard_normal((100, 2, 3)).astype(dtype)
    ours, theirs = nn.Parameter(start), torch.nn.Parameter(torch.tensor(start))
    steps = optimizer([ours], **options)
    options.pop("lr_in_momentum", None)  # the same while the rate is constant
    torch_steps = getattr(torch.optim, optimizer.__name__)([theirs], **options)
    for i in range(10_000):
        gradient = 0.1 * noise[i % 100]  # of 0.5 (w - target)^2, with noise
        ours.grad = ours.detach() - target + gradient
        theirs.grad = theirs.detach() - torch.from_numpy(target) + torch.from_numpy(gradient)
        steps.step()
        torch_steps.step()
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-6, atol=1e-6)
    assert np.abs(ours.detach().numpy() - start).max() > 0.1


def test_the_type_of_a_parameter_stays():
    for optimizer in ALL:
        w = nn.Parameter(np.ones(2, np.float32))
        steps = optimizer([w], lr=np.float64(0.1))
        for _ in range(2):
            (w * w).sum().backward()
            steps.step()
        assert w.dtype == np.float32
        assert all(a.dtype == np.float32 for s in steps.state.values() for a in s.values() if isinstance(a, np.ndarray))


def test_parameters_are_updated_without_a_copy():
    w = nn.Parameter(np.ones(1000, np.float32))
    steps = SGD([w], lr=0.1, momentum=0.9)
    where = w.data.__array_interface__["data"]
    for _ in range(3):
        steps.zero_grad()
        (w * w).sum().backward()
        steps.step()
    assert w.data.__array_interface__["data"] == where


def test_a_graph_that_is_kept_sees_the_values_it_was_recorded_with():
    w = nn.Parameter([2.0])
    loss = (w * w).sum()
    loss.backward(retain_graph=True)
    SGD([w], lr=0.25).step()
    assert w.item() == 1
    w.grad = None
    loss.backward()
    assert w.grad.item() == 4  # 2 w at the old w


@pytest.mark.parametrize("optimizer", ALL)
def test_gradients_and_saved_states_are_left_as_they_were(optimizer):
    w = nn.Parameter([1.0, 2.0])
    steps = optimizer([w], lr=0.1, **({"momentum": 0.9} if optimizer is SGD else {}))

    def step():
        steps.zero_grad()
        (w * w).sum().backward()
        steps.step()

    step()
    gradient, state = w.grad, steps.state_dict()["state"][0]
    remembered = {name: np.copy(value).tolist() for name, value in state.items()}
    step()
    assert gradient.tolist() == [2, 4]
    assert {name: np.copy(value).tolist() for name, value in state.items()} == remembered


def test_centered_rmsprop_takes_no_root_of_less_than_nothing():
    w = nn.Parameter(np.ones(50, np.float32))
    steps = RMSprop([w], centered=True, eps=1e-3)
    for _ in range(2000):  # the same gradient always: its variance is 0, or by rounding below
        w.grad = np.linspace(0.1, 1, 50, dtype=np.float32)
        steps.step()
    assert np.isfinite(w.detach().numpy()).all()


def test_only_parameters_with_a_gradient_move():
    used, unused = nn.Parameter([1.0]), nn.Parameter([1.0])
    steps = Adam([used, unused], lr=0.5)
    used.sum().backward()
    steps.step()
    assert used.item() == pytest.approx(0.5)
    assert unused.item() == 1
    assert list(steps.state) == [used]
    steps.zero_grad()
    assert used.grad is None


def test_gradients_of_zero_go_on_with_the_momentum_and_missing_ones_do_not():
    used, unused = nn.Parameter([1.0, 2.0]), nn.Parameter([1.0])
    steps = SGD([used, unused], lr=0.5, momentum=0.5)
    used.sum().backward()
    steps.step()
    steps.zero_grad(set_to_none=False)
    assert (used.grad.tolist(), used.grad.dtype, unused.grad) == ([0.0, 0.0], np.float32, None)
    steps.step()
    assert used.tolist() == [0.25, 1.25]
    steps.zero_grad(set_to_none=True)
    assert used.grad is None
    steps.step()
    assert used.tolist() == [0.25, 1.25]


def test_frozen_parameters_are_accepted_and_may_learn_later():
    w = nn.Parameter([1.0], requires_grad=False)
    steps = SGD([w], lr=0.5)
    steps.step()
    assert w.item() == 1
    w.requires_grad = True
    w.sum().backward()
    steps.step()
    assert w.item() == 0.5


def test_tensors_that_require_a_gradient_are_parameters_too():
    w = tg.tensor([1.0], requires_grad=True)
    steps = SGD([w], lr=0.5)
    w.sum().backward()
    steps.step()
    assert w.item() == 0.5


# --- groups ----------------------------------------------------------------------------------------------------------


def test_groups_have_options_of_their_own():
    a, b = nn.Parameter([1.0]), nn.Parameter([1.0])
    steps = SGD([{"params": [a]}, {"params": iter([b]), "lr": 0.5}], lr=0.25)
    (a + b).sum().backward()
    steps.step()
    assert (a.item(), b.item()) == (0.75, 0.5)
    steps.param_groups[0]["lr"] = 0.125
    steps.step()
    assert (a.item(), b.item()) == (0.625, 0.0)
    assert repr(steps).splitlines()[1] == (
        "SGD(1 parameters, lr=0.5, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False, lr_in_momentum=False)"
    )


def test_parameters_can_be_added():
    a, b = nn.Parameter([1.0]), nn.Parameter([1.0])
    steps = SGD([a], lr=0.5)
    steps.add_param_group({"params": b, "lr": 0.25})
    (a + b).sum().backward()
    steps.step()
    assert (a.item(), b.item()) == (0.5, 0.75)


# --- the state -------------------------------------------------------------------------------------------------------


def trained(optimizer, options, steps, state=None, start=(1.0, 2.0)):
    w, frozen = nn.Parameter(np.array(start)), nn.Parameter([1.0])
    rule = optimizer([{"params": [frozen]}, {"params": [w]}], **options)
    if state is not None:
        rule.load_state_dict(state)
    for _ in range(steps):
        rule.zero_grad()
        (w * w).sum().backward()
        rule.step()
    return w.tolist(), rule


@pytest.mark.parametrize(("optimizer", "options"), [(optimizer, options) for optimizer, _, options in RULES])
def test_training_goes_on_where_it_was_saved(tmp_path, optimizer, options):
    defaults = {"lr": 0.01} if optimizer is SGD else {}
    straight, _ = trained(optimizer, options, 7)
    half, rule = trained(optimizer, options, 4)
    state = rule.state_dict()
    trained(optimizer, options, 1, state)  # does not change the saved state
    nn.save(tmp_path / "optimizer", state)
    for saved in (state, nn.load(tmp_path / "optimizer")):
        rest, again = trained(optimizer, defaults, 3, saved, half)
        assert rest == straight
        assert {k: v for k, v in again.param_groups[1].items() if k != "params"} == {
            k: v for k, v in rule.param_groups[1].items() if k != "params"
        }


def test_a_state_that_does_not_fit_changes_nothing():
    w = nn.Parameter([1.0, 2.0])
    steps = Adam([w], lr=0.5)
    good = steps.state_dict()
    wrong = [
        SGD([w], lr=0.1).state_dict(),
        {"state": []},
        "nonsense",
        good | {"state": [{}, {}]},
        good | {"param_groups": []},
        good | {"state": [{"exp_avg": np.zeros(3)}]},
        good | {"param_groups": [good["param_groups"][0] | {"lr": "fast"}]},
        good | {"state": [3]},
    ]
    for state in wrong:
        with pytest.raises(ValueError, match=r"^Adam\.load_state_dict: "):
            steps.load_state_dict(state)
    assert steps.param_groups[0]["lr"] == 0.5
    assert steps.state == {}
    with pytest.raises(ValueError, match=r": exp_avg of parameter 0 has shape \(3,\), the parameter \(2,\)$"):
        steps.load_state_dict(wrong[5])
    with pytest.raises(ValueError, match=r": expected 1 parameters in groups of \[1\], got 2 in groups of \[1\]$"):
        steps.load_state_dict(wrong[3])


# --- mistakes --------------------------------------------------------------------------------------------------------


def used_up():
    parameters = nn.Linear(1, 1).parameters()
    list(parameters)
    return parameters


P = nn.Parameter([1.0])
MISTAKES = [
    (lambda: SGD([], 0.1), ValueError, "SGD: got no parameters; note that model.parameters() can be read only once"),
    (
        lambda: SGD(used_up(), 0.1),
        ValueError,
        "SGD: got no parameters; note that model.parameters() can be read only once",
    ),
    (lambda: SGD(P, 0.1), TypeError, "SGD: params must be an iterable of tensors, got Parameter; pass a list"),
    (
        lambda: Adam(nn.Linear(1, 1)),
        TypeError,
        "Adam: params must be an iterable of tensors, got Linear; pass model.parameters()",
    ),
    (
        lambda: SGD(nn.Linear(1, 1).parameters, lr=0.1),
        TypeError,
        "SGD: params must be an iterable of tensors, got method; call it: model.parameters()",
    ),
    (lambda: Adam(3), TypeError, "Adam: params must be an iterable of tensors, got int; pass a list"),
    (
        lambda: Adam(nn.Linear(1, 1).named_parameters()),
        TypeError,
        "Adam: parameter 0 must be a Tensor, got tuple; use parameters() instead of named_parameters()",
    ),
    (lambda: Adam([P * 2]), ValueError, "Adam: parameter 0 of shape (1,) is no leaf, it was computed"),
    (lambda: Adam([tg.tensor([1])]), TypeError, "Adam: parameter 0 must hold floats, got int64"),
    (
        lambda: Adam([P, tg.zeros(2, 3)]),
        ValueError,
        "Adam: parameter 1 of shape (2, 3) requires no gradient and would never change; "
        "make it an nn.Parameter, or with requires_grad=True",
    ),
    (lambda: Adam([P, P]), ValueError, "Adam: parameter 1 of shape (1,) was given twice"),
    (
        lambda: Adam([{"params": [P]}, {"params": [P]}]),
        ValueError,
        "Adam: parameter 0 of shape (1,) was given twice",
    ),
    (lambda: SGD([{"params": []}], 0.1), ValueError, "SGD: got a group without parameters"),
    (lambda: SGD([{"lr": 0.1}], 0.1), ValueError, 'SGD: a group needs "params", got only lr'),
    (
        lambda: SGD([{"params": [P], "beta": 1}], 0.1),
        TypeError,
        "SGD: unknown option beta; it has lr, momentum, dampening, weight_decay, nesterov, lr_in_momentum",
    ),
    (lambda: SGD([P], 0), ValueError, "SGD: lr must be greater than 0 and finite, got 0"),
    (lambda: SGD([P], -0.1), ValueError, "SGD: lr must be greater than 0 and finite, got -0.1"),
    (lambda: SGD([P], math.nan), ValueError, "SGD: lr must be greater than 0 and finite, got nan"),
    (lambda: SGD([P], math.inf), ValueError, "SGD: lr must be greater than 0 and finite, got inf"),
    (lambda: SGD([P], "0.1"), TypeError, "SGD: lr must be a number, got '0.1'"),
    (lambda: SGD([P], 0.1, -1), ValueError, "SGD: momentum must be at least 0 and finite, got -1"),
    (
        lambda: SGD([P], 0.1, nesterov=True),
        ValueError,
        "SGD: nesterov needs a momentum greater than 0 and no dampening, got momentum = 0.0 and dampening = 0.0",
    ),
    (lambda: Adam([P], betas=(0.9, 1.0)), ValueError, "Adam: betas[1] must lie in [0, 1), got 1.0"),
    (lambda: Adam([P], betas=0.9), TypeError, "Adam: betas must be a pair (beta1, beta2), got 0.9"),
    (
        lambda: SGD([P], 0.1, lr_in_momentum=True),
        ValueError,
        "SGD: lr_in_momentum needs a momentum greater than 0, no dampening and no nesterov, got momentum = 0.0, "
        "dampening = 0.0 and nesterov = False",
    ),
    (lambda: AdamW([P], betas=0.9), TypeError, "AdamW: betas must be a pair (beta1, beta2), got 0.9"),
    (lambda: RMSprop([P], alpha=1.0), ValueError, "RMSprop: alpha must lie in [0, 1), got 1.0"),
    (lambda: RMSprop([P], momentum=-1), ValueError, "RMSprop: momentum must be at least 0 and finite, got -1"),
    (lambda: RMSprop([P], lr=0), ValueError, "RMSprop: lr must be greater than 0 and finite, got 0"),
    (lambda: Adagrad([P], lr_decay=-1), ValueError, "Adagrad: lr_decay must be at least 0 and finite, got -1"),
    (
        lambda: Adagrad([P], initial_accumulator_value="1"),
        TypeError,
        "Adagrad: initial_accumulator_value must be a number, got '1'",
    ),
    (lambda: Adam([P], eps=-1e-8), ValueError, "Adam: eps must be at least 0 and finite, got -1e-08"),
]


@pytest.mark.parametrize(("mistake", "kind", "message"), MISTAKES, ids=[message for *_, message in MISTAKES])
def test_mistakes(mistake, kind, message):
    with pytest.raises(kind, match=f"^{re.escape(message)}$"):
        mistake()


def test_a_group_that_is_refused_is_not_added():
    steps = SGD([nn.Parameter([1.0])], lr=0.1)
    with pytest.raises(ValueError, match="lr must be"):
        steps.add_param_group({"params": [nn.Parameter([1.0])], "lr": -1})
    assert len(steps.param_groups) == 1
