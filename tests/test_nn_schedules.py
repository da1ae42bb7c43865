"""Schedules against their formulas, against PyTorch's where it is installed, and stopped and resumed."""

import math

import numpy as np
import pytest

import nn
import tensorgraph as tg
from nn import optim


def optimizer(kind=optim.SGD, rates=(0.5, 0.1), **options):
    return kind([{"params": [nn.Parameter([1.0])], "lr": rate} for rate in rates], lr=1.0, **options)


def rates(schedule, steps):
    found = []
    for _ in range(steps):
        found.append(schedule.get_last_lr())
        schedule.step()
    return np.array(found)


FORMULAS = [
    (lambda o: optim.StepLR(o, 3, gamma=0.5), lambda base, t: base * 0.5 ** (t // 3)),
    (lambda o: optim.MultiStepLR(o, [7, 2, 7]), lambda base, t: base * 0.1 ** ((t >= 2) + 2 * (t >= 7))),
    (lambda o: optim.ExponentialLR(o, 0.9), lambda base, t: base * 0.9**t),
    (
        lambda o: optim.CosineAnnealingLR(o, 6, eta_min=0.01),
        lambda base, t: 0.01 + (base - 0.01) * (1 + math.cos(math.pi * t / 6)) / 2,
    ),
    (lambda o: optim.LinearWarmup(o, 5), lambda base, t: base * min(1, (t + 1) / 5)),
    (
        lambda o: optim.LinearWarmup(o, 4, after=optim.StepLR(o, 2)),
        lambda base, t: base * (t + 1) / 4 if t < 4 else base * 0.1 ** ((t - 4) // 2),
    ),
    (
        lambda o: optim.LinearWarmup(o, 2, after=optim.MultiStepLR(o, [0, 3], gamma=0.5)),
        lambda base, t: base * (t + 1) / 4 if t < 2 else base * (0.5 if t < 5 else 0.25),
    ),
]


@pytest.mark.parametrize(("make", "formula"), FORMULAS)
def test_schedules_follow_their_formulas(make, formula):
    schedule = make(optimizer())
    expected = [[formula(base, t) for base in (0.5, 0.1)] for t in range(15)]
    np.testing.assert_allclose(rates(schedule, 15), expected, rtol=1e-12)
    assert schedule.last_epoch == 15


def test_the_one_cycle_turns_where_it_should():
    o = optimizer(momentum=0.9)
    schedule = optim.OneCycleLR(o, [1.0, 2.0], epochs=2, steps_per_epoch=5, pct_start=0.4, anneal_strategy="linear")
    found = rates(schedule, 10)
    np.testing.assert_allclose(found[[0, 3, 9], 0], [1 / 25, 1, 1 / 25e4], rtol=1e-9)
    np.testing.assert_allclose(found[1, 0], 1 / 25 + (1 - 1 / 25) / 3, rtol=1e-9)
    np.testing.assert_allclose(found[:, 1], 2 * found[:, 0], rtol=1e-9)
    with pytest.raises(ValueError, match=r"^OneCycleLR: step 11 of a schedule of 10 steps$"):
        schedule.step()


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam])
def test_the_one_cycle_moves_the_momentum_against_the_rate(kind):
    o = optimizer(kind)
    schedule = optim.OneCycleLR(o, 1.0, 11, pct_start=0.5)
    momenta = []
    for _ in range(11):
        group = o.param_groups[1]
        momenta.append(group["betas"][0] if kind is optim.Adam else group["momentum"])
        schedule.step()
    assert momenta[0] == pytest.approx(0.95)
    assert momenta[-1] == pytest.approx(0.95)
    assert 0.85 <= min(momenta) < 0.86
    if kind is optim.Adam:
        assert o.param_groups[1]["betas"][1] == 0.999
    still = optimizer(kind)
    before = dict(still.param_groups[0])
    optim.OneCycleLR(still, 1.0, 11, cycle_momentum=False).step()
    assert {n: v for n, v in still.param_groups[0].items() if n != "lr"} == {
        n: v for n, v in before.items() if n != "lr"
    }


def test_a_plateau_reduces_the_rate():
    o = optimizer()
    schedule = optim.ReduceLROnPlateau(o, factor=0.5, patience=2, cooldown=1, min_lr=[0.2, 0.0])
    for loss in (3.0, 2.0, 2.0, 1.99999):  # 1.99999 is less, but by less than the threshold
        schedule.step(loss)
    assert schedule.get_last_lr() == [0.5, 0.1]
    assert schedule.num_bad_epochs == 2
    schedule.step(tg.tensor(2.5))
    assert schedule.get_last_lr() == [0.25, 0.05]
    for _ in range(4):  # one in the cooldown, three that count
        assert schedule.get_last_lr() == [0.25, 0.05]
        schedule.step(math.nan)
    assert schedule.get_last_lr() == [0.2, 0.025]
    assert schedule.best == 2.0


# --- PyTorch's -------------------------------------------------------------------------------------------------------

SAME = [
    ("StepLR", {"step_size": 4, "gamma": 0.3}),
    ("MultiStepLR", {"milestones": [3, 8, 8], "gamma": 0.3}),
    ("ExponentialLR", {"gamma": 0.8}),
    ("CosineAnnealingLR", {"T_max": 7, "eta_min": 0.02}),
    ("OneCycleLR", {"max_lr": 0.8, "total_steps": 20}),
    ("OneCycleLR", {"max_lr": [0.8, 0.3], "epochs": 4, "steps_per_epoch": 5, "anneal_strategy": "linear"}),
    ("OneCycleLR", {"max_lr": 0.8, "total_steps": 20, "three_phase": True, "pct_start": 0.37}),
    ("OneCycleLR", {"max_lr": 0.8, "total_steps": 20, "pct_start": 0.0, "div_factor": 3, "final_div_factor": 7}),
]


@pytest.mark.filterwarnings("ignore")  # of PyTorch's: no step of the optimizer was made
@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize(("name", "options"), SAME)
def test_the_rates_are_pytorchs(name, options, kind):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    momentum = {"momentum": 0.9} if kind == "SGD" else {}
    ours = optimizer(getattr(optim, kind), **momentum)
    groups = [{"params": [torch.nn.Parameter(torch.ones(1))], "lr": rate} for rate in (0.5, 0.1)]
    theirs = getattr(torch.optim, kind)(groups, lr=1.0, **momentum)
    schedule = getattr(optim, name)(ours, **options)
    torch_schedule = getattr(torch.optim.lr_scheduler, name)(theirs, **options)
    changing = ("lr", "momentum", "betas")
    for _ in range(20):
        for a, b in zip(ours.param_groups, theirs.param_groups, strict=True):
            for option in changing:
                if option in a:
                    np.testing.assert_allclose(a[option], b[option], rtol=1e-9, atol=1e-12)
        theirs.step()
        schedule.step()
        torch_schedule.step()


@pytest.mark.parametrize(
    "options",
    [
        {"patience": 2},
        {"mode": "max", "patience": 1, "factor": 0.5, "cooldown": 2},
        {"threshold": 0.05, "threshold_mode": "abs", "patience": 0, "min_lr": 0.02},
        {"mode": "max", "threshold": 0.2, "threshold_mode": "abs", "patience": 3, "factor": 0.7, "eps": 0.01},
    ],
)
def test_plateaus_are_pytorchs(options):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    ours = optimizer()
    groups = [{"params": [torch.nn.Parameter(torch.ones(1))], "lr": rate} for rate in (0.5, 0.1)]
    theirs = torch.optim.SGD(groups, lr=1.0)
    schedule = optim.ReduceLROnPlateau(ours, **options)
    torch_schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, **options)
    rng = np.random.default_rng(0)
    for figure in np.concatenate([rng.random(30) + np.linspace(1, 0, 30), [np.nan] * 5, rng.random(30)]):
        schedule.step(figure)
        torch_schedule.step(figure)
        np.testing.assert_allclose(schedule.get_last_lr(), [g["lr"] for g in theirs.param_groups], rtol=1e-12)
    assert schedule.get_last_lr()[0] < 0.5


# --- the state -------------------------------------------------------------------------------------------------------

MAKERS = [make for make, _ in FORMULAS] + [lambda o: optim.OneCycleLR(o, 1.0, 15)]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("optimizer_first", [True, False])
def test_a_schedule_goes_on_where_it_was_saved(tmp_path, make, optimizer_first):
    straight = rates(make(optimizer()), 15)
    o = optimizer()
    schedule = make(o)
    rates(schedule, 6)
    nn.save(tmp_path / "state", {"optimizer": o.state_dict(), "schedule": schedule.state_dict()})
    state = nn.load(tmp_path / "state")
    again = optimizer()
    if optimizer_first:
        again.load_state_dict(state["optimizer"])
        resumed = make(again)
    else:
        resumed = make(again)
        again.load_state_dict(state["optimizer"])
    resumed.load_state_dict(state["schedule"])
    assert resumed.last_epoch == 6
    np.testing.assert_array_equal(rates(resumed, 9), straight[6:])


def test_a_plateau_goes_on_where_it_was_saved(tmp_path):
    losses = np.random.default_rng(0).random(40)

    def run(schedule, losses):
        return [(schedule.step(loss), *schedule.get_last_lr()) for loss in losses]

    make = {"patience": 2, "factor": 0.9, "cooldown": 1}
    straight = run(optim.ReduceLROnPlateau(optimizer(), **make), losses)
    for stop in (0, 1, 7, 20):
        o = optimizer()
        schedule = optim.ReduceLROnPlateau(o, **make)
        run(schedule, losses[:stop])
        nn.save(tmp_path / "state", {"optimizer": o.state_dict(), "schedule": schedule.state_dict()})
        state = nn.load(tmp_path / "state")
        again = optimizer()
        again.load_state_dict(state["optimizer"])
        resumed = optim.ReduceLROnPlateau(again, **make)
        resumed.load_state_dict(state["schedule"])
        assert run(resumed, losses[stop:]) == straight[stop:]


@pytest.mark.parametrize("make", [lambda o: optim.StepLR(o, 2), optim.ReduceLROnPlateau])
def test_a_state_that_does_not_fit_changes_nothing(make):
    schedule = make(optimizer())
    before = schedule.state_dict()
    for wrong in ({}, "nonsense", {"last_epoch": "soon"}, {"last_epoch": 3, "base_lrs": [1.0]}):
        with pytest.raises(ValueError, match=rf"^{type(schedule).__name__}\.load_state_dict: "):
            schedule.load_state_dict(wrong)
    assert schedule.state_dict() == before
    with pytest.raises(ValueError, match=r"^StepLR\.load_state_dict: expected 2 groups, got 1$"):
        optim.StepLR(optimizer(), 2).load_state_dict({"last_epoch": 3, "base_lrs": [1.0]})


# --- mistakes --------------------------------------------------------------------------------------------------------

MISTAKES = [
    (lambda o: optim.StepLR("Adam", 3), TypeError, "StepLR: optimizer must be an Optimizer, got str"),
    (lambda o: optim.OneCycleLR(None, 1.0, 3), TypeError, "OneCycleLR: optimizer must be an Optimizer, got NoneType"),
    (lambda o: optim.StepLR(o, 0), tg.ShapeError, "StepLR: step_size must be positive, got 0"),
    (lambda o: optim.StepLR(o, 2, gamma=0), ValueError, "StepLR: gamma must be greater than 0 and finite, got 0"),
    (lambda o: optim.MultiStepLR(o, 30), TypeError, "MultiStepLR: milestones must be integers in a list, got 30"),
    (lambda o: optim.MultiStepLR(o, [1.5]), TypeError, "MultiStepLR: milestones must be an integer, got 1.5"),
    (
        lambda o: optim.ExponentialLR(o, -1),
        ValueError,
        "ExponentialLR: gamma must be greater than 0 and finite, got -1",
    ),
    (lambda o: optim.CosineAnnealingLR(o, 2.5), TypeError, "CosineAnnealingLR: T_max must be an integer, got 2.5"),
    (
        lambda o: optim.LinearWarmup(o, 2, after=optim.StepLR(optimizer(), 1)),
        ValueError,
        "LinearWarmup: after must be a schedule of the same optimizer, got one of another",
    ),
    (
        lambda o: optim.LinearWarmup(o, 2, after=3),
        TypeError,
        "LinearWarmup: after must be a schedule, got int",
    ),
    (lambda o: optim.OneCycleLR(o, 1.0), ValueError, "OneCycleLR: needs total_steps, or epochs and steps_per_epoch"),
    (
        lambda o: optim.OneCycleLR(o, [1.0], 5),
        ValueError,
        "OneCycleLR: max_lr must be a number or 2, one a group, got [1.0]",
    ),
    (
        lambda o: optim.OneCycleLR(optimizer(optim.Adagrad), 1.0, 5),
        ValueError,
        "OneCycleLR: Adagrad has no momentum to cycle; use cycle_momentum=False",
    ),
    (
        lambda o: optim.OneCycleLR(o, 1.0, 5, anneal_strategy="cosine"),
        ValueError,
        'OneCycleLR: anneal_strategy must be one of "cos", "linear", got \'cosine\'',
    ),
    (
        lambda o: optim.ReduceLROnPlateau(o, mode="loss"),
        ValueError,
        'ReduceLROnPlateau: mode must be one of "min", "max", got \'loss\'',
    ),
    (
        lambda o: optim.ReduceLROnPlateau(o, factor=1.0),
        ValueError,
        "ReduceLROnPlateau: factor must lie in (0, 1), got 1.0",
    ),
]


@pytest.mark.parametrize(("mistake", "kind", "message"), MISTAKES, ids=[message for *_, message in MISTAKES])
def test_mistakes(mistake, kind, message):
    o = optimizer()
    with pytest.raises(kind) as error:
        mistake(o)
    assert str(error.value) == message
    assert [group["lr"] for group in o.param_groups] == [0.5, 0.1]
