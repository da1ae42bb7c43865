"""One row a primitive: sample calls, an independent reference, special values. The tests of test_ops.py take every row.

A sample is (arrays, options) in float64, away from kinks, so that differences tell the gradients. A special value is
(arrays, options, expected result). The references are NumPy by name, formulas written out, and the loops of naive.py.
"""

from __future__ import annotations

import math
from typing import Any

import naive
import numpy as np
from op_samples import Row, along, distinct, loop, pairs, positive, real, reduce_with, reductions, rng, smooth

INF, NAN = np.inf, np.nan


def _softmax(row: list[float]) -> list[float]:
    return [math.exp(a) / math.fsum(map(math.exp, row)) for a in row]


def _cross_entropy(logits: Any, target: Any, reduction: str = "mean") -> Any:
    rows = [[math.log(p) for p in _softmax(row)] for row in logits.tolist()]
    if target.ndim == 2:
        losses = [-math.fsum(t * s for t, s in zip(ts, row, strict=True)) for ts, row in zip(target, rows, strict=True)]
    else:
        losses = [-row[t] for t, row in zip(target, rows, strict=True)]
    return {"mean": np.mean(losses), "sum": np.sum(losses), "none": np.array(losses)}[reduction]


def _batch_norm(x: Any, weight: Any, bias: Any, eps: float) -> Any:
    out = np.empty_like(x)
    for c in range(x.shape[1]):
        values = x[:, c]
        out[:, c] = (values - values.mean()) / math.sqrt(((values - values.mean()) ** 2).mean() + eps)
        out[:, c] = out[:, c] * (1 if weight is None else weight[c]) + (0 if bias is None else bias[c])
    return out


def _put(values: Any, index: Any, shape: Any) -> Any:
    """Element by element: where does each number of an array of positions come from?"""
    out, places = np.zeros(shape), np.arange(math.prod(shape)).reshape(shape)[index]
    for place, value in zip(places.ravel(), np.broadcast_to(values, places.shape).ravel(), strict=True):
        out.ravel()[place] += value
    return out


def _dropout(x: Any, p: float, keys: tuple[int, int]) -> Any:
    """Element by element, in Python's whole numbers."""

    def mixed(h: int) -> int:
        h = (h ^ h >> 16) * 0x85EBCA6B % 2**32
        h = (h ^ h >> 13) * 0xC2B2AE35 % 2**32
        return h ^ h >> 16

    kept = [mixed(mixed((i + keys[0]) % 2**32) ^ keys[1]) >= p * 2**32 for i in range(x.size)]
    return x * np.reshape(kept, x.shape) / (1 - p)


CLASSES = np.array([2, 0])
REPEATED = (np.array([0, 0, 1]), np.array([2, 2, 0]))
MASK = np.array([[True, False, True], [False, False, True]])

ELEMENTWISE = [
    Row("add", np.add, pairs(real, real), [((np.array(INF), np.array(-INF)), {}, NAN)]),
    Row("sub", np.subtract, pairs(real, real), [((np.array(0.0), np.array(INF)), {}, -INF)]),
    Row("mul", np.multiply, pairs(real, real), [((np.array(-2.0), np.array(INF)), {}, -INF)]),
    Row("div", np.true_divide, pairs(real, real), [((np.array(1.0), np.array(INF)), {}, 0.0)]),
    Row("pow", loop(math.pow), pairs(positive, real), [((np.array(0.0), np.array(0.0)), {}, 1.0)]),
    Row(
        "maximum",
        loop(max),
        pairs(real, lambda *s: np.asarray(real(*s) * 2.1)),
        [((np.array(1.0), np.array(NAN)), {}, NAN)],
    ),
    Row(
        "minimum",
        loop(min),
        pairs(real, lambda *s: np.asarray(real(*s) * 2.1)),
        [((np.array(NAN), np.array(1.0)), {}, NAN)],
    ),
    Row("where", np.where, [((MASK, real(2, 3), real(3)), {}), ((MASK[:, :1], real(1, 3), real()), {})]),
    Row(
        "clip",
        lambda x, lo, hi: loop(lambda a, b, c: min(max(a, b), c))(
            x, -INF if lo is None else lo, INF if hi is None else hi
        ),
        [
            ((np.array([-1.5, 0.5, 1.6, -0.4]), np.array(-0.9), np.array(1.1)), {}),
            ((distinct(2, 3), None, np.array(0.01)), {}),
            ((distinct(4), np.array([-0.1] * 4), None), {}),
        ],
        [((np.array([0.0, 1.0, 2.0, NAN]), np.array(1.0), np.array(1.0)), {}, [1.0, 1.0, 1.0, NAN])],
    ),
    smooth("neg", lambda x: 0 - x, real, (INF, -INF)),
    smooth("abs", loop(math.fabs), real, (-INF, INF), (-0.0, 0.0)),
    smooth("sqrt", loop(math.sqrt), positive, (0.0, 0.0), (INF, INF)),
    smooth("exp", loop(math.exp), real, (-INF, 0.0), (0.0, 1.0)),
    smooth("expm1", loop(math.expm1), real, (1e-30, 1e-30), (-INF, -1.0)),
    smooth("log", loop(math.log), positive, (INF, INF), (1.0, 0.0)),
    smooth("log1p", loop(math.log1p), positive, (1e-30, 1e-30)),
    smooth("sin", loop(math.sin), real, (0.0, 0.0)),
    smooth("cos", loop(math.cos), real, (0.0, 1.0)),
    smooth("tan", loop(math.tan), lambda *s: np.asarray(real(*s) * 0.7), (0.0, 0.0)),
    smooth("arctan", loop(math.atan), real, (INF, math.pi / 2)),
    smooth("sinh", loop(math.sinh), real, (-INF, -INF)),
    smooth("cosh", loop(math.cosh), real, (-INF, INF)),
    smooth("tanh", loop(math.tanh), real, (INF, 1.0), (-INF, -1.0)),
    smooth("relu", loop(lambda a: a if a > 0 else 0.0), real, (0.0, 0.0), (NAN, NAN), (-INF, 0.0)),
    smooth("leaky_relu", loop(lambda a: a if a > 0 else 0.01 * a), real, (0.0, 0.0), (-INF, -INF), (NAN, NAN)),
    smooth("elu", loop(lambda a: a if a > 0 else math.expm1(a)), real, (-INF, -1.0), (1e4, 1e4), (NAN, NAN)),
    smooth("gelu", loop(lambda a: a / 2 * (1 + math.erf(a / math.sqrt(2)))), real, (INF, INF), (0.0, 0.0)),
    smooth("normal_cdf", loop(lambda a: (1 + math.erf(a / math.sqrt(2))) / 2), real, (INF, 1.0), (-INF, 0.0)),
    smooth("sigmoid", loop(lambda a: 1 / (1 + math.exp(-a))), real, (-1e30, 0.0), (1e30, 1.0), (0.0, 0.5), (NAN, NAN)),
    smooth("softplus", loop(lambda a: math.log1p(math.exp(a))), real, (1e30, 1e30), (-1e30, 0.0)),
    smooth("copy", lambda x: x + 0.0, real, (NAN, NAN)),
    Row(
        "binary_cross_entropy",
        loop(lambda p, t: -t * math.log(p) - (1 - t) * math.log(1 - p)),
        [((rng.uniform(0.1, 0.9, (2, 3)), rng.random((2, 3))), {})],
        [((np.array([0.0, 1.0]), np.array([1.0, 1.0])), {}, [100.0, 0.0])],
    ),
    Row(
        "binary_cross_entropy_with_logits",
        loop(lambda x, t: math.log1p(math.exp(x)) - x * t),
        [((real(2, 3), rng.random((2, 3))), {})],
        [
            ((np.array([-1e30, 1e30, 1e30]), np.array([0.0, 1.0, 0.0])), {}, [0.0, 0.0, 1e30]),
            ((np.array([-INF, -INF, INF, INF]), np.array([1.0, 0.5, 0.0, 0.5])), {}, [INF] * 4),
            ((np.array([NAN, NAN]), np.array([0.0, 1.0])), {}, [NAN, NAN]),
        ],
    ),
]

SHAPES = [
    Row("astype", lambda x, dtype: x * 1.0, [((real(2, 3),), {"dtype": np.float64})]),
    Row(
        "broadcast_to",
        lambda x, shape: x + np.zeros(shape),
        [((real(3),), {"shape": (2, 3)}), ((real(2, 1),), {"shape": (4, 2, 3)}), ((real(),), {"shape": (2,)})],
    ),
    Row(
        "sum_to",
        lambda x, shape: np.sum(x, axis=(0, 2)).reshape(shape),
        [((real(4, 2, 3),), {"shape": (2, 1)}), ((real(4, 2, 3),), {"shape": (1, 2, 1)})],
    ),
    Row(
        "reshape",
        np.reshape,
        [((real(2, 3),), {"shape": (3, 2)}), ((real(2, 3),), {"shape": -1}), ((real(),), {"shape": (1, 1)})],
    ),
    Row(
        "transpose",
        np.transpose,
        [((real(2, 3, 4),), {"axes": (2, 0, 1)}), ((real(2, 3),), {}), ((real(2, 3),), {"axes": (-1, 0)})],
    ),
    Row(
        "flip",
        lambda x, axis=None: x[::-1, ::-1] if axis is None else x[:, ::-1],
        [((real(2, 3),), {}), ((real(2, 3),), {"axis": 1})],
    ),
    Row(
        "pad",
        np.pad,
        [((real(2, 3),), {"pad_width": ((1, 0), (2, 3)), "constant_values": 7.0}), ((real(2),), {"pad_width": 1})],
    ),
    Row(
        "concatenate",
        lambda *xs, axis=0: np.vstack(xs) if axis == 0 else np.hstack(xs),
        [((real(1, 2), real(3, 2)), {}), ((real(2, 1), real(2, 2), real(2, 0)), {"axis": -1})],
    ),
    Row(
        "getitem",
        lambda x, index: np.array(x)[index],
        [
            ((real(2, 3),), {"index": i})
            for i in (1, (slice(None), 0), (..., None), MASK, REPEATED, slice(None, None, -1))
        ],
    ),
    Row(
        "put",
        _put,
        [
            ((real(3),), {"index": REPEATED, "shape": (2, 3)}),
            ((real(3),), {"index": MASK, "shape": (2, 3)}),
            ((real(2, 2),), {"index": (slice(None), slice(1, 3)), "shape": (2, 3)}),
        ],
    ),
    Row(
        "unfold",
        lambda x, **o: naive.unfold(x, (2, 2), (1, 2), ((1, 1), (1, 1)), (1, 1)),
        [((real(2, 2, 3, 4),), {"kernel_size": 2, "padding": 1, "stride": (1, 2)})],
    ),
    Row(
        "fold",
        lambda x, **o: naive.fold(x, (2, 2, 3, 4), (2, 2), (1, 2), ((1, 1), (1, 1)), (1, 1)),
        [((real(2, 8, 12),), {"output_size": (3, 4), "kernel_size": 2, "padding": 1, "stride": (1, 2)})],
    ),
]

REDUCTIONS = [
    Row("sum", reduce_with(math.fsum), reductions(real)),
    Row("mean", reduce_with(lambda v: math.fsum(v) / len(v)), reductions(real)),
    Row(
        "var", reduce_with(lambda v: math.fsum((a - math.fsum(v) / len(v)) ** 2 for a in v) / len(v)), reductions(real)
    ),
    Row(
        "std",
        reduce_with(lambda v: math.dist(v, [math.fsum(v) / len(v)] * len(v)) / math.sqrt(len(v))),
        reductions(real),
    ),
    Row(
        "prod",
        reduce_with(math.prod),
        [*reductions(real), *[((np.array(z),), {"axis": 0}) for z in ([2.0, 0.0, 3.0], [0.0, 5.0, 0.0])]],
    ),
    Row(
        "max",
        reduce_with(max),
        reductions(distinct),
        [((np.array([1.0, NAN, 2.0]),), {}, NAN), ((np.array([-INF, -INF]),), {}, -INF)],
    ),
    Row("min", reduce_with(min), reductions(distinct), [((np.array([1.0, NAN, 2.0]),), {}, NAN)]),
    Row("norm", reduce_with(lambda v: math.hypot(*v)), reductions(real)),
    Row(
        "logsumexp",
        reduce_with(lambda v: math.log(math.fsum(map(math.exp, v)))),
        reductions(real),
        [
            ((np.array([1e30, 0.0]),), {}, 1e30),
            ((np.array([-INF, -INF]),), {}, -INF),
            ((np.array([INF, 1.0]),), {}, INF),
        ],
    ),
    Row(
        "cumsum",
        lambda x, axis=None: np.add.accumulate(x.ravel() if axis is None else x, axis or 0),
        [((real(2, 3),), {"axis": axis}) for axis in (None, 0, 1, -1)],
    ),
    Row(
        "softmax",
        along(_softmax),
        [((real(2, 3),), {"axis": axis}) for axis in (-1, 0)],
        [((np.array([1e30, 0.0, -1e30]),), {}, [1.0, 0.0, 0.0])],
    ),
    Row(
        "log_softmax",
        along(lambda row: [math.log(p) for p in _softmax(row)]),
        [((real(2, 3),), {"axis": axis}) for axis in (-1, 0)],
        [((np.array([1e30, 0.0]),), {}, [0.0, -1e30]), ((np.array([0.0, -INF]),), {}, [0.0, -INF])],
    ),
    Row(
        "softmax_cross_entropy",
        _cross_entropy,
        [((real(2, 3), t), {"reduction": r}) for r in ("mean", "sum", "none") for t in (CLASSES, rng.random((2, 3)))],
        [((np.array([[1e30, 0.0], [-1e30, 1e30]]), np.array([0, 0])), {"reduction": "none"}, [0.0, 2e30])],
    ),
]

_FUSED = {"relu": lambda x: np.maximum(x, 0), "tanh": np.tanh, "sigmoid": lambda x: 1 / (1 + np.exp(-x))}
_SETTINGS = ((2, 1), ((1, 1), (0, 0)), (1, 2), 2)  # stride, padding, dilation, groups
_WINDOW = {"kernel_size": 2, "stride": (1, 2), "padding": 1}
_OPTIONS = {"stride": (2, 1), "padding": (1, 0), "dilation": (1, 2), "groups": 2}
_WINNERS = rng.integers(0, 4, (2, 1, 4, 3))
_PLACES = np.stack([np.arange(4)[:, None] - 1 + _WINNERS // 2, 2 * np.arange(3) - 1 + _WINNERS % 2], -1)
_PLACES[((_PLACES < 0) | (_PLACES >= (3, 4))).any(-1)] = -1  # in the padding


def _take(x: Any, **_: Any) -> Any:
    return np.vectorize(lambda n, i, j: x[n, 0, i, j] if i >= 0 else 0.0)(
        np.arange(2)[:, None, None, None], *np.moveaxis(_PLACES, -1, 0)
    )


PRODUCTS = [
    Row(
        "matmul",
        np.matmul,
        [
            ((real(*a), real(*b)), {})
            for a, b in [
                ((2, 3), (3, 4)),
                ((3,), (3,)),
                ((3,), (3, 2)),
                ((2, 3), (3,)),
                ((4, 1, 2, 3), (2, 3, 2)),
                ((2,), (3, 2, 2)),
            ]
        ],
    ),
    Row(
        "linear",
        lambda x, w, b: np.array(np.tensordot(x, w, (-1, 1)) + (0 if b is None else b)),
        [
            ((real(2, 3), real(4, 3), real(4)), {}),
            ((real(2, 2, 3), real(1, 3), None), {}),
            ((real(3), real(2, 3), real(2)), {}),
        ],
    ),
    *[
        Row(
            f"linear_{name}",
            lambda x, w, b, act=act: act(np.tensordot(x, w, (-1, 1)) + (0 if b is None else b)),
            [((real(2, 3), real(4, 3), real(4)), {}), ((real(2, 2, 3), real(2, 3), None), {})],
        )
        for name, act in _FUSED.items()
    ],
    Row(
        "einsum",
        lambda *xs, subscripts: np.einsum(subscripts, *xs),
        [
            (tuple(real(*s) for s in shapes), {"subscripts": t})
            for t, shapes in [
                ("ij,jk->ik", [(2, 3), (3, 2)]),
                ("ii->i", [(3, 3)]),
                ("ij->", [(2, 3)]),
                ("i,j,k->kij", [(2,), (3,), (2,)]),
                ("aab,b->a", [(2, 2, 3), (3,)]),
                ("ij,ij->j", [(1, 3), (2, 3)]),
            ]
        ],
    ),
    Row(
        "conv2d",
        lambda x, w, b, **o: naive.conv2d(x, w, b, *_SETTINGS),
        [((real(2, 4, 4, 5), real(2, 2, 2, 2), b), _OPTIONS) for b in (None, real(2))],
    ),
    *[
        Row(
            f"conv2d_{name}",
            lambda x, w, b, act=act, **o: act(naive.conv2d(x, w, b, *_SETTINGS)),
            [((real(2, 4, 4, 5), real(2, 2, 2, 2), b), _OPTIONS) for b in (None, real(2))],
        )
        for name, act in _FUSED.items()
    ],
    *[
        Row(
            f"conv2d_{name}_avg_pool2d",
            lambda x, w, b, act=act, **o: naive.avg_pool2d(
                act(naive.conv2d(x, w, b, *_SETTINGS)), (2, 2), (1, 2), ((1, 1), (1, 1)), False, True
            ),
            [((real(2, 4, 4, 5), real(2, 2, 2, 2), b), {**_OPTIONS, "pool": _WINDOW}) for b in (None, real(2))],
        )
        for name, act in _FUSED.items()
    ],
    Row(
        "linear_layers",
        lambda x, v, w, b, **o: np.maximum(x @ v.T, 0) @ w.T + b,
        [
            (
                (real(4, 3), real(2, 3), real(3, 2), real(3)),
                {"biased": (False, True), "activations": ("relu", "none")},
            )
        ],
    ),
    Row(
        "conv2d_relu_max_pool2d",
        lambda x, w, b, **o: naive.max_pool2d(
            np.maximum(naive.conv2d(x, w, b, *_SETTINGS), 0), (2, 2), (1, 2), ((1, 1), (1, 1)), (1, 1), False
        )[0],
        [((real(2, 4, 4, 5), real(2, 2, 2, 2), b), {**_OPTIONS, "pool": _WINDOW}) for b in (None, real(2))],
    ),
    Row(
        "conv2d_input_grad",
        lambda g, w, **o: naive.conv2d_input_grad(g, w, (2, 4, 4, 5), *_SETTINGS),
        [((real(2, 2, 3, 3), real(2, 2, 2, 2)), {**_OPTIONS, "x_shape": (2, 4, 4, 5)})],
    ),
    Row(
        "conv2d_weight_grad",
        lambda g, x, **o: naive.conv2d_weight_grad(g, x, (2, 2, 2, 2), *_SETTINGS),
        [((real(2, 2, 3, 3), real(2, 4, 4, 5)), {**_OPTIONS, "w_shape": (2, 2, 2, 2)})],
    ),
    Row(
        "conv2d_transpose",
        lambda x, w, b, **o: naive.conv2d_transpose(x, w, b, (2, 1), ((1, 1), (0, 0)), o["output_padding"], (1, 2), 2),
        [
            ((real(2, 2, 3, 3), real(2, 2, 2, 2), b), {**_OPTIONS, "output_padding": extra})
            for b, extra in ((None, (1, 0)), (real(4), (0, 0)), (real(4), (0, 1)))  # the last is as large as the stride
        ],
    ),
    Row(
        "batch_norm",
        _batch_norm,
        [
            ((real(4, 3), real(3), real(3)), {"eps": 1e-3}),
            ((real(2, 2, 2, 3), None, None), {"eps": 0.1}),
            ((real(3, 2, 2), real(2), None), {"eps": 0.1}),
        ],
    ),
    Row(
        "batch_norm_relu",
        lambda *args, **o: np.maximum(_batch_norm(*args, **o), 0),
        [((real(4, 3), real(3), real(3)), {"eps": 1e-3}), ((real(2, 2, 2, 3), None, None), {"eps": 0.1})],
    ),
    Row(
        "batch_norm_in_use",
        lambda x, mean, var, weight, bias, *, eps: np.stack(
            [
                (x[:, c] - mean[c]) / math.sqrt(var[c] + eps) * (1 if weight is None else weight[c])
                + (0 if bias is None else bias[c])
                for c in range(x.shape[1])
            ],
            axis=1,
        ),
        [
            ((real(4, 3), real(3), positive(3), real(3), real(3)), {"eps": 1e-3}),
            ((real(2, 2, 2, 3), real(2), positive(2), None, None), {"eps": 0.1}),
        ],
    ),
    Row("dropout", _dropout, [((real(2, 30),), {"p": p, "keys": (2**32 - 9, 77)}) for p in (0.25, 0.5)]),
]

POOLS = [
    Row(
        "max_pool2d",
        lambda x, **o: naive.max_pool2d(x, (2, 2), (1, 2), ((1, 1), (1, 1)), (1, 1), False)[0],
        [((distinct(2, 1, 3, 4),), _WINDOW)],
        [
            ((np.array([[[[NAN, 1.0], [2.0, 3.0]]]]),), {"kernel_size": 1}, [[[[NAN, 1.0], [2.0, 3.0]]]]),
            ((np.full((1, 1, 2, 2), -INF),), {"kernel_size": 2, "padding": 1}, np.full((1, 1, 2, 2), -INF)),
        ],
    ),
    Row(
        "max_pool2d_grad",
        lambda g, **o: naive.max_pool2d_grad(g, _PLACES, (2, 1, 3, 4)),
        [((real(2, 1, 4, 3),), {**_WINDOW, "winners": _WINNERS, "x_shape": (2, 1, 3, 4)})],
    ),
    Row("max_pool2d_take", _take, [((real(2, 1, 3, 4),), {**_WINDOW, "winners": _WINNERS})]),
    Row(
        "avg_pool2d",
        lambda x, count_include_pad=True, **o: naive.avg_pool2d(
            x, (2, 2), (1, 2), ((1, 1), (1, 1)), False, count_include_pad
        ),
        [((real(2, 1, 3, 4),), {**_WINDOW, "count_include_pad": c}) for c in (True, False)],
    ),
    Row(
        "avg_pool2d_grad",
        lambda g, count_include_pad=True, **o: naive.avg_pool2d_grad(
            g, (2, 1, 3, 4), (2, 2), (1, 2), ((1, 1), (1, 1)), False, count_include_pad
        ),
        [((real(2, 1, 4, 3),), {**_WINDOW, "count_include_pad": c, "x_shape": (2, 1, 3, 4)}) for c in (True, False)],
    ),
    Row(
        "adaptive_avg_pool2d",
        lambda x, output_size: naive.adaptive_avg_pool2d(x, output_size),
        [((real(2, 2, 5, 4),), {"output_size": (3, 2)})],
    ),
    Row(
        "adaptive_avg_pool2d_grad",
        lambda g, x_shape: naive.adaptive_avg_pool2d_grad(g, x_shape),
        [((real(2, 2, 3, 2),), {"x_shape": (2, 2, 5, 4)})],
    ),
]

ROWS = [*ELEMENTWISE, *SHAPES, *REDUCTIONS, *PRODUCTS, *POOLS]
