"""Files that nobody should load: damaged, lying about their sizes, larger inside than outside, of other kinds.

FILES: what a reader of the safetensors format must refuse, as functions that make the bytes.
"""

import io
import json
import pickle
import struct
import zipfile
import zlib

import numpy as np

GOOD = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}  # of 8 bytes of data
MANY = 300_000


def made(header, data=b""):
    """A file with this header, as bytes or to be written as JSON, and these data."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def one(data=b"x" * 8, **changes):
    """A file with one array, of which the entry is changed."""
    return made({"a": GOOD | changes}, data)


def structured(structure, data=b"", **entries):
    """A file in which the state has this structure."""
    return made({"__metadata__": {"structure": structure}, **entries}, data)


class Command:
    """Runs a command when it is unpickled."""

    def __reduce__(self):
        return exec, ("raise SystemExit('the pickle was run')",)


def pickled_array():
    file = io.BytesIO()
    np.save(file, np.array([Command()], object), allow_pickle=True)
    return file.getvalue()


def npz(**arrays):
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def zip_of(name, content):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return file.getvalue()


def npy_with(shape):
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header


FILES = {
    # cut short
    "empty": lambda: b"",
    "a byte": lambda: b"\x01",
    "7 bytes": lambda: b"\x01" * 7,
    "a length and no header": lambda: struct.pack("<Q", 100),
    "half a header": lambda: one()[:30],
    "no data": lambda: one(b""),
    "half the data": lambda: one(b"x" * 4),
    "rest": lambda: one(b"x" * 9),
    # lying lengths
    "header of 0 bytes": lambda: struct.pack("<Q", 0),
    "header of 2^63 bytes": lambda: struct.pack("<Q", 2**63) + b"{}",
    "header of 2^64 - 1 bytes": lambda: b"\xff" * 8 + b"{}",
    "header of one byte too many": lambda: struct.pack("<Q", 3) + b"{}",
    "length of the other byte order": lambda: struct.pack(">Q", 2) + b"{}",
    # headers
    "not JSON": lambda: made(b"{nonsense}"),
    "not UTF-8": lambda: made(b"\xff\xfe"),
    "zeros": lambda: bytes(1000),
    "two headers": lambda: made(b"{}{}"),
    "a list": lambda: made([1]),
    "a number": lambda: made(3),
    "no entry": lambda: made({"a": 3}),
    "entry is null": lambda: made({"a": None}),
    "a field missing": lambda: made({"a": {"dtype": "F32", "shape": [2]}}, b"x" * 8),
    "unknown type": lambda: one(dtype="OBJECT"),
    "a type with a long name": lambda: one(dtype="F" * 1_000_000),
    "type that cannot be a key": lambda: one(dtype=[]),
    # wrong shapes
    "negative size": lambda: one(shape=[-2]),
    "two negative sizes": lambda: one(shape=[-1, -2]),
    "size of a bool": lambda: one(shape=[True, 2]),
    "size of a float": lambda: one(shape=[2.0]),
    "size of a text": lambda: one(shape="2"),
    "size of infinity": lambda: one(shape=[float("inf")]),
    "huge shape": lambda: one(shape=[2**62, 2**62]),
    "a size that wraps round": lambda: one(shape=[2**64 + 2]),
    "a size of 4,000 digits": lambda: one(shape=[10**4000]),
    "a size of 5,000 digits": lambda: made(
        b'{"a":{"dtype":"F32","shape":[' + b"9" * 5000 + b'],"data_offsets":[0,8]}}'
    ),
    "huge empty shape": lambda: one(b"", shape=[0, 2**70], data_offsets=[0, 0]),
    "hidden huge shape": lambda: one(b"", dtype="F64", shape=[2**47, 0, 2**47], data_offsets=[0, 0]),
    "too many axes": lambda: one(b"x", dtype="U8", shape=[1] * 65, data_offsets=[0, 1]),
    "a hundred thousand axes": lambda: one(b"x", dtype="U8", shape=[1] * 100_000, data_offsets=[0, 1]),
    "shape and bytes differ": lambda: one(shape=[3]),
    # wrong places
    "beyond the end": lambda: one(data_offsets=[8, 16]),
    "far beyond the end": lambda: one(shape=[2**40], data_offsets=[0, 2**42]),
    "backwards": lambda: one(data_offsets=[8, 0]),
    "before the beginning": lambda: one(data_offsets=[-8, 0]),
    "three offsets": lambda: one(data_offsets=[0, 4, 8]),
    "end and bytes differ": lambda: one(data_offsets=[0, 7]),
    "overlap": lambda: made({"a": GOOD, "b": GOOD}, b"x" * 8),
    "hole": lambda: made({"a": GOOD, "b": GOOD | {"data_offsets": [12, 20]}}, b"x" * 20),
    "neither False nor True": lambda: one(b"\x01\x07", dtype="BOOL", data_offsets=[0, 2]),
    # the structure of the state
    "array of the structure missing": lambda: structured('{"a": null}'),
    "array without a place": lambda: structured("{}", b"x" * 8, a=GOOD),
    "structure is no JSON": lambda: structured("{"),
    "structure is no string": lambda: structured(3),
    "structure is no dict": lambda: structured("3"),
    "structure is a long list": lambda: structured(str([1] * 100_000)),
    "metadata is no dict": lambda: made({"__metadata__": "structure"}),
    # small files with much inside
    "deep JSON": lambda: made(b"[" * 100_000),
    "deep JSON, closed": lambda: made(b'{"a":' * 50_000 + b"1" + b"}" * 50_000),
    "deep structure": lambda: structured('{"a":' + "[" * 900 + "]" * 900 + "}"),
    "deep structure without names": lambda: structured('{"":' * 900 + "1" + "}" * 900),
    "many numbers below a long name": lambda: structured(json.dumps({"k" * 100_000: [1] * 50_000, "b": None})),
    "many lists": lambda: made(b"{" + b'"a":[' + b"[]," * MANY + b"[]]}"),
    "many dicts": lambda: structured('{"a":[' + "{}," * MANY + "{}]}"),
    "many entries": lambda: made({f"{i}": GOOD | {"shape": [0], "data_offsets": [0, 0]} for i in range(MANY // 3)}),
    "a long empty header": lambda: made(b"{" + b" " * 20_000_000 + b"}"),
    # other kinds
    "pickle": lambda: pickle.dumps(Command()),
    "pickled array": pickled_array,
    "text": lambda: b"epoch,loss\n" * 100,
    "npy with a huge shape": lambda: npy_with((2**40, 2**20)),
    "npz": lambda: npz(a=np.ones(3)),
    "npz with 100 MB of zeros": lambda: npz(a=np.zeros(100_000_000, np.int8)),
    "npz with a huge shape": lambda: zip_of("a.npy", npy_with((2**40, 2**20))),
    "npz with a pickle": lambda: zip_of("a.npy", pickled_array()),
    "zip of a torch model": lambda: zip_of("model/data.pkl", pickle.dumps(Command())),
    "zip in a zip": lambda: zip_of("a.zip", zip_of("b.zip", zip_of("c", bytes(10_000_000)))),
    "zlib": lambda: zlib.compress(bytes(10_000_000)),
}
