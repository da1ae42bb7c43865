"""Files as torch.save writes them, made without PyTorch: a pickle with the names of its functions, in a zip archive."""

import collections
import io
import pickle
import zipfile

import numpy as np

KINDS = {"f8": "Double", "f4": "Float", "f2": "Half", "i8": "Long", "i4": "Int", "i2": "Short", "i1": "Char"}
KINDS |= {"u1": "Byte", "b1": "Bool"}


class Named:
    """A function or a class of a module that need not be there."""

    def __init__(self, module, name):
        self.module, self.name = module, name

    def __call__(self, *_):
        raise AssertionError("the pickle was run")


class Call:
    """What a pickle makes by calling a function."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments


class Storage:
    """Numbers in a file of the archive, to which a pickle refers by a persistent id."""

    def __init__(self, kind, key, count):
        self.id = ("storage", Named("torch", f"{kind}Storage"), key, "cpu", count)


REBUILD = Named("torch._utils", "_rebuild_tensor_v2")


def tensor(storage, offset, shape, strides, *bits):
    return Call(REBUILD, storage, offset, shape, strides, False, collections.OrderedDict(), *bits)


class Pickler(pickle._Pickler):  # the one in Python, which can be told how a name is written
    def persistent_id(self, value):
        return value.id if isinstance(value, Storage) else None

    def reducer_override(self, value):
        if isinstance(value, Call):
            return value.function, value.arguments
        return "name" if isinstance(value, Named) else NotImplemented

    def save_global(self, value, name=None):
        if isinstance(value, Named):
            self.write(f"c{value.module}\n{value.name}\n".encode())
            self.memoize(value)
        else:
            super().save_global(value, name)


def pickled(state, protocol=2):
    file = io.BytesIO()
    Pickler(file, protocol).dump(state)
    return file.getvalue()


def zipped(files, compression=zipfile.ZIP_STORED):
    """An archive of these files: (name, content)."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return out.getvalue()


def archive(state, *storages, compression=zipfile.ZIP_STORED, order=b"little"):
    """A file of a state, or of the bytes of a pickle, and of the bytes of storages "0", "1", ..."""
    data = state if isinstance(state, bytes) else pickled(state)
    files = [("m/data.pkl", data), ("m/byteorder", order)]
    files += [(f"m/data/{key}", content) for key, content in enumerate(storages)]
    return zipped([*files, ("m/version", b"3\n")], compression)


def saved(arrays, order="<", inside=None):
    """What torch.save would write of a dict of arrays, each with a storage of its own."""
    state, storages = collections.OrderedDict(), []
    for name, array in arrays.items():
        values = np.ascontiguousarray(array, array.dtype.newbyteorder(order))
        steps = tuple(stride // values.itemsize for stride in values.strides)
        kind = KINDS[f"{values.dtype.kind}{values.dtype.itemsize}"]
        state[name] = tensor(Storage(kind, str(len(storages)), values.size), 0, array.shape, steps)
        storages.append(values.tobytes())
    state._metadata = collections.OrderedDict({"": {"version": 1}})
    return archive(inside(state) if inside else state, *storages, order=b"little" if order == "<" else b"big")
