"""What holds for every test: hypothesis' settings, and a guard against tests that change things for the next one."""

from __future__ import annotations

import os
import signal

# Before NumPy is imported: on busy cores OpenBLAS' threads wait for each other longer than they work.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from profiles import examples

import tensorgraph as tg
from tensorgraph._primitive import registry
from tensorgraph.kernels._choice import extension

# No deadlines: a busy machine is not a failure. In continuous integration the examples are the same on every run.
settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.register_profile("nightly", deadline=None, max_examples=examples(100), suppress_health_check=list(HealthCheck))
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "default"))

# Some tests press Ctrl-C. A shell that starts a program in the background, as `command &` in a script does, has it
# ignore that, and so would the programs that the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

if extension is not None:
    extension.poison(True)  # outputs of compiled kernels are NaN until written, so what a kernel forgets shows


def global_state():
    """Everything that outlives a test and that a later test could notice."""
    return {
        "is_grad_enabled": tg.is_grad_enabled(),
        "hooks.on_forward": list(tg.hooks.on_forward),
        "hooks.on_backward": list(tg.hooks.on_backward),
        "np.geterr": np.geterr(),
        "np.get_printoptions": np.get_printoptions(),
        "default_rng": tg.default_rng(),
    }


@pytest.fixture(autouse=True)
def sealed():
    """Fail a test that leaves global state changed; one that needs another seed asks for the fixture `seeded`."""
    before, known = global_state(), dict(registry)
    yield
    after = global_state()
    registry.clear()
    registry.update(known)  # operations that a test made are its own
    changed = {name: (before[name], after[name]) for name in before if before[name] != after[name]}
    assert not changed, f"the test leaves changed: {changed}"


@pytest.fixture
def seeded(monkeypatch):
    """The library's generator restarted from a seed, and put back after the test."""
    monkeypatch.setattr("tensorgraph.random._rng", tg.default_rng())
    return tg.manual_seed


# --- where compiled kernels run --------------------------------------------------------------------------------------


@pytest.fixture(autouse=extension is not None)
def compiled():
    """The instruction set and the number of threads, which a test may change, are as before at its end."""
    isa, threads = extension.isa(), extension.num_threads()
    yield
    extension.choose_isa(isa)
    extension.set_num_threads(threads)


@pytest.fixture(params=[] if extension is None else extension.isas())
def isa(request, compiled):
    """Each instruction set in turn."""
    extension.choose_isa(request.param)


@pytest.fixture(params=[1, 2])
def threads(request, compiled):
    """Each of these numbers of threads in turn."""
    extension.set_num_threads(request.param)
