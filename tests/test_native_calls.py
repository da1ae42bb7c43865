"""Any call of a compiled kernel computes what its twin does, or is refused: random ones, and those that crashed."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tensorgraph.kernels import _choice, reference

if _choice.extension is None:
    pytest.skip(f"no compiled kernels: {_choice.problem}", allow_module_level=True)

import kernel_cases
import random_kernels
import wrong_calls

from tensorgraph.kernels import _native, native

TESTS = Path(__file__).parent
NOT_COMPILED = {"fold", "unfold"}
WRAPPERS = [module for name, module in sys.modules.items() if name.startswith("tensorgraph.kernels.native.")]

# --- possible calls --------------------------------------------------------------------------------------------------


def test_every_kernel_is_drawn():
    assert set(kernel_cases.CASES) == set(native.__all__) - NOT_COMPILED
    assert all(getattr(native, name) is getattr(reference, name) for name in NOT_COMPILED)
    assert not any(getattr(native, name) is getattr(reference, name) for name in kernel_cases.CASES)


class Spy:
    """The extension, which remembers what it was asked for."""

    def __init__(self):
        self.asked = set()

    def __getattr__(self, name):
        self.asked.add(name)
        return getattr(_native, name)


def test_the_draws_reach_every_compiled_kernel(monkeypatch):
    spy = Spy()
    for module in WRAPPERS:
        monkeypatch.setattr(module, "_native", spy)
    monkeypatch.setattr(random_kernels, "extension", spy)
    rng = np.random.default_rng(0)
    for name in random_kernels.NAMES * 12:
        random_kernels.check(rng, name)
    assert spy.asked == {*wrong_calls.kernels(), *wrong_calls.UPDATES}


def test_a_wrong_result_is_noticed(monkeypatch):
    monkeypatch.setattr(native, "relu", lambda x: reference.relu(x) + np.float32(1e-4))
    with pytest.raises(AssertionError, match=r"^relu\[\(.*differs by "):
        random_kernels.check(np.random.default_rng(0), "relu")


# --- impossible calls ------------------------------------------------------------------------------------------------


def limited(code):
    """Run code in a process that may take 2 GiB more than at its start: what wants more is refused, not swapped."""
    limit = (
        "import resource, sys, numpy as np; from tensorgraph.kernels import _native as k; "
        "taken = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize(); "
        "resource.setrlimit(resource.RLIMIT_AS, (taken + (2 << 30),) * 2)\n"
    )
    path = os.pathsep.join([str(TESTS), *sys.path])
    return subprocess.run(
        [sys.executable, "-c", limit + code],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited through Linux' /proc")
def test_wrong_calls_are_clean_exceptions():
    result = limited("sys.argv[1:] = ['3000']; import wrong_calls; wrong_calls.main()")
    assert result.returncode == 0, result.stderr
    assert "3,000 wrong calls" in result.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited through Linux' /proc")
def test_a_thread_without_memory_is_an_exception_of_the_call():
    code = """
k.set_num_threads(3)
x, w = np.ones((8, 1, 4, 4), np.float32), np.ones((2, 1, 1, 1), np.float32)
expected = k.conv2d(x, w, None, 4, 4, 1, 1, 0, 0, 1, 1, 1, 0, 0)
try:
    k.conv2d(x, w, None, 4, 2, 1, 1 << 30, 0, 1 << 30, 1, 1, 1, 0, 0)
except MemoryError:
    print("MemoryError", np.array_equal(k.conv2d(x, w, None, 4, 4, 1, 1, 0, 0, 1, 1, 1, 0, 0), expected))
"""
    result = limited(code)
    assert result.stdout == "MemoryError True\n", result.stderr


OVERCOMMIT = Path("/proc/sys/vm/overcommit_memory")


@pytest.mark.skipif(
    not OVERCOMMIT.exists() or OVERCOMMIT.read_text() == "1\n", reason="this system promises any memory"
)
def test_more_memory_than_there_is_is_refused():
    floats = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 4
    with pytest.raises(MemoryError):
        _native.row_means_grad(np.ones(4, np.float32), 2 * floats)


def test_sizes_that_contradict_the_arrays_are_refused():
    x, winners = np.ones((1, 1, 2, 2), np.float32), np.zeros((1, 1, 1, 1), np.uint8)
    with pytest.raises(ValueError, match=r"^max_pool2d_take: axis 2 of winners must have size P = 500, got 1$"):
        _native.max_pool2d_take(x, winners, 500, 500, 2, 2, 2, 2, 0, 0, 1, 1)
    g, probabilities, target = np.ones(1, np.float32), np.ones((500, 2), np.float32), np.zeros(500, np.int64)
    with pytest.raises(ValueError, match=r"^softmax_cross_entropy_grad: axis 0 of g must have size L = 500, got 1$"):
        _native.softmax_cross_entropy_grad(g, probabilities, target, 500, 0)


@pytest.mark.parametrize("sizes", [(0, 3), (3, 0)])
def test_pooling_of_empty_images_is_refused(sizes):
    x, empty = np.ones((1, 2, *sizes), np.float32), np.ones((1, 2, 0, 4), np.float32)
    for name, array, counts in (
        ("max_pool2d", x, (0, 17)),
        ("avg_pool2d", x, (2, 2)),
        ("avg_pool2d_grad", x, (5, 5)),
        ("avg_pool2d_grad", empty, (5, 5)),
    ):
        ends = () if name.startswith("max") else (0, 0, 0)
        with pytest.raises(ValueError, match=f"^{name}: images and outputs must not be empty$"):
            getattr(_native, name)(array, *counts, 2, 2, 1, 1, 0, 0, 1, 1, *ends)


@pytest.mark.parametrize("value", [2**31, 2**40])
def test_absurd_settings_are_refused(value):
    x, w = np.ones((1, 1, 3, 3), np.float32), np.ones((1, 1, 2, 2), np.float32)
    for at in range(6):
        settings = [1, 1, 0, 0, 1, 1]
        settings[at] = value
        with pytest.raises(ValueError, match=r"^conv2d: the settings are absurd$"):
            _native.conv2d(x, w, None, 2, 2, *settings, 1, 0, 0)
        with pytest.raises(ValueError, match=r"^conv2d_input_grad: the settings are absurd$"):
            _native.conv2d_input_grad(x, w, 1, 4, 4, *settings, 1, 0)
        with pytest.raises(ValueError, match=r"^conv2d_weight_grad: the settings are absurd$"):
            _native.conv2d_weight_grad(x, x, 1, 2, 2, *settings, 1, 0)
    with pytest.raises(ValueError, match=r"^conv2d: the padded images are too large$"):
        _native.conv2d(x, w, None, 2, 2, 1, 1, 2**31 - 1, 2**31 - 1, 1, 1, 1, 0, 0)


def test_windows_that_are_farther_apart_than_any_image_is_wide():
    x, w, far = np.ones((1, 4, 3, 3), np.float32), np.ones((8, 4, 1, 1), np.float32), 2**31 - 1
    assert _native.conv2d(x, w, None, 0, 0, far, far, 0, 0, 1, 1, 1, 0, 1).shape == (1, 8, 0, 0)


def test_a_result_beyond_any_memory_is_refused():
    with pytest.raises(ValueError, match=r"^the result would be too large$"):
        _native.row_means_grad(np.ones(2**20, np.float32), 2**40)


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 2**100])
def test_an_integer_beyond_64_bits_is_absurd(number):
    with pytest.raises(ValueError, match=r"^row_means_grad: S is absurd$"):
        _native.row_means_grad(np.ones(2, np.float32), number)


def test_numbers_that_change_the_arrays_do_so_before_they_are_read():
    x, values = np.ones((50, 50), np.float32), [np.ones(3, np.float32) for _ in range(50)]

    class Number:
        def __float__(self):
            x.shape = (2500,)
            values.clear()
            return 1.0

    assert _native.elu(x, Number()).shape == (2500,)
    values.extend(np.ones(3, np.float32) for _ in range(50))
    assert _native.sgd(values, [np.ones(3, np.float32)] * 50, None, Number(), 0, 0, 0, 0, 0)
    assert values == []
