"""What holds for every test: hypothesis' settings, and a guard against tests that change things for the next one."""

from __future__ import annotations

import os

# Before NumPy is imported: on busy cores OpenBLAS' threads wait for each other longer than they work.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pytest
from hypothesis import settings

import tensorgraph as tg
from tensorgraph._primitive import registry

# No deadlines: a busy machine is not a failure. In continuous integration the examples are the same on every run.
settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


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
