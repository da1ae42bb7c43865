"""The types of results, as PyTorch has them. Nothing here is computed by the code under test.

An array of the lower kind (bool < integer < float) takes the type of the higher one; within a kind, numbers and
zero-dimensional arrays do not widen arrays; what only integers cannot express is float32.
"""

from __future__ import annotations

import numpy as np
import pytest

import tensorgraph as tg

# Operands by name: "f4" is a float32 tensor with one axis, "f4()" one with none; then arrays, numbers and lists.
OPERANDS = {
    **{name: tg.tensor(np.ones(2, name)) for name in "f2 f4 f8 i4 i8 u1 ?".split()},
    **{f"{name}()": tg.tensor(np.ones((), name)) for name in "f2 f4 f8 i4 i8 ?".split()},
    "array f8": np.ones(2, "f8"),
    "array f4": np.ones(2, "f4"),
    "array f8()": np.ones((), "f8"),
    "2": 2,
    "2.0": 2.0,
    "True": True,
    "np.float64": np.float64(2.0),
    "np.float32": np.float32(2.0),
    "np.float16": np.float16(2.0),
    "np.int64": np.int64(2),
    "np.int32": np.int32(2),
    "np.bool": np.bool_(True),
    "[2.0, 3.0]": [2.0, 3.0],
    "[2, 3]": [2, 3],
}
PRODUCTS = """
f4  2           float32
f4  2.0         float32
f4  True        float32
f4  np.float64  float32
f4  np.float16  float32
f4  np.int64    float32
f4  np.bool     float32
f4  f4          float32
f4  f8          float64
f4  f2          float32
f4  i8          float32
f4  ?           float32
f4  f8()        float32
f4  i8()        float32
f4  array_f8    float64
f4  array_f4    float32
f4  array_f8()  float32
f4  [2.0,_3.0]  float32
f4  [2,_3]      float32
f2  2.0         float16
f2  np.float64  float16
f2  f4()        float16
f2  f4          float32
f2  i8          float16
f8  2           float64
f8  np.float32  float64
f8  f4          float64
f8  f4()        float64
f8  i8          float64
f8  [2.0,_3.0]  float64
i8  2           int64
i8  True        int64
i8  np.int32    int64
i8  np.bool     int64
i8  2.0         float32
i8  np.float64  float32
i8  f4          float32
i8  f2          float16
i8  f8()        float64
i8  f4()        float32
i8  i4          int64
i8  ?           int64
i8  [2.0,_3.0]  float32
i8  [2,_3]      int64
i4  2           int32
i4  np.int64    int32
i4  i8()        int32
i4  i8          int64
i4  2.0         float32
i4  f4          float32
u1  2           uint8
u1  i4          int32
u1  i4()        uint8
u1  2.0         float32
u1  f2          float16
?   2           int64
?   2.0         float32
?   True        bool
?   ?           bool
?   i4          int32
?   i4()        int32
?   u1          uint8
?   f2          float16
f4() f8()       float64
f4() 2.0        float32
f4() f8         float64
f4() i8         float32
f8() f4         float32
f8() i8         float64
i8() f4         float32
i8() i4         int32
i8() 2.0        float32
i8() f2()       float16
?()  i4         int32
"""
QUOTIENTS = """
f4  2       float32
f4  f8      float64
f4  i8      float32
f8  2.0     float64
f2  2       float16
i8  2       float32
i8  i8      float32
i4  i4      float32
u1  u1      float32
?   2       float32
?   ?       float32
i8  f8()    float64
i4  f8      float64
2   i8      float32
2.0 f2      float16
"""
POWERS = """
f4  2      float32
f4  0.5    float32
f2  2      float16
f4  i8     float32
i8  2      int64
i8  2.0    float32
i4  2      int32
2   f4     float32
2.0 i8     float32
2   i8     int64
"""


def rows(table):
    return [[word.replace("_", " ") for word in line.split()] for line in table.strip().splitlines()]


def operand(name):
    return OPERANDS[name] if name in OPERANDS else float(name)


@pytest.mark.parametrize(("x", "y", "dtype"), rows(PRODUCTS), ids=lambda name: name)
def test_products_sums_differences_and_extremes(x, y, dtype):
    x, y = operand(x), operand(y)
    results = [x * y, y * x, x + y, tg.maximum(x, y), tg.minimum(y, x)]
    if dtype != "bool":  # NumPy and PyTorch refuse the difference of bools
        results += [x - y, y - x]
    assert {str(out.dtype) for out in results} == {dtype}
    assert all(type(out) is tg.Tensor for out in results)


@pytest.mark.parametrize(("x", "y", "dtype"), rows(QUOTIENTS), ids=lambda name: name)
def test_quotients(x, y, dtype):
    assert (operand(x) / operand(y)).dtype == dtype


@pytest.mark.parametrize(("x", "y", "dtype"), rows(POWERS), ids=lambda name: name)
def test_powers(x, y, dtype):
    assert (operand(x) ** operand(y)).dtype == dtype


def tensor(dtype):
    return OPERANDS[np.dtype(dtype).str[1:] if dtype != "bool" else "?"]


ON_FLOATS = (
    "exp log sqrt sin tanh sigmoid relu gelu abs neg sum mean var prod max cumsum softmax logsumexp norm".split()
)
FUNCTIONS = [
    # of floats: nothing changes
    *[(name, dtype, dtype) for name in ON_FLOATS for dtype in ("float16", "float32", "float64")],
    # of integers and bools: a float where there are fractions
    *[
        (name, dtype, "float32")
        for name in "exp log sqrt sin tanh sigmoid expm1 arctan".split()
        for dtype in ("int32", "int64", "uint8", "bool")
    ],
    *[(name, dtype, "int64") for name in ("sum", "prod", "cumsum") for dtype in ("int32", "int64", "uint8", "bool")],
    *[(name, dtype, dtype) for name in ("abs", "relu", "max", "min", "neg") for dtype in ("int32", "int64")],
    *[(name, dtype, "int64") for name in ("argmax", "argmin") for dtype in ("float32", "int32", "bool")],
]


@pytest.mark.parametrize(("name", "dtype", "expected"), FUNCTIONS)
def test_functions_of_one_tensor(name, dtype, expected):
    assert getattr(tg, name)(tensor(dtype)).dtype == expected


CONDITION = np.array([True, False])
OTHERS = {
    "where f4 2.0": (lambda: tg.where(CONDITION, tensor("f4"), 2.0), "float32"),
    "where 2.0 f4": (lambda: tg.where(CONDITION, 2.0, tensor("f4")), "float32"),
    "where i8 2.0": (lambda: tg.where(CONDITION, tensor("i8"), 2.0), "float32"),
    "where i8 2": (lambda: tg.where(CONDITION, tensor("i8"), 2), "int64"),
    "where ? 2": (lambda: tg.where(CONDITION, tensor("bool"), 2), "int64"),
    "where f4 f8": (lambda: tg.where(CONDITION, tensor("f4"), tensor("f8")), "float64"),
    "where f4 f8()": (lambda: tg.where(CONDITION, tensor("f4"), OPERANDS["f8()"]), "float32"),
    "where f4 i8": (lambda: tg.where(CONDITION, tensor("f4"), tensor("i8")), "float32"),
    "concatenate f4 f8": (lambda: tg.concatenate([tensor("f4"), tensor("f8")]), "float64"),
    "concatenate i8 f4": (lambda: tg.concatenate([tensor("i8"), tensor("f4")]), "float32"),
    "stack i4 i8": (lambda: tg.stack([tensor("i4"), tensor("i8")]), "int64"),
    "clip i8 0 2": (lambda: tg.clip(tensor("i8"), 0, 2), "int64"),
    "clip i8 0.5": (lambda: tg.clip(tensor("i8"), 0.5, None), "float32"),
    "clip f4 0 2.0": (lambda: tg.clip(tensor("f4"), 0, 2.0), "float32"),
    "comparison": (lambda: tensor("f4") < 2.0, "bool"),
    "one_hot": (lambda: tg.one_hot(tensor("i8"), 3), "float32"),
    "getitem": (lambda: tensor("f2")[0], "float16"),
    "astype": (lambda: tensor("f4").astype("int32"), "int32"),
}


@pytest.mark.parametrize(("make", "expected"), OTHERS.values(), ids=OTHERS)
def test_other_functions(make, expected):
    assert make().dtype == expected


MADE = {
    "tensor of floats": (lambda: tg.tensor([1.0]), "float32"),
    "tensor of integers": (lambda: tg.tensor([1]), "int64"),
    "tensor of a number": (lambda: tg.tensor(1.0), "float32"),
    "tensor of bools": (lambda: tg.tensor([True]), "bool"),
    "tensor of both": (lambda: tg.tensor([1, 2.0]), "float32"),
    "tensor of nothing": (lambda: tg.tensor([]), "float32"),
    "tensor of float64": (lambda: tg.tensor(np.ones(1)), "float64"),
    "tensor of a NumPy scalar": (lambda: tg.tensor(np.float64(1.0)), "float64"),
    "tensor of int32": (lambda: tg.tensor(np.ones(1, "i4")), "int32"),
    "tensor of big-endian": (lambda: tg.tensor(np.ones(1, ">f4")), "float32"),
    "dtype given": (lambda: tg.tensor([1], dtype="float64"), "float64"),
    "zeros": (lambda: tg.zeros(2), "float32"),
    "ones": (lambda: tg.ones(2), "float32"),
    "eye": (lambda: tg.eye(2), "float32"),
    "full 7": (lambda: tg.full((2,), 7), "int64"),
    "full 7.0": (lambda: tg.full((2,), 7.0), "float32"),
    "full True": (lambda: tg.full((2,), True), "bool"),
    "arange 3": (lambda: tg.arange(3), "int64"),
    "arange 3.0": (lambda: tg.arange(3.0), "float32"),
    "rand": (lambda: tg.rand(2), "float32"),
    "randn": (lambda: tg.randn(2, dtype="float64"), "float64"),
    "zeros_like": (lambda: tg.zeros_like(np.ones(2)), "float64"),
    "ones_like": (lambda: tg.ones_like(tg.tensor([1])), "int64"),
}


@pytest.mark.parametrize(("make", "expected"), MADE.values(), ids=MADE)
def test_new_tensors(make, expected):
    assert make().dtype == expected
