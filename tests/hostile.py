"""Files that nobody should load: damaged, lying about their sizes, larger inside than outside, of other kinds.

Functions that make the bytes of what a reader must refuse: FILES of the safetensors format; LABELS and IMAGES of
MNIST, BATCHES and ARCHIVES of CIFAR-10. `readers` says what reads them.
"""

import gzip
import io
import json
import pickle
import struct
import zipfile
import zlib

import numpy as np

import nn

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
    "an array twice": lambda: made(json.dumps({"a": GOOD, "b": GOOD}).replace('"b"', '"a"').encode(), b"x" * 8),
    "a field twice": lambda: made(
        json.dumps({"a": GOOD}).replace('{"dtype', '{"shape": [9], "dtype').encode(), b"x" * 8
    ),
    "many entries and one twice": lambda: made(
        b"{" + b"".join(b'"%d":0,' % i for i in range(MANY // 4)) + b'"%d":0}' % (MANY // 4 - 1)
    ),
    "many names": lambda: made(b"{" + b"".join(b'"%d":0,' % i for i in range(MANY)) + b'"a":0}'),
    "metadata that are a list": lambda: made({"__metadata__": ["structure"]}),
    "metadata that are a number": lambda: made({"__metadata__": {"epoch": 3}}),
    "a structure with a key twice": lambda: structured('{"a": 1, "a": 2}'),
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


# --- data sets -------------------------------------------------------------------------------------------------------


def idx(shape, data=None, kind=8, axes=None):
    """An IDX file of bytes with this shape in its header."""
    head = struct.pack(">HBB", 0, kind, len(shape) if axes is None else axes)
    content = bytes(int(np.prod(shape))) if data is None else data
    return head + b"".join(struct.pack(">I", n) for n in shape) + content


def gz(content, rest=b""):
    return gzip.compress(content, 9, mtime=0) + rest


def member(name, content=b"", kind=b"0", size=None, checksum=None):
    """A file in a tar archive, in which the size may be a lie."""
    length = b"%011o" % len(content) if size is None else size
    head = (
        name.encode().ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2 + length.ljust(12, b"\0") + b"0" * 11 + b"\0"
    )
    rest = kind + bytes(100) + b"ustar\x0000" + bytes(512 - 148 - 8 - 1 - 100 - 8)
    total = sum(head) + 8 * 32 + sum(rest) if checksum is None else checksum
    return head + b"%06o\0 " % total + rest + content + bytes(-len(content) % 512)


def tar(*members):
    return gz(b"".join(members) + bytes(1024))


def batch(label=1, images=1):
    return (bytes([label]) + bytes(3072)) * images


SMALL = (2, 28, 28)
BOMB = gz(bytes(100_000_000))  # 97 kB
LABELS = {  # what a reader of MNIST's labels must refuse
    "empty": lambda: b"",
    "a byte": lambda: b"\0",
    "half a header": lambda: idx((2,))[:6],
    "a header alone": lambda: idx((2,), b""),
    "half the labels": lambda: idx((2,), b"\1"),
    "rest": lambda: idx((2,), b"\1\2\3"),
    "no labels": lambda: idx((0,)),
    "2^32 - 1 labels": lambda: idx((2**32 - 1,), b""),
    "more labels than MNIST has": lambda: idx((60_001,)),
    "images": lambda: idx(SMALL),
    "floats": lambda: idx((2,), kind=0x0D),
    "no axes": lambda: idx((), b""),
    "255 axes": lambda: idx((1,) * 255),
    "little endian": lambda: idx((2 << 24,), b"\1\2"),
    "a label of 10": lambda: idx((2,), b"\1\12"),
    "a label of 255": lambda: idx((2,), b"\1\xff"),
    "text": lambda: b"label\n" * 100,
    "pickle": lambda: pickle.dumps(Command()),
    "npy": pickled_array,
    "zip": lambda: zip_of("labels", idx((2,))),
    "zlib": lambda: zlib.compress(idx((2,))),
    "larger than MNIST's": lambda: bytes(1_000_000),
    "gzip: empty": lambda: gz(b""),
    "gzip: its beginning": lambda: gz(idx((2,)))[:2],
    "gzip: half of it": lambda: gz(idx((2,)))[:20],
    "gzip: without the checksum": lambda: gz(idx((2,)))[:-8],
    "gzip: wrong checksum": lambda: gz(idx((2,)))[:-8] + bytes(8),
    "gzip: bytes after it": lambda: gz(idx((2,)), b"rest"),
    "gzip: another after it": lambda: gz(idx((2,)), gz(b"\1")),
    "gzip: rest inside": lambda: gz(idx((2,), b"\1\2\3")),
    "gzip: half the labels": lambda: gz(idx((2,), b"\1")),
    "gzip: 2^32 - 1 labels": lambda: gz(idx((2**32 - 1,), b"")),
    "gzip: 60,000 labels in 40 bytes": lambda: gz(idx((60_000,), b"")),
    "gzip: 100 MB of zeros": lambda: BOMB,
    "gzip: 100 MB behind two labels": lambda: gz(idx((2,)) + bytes(100_000_000)),
    "gzip: in a gzip": lambda: gz(gz(idx((2,)))),
    "gzip: a file name of 60 kB": lambda: b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * 60_000,
    "gzip: 12,000 empty blocks": lambda: gz(b"")[:10] + b"\0\0\0\xff\xff" * 12_000,
}
IMAGES = {  # and of its images, where there are two labels
    "half an image": lambda: idx(SMALL, bytes(28 * 28 + 1)),
    "three images": lambda: idx((3, 28, 28)),
    "one image": lambda: idx((1, 28, 28)),
    "labels": lambda: idx((2,)),
    "other sizes": lambda: idx((2, 32, 32)),
    "sizes that multiply to the same": lambda: idx((2, 14, 56)),
    "no width": lambda: idx((2, 28, 0)),
    "2^32 - 1 images": lambda: idx((2**32 - 1, 28, 28), b""),
    "2^32 - 1 everywhere": lambda: idx((2**32 - 1,) * 3, b""),
    "gzip: 100 MB of zeros": lambda: BOMB,
    "gzip: 100 MB behind two images": lambda: gz(idx(SMALL) + bytes(100_000_000)),
    "gzip: half an image": lambda: gz(idx(SMALL, bytes(28 * 28 + 1))),
    "gzip: damaged": lambda: gz(idx(SMALL))[:30] + b"\xff" * 20,
}
BATCHES = {  # of a file of CIFAR-10
    "empty": lambda: b"",
    "a label alone": lambda: b"\1",
    "half an image": lambda: batch()[:1000],
    "an image and a half": lambda: batch() + batch()[:1000],
    "a label of 10": lambda: batch(10),
    "a label of 255 at the end": lambda: batch(images=9) + batch(255),
    "one image too many": lambda: batch(images=10_001),
    "100 images of CIFAR-100": lambda: (b"\1\2" + bytes(3072)) * 100,
    "pickle": lambda: pickle.dumps(Command()),
}
TEST = "cifar-10-batches-bin/test_batch.bin"
ARCHIVES = {  # of the archive of CIFAR-10, with the test images wanted
    "empty": lambda: b"",
    "gzip: empty": lambda: gz(b""),
    "not an archive": lambda: gz(b"text" * 1000),
    "a pickle": lambda: gz(pickle.dumps(Command())),
    "zip": lambda: zip_of(TEST, batch()),
    "no members": lambda: tar(),
    "another member only": lambda: tar(member("readme.html", b"<html>")),
    "the training images only": lambda: tar(member("cifar-10-batches-bin/data_batch_1.bin", batch())),
    "Python's version": lambda: tar(member("cifar-10-batches-py/test_batch", pickle.dumps(Command()))),
    "no end": lambda: gz(member(TEST, batch())),
    "half a member": lambda: gz(member(TEST, batch())[:2000]),
    "half a header": lambda: gz(member(TEST, batch())[:300]),
    "cut in the middle": lambda: tar(member(TEST, np.random.default_rng(0).bytes(3073 * 2)))[:3000],
    "100 MB behind it": lambda: gz(member(TEST, batch()) + bytes(1024) + b"x" * 100_000_000),
    "a half image": lambda: tar(member(TEST, batch()[:-1])),
    "a label of 10": lambda: tar(member(TEST, batch(10))),
    "twice": lambda: tar(member(TEST, batch()), member(TEST, batch())),
    "two in different folders": lambda: tar(member(TEST, batch()), member("test_batch.bin", batch())),
    "a header with a wrong sum": lambda: tar(member(TEST, batch(), checksum=1)),
    "a size of 8 GB": lambda: tar(member(TEST, size=b"77777777777")),
    "a size of 8 GB for another": lambda: tar(member("readme.html", size=b"77777777777")),
    "a size in base 256": lambda: tar(member(TEST, size=b"\x80" + b"\xff" * 11)),
    "a negative size": lambda: tar(member(TEST, size=b"-0000000001")),
    "a size in words": lambda: tar(member(TEST, size=b"many")),
    "a name that leads out": lambda: tar(member("../test_batch.bin", batch())),
    "a name that leads out later": lambda: tar(member("a/../../test_batch.bin", batch())),
    "an absolute name": lambda: tar(member("/test_batch.bin", batch())),
    "a name that is no text": lambda: tar(member("\xff/test_batch.bin", batch())),
    "a symbolic link": lambda: tar(member(TEST, kind=b"2")),
    "a hard link": lambda: tar(member(TEST, kind=b"1")),
    "a device": lambda: tar(member(TEST, kind=b"3")),
    "a pipe": lambda: tar(member(TEST, kind=b"6")),
    "a sparse file": lambda: tar(member(TEST, kind=b"S")),
    "a long name": lambda: tar(member("././@LongLink", bytes(1000), kind=b"L"), member(TEST, batch())),
    "a folder of that name": lambda: tar(member(TEST, kind=b"5")),
    "a comment of 50 MB": lambda: tar(member("comment", bytes(50_000_000), kind=b"x"), member(TEST, batch())),
    "others of 2 MB": lambda: tar(*[member(f"{i}", bytes(100_000)) for i in range(20)], member(TEST, batch())),
    "100,000 empty others": lambda: tar(member("a") * 100_000, member(TEST, batch())),
    "100 MB of zeros": lambda: BOMB,
}


def readers(folder):
    """For each format: where in the folder the hostile files go, the files, and the function that must refuse them."""
    labels, images, batches, archives = (folder / name for name in ("labels", "images", "batches", "archives"))
    for place in (labels, images, batches, archives):
        place.mkdir()
    (labels / "train-images-idx3-ubyte").write_bytes(idx(SMALL))
    (images / "train-labels-idx1-ubyte").write_bytes(idx((2,)))
    no_images = {name: make for name, make in (LABELS | IMAGES).items() if name != "images"}
    return [
        (folder / "state.safetensors", FILES, lambda: nn.load(folder / "state.safetensors")),
        (labels / "train-labels-idx1-ubyte", LABELS, lambda: nn.data.MNIST(labels)),
        (images / "train-images-idx3-ubyte", no_images, lambda: nn.data.MNIST(images)),
        (batches / "test_batch.bin", BATCHES, lambda: nn.data.CIFAR10(batches, train=False)),
        (archives / "cifar-10-binary.tar.gz", ARCHIVES, lambda: nn.data.CIFAR10(archives, train=False)),
    ]
