"""The command line: what it writes, on a terminal and elsewhere, that it can be stopped and killed, and its errors."""

import gc
import os
import re
import shlex
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch_files
from training_samples import same

import nn
from nn.__main__ import main
from nn.cli.failure import Failure

COMMAND = [sys.executable, "-m", "nn"]
EPOCH = (
    r"epoch +(\d+)/\d+  loss \d\.\d{4}  accuracy \d+\.\d%  val_loss \d\.\d{4}  val_accuracy \d+\.\d%  "
    r"[\d,]+ images/s  \d+ s"
)
SLOW = re.compile(r"the NumPy kernels run, .*\r?\n")  # where all tests run on them
unix = pytest.mark.skipif(os.name != "posix", reason="signals and terminals as Unix has them")


def environment():
    """Ours, with the packages that are under test."""
    packages = os.path.dirname(os.path.dirname(nn.__file__))
    return os.environ | {"PYTHONPATH": packages, "PYTHONWARNINGS": "error"}


def run(*arguments, folder):
    """The command in a process of its own."""
    words = [*COMMAND, *arguments]
    done = subprocess.run(words, cwd=folder, env=environment(), capture_output=True, text=True)
    done.stdout = SLOW.sub("", done.stdout)
    return done


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """What the main command writes in one epoch, and the folder with its file."""
    folder = tmp_path_factory.mktemp("trained")
    return run("train", "--epochs", "1", "--seed", "3", "--threads", "1", folder=folder), folder


# --- train -----------------------------------------------------------------------------------------------------------


def test_it_writes_a_line_an_epoch_and_the_weights(trained):
    done, folder = trained
    assert (done.returncode, done.stderr) == (0, "")
    first, epoch, result, saved = done.stdout.splitlines()
    assert first == "Training numpy_cnn (105,634 parameters) on mnist-mini: 5,000 images, tested on 1,000"
    assert re.fullmatch(EPOCH, epoch)
    assert saved == f"weights saved to {folder / 'numpy_cnn.safetensors'}"
    assert [file.name for file in folder.iterdir()] == ["numpy_cnn.safetensors"]  # and no checkpoint
    model = nn.models.numpy_cnn()
    model.load_state_dict(nn.load(folder / "numpy_cnn.safetensors"))
    _, (x_test, y_test) = nn.data.mnist_mini()
    accuracy = np.mean(predicted(model, x_test) == y_test)
    assert accuracy > 0.88
    assert result == f"{accuracy:.1%} of the 1,000 test images are recognized"


def predicted(model, x):
    """The classes."""
    trainer = nn.Trainer(model, nn.optim.SGD(model.parameters(), lr=1.0))
    return trainer.predict(x).argmax(axis=1)


def test_the_seed_decides(trained, tmp_path):
    _, folder = trained
    arguments = ["train", "--epochs", "1", "--seed", "3", "--threads", "1", "--quiet", "--out", "again"]
    done = run(*arguments, folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")  # quiet
    same(nn.load(tmp_path / "again"), nn.load(folder / "numpy_cnn.safetensors"))


@unix
def test_on_a_terminal_there_is_a_live_bar(tmp_path):
    import pty

    ours, theirs = pty.openpty()
    environ = environment() | {"COLUMNS": "0"}  # a terminal that does not say how large it is
    epochs = 6  # of a tenth of a second and more: on a fast machine the bar is drawn only once or twice in each
    command = [*COMMAND, "train", "--epochs", str(epochs)]
    process = subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=theirs)
    os.close(theirs)
    written = b""
    try:
        while part := os.read(ours, 4096):
            written += part
    except OSError:  # how Linux says that the other end is closed
        pass
    os.close(ours)
    assert process.wait() == 0
    drawn = [line.strip() for line in re.split(r"[\r\n]+", SLOW.sub("", written.decode())) if line.strip()]
    bars = [line for line in drawn if "|" in line]
    assert len(bars) > 4
    live = r"epoch [1-6]/6 +\d+% \|.+\| loss \d\.\d{4}  accuracy \d+\.\d%  [\d,]+ images/s  \d:\d\d left"
    assert sum(re.fullmatch(live, line) is not None for line in bars) > 2, bars
    assert all(line.startswith("epoch") for line in bars)
    lines = [line for line in drawn if "|" not in line]
    assert [re.fullmatch(EPOCH, line) is not None for line in lines] == [False, *[True] * epochs, False, False]
    assert lines[epochs + 1].endswith("of the 1,000 test images are recognized")


class Killed:
    """A training in a process, whose lines are read up to an epoch's."""

    def __init__(self, folder, epoch):
        words = [*COMMAND, "train", "--epochs", "6", "--threads", "1"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(words, cwd=folder, env=environment(), **pipes)
        for line in self.process.stdout:
            if line.startswith(f"epoch {epoch}/"):
                break

    def end(self, number):
        self.process.send_signal(number)
        _, errors = self.process.communicate()
        return self.process.returncode, errors


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The weights after six epochs."""
    folder = tmp_path_factory.mktemp("whole")
    run("train", "--epochs", "6", "--threads", "1", folder=folder)
    return nn.load(folder / "numpy_cnn.safetensors")


@unix
def test_ctrl_c_saves_and_says_how_to_go_on(whole, tmp_path):
    status, errors = Killed(tmp_path, 2).end(signal.SIGINT)
    assert status == 130
    pressed, stopped, command = filter(None, errors.splitlines())
    assert pressed == "Ctrl-C: finishing this step; once more stops at once"
    step = int(re.fullmatch(r"stopped; step (\d+) is saved. To go on:", stopped)[1])
    assert step >= 2 * 157
    assert nn.load(tmp_path / "numpy_cnn.checkpoint.safetensors")["position"]["step"] == step
    python, *words = shlex.split(command)
    assert (python, *words[:2]) == ("python", "-m", "nn")
    done = run(*words[2:], folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    epochs = [re.fullmatch(EPOCH, line)[1] for line in done.stdout.splitlines()[1:-2]]
    assert epochs in (["3", "4", "5", "6"], ["4", "5", "6"])
    same(nn.load(tmp_path / "numpy_cnn.safetensors"), whole)


@unix
def test_after_a_kill_the_last_epoch_is_there(whole, tmp_path):
    status, _ = Killed(tmp_path, 3).end(signal.SIGKILL)
    assert status == -signal.SIGKILL
    checkpoint = tmp_path / "numpy_cnn.checkpoint.safetensors"
    assert nn.load(checkpoint)["position"]["epoch"] >= 2  # the line is written before the file
    assert run("train", "--resume", str(checkpoint), "--quiet", "--threads", "1", folder=tmp_path).returncode == 0
    same(nn.load(tmp_path / "numpy_cnn.safetensors"), whole)


def test_networks_and_logs(tmp_path, monkeypatch, capsys, seeded):
    monkeypatch.chdir(tmp_path)
    seeded(0)
    small = ["--epochs", "1", "--batch-size", "500"]
    assert (
        main(["train", *small, "--model", "lenet5", "--optimizer", "sgd", "--schedule", "step", "--log", "a.csv"]) == 0
    )
    assert main(["train", *small, "--model", "perceptron", "--schedule", "one-cycle", "--log", "a.jsonl"]) == 0
    assert main(["train", *small, "--model", "perceptron", "--optimizer", "adagrad", "--schedule", "one-cycle"]) == 0
    assert (
        main(["train", *small, "--model", "perceptron", "--no-augment", "--schedule", "plateau", "--lr", "0.01"]) == 0
    )
    assert main(["train", *small, "--model", "perceptron", "--optimizer", "rmsprop", "--schedule", "constant"]) == 0
    assert "lenet5 (61,706 parameters)" in capsys.readouterr().out
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 2
    assert len((tmp_path / "a.jsonl").read_text().splitlines()) == 1


def pictures(folder, classes=("cat", "dog"), count=10, size=(40, 50)):
    """A folder of pictures for each class: bright ones and dark ones."""
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    for label, name in enumerate(classes):
        os.makedirs(os.path.join(folder, name))
        for i in range(count):
            pixels = rng.integers(0, 120, (*size, 3)) + 130 * label
            image.fromarray(pixels.astype(np.uint8)).save(os.path.join(folder, name, f"{i}.png"))


def test_a_folder_of_pictures(tmp_path, monkeypatch, capsys, seeded):
    pictures(tmp_path / "animals")
    monkeypatch.chdir(tmp_path)
    seeded(0)
    arguments = ["--model", "resnet20", "--data", "animals", "--image-size", "32"]
    assert main(["train", *arguments, "--epochs", "4", "--batch-size", "4"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Training resnet20 (269,202 parameters) on")
    assert "animals: 16 images, tested on 4\n" in out
    assert main(["evaluate", "resnet20.safetensors", *arguments]) == 0
    assert capsys.readouterr().out.startswith("100.0% of the 4 test images are recognized, the loss is 0.")
    assert (
        main(["predict", "animals/dog/3.png", "animals/cat/4.png", "--weights", "resnet20.safetensors", *arguments])
        == 0
    )
    dog, cat = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"animals/dog/3\.png: dog \(\d+\.\d%\), cat \(\d+\.\d%\)", dog)
    assert cat.startswith("animals/cat/4.png: cat (")


def test_a_folder_with_train_and_test(tmp_path):
    from nn.cli import datasets, networks

    pictures(tmp_path / "train", count=3)
    pictures(tmp_path / "val", count=1)
    found = datasets.known(str(tmp_path), networks.wanted("lenet5"), None)
    assert (found.shape, found.classes) == ((1, 28, 28), ("cat", "dog"))
    train, test = found.read()
    assert train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert test.labels.tolist() == [0, 1]
    assert test.images.shape == (2, 1, 28, 28)
    assert test.images[1].mean() > test.images[0].mean() + 100  # dogs are bright
    (tmp_path / "val" / "dog" / "0.png").unlink()
    (tmp_path / "val" / "dog").rmdir()
    with pytest.raises(Failure, match="there is no folder dog, as there is in train"):
        found.read()


def test_grey_images_for_a_network_of_colour_ones(tmp_path, monkeypatch, capsys, seeded):
    from nn.cli import datasets, networks

    steps, said = datasets.fitted("mnist", (1, 28, 28), networks.wanted("resnet18"))
    assert said == ["a border makes the images 32 x 32", "grey is taken for red, green and blue"]
    x = np.random.default_rng(0).random((2, 1, 28, 28), np.float32)
    y = x
    for step in steps:
        y = step(y)
    assert y.shape == (2, 3, 32, 32)
    np.testing.assert_array_equal(y[:, :, 2:-2, 2:-2], np.broadcast_to(x, (2, 3, 28, 28)))
    assert y.sum() == pytest.approx(3 * x.sum(), rel=1e-5)


def test_googlenet_s_auxiliary_classifiers_count():
    from nn.cli.networks import loss

    rng = np.random.default_rng(0)
    logits, y = rng.normal(size=(3, 4, 5)), np.array([0, 1, 2, 4])
    one, two, three = (nn.functional.cross_entropy(part, y) for part in logits)
    assert loss(tuple(logits), y) == pytest.approx(one + 0.3 * two + 0.3 * three)
    assert loss(logits[0], y) == one


# --- evaluate and predict --------------------------------------------------------------------------------------------


def test_evaluate_tells_the_accuracy_and_the_mistakes(trained, capsys):
    done, folder = trained
    assert main(["evaluate", str(folder / "numpy_cnn.safetensors")]) == 0
    first, *mistakes = capsys.readouterr().out.splitlines()
    accuracy = done.stdout.splitlines()[2].partition("%")[0]
    assert re.fullmatch(rf"{accuracy}% of the 1,000 test images are recognized, the loss is 0\.\d{{4}}", first)
    assert len(mistakes) == 3
    assert all(re.fullmatch(r'"\d" was taken for "\d" (once|twice|\d+ times)', line) for line in mistakes)


def test_predict_reads_digits_from_files(trained, tmp_path, capsys):
    image = pytest.importorskip("PIL.Image")
    _, folder = trained
    weights = str(folder / "numpy_cnn.safetensors")
    model = nn.models.numpy_cnn()
    model.load_state_dict(nn.load(weights))
    _, (x, y) = nn.data.mnist_mini()
    right = np.flatnonzero(predicted(model, x) == y)[::40]
    files = []
    for i in right:
        files.append(str(tmp_path / f"{y[i]} {i}.png"))
        image.fromarray((x[i, 0] * 255).astype(np.uint8)).save(files[-1])
    assert main(["predict", *files, "--weights", weights]) == 0
    for file, digit, line in zip(files, y[right], capsys.readouterr().out.splitlines(), strict=True):
        assert re.fullmatch(rf"{re.escape(file)}: {digit} \(\d+\.\d%\), \d \(\d+\.\d%\), \d \(\d+\.\d%\)", line)


def test_to_predict_no_data_set_is_needed(trained, tmp_path, monkeypatch, capsys):
    image = pytest.importorskip("PIL.Image")
    _, folder = trained
    monkeypatch.setenv("TENSORGRAPH_DATA", str(tmp_path))  # where there is none
    image.new("L", (28, 28), 5).save(tmp_path / "x.png")
    weights = ["--weights", str(folder / "numpy_cnn.safetensors")]
    assert main(["predict", str(tmp_path / "x.png"), *weights, "--data", "fashion-mnist"]) == 0
    assert re.search(
        r"x.png: (T-shirt|Trouser|Pullover|Dress|Coat|Sandal|Shirt|Sneaker|Bag|Ankle)", capsys.readouterr().out
    )


def test_predict_finds_a_digit_on_paper(trained, tmp_path, capsys):
    """Dark on bright, large, and not in the middle."""
    image = pytest.importorskip("PIL.Image")
    _, folder = trained
    _, (x, y) = nn.data.mnist_mini()
    chosen, files = range(0, 1000, 50), []
    for i in chosen:
        ink = image.fromarray((x[i, 0] * 220).astype(np.uint8)).resize((200, 200))
        paper = image.new("L", (500, 400), 240)
        paper.paste(image.fromarray(240 - np.asarray(ink)), (20 * (i % 7), 150))
        files.append(str(tmp_path / f"{i}.jpg"))
        paper.save(files[-1], quality=90)
    assert main(["predict", *files, "--weights", str(folder / "numpy_cnn.safetensors")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.endswith(" - inverted, cut out and centred") for line in lines)
    read = [int(re.search(r"\.jpg: (\d)", line)[1]) for line in lines]
    assert np.mean(np.array(read) == y[list(chosen)]) >= 0.9


def test_a_checkpoint_knows_its_network_and_its_data(tmp_path, monkeypatch, capsys, seeded):
    monkeypatch.chdir(tmp_path)
    seeded(0)
    monkeypatch.setattr(os, "unlink", lambda path: None)  # the checkpoint stays
    assert main(["train", "--model", "perceptron", "--epochs", "1", "--out", "p.safetensors"]) == 0
    assert main(["evaluate", "p.checkpoint.safetensors"]) == 0
    *_, result, _, tested = [line for line in capsys.readouterr().out.splitlines() if "was taken" not in line]
    assert tested.startswith(result)
    assert main(["train", "--resume", "p.checkpoint.safetensors", "--epochs", "2"]) == 0
    assert "epoch 2/2" in capsys.readouterr().out


def test_epochs_with_resume_are_those_in_all(tmp_path, monkeypatch, capsys, seeded):
    monkeypatch.chdir(tmp_path)
    seeded(0)
    monkeypatch.setattr(os, "unlink", lambda path: None)  # the checkpoint stays
    resume = ["train", "--resume", "p.checkpoint.safetensors"]
    assert main(["train", "--model", "perceptron", "--epochs", "2", "--out", "p.safetensors"]) == 0
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    for epochs in ("1", "2"):
        with pytest.raises(SystemExit) as stop:
            main([*resume, "--epochs", epochs])
        assert stop.value.code == 2
        said = f"is how many in all, and 2 epochs are done already; it must be at least 3, got {epochs}\n"
        assert capsys.readouterr().err.endswith(f"argument --epochs: {said}")
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before
    assert main([*resume, "--epochs", "3"]) == 0
    assert "epoch 3/3" in capsys.readouterr().out
    assert nn.load("p.checkpoint.safetensors")["notes"]["epochs"] == 3
    assert main(resume) == 0  # as after a kill between the last epoch and the weights
    assert "epoch 3/3" not in capsys.readouterr().out


def test_a_log_goes_on_after_a_resume(tmp_path, monkeypatch, seeded):
    monkeypatch.chdir(tmp_path)
    seeded(0)
    monkeypatch.setattr(os, "unlink", lambda path: None)  # the checkpoint stays
    assert main(["train", "--model", "perceptron", "--epochs", "1", "--log", "a.csv", "--quiet"]) == 0
    monkeypatch.chdir(os.path.dirname(tmp_path))
    checkpoint = str(tmp_path / "perceptron.checkpoint.safetensors")
    assert main(["train", "--resume", checkpoint, "--epochs", "2", "--quiet"]) == 0
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 3


def test_it_says_that_the_slow_kernels_run(tmp_path):
    words = [*COMMAND, "train", "--model", "perceptron", "--epochs", "1"]
    environ = environment() | {"TENSORGRAPH_KERNELS": "reference"}
    done = subprocess.run(words, cwd=tmp_path, env=environ, capture_output=True, text=True)
    assert done.stdout.splitlines()[1] == (
        "the NumPy kernels run, many times slower than the compiled ones: TENSORGRAPH_KERNELS=reference"
    )


def test_pictures_are_drawn(trained, tmp_path, monkeypatch, capsys, seeded):
    pytest.importorskip("matplotlib")
    _, folder = trained
    monkeypatch.chdir(tmp_path)
    seeded(0)
    assert main(["evaluate", str(folder / "numpy_cnn.safetensors"), "--pictures", "made/here"]) == 0
    assert main(["train", "--model", "perceptron", "--epochs", "2", "--pictures", "made"]) == 0
    assert re.findall(r"drawn: (.*)", capsys.readouterr().out) == [
        os.path.join("made/here", "confusion.png"),
        os.path.join("made/here", "mistakes.png"),
        os.path.join("made", "curves.png"),
    ]
    for name in ("here/confusion", "here/mistakes", "curves"):
        assert (tmp_path / "made" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SystemExit):
        main(["train", "--pictures", "made"])
    assert capsys.readouterr().err.endswith("argument --pictures: needs Matplotlib: pip install matplotlib\n")


def test_it_is_drawn_how_the_network_sees_pictures(trained, tmp_path, monkeypatch, capsys, seeded):
    pytest.importorskip("matplotlib")
    image = pytest.importorskip("PIL.Image")
    _, folder = trained
    monkeypatch.chdir(tmp_path)
    _, (x, _) = nn.data.mnist_mini()
    os.mkdir("other")
    for i, path in enumerate(["digit.png", "other/digit.png"]):
        image.fromarray((x[i, 0] * 255).astype(np.uint8)).save(path)
    drawn = []

    def kept(name):
        draw = getattr(nn.pictures, name)
        monkeypatch.setattr(nn.pictures, name, lambda *given: drawn.append((name, *given)) or draw(*given))

    for name in ("filters", "saliency", "feature_maps"):
        kept(name)
    weights = str(folder / "numpy_cnn.safetensors")
    arguments = ["predict", "digit.png", "other/digit.png", "--pictures", "seen"]
    assert main([*arguments, "--weights", weights]) == 0
    first, second, *files = capsys.readouterr().out.splitlines()
    names = ["filters", "1-digit-saliency", "1-digit-maps", "2-digit-saliency", "2-digit-maps"]
    assert files == [f"drawn: {os.path.join('seen', name)}.png" for name in names]
    for name in names:
        assert (tmp_path / "seen" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert [name for name, *_ in drawn] == ["filters", *["saliency", "feature_maps"] * 2]
    same(drawn[0][1].state_dict(), nn.load(weights))
    for i, line in enumerate([first, second]):
        _, _, seen, label = drawn[1 + 2 * i]
        np.testing.assert_array_equal(seen, np.float32((x[i] * 255).astype(np.uint8)) / np.float32(255))
        assert f"digit.png: {label} (" in line

    seeded(0)
    nn.save("p.safetensors", nn.models.perceptron().state_dict())
    assert main(["predict", "digit.png", "--pictures", "p", "--weights", "p.safetensors", "--model", "perceptron"]) == 0
    assert os.listdir("p") == ["1-digit-saliency.png"]  # it has no convolution


# --- what goes wrong -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--epochs", "0"], "argument --epochs: must be a whole number of at least 1, got '0'"),
        (["train", "--epochs", "ten"], "argument --epochs: must be a whole number of at least 1, got 'ten'"),
        (["train", "--seed", "-1"], "argument --seed: must be a whole number of at least 0, got '-1'"),
        (["train", "--lr", "0"], "argument --lr: must be a number above 0, got '0'"),
        (["train", "--lr", "inf"], "argument --lr: must be a number above 0, got 'inf'"),
        (["train", "--weight-decay", "x"], "argument --weight-decay: must be a number of at least 0, got 'x'"),
        (["train", "--out", "/no/such/folder/file"], "argument --out: there is no folder /no/such/folder"),
        (["train", "--out", "/"], "argument --out: / is a folder; name a file"),
        (
            ["train", "--data", "nowhere"],
            "argument --data: 'nowhere' is no folder, and none of mnist-mini, mnist,",
        ),
        (
            ["train", "--model", "alexnet"],
            "argument --model: alexnet takes colour images of 227 x 227, mnist-mini has grey images of 28 x 28; "
            "--model can be codelab_cnn, keras_convnet, lenet5, numpy_cnn, perceptron, student_mnist",
        ),
        (
            ["train", "--data", "cifar10"],
            "argument --model: numpy_cnn takes grey images of 28 x 28, cifar10 has colour images of 32 x 32; "
            "--model can be googlenet, resnet18, resnet20,",
        ),
        (
            ["train", "--image-size", "40"],
            "argument --image-size: is for pictures from a folder and networks that take any size; mnist-mini has "
            "images of 28 x 28",
        ),
        (["train", "--model", "lenet"], "argument --model: invalid choice: 'lenet'"),
        (["evaluate"], "the following arguments are required: weights"),
        (["predict", "x.png"], "the following arguments are required: --weights"),
        ([], "the following arguments are required: command"),
        (["walk"], "argument command: invalid choice: 'walk'"),
    ],
)
@unix
def test_mistakes_on_the_command_line_are_told_before_the_work(capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].split("error: ")[1].startswith(message)


@pytest.mark.parametrize("command", [[], ["train"], ["evaluate"], ["predict"]], ids=" ".join)
def test_the_command_explains_itself(capsys, command):
    with pytest.raises(SystemExit) as stop:
        main([*command, "--help"])
    assert stop.value.code == 0
    assert len(capsys.readouterr().out.splitlines()) > 10


def failed(arguments, capsys):
    """Run a command that fails, and return what it says."""
    assert main(arguments) == 1
    message = capsys.readouterr().err
    assert message.startswith(f"python -m nn {arguments[0]}: ")
    return message


def test_a_loss_that_is_not_finite_is_told_with_options_of_the_command(tmp_path, monkeypatch, capsys, seeded):
    seeded(0)
    monkeypatch.chdir(tmp_path)
    text = failed(["train", "--model", "perceptron", "--lr", "1e30", "--epochs", "1", "--quiet"], capsys)
    assert text.endswith("; the model is as it was before this step. Likely: try a smaller --lr\n")
    assert "lr = 9.99" in text


def test_a_size_that_a_network_does_not_take_is_refused(tmp_path, capsys):
    pictures(tmp_path, count=1)
    with pytest.raises(SystemExit):
        main(["train", "--data", str(tmp_path), "--model", "student_cifar", "--image-size", "64"])
    assert "networks that take any size; student_cifar has images of 32 x 32" in capsys.readouterr().err


def test_weights_of_other_programs(trained, tmp_path, capsys):
    _, folder = trained
    ours = nn.load(folder / "numpy_cnn.safetensors")
    np.savez(tmp_path / "w.npz", **ours)
    (tmp_path / "w.pth").write_bytes(torch_files.saved(ours))
    said = []
    for path in (folder / "numpy_cnn.safetensors", tmp_path / "w.npz", tmp_path / "w.pth"):
        assert main(["evaluate", str(path)]) == 0
        said.append(capsys.readouterr().out)
    assert "test images are recognized" in said[0]
    assert said[1:] == said[:1] * 2
    text = failed(["evaluate", str(tmp_path / "w.pth"), "--model", "lenet5"], capsys)
    assert "the weights are not those of lenet5; --model names the network" in text


def test_files_that_are_no_weights_are_told(trained, tmp_path, capsys):
    _, folder = trained
    weights = str(folder / "numpy_cnn.safetensors")
    (tmp_path / "junk").write_bytes(b"junk")
    assert "No such file" in failed(["evaluate", str(tmp_path / "gone")], capsys)
    assert "load_state_dict_file: " in (told := failed(["evaluate", str(tmp_path / "junk")], capsys))
    assert "junk" in told
    assert "no checkpoint of a training" in failed(["train", "--resume", weights], capsys)
    assert "the weights are not those of lenet5" in failed(["evaluate", weights, "--model", "lenet5"], capsys)


def test_what_a_checkpoint_says_is_checked(tmp_path, capsys, seeded):
    seeded(0)
    model = nn.models.perceptron()
    trainer = nn.Trainer(model, nn.optim.Adam(model.parameters()))
    trainer.notes = {"model": "os.system", "data": "mnist-mini"}
    trainer.save(tmp_path / "run")
    for arguments in (["train", "--resume", str(tmp_path / "run")], ["evaluate", str(tmp_path / "run")]):
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert stop.value.code == 2
        assert "argument --model: invalid choice: 'os.system'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["train", "--resume", str(tmp_path / "run"), "--lr", "0.1"])
    assert "argument --lr: not with --resume: a training goes on with the options" in capsys.readouterr().err


def test_pictures_that_cannot_be_read_are_told(trained, tmp_path, capsys):
    image = pytest.importorskip("PIL.Image")
    _, folder = trained
    weights = ["--weights", str(folder / "numpy_cnn.safetensors")]
    (tmp_path / "junk.png").write_bytes(b"junk")
    image.new("L", (30, 30)).save(tmp_path / "empty.png")
    assert "junk.png: no picture that can be read" in failed(["predict", str(tmp_path / "junk.png"), *weights], capsys)
    assert "gone.png: no picture that can be read" in failed(["predict", str(tmp_path / "gone.png"), *weights], capsys)
    assert "empty.png: there is nothing on it" in failed(["predict", str(tmp_path / "empty.png"), *weights], capsys)


def test_predict_goes_on_after_what_is_no_picture(trained, tmp_path, monkeypatch, capsys):
    image = pytest.importorskip("PIL.Image")
    _, folder = trained
    monkeypatch.chdir(tmp_path)
    (tmp_path / "junk.png").write_bytes(b"junk")
    _, (x, _) = nn.data.mnist_mini()
    image.fromarray((x[0, 0] * 255).astype(np.uint8)).save("digit.png")
    files = ["gone.png", "digit.png", "junk.png", "digit.png"]
    assert main(["predict", *files, "--weights", str(folder / "numpy_cnn.safetensors")]) == 1
    told = capsys.readouterr()
    assert [line.split(" (")[0][:-1] for line in told.out.splitlines()] == ["digit.png: "] * 2
    gone, junk = told.err.splitlines()
    assert gone.startswith("python -m nn predict: gone.png: no picture that can be read: ")
    assert junk.startswith("python -m nn predict: junk.png: no picture that can be read: ")


def test_without_pillow_it_says_what_to_install(trained, monkeypatch, capsys):
    _, folder = trained
    monkeypatch.setitem(sys.modules, "PIL", None)
    message = failed(["predict", "x.png", "--weights", str(folder / "numpy_cnn.safetensors")], capsys)
    assert message.endswith("pictures are read with Pillow, which is not installed: pip install Pillow\n")


def test_folders_without_pictures_are_told(tmp_path, capsys):
    arguments = ["train", "--model", "resnet20", "--data", str(tmp_path)]
    assert "expected a folder of pictures for each class, found none" in failed(arguments, capsys)
    pictures(tmp_path, count=1)
    assert "there are no pictures to test with, such as cat/1.png" in failed(arguments, capsys)


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
