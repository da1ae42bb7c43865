"""Weight files of other programs: read as they were written, with a report; no file can do harm."""

import collections
import contextlib
import io
import re
import struct
import tracemalloc

import hostile
import hostile_weights
import numpy as np
import pytest
import torch_files
from hypothesis import given
from hypothesis import strategies as st

import nn


class Holder(nn.Module):
    """A model with these arrays as parameters, or as buffers if they are no floats."""

    def __init__(self, **arrays):
        for name, array in arrays.items():
            if array.dtype.kind == "f":
                setattr(self, name, nn.Parameter(np.zeros_like(array)))
            else:
                self.register_buffer(name, nn.Parameter([0.0]).detach().astype(array.dtype)[np.zeros(array.shape, int)])


def values(model):
    return {name: value.numpy() for name, value in model.state_dict().items()}


def equal(model, arrays):
    assert list(values(model)) == list(arrays)
    for name, value in values(model).items():
        np.testing.assert_array_equal(value, arrays[name], strict=True)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights"


RNG = np.random.default_rng(0)
ARRAYS = {"weight": RNG.standard_normal((3, 2), np.float32), "bias": RNG.standard_normal(3).astype(np.float32)}


def npz(arrays, save=np.savez):
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


def safetensors(arrays):
    """By the format's description alone."""
    entries, data = {}, b""
    for name, array in arrays.items():
        place = [len(data), len(data) + array.nbytes]
        entries[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": place}
        data += array.tobytes()
    return hostile.made(entries, data)


WRITERS = {
    "pth": torch_files.saved,
    "npz": npz,
    "npz, compressed": lambda arrays: npz(arrays, np.savez_compressed),
    "safetensors": safetensors,
}
every_writer = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS.keys())


# --- what is in the files comes into the model -----------------------------------------------------------------------


@every_writer
def test_weights_of_all_formats(path, write):
    path.write_bytes(write(ARRAYS))
    model = nn.Linear(2, 3)
    report = nn.load_state_dict_file(model, path)
    equal(model, ARRAYS)
    assert report.matched == ["weight", "bias"]
    assert (report.missing, report.unexpected, report.wrong_shape, report.notes) == ([], [], {}, [])
    assert str(report) == repr(report) == f"{path}: 2 matched"


def test_a_checkpoint_of_nn_save(path):
    model = nn.Linear(2, 3)
    nn.save(path, {"model": ARRAYS, "epoch": 3, "losses": np.ones(5)})
    report = nn.load_state_dict_file(model, path)
    equal(model, ARRAYS)
    assert report.notes == ['from "model", beside epoch, losses']


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", torch_files.KINDS)
def test_all_types_of_pytorch(path, kind, order):
    array = np.arange(6).reshape(2, 3).astype(kind) if kind != "b1" else np.arange(6).reshape(2, 3) % 2 == 0
    path.write_bytes(torch_files.saved({"a": array}, order))
    model = Holder(a=array)
    nn.load_state_dict_file(model, path)
    equal(model, {"a": array})


@pytest.mark.parametrize("order", ["<", ">"])
def test_bfloat16_becomes_float32(path, order):
    upper = np.array([0x3F80, 0xC000, 0x7F80, 0x0001], f"{order}u2")
    state = {"a": torch_files.tensor(torch_files.Storage("BFloat16", "0", 4), 0, (4,), (1,))}
    path.write_bytes(torch_files.archive(state, upper.tobytes(), order=b"little" if order == "<" else b"big"))
    model = Holder(a=np.zeros(4, np.float32))
    nn.load_state_dict_file(model, path)
    equal(model, {"a": np.array([1.0, -2.0, np.inf, 2.0**-133], np.float32)})


def test_bfloat16_of_safetensors(path):
    entries = {"a": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}
    entries |= {"n": {"dtype": "BF16", "shape": [], "data_offsets": [4, 6]}}
    path.write_bytes(hostile.made(entries, struct.pack("<3H", 0x3F80, 0xC000, 0x4000)))
    loaded = nn.load(path)
    assert loaded["a"].dtype == loaded["n"].dtype == np.float32
    assert (loaded["a"].tolist(), loaded["n"].tolist()) == ([1.0, -2.0], 2.0)


def test_views_of_one_storage(path):
    """Transposed, with an offset, of stride 0, empty, without axes: as PyTorch writes them."""
    numbers = np.arange(12, dtype=np.float32)
    storage = torch_files.Storage("Float", "0", 12)
    views = {
        "t": (0, (3, 4), (1, 3), numbers.reshape(4, 3).T),
        "part": (5, (2, 2), (4, 1), np.array([[5, 6], [9, 10]], np.float32)),
        "wide": (2, (3, 2), (0, 0), np.full((3, 2), 2, np.float32)),
        "one": (11, (1, 1), (99, 2**70), np.full((1, 1), 11, np.float32)),
        "scalar": (7, (), (), np.array(7, np.float32)),
        "empty": (0, (0, 3), (3, 1), np.zeros((0, 3), np.float32)),
    }
    state = {name: torch_files.tensor(storage, *view[:3]) for name, view in views.items()}
    path.write_bytes(torch_files.archive(state, numbers.tobytes()))
    model = Holder(**{name: view[3] for name, view in views.items()})
    nn.load_state_dict_file(model, path)
    equal(model, {name: view[3] for name, view in views.items()})


def test_arrays_of_npz_in_any_order_and_type(path):
    arrays = {"f": np.asfortranarray(RNG.standard_normal((3, 4))), "big": np.arange(3, dtype=">f4"), "n": np.array(7)}
    arrays["empty"] = np.zeros((0, 3), np.float32)
    path.write_bytes(npz(arrays))
    native = {name: array.astype(array.dtype.newbyteorder("=")) for name, array in arrays.items()}
    model = Holder(**native)
    nn.load_state_dict_file(model, path)
    equal(model, native)


def test_parameters_and_what_stands_beside_them(path):
    storage = torch_files.Storage("Float", "0", 3)
    rebuild = torch_files.Named("torch._utils", "_rebuild_parameter")
    tensor = torch_files.tensor(storage, 0, (3,), (1,))
    state = {
        "bias": torch_files.Call(rebuild, tensor, True, collections.OrderedDict()),
        "epoch": 2**70,
        "x": [None, -1],
    }
    path.write_bytes(torch_files.archive(state, ARRAYS["bias"].tobytes()))
    model = Holder(bias=ARRAYS["bias"])
    assert nn.load_state_dict_file(model, path).notes == ["left aside, no arrays: epoch, x"]
    equal(model, {"bias": ARRAYS["bias"]})


def test_optimizer_states_and_long_strings_are_passed_over(path):
    optimizer = {"state": {0: {"step": 3.0}}, "param_groups": [{"lr": 0.1, "betas": (0.9, 0.999), "params": [0, 1]}]}
    path.write_bytes(torch_files.saved(ARRAYS, inside=lambda s: {"model": s, "optimizer": optimizer, "a": "é" * 300}))
    model = nn.Linear(2, 3)
    assert nn.load_state_dict_file(model, path).notes == ['from "model", beside optimizer, a']
    equal(model, ARRAYS)


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model"])
@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "module._orig_mod."])
def test_checkpoints_and_prefixes(path, key, prefix):
    named = {prefix + name: array for name, array in ARRAYS.items()}
    path.write_bytes(torch_files.saved(named, inside=lambda state: {key: state, "epoch": 3}))
    model = nn.Linear(2, 3)
    notes = nn.load_state_dict_file(model, path).notes
    equal(model, ARRAYS)
    parts = [f"{part}." for part in prefix.split(".")[:-1]]
    assert notes == [f'from "{key}", beside epoch', *(f'names without "{part}"' for part in parts)]


def test_a_prefix_that_the_model_has_itself_stays(path):
    class Wrapped(nn.Module):
        def __init__(self):
            self.model = nn.Linear(2, 3)

    path.write_bytes(torch_files.saved({f"model.{name}": array for name, array in ARRAYS.items()}))
    assert nn.load_state_dict_file(Wrapped(), path).notes == []


def test_batch_norms_of_before_there_was_a_counter(path):
    state = {name: value.numpy() + 1 for name, value in nn.BatchNorm2d(2).state_dict().items()}
    del state["num_batches_tracked"]
    path.write_bytes(torch_files.saved(state))
    model = nn.BatchNorm2d(2)
    report = nn.load_state_dict_file(model, path)
    assert (report.missing, len(report.matched)) == ([], 4)
    assert report.notes == ["without num_batches_tracked, as before PyTorch 0.4.1: 1 left as they are"]
    assert model.num_batches_tracked.item() == 0
    del state["running_mean"]
    path.write_bytes(torch_files.saved(state))
    with pytest.raises(ValueError, match=r"missing \(2\): running_mean, num_batches_tracked"):
        nn.load_state_dict_file(model, path)


# --- what does not fit -----------------------------------------------------------------------------------------------


@every_writer
def test_what_does_not_fit_changes_nothing(path, write):
    path.write_bytes(
        write({"weight": ARRAYS["weight"], "bias": np.ones(4, np.float32), "more": np.ones(1, np.float32)})
    )
    model = nn.Sequential(nn.Linear(2, 3))[0]
    model.scale = nn.Parameter([1.0])
    before = {name: value.copy() for name, value in values(model).items()}
    message = (
        f"load_state_dict_file: Linear was not changed by {path}: 1 matched\n"
        "  missing (1): scale\n  unexpected (1): more\n  wrong shape (1): bias: expected (3,), got (4,)"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$") as error:
        nn.load_state_dict_file(model, path)
    assert not isinstance(error.value, nn.FileFormatError)
    equal(model, before)
    report = nn.load_state_dict_file(model, path, strict=False)
    assert str(report) == message.removeprefix("load_state_dict_file: Linear was not changed by ")
    equal(model, before | {"weight": ARRAYS["weight"]})


def test_another_kind_of_numbers(path):
    path.write_bytes(torch_files.saved({"weight": ARRAYS["weight"], "bias": np.arange(3)}))
    with pytest.raises(ValueError, match=r"wrong shape \(1\): bias: expected float32, got int64$"):
        nn.load_state_dict_file(nn.Linear(2, 3), path)


def test_long_lists_are_cut(path):
    path.write_bytes(npz({f"array{i}": np.ones(1) for i in range(20)} | {"n" * 200: np.ones(1), "a\nb": np.ones(1)}))
    with pytest.raises(ValueError, match=r"unexpected \(22\): array0, .*, array7, and 14 more$"):
        nn.load_state_dict_file(nn.Linear(2, 3), path)
    path.write_bytes(npz({"n" * 200: np.ones(1), "a\nb": np.ones(1)}))
    with pytest.raises(ValueError, match=r"unexpected \(2\): n{80}\.\.\., 'a\\nb'$"):
        nn.load_state_dict_file(nn.Linear(2, 3), path)


def test_values_that_are_damaged_change_nothing(path):
    raw = torch_files.saved(ARRAYS)
    path.write_bytes(raw.replace(ARRAYS["bias"].tobytes(), ARRAYS["bias"][::-1].tobytes()))
    model = nn.Linear(2, 3)
    before = {name: value.copy() for name, value in values(model).items()}
    with pytest.raises(nn.FileFormatError, match=r"'m/data/1' is damaged: its checksum is wrong$"):
        nn.load_state_dict_file(model, path)
    equal(model, before)


def test_bytes_that_are_neither_false_nor_true(path):
    storage = torch_files.Storage("Bool", "0", 2)
    path.write_bytes(torch_files.archive({"b": torch_files.tensor(storage, 0, (2,), (1,))}, b"\x01\x07"))
    with pytest.raises(nn.FileFormatError, match="m/data/0 holds bytes that are neither False nor True"):
        nn.load_state_dict_file(Holder(b=np.array([True, False])), path)


def test_large_arrays_that_do_not_fit_are_not_read(path):
    path.write_bytes(npz({"weight": np.zeros((10_000, 10_000), np.int8), "bias": ARRAYS["bias"]}, np.savez_compressed))
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"weight: expected \(3, 2\), got \(10000, 10000\)"):
        nn.load_state_dict_file(nn.Linear(2, 3), path)
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()


def test_wrong_arguments(path):
    with pytest.raises(TypeError, match=r"^load_state_dict_file: model must be a Module, got str$"):
        nn.load_state_dict_file(str(path), nn.Linear(2, 3))
    with pytest.raises(FileNotFoundError):
        nn.load_state_dict_file(nn.Linear(2, 3), path)


# --- damaged and hostile files ---------------------------------------------------------------------------------------


def model_of_the_files():
    return Holder(w=np.zeros(2, np.float32))


@pytest.mark.parametrize("make", hostile_weights.FILES.values(), ids=hostile_weights.FILES.keys())
def test_hostile_files_are_refused(path, make):
    path.write_bytes(make())
    with pytest.raises(nn.FileFormatError, match=r"^load_state_dict_file: .*weights: ") as refusal:
        nn.load_state_dict_file(model_of_the_files(), path)
    assert len(str(refusal.value)) < len(str(path)) + 400


def test_the_files_are_good_but_for_what_is_wrong_with_them(path):
    path.write_bytes(hostile_weights.good())
    nn.load_state_dict_file(model_of_the_files(), path)
    path.write_bytes(hostile_weights.with_tensor(0, (2,), (1,), {}))
    nn.load_state_dict_file(model_of_the_files(), path)
    path.write_bytes(hostile_weights.npz(hostile_weights.npy()))
    nn.load_state_dict_file(model_of_the_files(), path)


@pytest.mark.parametrize("make", hostile.FILES.values(), ids=hostile.FILES.keys())
def test_hostile_files_of_other_formats_are_refused(path, make):
    path.write_bytes(make())
    with pytest.raises(ValueError, match=r"^load_state_dict_file: "):  # some are good archives, of other arrays
        nn.load_state_dict_file(model_of_the_files(), path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("os.system", "it wants to use os.system, and is not loaded: only tensors, numbers, strings, lists and dicts"),
        (
            "a class of PyTorch",
            r"it wants to use torch.nn.modules.linear.Linear.*torch.save\(model.state_dict\(\), path\)",
        ),
        ("INST", r"the pickle has the instruction b'i', which PyTorch does not write, at byte 3$"),
        ("protocol 4", "a pickle of protocol 4; PyTorch writes protocol 2 unless told otherwise$"),
        (
            "over the end",
            r"a tensor of shape \(5,\), offset 0 and strides \(1,\) cannot lie in the 4 numbers of 'm/data/0'$",
        ),
        ("a storage of another type", "'m/data/0' has 16 bytes, which are not 4 of torch.DoubleStorage$"),
        ("the negative bit", r"PyTorch's negative or conjugate bit, which is not read; .*\.resolve_neg\(\)"),
        ("compressed", "'m/data.pkl' is compressed, which PyTorch never does$"),
        ("TorchScript", "a program of TorchScript"),
        ("twice the same name", "the zip archive has 'w.npy' twice$"),
        ("many files in one place", "runs into what follows$"),
        ("objects", r"'w.npy' has the type '\|O' \(objects, which only a pickle can make\), expected numbers$"),
        (
            "before PyTorch 1.6",
            r"before 1\.6, which is not read; convert it .*torch.load\(path, weights_only=True\), new",
        ),
        ("tar", r"before 1\.6"),
        ("a bare pickle", "a pickle, which could run anything"),
        (
            "no arrays",
            "neither at the top nor in state_dict, model_state_dict, model; at the top there are epoch, names$",
        ),
        ("many steps", r"the pickle is nested deeper than 100 levels, at byte 102$"),
        ("more arrays", r"4,000 arrays in an \.npz file, more than the 2,000 that are read$"),
        ("many dicts", "the pickle has more than the 170,000 instructions that are followed$"),
    ],
)
def test_refusals_say_why(path, name, message):
    path.write_bytes(hostile_weights.FILES[name]())
    with pytest.raises(nn.FileFormatError, match=message):
        nn.load_state_dict_file(model_of_the_files(), path)


@every_writer
def test_a_file_cut_short_anywhere_is_refused(path, write):
    whole = write(ARRAYS)
    for length in range(0, len(whole), 3):
        path.write_bytes(whole[:length])
        with pytest.raises(nn.FileFormatError):
            nn.load_state_dict_file(nn.Linear(2, 3), path)


@every_writer
@given(st.data())
def test_a_damaged_file_gives_weights_or_one_error(tmp_path_factory, write, data):
    path = tmp_path_factory.mktemp("damaged") / "file"
    raw = bytearray(write(ARRAYS))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(raw)
    with contextlib.suppress(ValueError):
        nn.load_state_dict_file(nn.Linear(2, 3), path)
