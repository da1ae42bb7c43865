"""The main command, and that training leaves nothing behind."""

import gc
import os
import re
import subprocess
import sys

import numpy as np
import pytest

import nn
from nn.__main__ import main
from nn.training import accuracy, train_mnist

COMMAND = [sys.executable, "-m", "nn"]
EPOCH = r"epoch 1/1  loss 0\.\d{4}  test accuracy \d\d\.\d%  \d+ s"


@pytest.fixture(scope="module")
def trained():
    """One epoch of the main command's training, by the function behind it."""
    seen = []
    return *train_mnist(epochs=1, seed=3, show=seen.append), seen


def test_one_epoch_already_recognizes_most_digits(trained):
    model, reached, seen = trained
    _, (x_test, y_test) = nn.data.mnist_mini()
    assert reached == accuracy(model, x_test, y_test) > 0.88
    assert [(p.epoch, p.batch) for p in seen] == [(1, batch) for batch in range(1, 158)]
    assert [p.accuracy for p in seen] == [None] * 156 + [reached]
    assert seen[-1].loss < 1 < seen[0].loss
    assert model.training


def test_the_command_writes_a_line_an_epoch_and_the_weights(trained, tmp_path):
    model, *_ = trained
    _, (x_test, y_test) = nn.data.mnist_mini()
    arguments = ["train", "--epochs", "1", "--seed", "3", "--out", "weights"]
    done = subprocess.run([*COMMAND, *arguments], cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    first, epoch, result, saved = done.stdout.splitlines()
    assert first == "Training a convolutional network (105,634 parameters) on 5,000 handwritten digits"
    assert re.fullmatch(EPOCH, epoch)
    assert saved == f"weights saved to {tmp_path / 'weights'}"
    again = nn.models.numpy_cnn()
    again.load_state_dict(nn.load(tmp_path / "weights"))
    assert result == f"{accuracy(again, x_test, y_test):.1%} of the 1,000 test images are recognized"
    for mine, its in zip(model.parameters(), again.parameters(), strict=True):  # the seed decides, but for rounding
        np.testing.assert_allclose(mine.detach().numpy(), its.detach().numpy(), atol=0.02)


def test_on_a_terminal_the_line_is_kept_up_to_date(tmp_path):
    pty = pytest.importorskip("pty")  # Unix only
    ours, theirs = pty.openpty()
    process = subprocess.Popen([*COMMAND, "train", "--epochs", "1"], cwd=tmp_path, env=environment(), stdout=theirs)
    os.close(theirs)
    written = b""
    try:
        while part := os.read(ours, 4096):
            written += part
    except OSError:  # how Linux says that the other end is closed
        pass
    os.close(ours)
    assert process.wait() == 0
    lines = written.decode().split("\r")
    assert sum("batch" in line for line in lines) == 156
    assert re.fullmatch(EPOCH + " *", next(line for line in lines if "accuracy" in line))
    assert (tmp_path / "mnist_cnn.safetensors").exists()


def environment():
    """Ours, with the packages that are under test."""
    packages = os.path.dirname(os.path.dirname(nn.__file__))
    return os.environ | {"PYTHONPATH": packages, "PYTHONWARNINGS": "error"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--epochs", "0"], "argument --epochs: must be a whole number of at least 1, got '0'"),
        (["train", "--epochs", "ten"], "argument --epochs: must be a whole number of at least 1, got 'ten'"),
        (["train", "--seed", "-1"], "argument --seed: must be a whole number of at least 0, got '-1'"),
        (["train", "--out", "/no/such/folder/file"], "argument --out: cannot write to the folder /no/such/folder"),
        (["train", "--out", "/"], "argument --out: / is a folder; name a file"),
        ([], "the following arguments are required: command"),
        (["walk"], "argument command: invalid choice: 'walk' (choose from 'train')"),
    ],
)
def test_mistakes_on_the_command_line_are_told_before_the_work(capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].split("error: ")[1].startswith(message.split(" (choose")[0])


def test_the_command_explains_itself(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["train", "--help"])
    assert stop.value.code == 0
    assert {"--epochs", "--seed", "--out"} <= set(re.findall(r"--\w+", capsys.readouterr().out))


def test_training_leaves_memory_flat_without_the_garbage_collector():
    rng = np.random.default_rng(0)
    features = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU())
    net = nn.Sequential(features, nn.Flatten(), nn.Dropout(0.2), nn.Linear(8, 3))
    loss_function = nn.CrossEntropyLoss()
    optimizer = nn.optim.Adam(net.parameters(), lr=0.01)
    x, y = rng.random((4, 1, 4, 4), np.float32), np.arange(4) % 3

    def steps(number):
        for _ in range(number):
            optimizer.zero_grad()
            loss_function(net(x), y).backward()
            optimizer.step()

    gc.collect()
    gc.disable()
    try:
        steps(2500)  # until Python's own stores of spare tuples are full
        before = sys.getallocatedblocks()
        steps(1000)
        assert sys.getallocatedblocks() - before < 100  # one object kept a step would make 1,000
    finally:
        gc.enable()
