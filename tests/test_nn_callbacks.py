"""Early stopping, checkpoints and logs."""

import csv
import json
import math
import os
import sys

import numpy as np
import pytest
from training_samples import digits, same, small, trainer, values

import nn


@pytest.fixture(autouse=True)
def start(seeded):
    """The order of the examples is the same in each run of the tests."""
    seeded(0)


class Course(nn.training.Callback):
    """Puts figures of our own into the history, and the number of the epoch into the model's first bias."""

    def __init__(self, **figures):
        self.figures = figures

    def on_epoch_end(self, trainer):
        for name, numbers in self.figures.items():
            trainer.history[name][-1] = numbers[trainer.epoch - 1]
        trainer.model[0].bias.data[:] = trainer.epoch


def stopped(stopping, epochs=9, **figures):
    """Train with these figures; returns the trainer and the number of the last epoch."""
    made = trainer(callbacks=[Course(**figures), stopping])
    made.fit(digits(), digits(20, seed=1), epochs=epochs)
    return made, made.history.epochs


# --- early stopping --------------------------------------------------------------------------------------------------


def test_it_waits_and_then_stops():
    losses = [3.0, 2.0, 2.5, 1.9, 2.0, 1.9, 1.95, 1.0, 0.5]
    for patience, last in ((1, 3), (2, 6), (3, 7), (4, 9)):
        stopping = nn.training.EarlyStopping(patience=patience)
        made, epochs = stopped(stopping, val_loss=losses)
        assert epochs == last, patience
        assert stopping.stopped_epoch == (None if last == 9 else last)
        assert stopping.best == min(losses[:last])
        assert stopping.best_epoch == 1 + losses.index(stopping.best)
        assert made.model[0].bias.data[0] == last  # the weights stay as they are


def test_what_counts_as_better():
    accuracies = [0.5, 0.6, 0.61, 0.62, 0.9]
    assert stopped(nn.training.EarlyStopping("val_accuracy", 2), 5, val_accuracy=accuracies)[1] == 5
    assert stopped(nn.training.EarlyStopping("val_accuracy", 2, min_delta=0.05), 5, val_accuracy=accuracies)[1] == 4
    assert stopped(nn.training.EarlyStopping("val_accuracy", 2, mode="min"), 5, val_accuracy=accuracies)[1] == 3
    assert stopped(nn.training.EarlyStopping("loss", 2), 5, loss=[1.0, math.nan, math.nan, 0.1, 0.1])[1] == 3


def test_the_best_weights_are_given_back():
    stopping = nn.training.EarlyStopping(patience=3, restore_best=True)
    made, epochs = stopped(stopping, val_loss=[3.0, 1.0, 2.0, 2.0, 2.0, 0.0])
    assert (epochs, made.model[0].bias.data[0]) == (5, 2)
    made, epochs = stopped(stopping, epochs=3, val_loss=[3.0, 1.0, 2.0])  # a second training, not stopped
    assert (epochs, made.model[0].bias.data[0], stopping.stopped_epoch) == (3, 2, None)


def test_early_stopping_has_a_state(tmp_path):
    stopping = nn.training.EarlyStopping(patience=3, restore_best=True)
    stopped(stopping, epochs=3, val_loss=[3.0, 1.0, 2.0])
    nn.save(tmp_path / "state", stopping.state_dict())
    again = nn.training.EarlyStopping(patience=3, restore_best=True)
    again.load_state_dict(nn.load(tmp_path / "state"))
    assert (again.best, again.best_epoch, again.waited) == (1.0, 2, 1)
    for wrong in ({}, 3, {**stopping.state_dict(), "weights": 3}, {**stopping.state_dict(), "best": "low"}):
        with pytest.raises(ValueError, match=r"^EarlyStopping.load_state_dict: not the state of such a callback: "):
            again.load_state_dict(wrong)
    assert (again.best, again.best_epoch, again.waited) == (1.0, 2, 1)


MISTAKES = [
    (lambda: nn.training.EarlyStopping(patience=0), ValueError, "EarlyStopping: patience must be positive, got 0"),
    (
        lambda: nn.training.EarlyStopping(mode="best"),
        ValueError,
        'EarlyStopping: mode must be one of "min", "max", got \'best\'',
    ),
    (
        lambda: nn.training.EarlyStopping(min_delta=-1),
        ValueError,
        "EarlyStopping: min_delta must be at least 0 and finite, got -1",
    ),
    (
        lambda: trainer(callbacks=nn.training.EarlyStopping()).fit(digits()),
        ValueError,
        "EarlyStopping: monitor 'val_loss' is none of loss, accuracy, lr; give fit validation data",
    ),
    (lambda: nn.training.Checkpoint("x", every=0), ValueError, "Checkpoint: every must be positive, got 0"),
    (
        lambda: trainer(callbacks=nn.training.Checkpoint("/no/such/folder/x")).fit(digits()),
        FileNotFoundError,
        "there is no folder /no/such/folder",
    ),
    (
        lambda: trainer(callbacks=nn.training.Checkpoint(os.sep)).fit(digits()),
        IsADirectoryError,
        f"{os.sep} is a folder; name a file",
    ),
]


@pytest.mark.parametrize(("mistake", "kind", "message"), MISTAKES, ids=[message for *_, message in MISTAKES])
def test_mistakes(mistake, kind, message):
    with pytest.raises(kind) as error:
        mistake()
    assert str(error.value) == message


# --- checkpoints -----------------------------------------------------------------------------------------------------


class Saves(nn.training.Callback):
    """Notes down after which steps the file has changed."""

    def __init__(self, path):
        self.path, self.steps = path, []

    def look(self, trainer):
        if os.path.exists(self.path):
            step = nn.load(self.path)["position"]["step"]
            if step not in self.steps:
                self.steps.append(step)

    on_batch_end = on_epoch_start = on_fit_end = look


@pytest.mark.parametrize(
    ("options", "saved"),
    [({}, [3, 6, 9, 12, 15]), ({"every": 2}, [6, 12, 15]), ({"every": 9, "every_steps": 4}, [4, 8, 12, 15])],
)
def test_checkpoints_come_when_they_should(tmp_path, options, saved):
    path = tmp_path / "run"
    seen = Saves(path)
    made = trainer(callbacks=[nn.training.Checkpoint(path, **options), seen])
    made.fit(digits(30), epochs=5, batch_size=10)
    assert seen.steps == saved


def test_the_weights_of_the_best_epoch_are_kept_apart(tmp_path):
    saver = nn.training.Checkpoint(tmp_path / "run", best=tmp_path / "best", monitor="val_loss")
    made = trainer(callbacks=[saver, Course(val_loss=[3.0, 1.0, 2.0, 1.5])])
    made.fit(digits(), digits(20, seed=1), epochs=4)
    best = small()
    best.load_state_dict(nn.load(tmp_path / "best"))
    assert best[0].bias.data[0] == 2
    assert made.model[0].bias.data[0] == 4


def test_the_last_state_of_the_training_is_in_the_checkpoint(tmp_path):
    made = trainer(callbacks=nn.training.Checkpoint(tmp_path / "run", every=100))
    made.fit(digits(), digits(20, seed=1), epochs=3)
    again = trainer(small(seed=9))
    again.load(tmp_path / "run")
    same(values(again.model), values(made.model))
    assert dict(again.history) == dict(made.history)
    assert again.fit(digits(), digits(20, seed=1), epochs=3) is again.history  # nothing is left to do
    assert again.step == made.step == 6


# --- logs ------------------------------------------------------------------------------------------------------------


def test_logs_have_a_line_an_epoch_while_the_training_runs(tmp_path):
    table, lines = tmp_path / "log.csv", tmp_path / "log.jsonl"
    lengths = []

    class Look(nn.training.Callback):
        def on_epoch_start(self, trainer):
            lengths.append((len(table.read_text().splitlines()), len(lines.read_text().splitlines())))

    logs = [nn.training.CSVLog(table), nn.training.JSONLinesLog(lines)]
    saver = nn.training.Checkpoint(tmp_path / "run", every=2)
    history = trainer(callbacks=[*logs, Look(), saver]).fit(digits(), digits(20, seed=1), epochs=3)
    assert lengths == [(1, 0), (2, 1), (3, 2)]
    rows = [history.row(epoch) for epoch in (1, 2, 3)]
    with open(table, newline="") as file:
        assert [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)] == rows
    assert [json.loads(line) for line in lines.read_text().splitlines()] == rows

    state = nn.load(tmp_path / "run")  # of the third epoch; the logs are as long after a resume, not longer
    assert state["position"]["epoch"] == 3
    again = trainer(callbacks=logs).fit(digits(), digits(20, seed=1), epochs=4, resume=tmp_path / "run")
    assert [json.loads(line)["epoch"] for line in lines.read_text().splitlines()] == [1, 2, 3, 4]
    assert len(table.read_text().splitlines()) == 5
    assert again["loss"][:3] == history["loss"]


def test_json_has_no_nan(tmp_path):
    log = nn.training.JSONLinesLog(tmp_path / "log.jsonl")
    trainer(callbacks=[Course(loss=[math.nan, math.inf]), log]).fit(digits(), epochs=2)
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["loss"] for line in lines] == [None, None]


def test_tensorboard_gets_all_figures(tmp_path):
    pytest.importorskip("tensorboardX")
    from tensorboardX.proto.event_pb2 import Event

    history = trainer(callbacks=nn.training.TensorBoard(tmp_path)).fit(digits(), digits(20, seed=1), epochs=3)
    (file,) = tmp_path.iterdir()
    data, found = file.read_bytes(), {}
    while data:  # each record: its length, a checksum of that, the event, a checksum
        length = int.from_bytes(data[:8], "little")
        event, data = Event.FromString(data[12 : 12 + length]), data[16 + length :]
        for value in event.summary.value:
            found.setdefault(value.tag, []).append((event.step, value.simple_value))
    for name, numbers in history.items():
        assert [step for step, _ in found[f"epoch/{name}"]] == [1, 2, 3]
        np.testing.assert_allclose([number for _, number in found[f"epoch/{name}"]], numbers, rtol=1e-6)
    assert [step for step, _ in found["step/loss"]] == list(range(1, 7))
    np.testing.assert_allclose([number for _, number in found["step/loss"]], history.steps["loss"], rtol=1e-6)


def test_without_tensorboard_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError, match=r"^TensorBoard: needs the package tensorboardX; pip install tensorboardX$"):
        nn.training.TensorBoard(tmp_path)
