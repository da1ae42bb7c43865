"""A training that was stopped anywhere and resumed is the training that was not stopped, bit for bit."""

import os
import signal
import threading

import numpy as np
import pytest
from training_samples import digits, same, small, trainer, values

import nn
import tensorgraph as tg
from nn.training.checkpoint import state_of


@pytest.fixture(autouse=True)
def start(seeded):
    """The library's generator is put back after each test."""
    seeded(0)


EPOCHS, BATCHES = 8, 25  # 200 steps
DATA, VALIDATION = digits(100), digits(30, seed=1)


def everything(seed=0, callbacks=(), rng=True, prefetch=False):
    """A trainer and its data with all that has a state: dropout with two generators, batch norm, Adam, a warm-up, early
    stopping that keeps weights, an order and augmentation that are drawn."""
    initial = np.random.default_rng(seed)
    model = nn.Sequential(
        nn.Linear(5, 8, rng=initial),
        nn.BatchNorm1d(8),
        nn.Dropout(0.1),  # from the library's own generator
        nn.ReLU(),
        nn.Dropout(0.3, rng=np.random.default_rng(seed)),
        nn.Linear(8, 3, rng=initial),
    )
    optimizer = nn.optim.Adam(model.parameters(), lr=0.01 * (seed + 1))
    after = nn.optim.CosineAnnealingLR(optimizer, EPOCHS * BATCHES)
    stopping = nn.training.EarlyStopping("val_accuracy", patience=100, restore_best=True)
    made = nn.Trainer(
        model,
        optimizer,
        schedule=nn.optim.LinearWarmup(optimizer, 20, after=after),
        clip_norm=1.0,
        metrics=[nn.training.Accuracy(), nn.training.TopK(2)],
        callbacks=[stopping, *callbacks],
        seed=seed,
        show="quiet",
    )
    own = np.random.default_rng(seed) if rng else None
    loader = nn.data.DataLoader(DATA, 4, shuffle=True, rng=own, transform=noisy, prefetch=prefetch)
    return made, loader


def noisy(x, rng):
    """An augmentation."""
    return x + rng.normal(0, 0.1, x.shape).astype(np.float32)


class SaveEach(nn.training.Callback):
    """After each step a file of its own, and after each epoch."""

    def __init__(self, folder):
        self.folder = folder

    def on_batch_end(self, trainer):
        trainer.save(os.path.join(self.folder, f"step {trainer.step}"))

    def on_epoch_end(self, trainer):
        trainer.save(os.path.join(self.folder, f"epoch {trainer.epoch}"))


@pytest.fixture(scope="module", params=["own generator", "the library's generator, batches made ahead"])
def undisturbed(request, tmp_path_factory):
    """The training from the beginning to the end, with a file after each of its 200 steps."""
    folder = str(tmp_path_factory.mktemp("undisturbed"))
    options = {"rng": request.param == "own generator", "prefetch": request.param != "own generator"}
    before = tg.default_rng()
    made, loader = everything(callbacks=[SaveEach(folder)], **options)
    made.fit(loader, VALIDATION, epochs=EPOCHS)
    tg.random._rng = before
    assert made.step == EPOCHS * BATCHES == 200
    return folder, made, options


def flat(state, path=""):
    """The entries of a state as bytes by path, but for times."""
    if isinstance(state, dict):
        found = {}
        for name, value in state.items():
            if name != "seconds":
                found |= flat(value, f"{path}/{name}")
        return found
    if isinstance(state, (list, tuple)):
        return flat({str(i): value for i, value in enumerate(state)}, path)
    return {path: np.asarray(state).tobytes() if hasattr(state, "shape") else state}


class Enough(Exception):  # noqa: N818 (it is no error)
    """The rest would be the same."""


class Compare(nn.training.Callback):
    """At a later step the state is, in every bit, that of the training that was not stopped."""

    def __init__(self, folder, step):
        self.file, self.step = os.path.join(folder, f"step {step}"), step

    def on_batch_end(self, trainer):
        if trainer.step == self.step:
            assert flat(state_of(trainer)) == flat(nn.load(self.file))
            raise Enough


def test_resumed_at_each_of_200_steps_it_is_the_training_that_was_not_stopped(undisturbed):
    """From each step to the first of the next epoch, where nothing in the whole state differs: so nothing later can."""
    folder, _, options = undisturbed
    for step in range(1, 201 - BATCHES):
        compare = Compare(folder, BATCHES * -(-step // BATCHES) + 1)
        made, loader = everything(seed=5, callbacks=[compare], **options)
        with pytest.raises(Enough):
            made.fit(loader, VALIDATION, epochs=EPOCHS, resume=os.path.join(folder, f"step {step}"))


@pytest.mark.parametrize("file", ["step 1", "step 25", "epoch 1", *(f"step {i}" for i in range(175, 201)), "epoch 8"])
def test_resumed_to_the_end_it_has_the_same_weights_and_history(undisturbed, file):
    folder, expected, options = undisturbed
    made, loader = everything(seed=5, **options)
    history = made.fit(loader, VALIDATION, epochs=EPOCHS, resume=os.path.join(folder, file))
    same(values(made.model), values(expected.model))
    assert dict(history) == dict(expected.history)
    assert history.steps == expected.history.steps
    assert made.callbacks[0].best == expected.callbacks[0].best
    assert history.epochs == len(history.seconds) == EPOCHS


def test_a_loader_without_a_state_leaves_out_the_batches_that_were_taken(tmp_path):
    class Batches:
        def __iter__(self):
            return (tuple(part[i : i + 10] for part in DATA) for i in range(0, 100, 10))

    batches = Batches()
    expected = trainer()
    expected.fit(batches, epochs=2)
    first = trainer(callbacks=Stop(tmp_path / "run", 13))
    first.fit(batches, epochs=2)
    again = trainer(small(seed=3))
    assert again.fit(batches, epochs=2, resume=tmp_path / "run").epochs == 2
    same(values(again.model), values(expected.model))
    assert dict(again.history) == dict(expected.history)


class Stop(nn.training.Callback):
    """Save at a step, and end the training there."""

    def __init__(self, path, step):
        self.path, self.step = path, step

    def on_batch_end(self, trainer):
        if trainer.step == self.step:
            trainer.save(self.path)
            trainer.stop()


# --- Ctrl-C ----------------------------------------------------------------------------------------------------------


class CtrlC(nn.training.Callback):
    """Presses it in the middle of a step, or at another time."""

    def __init__(self, step=None, epoch=None, times=1):
        self.step, self.epoch, self.times = step, epoch, times

    def press(self):
        for _ in range(self.times):
            signal.raise_signal(signal.SIGINT)

    def loss(self, trainer):
        """The loss of the trainer, during which it is pressed."""
        inner, own = trainer.loss, trainer

        def loss(outputs, targets):
            validating = not own.model.training
            if (own.step + 1 == self.step and not validating) or (own.epoch == self.epoch and validating):
                self.step = self.epoch = None
                self.press()
            return inner(outputs, targets)

        return loss


@pytest.mark.parametrize(
    ("pressed", "where"),
    [
        ({"step": 7}, "after 7 steps of epoch 1"),
        ({"step": 25}, "after 25 steps of epoch 1"),
        ({"epoch": 3}, "after 25 steps of epoch 3"),  # in the validation, which is done anew
    ],
)
def test_ctrl_c_finishes_the_step_saves_and_says_how_to_go_on(tmp_path, capfd, pressed, where):
    path = os.path.join(tmp_path, "run")
    expected, loader = everything()
    expected.fit(loader, VALIDATION, epochs=4)

    made, loader = everything(callbacks=[nn.training.Checkpoint(path, every=1000)])
    made.loss = CtrlC(**pressed).loss(made)
    with pytest.raises(KeyboardInterrupt) as stop:
        made.fit(loader, VALIDATION, epochs=4)
    assert (
        str(stop.value) == f"stopped by Ctrl-C {where}; saved in {path}: fit(..., resume={path!r}) goes on from there"
    )
    assert capfd.readouterr().err == "\nCtrl-C: finishing this step; once more stops at once\n"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert made.model.training

    again, loader = everything(seed=5, callbacks=[nn.training.Checkpoint(path, every=1000)])
    again.fit(loader, VALIDATION, epochs=4, resume=path)
    same(values(again.model), values(expected.model))
    assert dict(again.history) == dict(expected.history)


def test_without_a_checkpoint_it_can_still_be_saved(tmp_path):
    expected, loader = everything()
    expected.fit(loader, VALIDATION, epochs=2)
    made, loader = everything()
    made.loss = CtrlC(step=30).loss(made)
    with pytest.raises(KeyboardInterrupt) as stop:
        made.fit(loader, VALIDATION, epochs=2)
    assert str(stop.value) == (
        "stopped by Ctrl-C after 5 steps of epoch 2; trainer.save(path) saves it now, "
        "nn.training.Checkpoint(path) among the callbacks next time"
    )
    assert made.evaluate(VALIDATION)["accuracy"] > 0  # it is no lasting state
    made.save(tmp_path / "run")
    again, loader = everything(seed=5)
    again.fit(loader, VALIDATION, epochs=2, resume=tmp_path / "run")
    same(values(again.model), values(expected.model))


def test_a_second_ctrl_c_stops_at_once(tmp_path):
    path = tmp_path / "run"
    made, loader = everything(callbacks=[nn.training.Checkpoint(path)])
    made.loss = CtrlC(step=30, times=2).loss(made)
    with pytest.raises(KeyboardInterrupt) as stop:
        made.fit(loader, VALIDATION, epochs=4)
    assert str(stop.value) == ""
    assert nn.load(path)["position"]["step"] == 25  # the last epoch's
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_program_s_own_way_with_ctrl_c_is_left_alone():
    pressed = []
    before = signal.signal(signal.SIGINT, lambda *_: pressed.append(True))
    try:
        made, loader = everything()
        made.loss = CtrlC(step=3).loss(made)
        assert made.fit(loader, VALIDATION, epochs=1).epochs == 1
    finally:
        signal.signal(signal.SIGINT, before)
    assert pressed == [True]


def test_it_trains_in_a_thread():
    made, loader = everything()
    done = []
    thread = threading.Thread(target=lambda: done.append(made.fit(loader, VALIDATION, epochs=1)))
    thread.start()
    thread.join()
    assert done[0].epochs == 1


# --- files that lie --------------------------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path):
    """A file, what is in it, and a trainer to load it."""
    made, loader = everything()
    made.fit(loader, VALIDATION, epochs=1)
    path = tmp_path / "run"
    made.save(path)
    other, _ = everything(seed=5)
    other.fit(DATA, VALIDATION, epochs=1)
    return path, nn.load(path), other


def refused(path, made, error, match):
    """The file is refused, and the trainer is what it was."""
    before = flat(state_of(made))
    with pytest.raises(error, match=match):
        made.load(path)
    assert flat(state_of(made)) == before
    assert not made.position.resumed


def test_damaged_and_foreign_files_are_refused(tmp_path, run):
    path, state, made = run
    whole = path.read_bytes()
    for length in (0, 7, 100, len(whole) - 1):
        path.write_bytes(whole[:length])
        refused(path, made, nn.FileFormatError, r"^load: .*run: ")
    nn.save(path, made.model.state_dict())
    refused(
        path, made, nn.FileFormatError, r"no checkpoint of a training, it has no version, .*; weights alone are read"
    )
    nn.save(path, state | {"version": 2})
    refused(path, made, nn.FileFormatError, r"run: a checkpoint of version 2, this library reads 1$")
    nn.save(path, state | {"model": 3, "sums": []})
    refused(path, made, nn.FileFormatError, r"run: a damaged checkpoint, model, sums should be a dict$")
    refused(tmp_path / "gone", made, FileNotFoundError, "gone")


def without(state, path):
    """The state without one of its entries."""
    name, _, rest = path.partition("/")
    if not rest:
        return {key: value for key, value in state.items() if key != name}
    return state | {name: without(state[name], rest)}


def entries(state, path=""):
    """The paths of all entries of the dicts in it."""
    for name, value in state.items():
        yield path + name
        if isinstance(value, dict):
            yield from entries(value, f"{path}{name}/")


def test_a_state_that_lacks_anything_is_refused_and_nothing_has_changed(run):
    path, state, made = run
    optional = {"position/loader", "callbacks/EarlyStopping", "history/epochs"}
    for entry in entries(state):
        free = ("notes", "position/loader/", "history/epochs/", "callbacks/EarlyStopping/weights/")
        if entry not in optional and not entry.startswith(free):
            nn.save(path, without(state, entry))
            refused(path, made, ValueError, None)


@pytest.mark.parametrize(
    ("entry", "value", "match"),
    [
        ("position", {"epoch": -1}, r"^Trainer.load: a damaged checkpoint, its epoch is -1$"),
        ("position", {"step": 2**60}, r"^Trainer.load: a damaged checkpoint, its step is 1152921504606846976$"),
        ("position", {"done": 1}, r"^Trainer.load: a damaged checkpoint, its done is 1$"),
        ("random", {"own": {"bit_generator": "MT19937"}}, r"^Trainer.load: not the state of such a generator: "),
        ("random", {"more": {}}, r"^Trainer.load: expected the states of 2 generators of random numbers, got 3$"),
        (
            "kinds",
            {"optimizer": "SGD"},
            r"with optimizer SGD, schedule LinearWarmup; this is one with optimizer Adam",
        ),
        ("sums", {"metrics": {}}, r"with the metrics none; this is one with accuracy, top_2$"),
        ("history", {"seconds": np.zeros(7)}, r"^History.load_state_dict: not the state of a history: "),
        ("schedule", {"base_lrs": [0.1, 0.1]}, r"^LinearWarmup.load_state_dict: expected 1 groups, got 2$"),
        ("callbacks", {"EarlyStopping": {}}, r"^EarlyStopping.load_state_dict: not the state of such a callback: "),
    ],
)
def test_states_that_do_not_fit_are_refused_and_nothing_has_changed(run, entry, value, match):
    path, state, made = run
    nn.save(path, state | {entry: state[entry] | value})
    refused(path, made, ValueError, match)


@pytest.mark.parametrize(
    ("file", "epochs", "said"),
    [
        ("epoch 3", 2, "3 epochs are done already; it must be at least 3, got 2"),
        ("step 60", 2, "2 epochs are done already, and 10 steps of epoch 3; it must be at least 3, got 2"),
        ("step 26", 1, "1 epoch is done already, and 1 step of epoch 2; it must be at least 2, got 1"),
    ],
)
def test_fewer_epochs_than_were_begun_are_refused_and_nothing_has_changed(undisturbed, file, epochs, said):
    folder, _, options = undisturbed
    made, loader = everything(seed=5, **options)
    before = flat(state_of(made))
    message = f"^Trainer.fit: epochs is how many in all, and {said}$"
    with pytest.raises(ValueError, match=message):
        made.fit(loader, VALIDATION, epochs=epochs, resume=os.path.join(folder, file))
    assert flat(state_of(made)) == before
    assert not made.position.resumed
    made.load(os.path.join(folder, file))
    with pytest.raises(ValueError, match=message):
        made.fit(loader, VALIDATION, epochs=epochs)
    assert made.position.resumed


def test_the_checkpoint_of_another_model_is_refused_and_nothing_has_changed(run):
    path, _, _ = run
    model = small()
    optimizer = nn.optim.Adam(model.parameters())
    schedule = nn.optim.LinearWarmup(optimizer, 5)
    refused(path, nn.Trainer(model, optimizer, schedule=schedule), ValueError, r"^load_state_dict: Sequential was not")


def test_the_loader_of_other_data_is_refused(run):
    path, _, made = run
    with pytest.raises(ValueError, match=r"^DataLoader.load_state_dict: the state does not fit"):
        made.fit(nn.data.DataLoader(DATA, 5), epochs=2, resume=path)


def test_a_checkpoint_is_told_from_weights(run):
    path, state, made = run
    message = (
        r'^load_state_dict: this is a checkpoint of a training; its weights are state\["model"\], and '
        r"trainer.fit\(..., resume=path\) goes on with the training$"
    )
    for strict in (True, False):
        with pytest.raises(ValueError, match=message):
            made.model.load_state_dict(nn.load(path), strict=strict)
    made.model.load_state_dict(state["model"])
