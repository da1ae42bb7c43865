"""Metrics against what is counted one example at a time, and the history."""

import json
import math

import numpy as np
import pytest

import nn
import tensorgraph as tg


def right_by_hand(scores, target, k):
    """Whether the target is among the k highest scores, the first of equal ones before the others."""
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    return target in order[:k]


@pytest.mark.parametrize("k", [1, 2, 5, 9])
def test_top_k_counts_ties_as_argmax_does(k):
    rng = np.random.default_rng(k)
    scores = rng.integers(0, 4, (200, 7)).astype(np.float32)  # many ties
    targets = rng.integers(0, 7, 200)
    metric = nn.training.TopK(k)
    for part in np.split(np.arange(200), [3, 50, 51]):
        metric.update(scores[part], targets[part])
    expected = np.mean([right_by_hand(s, t, k) for s, t in zip(scores, targets, strict=True)])
    assert metric.result() == expected
    if k == 1:
        accuracy = nn.training.Accuracy()
        accuracy.update(scores, targets)
        assert accuracy.result() == expected == np.mean(scores.argmax(axis=1) == targets)


def test_nan_is_never_right():
    metric = nn.training.Accuracy()
    metric.update(np.array([[np.nan, np.nan], [np.nan, 1.0], [1.0, np.nan]]), np.array([0, 1, 0]))
    assert metric.result() == 0


def test_targets_may_be_probabilities():
    metric = nn.training.Accuracy()
    metric.update(np.eye(3), np.array([[0.1, 0.2, 0.7], [0.1, 0.8, 0.1], [0.0, 0.0, 1.0]]))
    assert metric.result() == 2 / 3


def test_the_confusion_matrix_counts_pairs():
    rng = np.random.default_rng(0)
    scores, targets = rng.random((100, 4)), rng.integers(0, 4, 100)
    metric = nn.training.ConfusionMatrix(4)
    expected = np.zeros((4, 4), int)
    for half in (slice(0, 30), slice(30, 100)):
        metric.update(scores[half], targets[half])
    for s, t in zip(scores, targets, strict=True):
        expected[t, s.argmax()] += 1
    np.testing.assert_array_equal(metric.result(), expected)
    metric.result()[0, 0] = -1  # a copy
    np.testing.assert_array_equal(metric.result(), expected)


@pytest.mark.parametrize(
    "make", [nn.training.Accuracy, lambda: nn.training.ConfusionMatrix(4)], ids=["accuracy", "matrix"]
)
def test_counts_are_reset_and_saved(make):
    rng = np.random.default_rng(0)
    scores, targets = rng.random((20, 4)), rng.integers(0, 4, 20)
    whole, first, second = make(), make(), make()
    whole.update(scores, targets)
    first.update(scores[:9], targets[:9])
    state = first.state_dict()
    first.update(scores, targets)
    second.load_state_dict(state)
    second.update(scores[9:], targets[9:])
    np.testing.assert_array_equal(second.result(), whole.result())
    second.reset()
    second.update(scores, targets)
    np.testing.assert_array_equal(second.result(), whole.result())
    for wrong in ({}, {**state, whole.counts[0]: np.zeros(3, int)}, {**state, whole.counts[0]: np.float32(1)}, 3):
        with pytest.raises(ValueError, match=r"load_state_dict: (not the state of such a metric|\w+ must be whole)"):
            second.load_state_dict(wrong)
    np.testing.assert_array_equal(second.result(), whole.result())


def test_nothing_seen_is_no_number():
    assert math.isnan(nn.training.Accuracy().result())


MISTAKES = [
    (lambda: nn.training.TopK(0), tg.ShapeError, "TopK: k must be positive, got 0"),
    (
        lambda: nn.training.Accuracy().update(np.ones(3), np.ones(3, int)),
        tg.ShapeError,
        "Accuracy: expected outputs (N, C) and integer targets (N,), got float64 (3,) and int64 (3,)",
    ),
    (
        lambda: nn.training.Accuracy().update(np.ones((3, 2)), np.ones(3)),
        tg.ShapeError,
        "Accuracy: expected outputs (N, C) and integer targets (N,), got float64 (3, 2) and float64 (3,)",
    ),
    (
        lambda: nn.training.TopK(2).update(np.ones((3, 2)), np.array([0, 1, 2])),
        ValueError,
        "TopK: targets must be classes in 0..1, got 0..2",
    ),
    (
        lambda: nn.training.ConfusionMatrix(3).update(np.ones((3, 2)), np.array([0, 1, 1])),
        tg.ShapeError,
        "ConfusionMatrix: expected scores of 3 classes, got outputs of shape (3, 2)",
    ),
]


@pytest.mark.parametrize(("mistake", "kind", "message"), MISTAKES, ids=[message for *_, message in MISTAKES])
def test_mistakes(mistake, kind, message):
    with pytest.raises(kind) as error:
        mistake()
    assert str(error.value) == message


def test_metrics_in_a_training():
    x = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
    y = x.argmax(axis=1)
    model = nn.Linear(5, 5, rng=np.random.default_rng(0))
    metrics = [nn.training.Accuracy(), nn.training.TopK(2), nn.training.ConfusionMatrix(5)]
    trainer = nn.Trainer(model, nn.optim.Adam(model.parameters(), lr=0.1), metrics=metrics, show="quiet")
    history = trainer.fit((x, y), validation=(x, y), epochs=5)
    assert list(history) == ["loss", "accuracy", "top_2", "lr", "val_loss", "val_accuracy", "val_top_2"]  # numbers only
    results = trainer.evaluate((x, y))
    right = trainer.predict(x).argmax(axis=1) == y
    assert results["accuracy"] == right.mean() == history["val_accuracy"][-1]
    assert results["confusion_matrix"].sum() == 60
    assert np.trace(results["confusion_matrix"]) == right.sum()
    assert results["top_2"] > results["accuracy"]


# --- history ---------------------------------------------------------------------------------------------------------


def history():
    made = nn.training.History()
    made.add({"loss": 2.0, "lr": 0.1}, 1.5)
    made.add({"loss": 1.0, "lr": 0.1, "val_loss": math.inf}, 2.5)
    made.add_step(2.5, 0.1)
    made.add_step(1.5, 0.1)
    return made


def test_a_history_is_read_as_a_dict():
    made = history()
    assert dict(made) == {
        "loss": [2.0, 1.0],
        "lr": [0.1, 0.1],
        "val_loss": [pytest.approx(math.nan, nan_ok=True), math.inf],
    }
    assert (len(made), made.epochs, "loss" in made, "accuracy" in made) == (3, 2, True, False)
    assert made.row(2) == {"epoch": 2, "loss": 1.0, "lr": 0.1, "val_loss": math.inf, "seconds": 2.5}
    assert repr(made) == "History(2 epochs: loss 1, lr 0.1, val_loss inf)"
    assert repr(nn.training.History()) == "History(0 epochs)"
    with pytest.raises(KeyError, match="accuracy; the history has loss, lr, val_loss"):
        made["accuracy"]
    with pytest.raises(IndexError, match=r"^History.row: the epochs are 1 to 2, got 3$"):
        made.row(3)


def test_a_history_as_files(tmp_path):
    made = history()
    made.to_csv(tmp_path / "h.csv")
    assert (tmp_path / "h.csv").read_text().splitlines() == [
        "epoch,loss,lr,val_loss,seconds",
        "1,2.0,0.1,nan,1.5",
        "2,1.0,0.1,inf,2.5",
    ]
    made.to_json(tmp_path / "h.json")
    assert json.loads((tmp_path / "h.json").read_text()) == {
        "epochs": {"loss": [2.0, 1.0], "lr": [0.1, 0.1], "val_loss": [None, None]},
        "steps": {"loss": [2.5, 1.5], "lr": [0.1, 0.1]},
        "seconds": [1.5, 2.5],
    }


def test_a_history_is_saved_and_loaded(tmp_path):
    made, again = history(), nn.training.History()
    nn.save(tmp_path / "h", made.state_dict())
    again.load_state_dict(nn.load(tmp_path / "h"))
    assert repr(dict(again)) == repr(dict(made))
    assert (again.steps, again.seconds) == (made.steps, made.seconds)
    state = made.state_dict()
    for wrong in (
        {},
        3,
        {**state, "seconds": [1.0]},
        {**state, "steps": {"loss": [1.0], "lr": []}},
        {**state, "epochs": 3},
    ):
        with pytest.raises(ValueError, match=r"^History.load_state_dict: not the state of a history: "):
            again.load_state_dict(wrong)
    assert repr(dict(again)) == repr(dict(made))


def test_a_history_is_drawn():
    pytest.importorskip("matplotlib")
    made = nn.training.History()
    for loss in (2.0, 1.0, 0.5):
        made.add({"loss": loss, "accuracy": 1 - loss / 4, "val_loss": loss + 0.1, "lr": 0.1}, 1.0)
    figure = made.plot()
    drawn = [line.get_ydata().tolist() for axes in figure.axes for line in axes.get_lines()]
    assert made["loss"] in drawn
    assert made["val_loss"] in drawn
