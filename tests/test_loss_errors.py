"""What losses refuse, and in which words."""

from __future__ import annotations

import numpy as np
import pytest

import tensorgraph as tg
from tensorgraph import ShapeError


def ones(*shape):
    return tg.ones(*shape)


LABELS = np.array([0, 1])
ONE_CLASS = "target must have shape (2,), one class for each row of scores of shape (2, 3), got shape "

REFUSED = {
    "float labels": (
        lambda: tg.softmax_cross_entropy(ones(2, 3), LABELS * 1.0),
        TypeError,
        "softmax_cross_entropy: target must hold integer class numbers, got float64; "
        'convert it with target.astype("int64")',
    ),
    "labels out of range": (
        lambda: tg.softmax_cross_entropy(ones(2, 3), LABELS + 2),
        ValueError,
        "softmax_cross_entropy: target must hold classes in 0..2, got 2..3",
    ),
    "labels as a column": (
        lambda: tg.softmax_cross_entropy(ones(2, 3), LABELS[:, None]),
        ShapeError,
        f"softmax_cross_entropy: {ONE_CLASS}(2, 1); use target.reshape(2)",
    ),
    "labels of another batch": (
        lambda: tg.nll_loss(ones(2, 3), np.array([0, 1, 2])),
        ShapeError,
        f"nll_loss: {ONE_CLASS}(3,)",
    ),
    "one-hot labels of integers": (
        lambda: tg.softmax_cross_entropy(ones(2, 3), np.eye(3, dtype=int)[:2]),
        ShapeError,
        f'softmax_cross_entropy: {ONE_CLASS}(2, 3); probabilities must be floats, target.astype("float32")',
    ),
    "scores for probabilities": (
        lambda: tg.softmax_cross_entropy(ones(2, 3), np.array([[0.5, 0.5, 0.0], [-2.0, 2.5, 0.5]])),
        ValueError,
        "softmax_cross_entropy: target of shape (2, 3) must hold probabilities in [0, 1], got -2; "
        "labels are integers of shape (2,)",
    ),
    "a probability that is none": (
        lambda: tg.softmax_cross_entropy(ones(3), np.array([0.5, np.nan, 0.5])),
        ValueError,
        "softmax_cross_entropy: target of shape (3,) must hold probabilities in [0, 1], got nan; "
        "labels are integers of shape ()",
    ),
    "labels before logits": (
        lambda: tg.softmax_cross_entropy(LABELS, ones(2, 3)),
        TypeError,
        'softmax_cross_entropy: logits must be floats, got int64; convert them with logits.astype("float32")',
    ),
    "images of logits": (
        lambda: tg.softmax_cross_entropy(ones(2, 3, 4), LABELS),
        ShapeError,
        "softmax_cross_entropy: logits must have shape (N, C) or (C,), got (2, 3, 4)",
    ),
    "another reduction": (
        lambda: tg.softmax_cross_entropy(ones(2, 3), LABELS, reduction="avg"),
        ValueError,
        'softmax_cross_entropy: reduction must be "mean", "sum" or "none", got \'avg\'',
    ),
    "log-probabilities of one case": (
        lambda: tg.nll_loss(ones(3), LABELS),
        ShapeError,
        "nll_loss: log_probs must have shape (N, C), got (3,)",
    ),
    "(n,) against (n, 1)": (
        lambda: tg.mse_loss(ones(3), ones(3, 1)),
        ShapeError,
        "mse_loss: x of shape (3,) and target of shape (3, 1) must have the same shape; use target.reshape(3,)",
    ),
    "class numbers for a loss of distances": (
        lambda: tg.mse_loss(ones(8, 10), np.arange(8)),
        ShapeError,
        "mse_loss: x of shape (8, 10) and target of shape (8,) must have the same shape; "
        "for class numbers use tg.one_hot(target, 10)",
    ),
    "logits for probabilities": (
        lambda: tg.binary_cross_entropy(ones(2) * 3, ones(2)),
        ValueError,
        "binary_cross_entropy: p must lie in [0, 1], got 3..3; for logits use binary_cross_entropy_with_logits",
    ),
}


@pytest.mark.parametrize(("mistake", "kind", "message"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("layer", [None, "loss (Layer)"])
def test_what_does_not_work_is_explained(mistake, kind, message, layer):
    with pytest.raises((TypeError, ValueError)) as caught, tg.scope(layer):
        mistake()
    assert str(caught.value) == (f"{layer}: {message}" if layer else message)
    assert type(caught.value) is kind


def test_probabilities_may_miss_their_bounds_by_a_rounding():
    target = np.array([[1 - 0.9 - 0.1, np.nextafter(1.0, 2.0), 0.0]])
    assert target[0, 0] < 0
    np.testing.assert_allclose(tg.softmax_cross_entropy(np.zeros((1, 3)), target), np.log(3))
