"""Zip archives, pickles of PyTorch and .npz files that nobody should load.

FILES: what a reader of weights must refuse as no file of weights, as functions that make the bytes. The model that they
are meant for has one parameter "w" of shape (2,).
"""

import collections
import os
import struct
import warnings
import zipfile

from hostile import npy_with, zip_of
from torch_files import REBUILD, Call, Named, Storage, archive, pickled, tensor, zipped

import nn

FOUR = b"x" * 16  # a storage of four float32
FLOAT = Storage("Float", "0", 4)


def with_tensor(*arguments, storage=FLOAT, data=FOUR):
    """A file with one tensor, "w", made of these arguments: offset, shape, strides, bits."""
    return archive({"w": tensor(storage, *arguments)}, data)


def with_storage(*description):
    """A file in which a storage is described like this."""
    storage = Storage("Float", "0", 4)
    storage.id = description
    return archive({"w": tensor(storage, 0, (2,), (1,))}, FOUR)


def program(*instructions):
    """A file with a pickle of these instructions."""
    return archive(b"\x80\x02" + b"".join(instructions), FOUR)


def good():
    return with_tensor(0, (2,), (1,))


def changed(raw, old, new, count=-1):
    assert old in raw
    return raw.replace(old, new, count)


def end(raw, **changes):
    """The archive with other numbers at its end."""
    names = ("disk", "first", "here", "count", "length", "start", "comment")
    numbers = dict(zip(names, struct.unpack("<4H2IH", raw[-18:]), strict=True)) | changes
    return raw[:-18] + struct.pack("<4H2IH", *numbers.values())


def twice():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return zipped([("w.npy", npy_with((2,)) + b"x" * 8)] * 2)


def entry(raw, offset, code, value, which=0):
    """The archive with another number in an entry of its table."""
    place = -1
    for _ in range(which + 1):
        place = raw.index(b"PK\x01\x02", place + 1)
    return raw[: place + offset] + struct.pack(code, value) + raw[place + offset + struct.calcsize(code) :]


def overlapping(count=1000):
    """Many entries for the same bytes: a small file, much inside."""
    content = npy_with((250_000,)) + bytes(1_000_000)
    raw = zipped([("w.npy", content)])
    table = raw[raw.index(b"PK\x01\x02") : -22]
    body = raw[: raw.index(b"PK\x01\x02")]
    entries = b"".join(table.replace(b"w.npy", f"{i:05}".encode()) for i in range(count))
    return body + entries + struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count, count, len(entries), len(body), 0)


def npy(descr="'<f4'", order="False", shape="(2,)", data=b"x" * 8, version=1, more=""):
    header = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, {more}}}".encode()
    header = header.ljust(117) + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(header)) + header + data


def npz(content, name="w.npy"):
    return zipped([(name, content)])


MARK, STOP = b"(", b"."
INT = b"K\x01"

FILES = {
    # pickles that want more than data
    "os.system": lambda: archive({"w": Call(Named("os", "system"), "echo run")}),
    "posix.system": lambda: archive({"w": Call(Named("posix", "system"), "echo run")}),
    "builtins.exec": lambda: archive({"w": Call(Named("__builtin__", "exec"), "1")}),
    "builtins.getattr": lambda: archive({"w": Call(Named("__builtin__", "getattr"), "a", "b")}),
    "a class of PyTorch": lambda: archive(Call(Named("torch.nn.modules.linear", "Linear"), 1, 2)),
    "a name that is not called": lambda: archive({"w": Named("os", "system")}),
    "a name below a known one": lambda: archive({"w": Call(Named("collections", "OrderedDict.fromkeys"), "ab")}),
    "a known name in two": lambda: archive({"w": Call(Named("torch", "_utils._rebuild_tensor_v3"), "ab")}),
    "a long name": lambda: program(b"c" + b"o" * 1_000_000 + b"\nsystem\n", STOP),
    "a name without an end": lambda: program(b"cos"),
    "a name that is not UTF-8": lambda: program(b"c\xff\n\xff\n", STOP),
    "INST": lambda: program(MARK, b"ios\nsystem\n", STOP),
    "OBJ": lambda: program(MARK, b"cos\nsystem\no", STOP),
    "NEWOBJ": lambda: program(b"ccollections\nOrderedDict\n)\x81", STOP),
    "STACK_GLOBAL": lambda: program(b"X\x02\0\0\0osX\x06\0\0\0system\x93", STOP),
    "EXT1": lambda: program(b"\x82\x01", STOP),
    "protocol 4": lambda: archive(pickled({"w": 1}, protocol=4)),
    "protocol 0": lambda: archive(pickled({"w": 1}, protocol=0)),
    # damaged pickles
    "an empty pickle": lambda: archive(b""),
    "a pickle without STOP": lambda: program(b"}"),
    "STOP with nothing": lambda: program(STOP),
    "a pickle cut short": lambda: archive(pickled({"w": "a string of some length"})[:-8]),
    "a string beyond the end": lambda: program(b"X\xff\xff\xff\xff", STOP),
    "a string that is not UTF-8": lambda: program(b"X\x01\0\0\0\xff", STOP),
    "a number cut short": lambda: program(b"G\0"),
    "a memo that is not there": lambda: program(b"h\x07", STOP),
    "a memo of nothing": lambda: program(b"q\x07", STOP),
    "a tuple of too many": lambda: program(INT, b"\x87", STOP),
    "no mark": lambda: program(INT, b"t", STOP),
    "append to a number": lambda: program(INT, INT, b"a", STOP),
    "append to a dict": lambda: program(b"}", INT, b"a", STOP),
    "an entry of a number": lambda: program(INT, INT, INT, b"s", STOP),
    "an entry of a list": lambda: program(b"]", INT, INT, b"s", STOP),
    "half an entry": lambda: program(b"}", MARK, INT, b"u", STOP),
    "a key that is a tuple": lambda: program(b"}", b")", INT, b"s", STOP),
    "a key that is a list": lambda: program(b"}", b"]", INT, b"s", STOP),
    "keys that take long to compare": lambda: program(b"}", b")" + b"q\0h\0h\0\x86" * 60, INT, b"s", STOP),
    "a call of a number": lambda: program(INT, b")R", STOP),
    "a call of a class of storages": lambda: program(b"ctorch\nFloatStorage\n)R", STOP),
    "arguments that are no tuple": lambda: program(b"ccollections\nOrderedDict\n", INT, b"R", STOP),
    "attributes of a number": lambda: program(INT, b"}b", STOP),
    "attributes that are no dict": lambda: program(b"}", INT, b"b", STOP),
    "an ordered dict of something": lambda: archive({"w": Call(Named("collections", "OrderedDict"), [("a", 1)])}),
    "a list": lambda: archive([1, 2]),
    "a number": lambda: archive(3),
    "no arrays": lambda: archive({"epoch": 3, "names": {"a": "b"}}),
    "long names": lambda: archive({"k" * 1_000_000: 3}),
    "many instructions": lambda: program(b"}" + b"N" * 4_000_000),
    "many steps": lambda: program(b"(" * 3_000_000),
    "many dicts": lambda: program(b"}" * 3_000_000),
    "many numbers": lambda: program(b"]", MARK, INT * 3_000_000, b"e", STOP),
    "many calls": lambda: program(b"ccollections\nOrderedDict\nq\0", b"h\0)R" * 1_000_000),
    "many storages": lambda: archive(
        pickled(FLOAT).removesuffix(b"Q.") + b"q\xfe" + b"h\xfeQ" * 300_000,
        FOUR,
    ),
    "many tensors": lambda: archive(
        pickled((FLOAT, 0, (1,) * 8, (0,) * 8, False, {})).removesuffix(STOP)
        + b"q\xfe"
        + b"ctorch._utils\n_rebuild_tensor_v2\nq\xfd"
        + b"h\xfdh\xfeR" * 300_000,
        FOUR,
    ),
    "a large pickle": lambda: program(b"X" + struct.pack("<I", 9_000_000) + b"x" * 9_000_000, STOP),
    # storages and tensors
    "a storage that is not there": lambda: with_tensor(0, (2,), (1,), storage=Storage("Float", "1", 4)),
    "a storage outside": lambda: with_tensor(0, (2,), (1,), storage=Storage("Float", "../data.pkl", 4)),
    "a storage of another length": lambda: with_tensor(0, (2,), (1,), storage=Storage("Float", "0", 5)),
    "a storage of another type": lambda: with_tensor(0, (2,), (1,), storage=Storage("Double", "0", 4)),
    "a storage of a huge length": lambda: with_tensor(0, (2,), (1,), storage=Storage("Float", "0", 2**62)),
    "a storage of a negative length": lambda: with_tensor(0, (2,), (1,), storage=Storage("Float", "0", -4)),
    "a storage of unknown type": lambda: with_tensor(0, (2,), (1,), storage=Storage("Quantized", "0", 4)),
    "a storage without description": lambda: with_storage(),
    "a storage that is something else": lambda: with_storage("module", Named("torch", "FloatStorage"), "0", "cpu", 4),
    "a storage of a text for a class": lambda: with_storage("storage", "torch.FloatStorage", "0", "cpu", 4),
    "a storage of a wrong class": lambda: with_storage("storage", Named("collections", "OrderedDict"), "0", "cpu", 4),
    "a storage of a number for a name": lambda: with_storage("storage", Named("torch", "FloatStorage"), 0, "cpu", 4),
    "a storage of True elements": lambda: with_storage("storage", Named("torch", "FloatStorage"), "0", "cpu", True),
    "a storage of a float length": lambda: with_storage("storage", Named("torch", "FloatStorage"), "0", "cpu", 4.0),
    "over the end": lambda: with_tensor(0, (5,), (1,)),
    "over the end by the offset": lambda: with_tensor(3, (2,), (1,)),
    "over the end by the stride": lambda: with_tensor(0, (2,), (4,)),
    "a huge offset": lambda: with_tensor(2**63, (2,), (1,)),
    "a huge stride": lambda: with_tensor(0, (2,), (2**62,)),
    "a negative offset": lambda: with_tensor(-1, (2,), (1,)),
    "a negative stride": lambda: with_tensor(3, (2,), (-1,)),
    "a negative size": lambda: with_tensor(0, (-2,), (1,)),
    "a huge shape": lambda: with_tensor(0, (2**40, 2**40), (0, 0)),
    "a huge shape of stride 0": lambda: with_tensor(0, (2**62,), (0,)),
    "a huge empty shape": lambda: with_tensor(0, (0, 2**62), (1, 1)),
    "a size of 2,000 bits": lambda: with_tensor(0, (2**2000,), (0,)),
    "strides for other axes": lambda: with_tensor(0, (2,), (1, 1)),
    "too many axes": lambda: with_tensor(0, (1,) * 9, (1,) * 9),
    "far too many axes": lambda: with_tensor(0, (1,) * 10_000, (1,) * 10_000),
    "a size of True": lambda: with_tensor(0, (True,), (1,)),
    "a size of a float": lambda: with_tensor(0, (2.0,), (1,)),
    "a size of a text": lambda: with_tensor(0, ("2",), (1,)),
    "a size of None": lambda: with_tensor(0, None, (1,)),
    "a list for a shape": lambda: with_tensor(0, [2], (1,)),
    "a stride of a text": lambda: with_tensor(0, (2,), ("1",)),
    "an offset of True": lambda: with_tensor(True, (2,), (1,)),
    "a tensor for a shape": lambda: with_tensor(0, tensor(FLOAT, 0, (2,), (1,)), (1,)),
    "a tensor without a storage": lambda: archive({"w": tensor(3, 0, (2,), (1,))}, FOUR),
    "a tensor of a tensor": lambda: archive({"w": tensor(tensor(FLOAT, 0, (2,), (1,)), 0, (2,), (1,))}, FOUR),
    "a tensor of nothing": lambda: archive({"w": Call(REBUILD)}, FOUR),
    "the negative bit": lambda: with_tensor(0, (2,), (1,), {"neg": True}),
    "the conjugate bit": lambda: with_tensor(0, (2,), (1,), {"conj": True}),
    "a parameter of nothing": lambda: archive({"w": Call(Named("torch._utils", "_rebuild_parameter"), 3, True)}),
    # archives
    "an archive of nothing": lambda: zipped([]),
    "two pickles": lambda: zipped([("a/data.pkl", pickled({})), ("b/data.pkl", pickled({}))]),
    "a pickle at the top": lambda: zipped([("data.pkl", pickled({}))]),
    "compressed": lambda: archive({"w": tensor(FLOAT, 0, (2,), (1,))}, FOUR, compression=zipfile.ZIP_DEFLATED),
    "compressed by bzip2": lambda: zipped([("w.npy", npy())], zipfile.ZIP_BZIP2),
    "TorchScript": lambda: zipped(
        [("m/data.pkl", pickled({})), ("m/constants.pkl", pickled(())), ("m/code/a.py", b"")]
    ),
    "something else": lambda: zipped([("word/document.xml", b"<xml/>")]),
    "an array and something else": lambda: zipped([("w.npy", npy()), ("README", b"read me")]),
    "twice the same name": twice,
    "no end": lambda: good()[:-22],
    "half an end": lambda: good()[:-10],
    "a byte behind the end": lambda: good() + b"\0",
    "a local header only": lambda: b"PK\x03\x04",
    "a local header and zeros": lambda: b"PK\x03\x04" + bytes(1000),
    "more entries than there are": lambda: end(good(), here=60, count=60),
    "fewer entries than there are": lambda: end(good(), here=1, count=1),
    "65,535 entries": lambda: end(good(), here=0xFFFF, count=0xFFFF),
    "entries on other disks": lambda: end(good(), disk=1),
    "a table beyond the end": lambda: end(good(), start=2**31),
    "a table of 4 GB": lambda: end(good(), length=2**32 - 1),
    "a table that starts later": lambda: end(good(), start=100),
    "a huge table": lambda: zipped([("n" * 60_000, b"")] * 1 + [(f"{i}" + "n" * 60_000, b"") for i in range(300)]),
    "many files": lambda: zipped([(f"{i}.npy", b"") for i in range(10_000)]),
    "many arrays": lambda: zipped([(f"{i}.npy", npy()) for i in range(1_990)] + [("z.npy", b"")]),
    "more arrays": lambda: zipped([(f"{i}.npy", npy()) for i in range(4_000)]),
    "many files in one place": lambda: overlapping(),
    "a name that is no text": lambda: changed(good(), b"m/data.pkl", b"\xff/data.pkl"),
    "another name in the local header": lambda: changed(good(), b"m/data/0", b"m/data/1", 1),
    "encrypted": lambda: entry(good(), 8, "<H", 1),
    "method 99": lambda: entry(good(), 10, "<H", 99),
    "a size larger than the file": lambda: entry(entry(good(), 20, "<I", 2**31), 24, "<I", 2**31),
    "stored, of two sizes": lambda: entry(good(), 24, "<I", 2**31),
    "a full size without an extra field": lambda: entry(entry(good(), 20, "<I", 2**32 - 1), 24, "<I", 2**32 - 1),
    "a start beyond the end": lambda: entry(good(), 42, "<I", 2**31),
    "a start at another file": lambda: entry(good(), 42, "<I", 0, which=2),
    "a pickle with a wrong checksum": lambda: entry(good(), 16, "<I", 1),
    "a storage with a wrong checksum": lambda: entry(good(), 16, "<I", 1, which=2),
    "an extra field that moves the data": lambda: changed(good(), b"\0\0m/data/0", b"\xff\xffm/data/0", 1),
    # .npz
    "not an array": lambda: npz(b"nonsense"),
    "an empty array file": lambda: npz(b""),
    "an array of version 9": lambda: npz(npy(version=9)),
    "a header beyond the end": lambda: npz(npy()[:60]),
    "a header of 4 GB": lambda: npz(b"\x93NUMPY\x02\x00\xff\xff\xff\xff{}"),
    "a header of 60 KB": lambda: npz(npy(more=" " * 60_000)),
    "objects": lambda: npz(npy(descr="'|O'")),
    "a structure": lambda: npz(npy(descr="[('a', '<f4')]")),
    "a header that is a program": lambda: npz(npy(descr="__import__('os').system('echo run')")),
    "a header of many brackets": lambda: npz(npy(shape="(" * 5000)),
    "a header of many commas": lambda: npz(npy(shape="(" + "1," * 4000 + "x)")),
    "complex numbers": lambda: npz(npy(descr="'<c8'")),
    "dates": lambda: npz(npy(descr="'<M8'")),
    "texts": lambda: npz(npy(descr="'<U2'")),
    "a float of 3 bytes": lambda: npz(npy(descr="'<f3'")),
    "a negative size of an array": lambda: npz(npy(shape="(-2,)")),
    "an array of too few bytes": lambda: npz(npy(shape="(3,)")),
    "an array of too many bytes": lambda: npz(npy(shape="(1,)")),
    "an array of a huge shape": lambda: npz(npy(shape=f"({2**40}, {2**40})")),
    "an array of a huge empty shape": lambda: npz(npy(shape=f"({2**60}, 0)", data=b"")),
    "an array of 65 axes": lambda: npz(npy(shape="(" + "1, " * 64 + "2)")),
    "a compressed array of a huge shape": lambda: zip_of("w.npy", npy(shape=f"({2**40},)")),
    "compressed data that are damaged": lambda: changed(zip_of("w.npy", npy(data=os.urandom(8))), b"\x93", b"\x94"),
    "an array of many bytes too many": lambda: zip_of("w.npy", npy(data=bytes(100_000_000))),
    # other formats
    "tar": lambda: bytes(257) + b"ustar" + bytes(1000),
    "before PyTorch 1.6": lambda: pickled(0x1950A86A20F9469CFC6C) + pickled(1001) + pickled({}),
    "a bare pickle": lambda: pickled(collections.OrderedDict(a=1)),
}


def readers(folder):
    """As `hostile.readers`: where the files go, the files, and the function that must refuse them."""
    path, model = folder / "weights", nn.Sequential()
    model.w = nn.Parameter([0.0, 0.0])
    return [(path, FILES, lambda: nn.load_state_dict_file(model, path))]
