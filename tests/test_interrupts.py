"""Ctrl-C: wherever it comes, training can go on from there."""

import sys

import numpy as np
import pytest

import nn
import tensorgraph as tg


def stopped_at(n, function, events):
    """Run the function and raise KeyboardInterrupt at the n-th event; whether it came that far.

    `opcodes`: before every single instruction in the library's Python code, more than Python itself would do.
    `calls`: where a function of Python begins and where one in C has returned, as Python does with signals.
    """
    seen = 0

    def count():
        nonlocal seen
        seen += 1
        if seen == n:
            raise KeyboardInterrupt

    def trace(frame, event, _):
        if frame.f_globals["__name__"].partition(".")[0] not in ("tensorgraph", "nn"):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            count()
        return trace

    def profile(frame, event, _):
        if event in ("call", "c_return") and frame.f_globals["__name__"].partition(".")[0] in ("tensorgraph", "nn"):
            count()

    set_hook, hook = {"opcodes": (sys.settrace, trace), "calls": (sys.setprofile, profile)}[events]
    before = {sys.settrace: sys.gettrace, sys.setprofile: sys.getprofile}[set_hook]()
    try:
        set_hook(hook)
        function()
    except KeyboardInterrupt:
        return True
    finally:
        set_hook(before)
    return False


def bits(value):
    """A state with bytes for arrays, to be compared."""
    if isinstance(value, dict):
        return {name: bits(item) for name, item in value.items()}
    if isinstance(value, list):
        return [bits(item) for item in value]
    return value.tobytes() if isinstance(value, np.ndarray) else value


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("rule", "options"),
    [
        (nn.optim.SGD, {"lr": 0.1, "weight_decay": 0.1}),
        (nn.optim.SGD, {"lr": 0.1, "momentum": 0.9}),
        (nn.optim.Adam, {"lr": 0.1}),
    ],
)
def test_a_step_is_taken_whole_or_not_at_all(rule, options, dtype):
    def start():
        """Two groups; the last parameter has had no step before the one that will be interrupted."""
        params = [nn.Parameter(np.full(size, 1.0 + size, dtype)) for size in (1, 2, 3, 4)]
        optimizer = rule([{"params": params[:2]}, {"params": params[2:], "lr": 0.2}], **options)
        for p in params[:3]:
            p.grad = np.full(p.shape, 0.5, dtype)
        optimizer.step()
        params[3].grad = np.full(4, 0.25, dtype)
        return optimizer, lambda: ([p.detach().numpy().tobytes() for p in params], bits(optimizer.state_dict()))

    optimizer, state = start()
    before = state()
    optimizer.step()
    after = state()
    assert all(a != b for a, b in zip(before[0], after[0], strict=True))
    place, found = 0, []
    while True:
        place += 1
        optimizer, state = start()
        if not stopped_at(place, optimizer.step, "opcodes"):
            break
        assert state() in (before, after), f"instruction {place}"
        found.append(state() == after)
    assert place > 200
    assert found == sorted(found)  # first before, then after
    assert any(found)


def test_layers_are_left_whenever_it_comes():
    model = nn.Sequential(nn.Linear(2, 2), nn.Sigmoid(), nn.Sequential(nn.Linear(2, 1)))
    x, place = tg.ones(1, 2), 0
    while True:
        place += 1
        if not stopped_at(place, lambda: model(x), "calls"):
            break
        assert tg.current_scope() is None, f"call {place}"
    assert place > 20
