"""Saving and loading: what goes in comes out, files are replaced whole, and no file can do harm."""

import contextlib
import json
import os
import struct
from functools import partial

import hostile
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import nn
import tensorgraph as tg

TYPES = ["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?"]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.safetensors"


def same(a, b):
    """Equal in structure, type and bits; tuples and lists alike."""
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and (a == b or a != a)  # NaN is not equal to itself


# --- what goes in comes out ------------------------------------------------------------------------------------------

ARRAYS = hnp.arrays(st.sampled_from(TYPES).map(np.dtype), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0))
LEAVES = ARRAYS | st.booleans() | st.integers() | st.floats() | st.text()
KEYS = st.text(st.characters(exclude_characters="/", exclude_categories=["Cs"]), min_size=1).filter(
    lambda key: key != "__metadata__"  # refused, see below
)
STATES = st.dictionaries(
    KEYS, st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3))
)


@given(STATES)
def test_a_state_comes_back_bit_for_bit(tmp_path_factory, state):
    path = tmp_path_factory.mktemp("state") / "file"
    nn.save(path, state)
    assert same(nn.load(path), state)


def test_a_model_and_its_optimizer(path):
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    optimizer = nn.optim.Adam(model.parameters())
    model(np.random.default_rng(0).random((2, 1, 4, 4), np.float32)).sum().backward()
    optimizer.step()
    nn.save(path, {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3, "note": "fine"})
    saved = nn.load(path)
    assert (saved["epoch"], saved["note"]) == (3, "fine")
    again = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    again.load_state_dict(saved["model"])
    for name, value in model.state_dict().items():
        assert again.state_dict()[name].tolist() == value.tolist()
    other = nn.optim.Adam(again.parameters(), lr=1.0)
    other.load_state_dict(saved["optimizer"])
    assert other.param_groups[0]["betas"] == (0.9, 0.999)
    assert other.param_groups[0]["lr"] == 1e-3


def test_arrays_of_any_layout_and_byte_order(path):
    a = np.arange(12, dtype=np.float32).reshape(3, 4)
    nn.save(path, {"t": a.T, "back": a[::-1], "big": a.astype(">f4"), "wide": np.broadcast_to(a[0], (2, 4))})
    loaded = nn.load(path)
    assert same(loaded["t"], np.ascontiguousarray(a.T))
    assert same(loaded["back"], np.ascontiguousarray(a[::-1]))
    assert same(loaded["big"], a)
    assert loaded["wide"].tolist() == [[0, 1, 2, 3]] * 2
    loaded["t"][...] = 0  # writable, and its own


def test_the_layout_is_that_of_safetensors(path):
    """Read back by the format's description alone."""
    nn.save(path, {"flag": np.array([True]), "w": tg.tensor([[1.0, 2.0]]), "n": 5})
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + length])
    assert length % 8 == 0
    assert all(isinstance(value, str) for value in header.pop("__metadata__").values())
    assert header == {
        "w": {"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8]},
        "flag": {"dtype": "BOOL", "shape": [1], "data_offsets": [8, 9]},
    }
    assert struct.unpack("<ff?", raw[8 + length :]) == (1.0, 2.0, True)


def test_files_of_other_programs_can_be_read(path):
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    path.write_bytes(hostile.made({"__metadata__": {"format": "pt"}, "a.b": entry}, struct.pack("<ff", 1, 2)))
    assert same(nn.load(path), {"a.b": np.array([1, 2], np.float32)})


# --- files are replaced whole ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "kind", "message"),
    [
        ("model.safetensors", TypeError, r"^save: the path comes first, save\(path, state\)$"),
        ([1], TypeError, r"^save: state must be a dict, got list; save model\.state_dict\(\)$"),
        (
            {"a": {"b": None}},
            TypeError,
            "^save: a/b must be an array, a number, a string, a list or a dict, got NoneType$",
        ),
        ({"__metadata__": np.zeros(1)}, ValueError, "^save: the name '__metadata__' belongs to the file format$"),
        ({"a": {1: 2}}, TypeError, "^save: keys must be strings, got 1 in a$"),
        ({"a": np.array(["x"])}, TypeError, "^save: a holds <U1, which the file format does not know$"),
        ({"a": np.array([object()])}, TypeError, "^save: a holds object, which"),
        (
            {"a/b": np.ones(1), "a": {"b": np.ones(1)}},
            ValueError,
            "^save: two arrays would be called 'a/b' in the file$",
        ),
    ],
)
def test_what_cannot_be_saved_leaves_the_earlier_file(path, state, kind, message):
    nn.save(path, {"kept": 1})
    with pytest.raises(kind, match=message):
        nn.save(path, state)
    assert nn.load(path) == {"kept": 1}
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_while_writing_leaves_the_earlier_file(path, monkeypatch, step):
    nn.save(path, {"kept": 1})

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="disk full"):
        nn.save(path, {"lost": np.zeros(1000)})
    assert nn.load(path) == {"kept": 1}
    assert os.listdir(path.parent) == [path.name]


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real").touch()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "real")
    nn.save(link, {"a": 1})
    assert link.is_symlink()
    assert nn.load(tmp_path / "real") == {"a": 1}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
@pytest.mark.parametrize("mode", [0o600, 0o444, 0o664])
def test_who_may_read_the_file_stays_so(path, monkeypatch, mode):
    nn.save(path, {"a": 1})
    path.chmod(mode)
    during = []
    sync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (during.append(os.fstat(file).st_mode & 0o777), sync(file)))
    nn.save(path, {"a": 2})
    assert (during, path.stat().st_mode & 0o777) == ([mode], mode)
    assert nn.load(path) == {"a": 2}


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        nn.save(tmp_path / "no" / "file", {"a": 1})
    with pytest.raises(FileNotFoundError):
        nn.load(tmp_path / "no")


# --- damaged and hostile files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", hostile.FILES.values(), ids=hostile.FILES.keys())
def test_hostile_files_are_refused(path, make):
    path.write_bytes(make())
    with pytest.raises(nn.FileFormatError, match=r"^load: .*state\.safetensors: ") as refusal:
        nn.load(path)
    assert len(str(refusal.value)) < len(str(path)) + 400  # whatever is quoted from the file


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("an array twice", "the header has 'a' twice"),
        ("a structure with a key twice", "the header has 'a' twice"),
        ("metadata that are a number", "the __metadata__ are no texts by name"),
    ],
)
def test_refusals_say_why(path, name, message):
    path.write_bytes(hostile.FILES[name]())
    with pytest.raises(nn.FileFormatError) as refusal:
        nn.load(path)
    assert str(refusal.value) == f"load: {path}: {message}"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_is_refused_and_not_waited_for(path):
    os.mkfifo(path)
    end = os.open(path, os.O_RDWR)
    os.write(end, bytes(1000))  # so that who reads nevertheless does not wait
    for read, name in [(nn.load, "load"), (partial(nn.load_state_dict_file, nn.Linear(1, 1)), "load_state_dict_file")]:
        with pytest.raises(nn.FileFormatError) as refusal:
            read(path)
        assert str(refusal.value) == f"{name}: {path}: no regular file, but a pipe or a device"
    os.close(end)
    with pytest.raises(IsADirectoryError):
        nn.load(path.parent)


def test_numbers_below_a_long_name_take_no_longer_than_the_file_is_large(path):
    state = {"k" * 1_000_000: [1] * 300_000}  # 2 MB; with the name put before each number it would be 300 GB
    nn.save(path, state)
    assert nn.load(path) == state


def test_an_array_that_does_not_fit_into_the_memory(path, monkeypatch):
    nn.save(path, {"w": np.zeros((2, 3), np.float32)})

    def full(*_):
        raise MemoryError

    monkeypatch.setattr(np, "empty", full)
    with pytest.raises(nn.FileFormatError, match=r"w of shape \(2, 3\) and type float32 does not fit into the memory$"):
        nn.load(path)


def test_what_could_not_be_loaded_is_not_saved(path):
    for state in ({"losses": [0.1234567890123456] * 600_000}, {"losses": [[] for _ in range(200_000)]}):
        with pytest.raises(
            ValueError, match=r"^save: what is not in arrays takes .*; put long lists of numbers into arr"
        ):
            nn.save(path, state)
    assert not path.exists()


def test_names_may_be_empty_or_have_a_slash(path):
    state = {"": {"": np.ones(1), "a": np.ones(2)}, "a": np.ones(3), "b/c": {"d": np.ones(4)}}
    nn.save(path, state)
    assert same(nn.load(path), state)


def test_a_file_cut_short_anywhere_is_refused(path):
    nn.save(path, {"a": np.arange(3.0), "b": {"c": np.ones(2, np.int8), "n": 1}})
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(nn.FileFormatError):
            nn.load(path)
    path.write_bytes(whole + b" ")
    with pytest.raises(nn.FileFormatError, match=r"the arrays take 26 bytes, the file has 27$"):
        nn.load(path)


@given(st.data())
def test_a_damaged_file_gives_a_state_or_a_format_error(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("damaged") / "file"
    nn.save(path, {"a": np.arange(3.0), "b": [np.ones(2, np.int8), 1]})
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(raw)
    with contextlib.suppress(nn.FileFormatError):
        assert isinstance(nn.load(path), dict)


@pytest.mark.parametrize(("suffix", "reader"), [(".pt", "torch.load"), (".pth", "torch.load"), (".npz", "numpy.load")])
def test_a_name_that_promises_another_content_is_warned_of(tmp_path, suffix, reader):
    path = str(tmp_path / f"model{suffix}")
    text = (
        f"save: a safetensors file is written, which {reader} does not read; call it .safetensors instead of {suffix}"
    )
    with pytest.warns(UserWarning, match="^save: ") as caught:
        nn.save(path, {"w": np.ones(2)})
    assert [(str(warning.message), warning.filename) for warning in caught] == [(text, __file__)]
    assert nn.load(path)["w"].tolist() == [1.0, 1.0]
