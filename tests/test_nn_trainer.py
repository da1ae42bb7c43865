"""The trainer: the same as a loop by hand, with figures, modes, schedules and clear errors."""

import math
import re

import numpy as np
import pytest
from training_samples import digits, same, small, trainer, values

import nn
import tensorgraph as tg


@pytest.fixture(autouse=True)
def start(seeded):
    """The order of the examples is the same in each run of the tests."""
    seeded(0)


# --- the loop --------------------------------------------------------------------------------------------------------


def test_fit_is_the_loop_that_one_would_write(seeded):
    x, y = digits()
    x_test, y_test = digits(25, seed=1)
    loss_function = nn.CrossEntropyLoss()

    seeded(7)
    model = small(dropout=0.3)
    optimizer = nn.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    schedule = nn.optim.ExponentialLR(optimizer, 0.5)
    expected = {"loss": [], "accuracy": [], "lr": [], "val_loss": [], "val_accuracy": []}
    losses = []
    for _ in range(3):
        total = right = 0
        for xb, yb in nn.data.DataLoader((x, y), 16, shuffle=True):
            optimizer.zero_grad()
            out = model(xb)
            loss = loss_function(out, yb)
            loss.backward()
            nn.optim.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
            losses.append(loss.item())
            total += loss.item() * len(yb)
            right += int((out.data.argmax(axis=1) == yb).sum())
        model.eval()
        with tg.no_grad():
            out = model(x_test)
        model.train()
        expected["loss"].append(total / 60)
        expected["accuracy"].append(right / 60)
        expected["lr"].append(optimizer.param_groups[0]["lr"])
        expected["val_loss"].append(loss_function(out, y_test).item())
        expected["val_accuracy"].append(float((out.data.argmax(axis=1) == y_test).mean()))
        schedule.step()

    its = small(dropout=0.3)
    its_optimizer = nn.optim.SGD(its.parameters(), lr=0.05, momentum=0.9)
    its_schedule = nn.optim.ExponentialLR(its_optimizer, 0.5)
    its_trainer = nn.Trainer(its, its_optimizer, schedule=its_schedule, clip_norm=0.5, seed=7, show="quiet")
    history = its_trainer.fit((x, y), validation=(x_test, y_test), epochs=3, batch_size=16)
    same(values(its), values(model))
    assert history.keys() == expected.keys()
    for name in ("accuracy", "lr", "val_accuracy"):
        assert history[name] == expected[name], name
    for name in ("loss", "val_loss"):  # the validation was in one batch here
        np.testing.assert_allclose(history[name], expected[name], rtol=1e-6, err_msg=name)
    assert history.steps["loss"] == losses
    assert history.steps["lr"] == [0.05] * 4 + [0.025] * 4 + [0.0125] * 4
    assert history is its_trainer.history
    assert (its_trainer.epoch, its_trainer.batch, its_trainer.step) == (3, 4, 12)


def test_it_learns_from_loaders_lists_and_streams():
    x, y = digits(90)
    made = trainer()
    loader = nn.data.DataLoader((x, y), 30, rng=0, shuffle=True)
    assert made.fit(loader, epochs=60)["accuracy"][-1] > 0.8
    examples = list(zip(x, y, strict=True))
    assert made.evaluate(examples) == made.evaluate((x, y)) == made.evaluate(nn.data.DataLoader((x, y), 32))
    stream = ((x[i : i + 32], y[i : i + 32]) for i in range(0, 90, 32))
    assert made.evaluate(stream) == made.evaluate((x, y))
    assert made.evaluate([(tg.tensor(x[i]), tg.tensor(y[i])) for i in range(90)]) == made.evaluate((x, y))
    tensors = ((tg.tensor(x[i : i + 32]), tg.tensor(y[i : i + 32])) for i in range(0, 90, 32))
    assert made.evaluate(tensors) == made.evaluate((x, y))
    with pytest.raises(
        ValueError, match=r"^Trainer: the data gave no batch; a generator can be gone through only once"
    ):
        made.evaluate(stream)


def test_the_mean_over_examples_does_not_depend_on_the_batches():
    x, y = digits(50)
    made = trainer()
    whole = made.evaluate((x, y), batch_size=50)
    parts = made.evaluate((x, y), batch_size=16)  # the last batch has two
    assert parts["accuracy"] == whole["accuracy"]
    assert parts["loss"] == pytest.approx(whole["loss"], rel=1e-6)


def test_predict_gives_what_the_model_in_use_gives():
    x, y = digits(50)
    model = small(dropout=0.5)
    made = trainer(model)
    model.eval()
    with tg.no_grad():
        expected = model(x).numpy()
    model.train()
    for given in (x, tg.tensor(x), x.tolist(), (x, y), nn.data.DataLoader((x, y), 7)):
        if isinstance(given, list):
            given = np.asarray(given, np.float32)
        np.testing.assert_allclose(made.predict(given, batch_size=16), expected, rtol=1e-5, atol=1e-6)
    assert model.training


def test_each_module_is_left_in_its_mode():
    x, y = digits()
    model = small()
    model[1].eval()
    seen = []

    class Watch(nn.training.Callback):
        def on_batch_end(self, trainer):
            seen.append(all(module.training for _, module in model.named_modules()))

    made = trainer(model, callbacks=[Watch()])
    made.fit((x, y), validation=(x, y))
    made.evaluate((x, y))
    made.predict(x)
    assert seen == [True, True]
    assert model.training
    assert not model[1].training
    with pytest.raises(TypeError, match="x must be a tensor, an array or a number"):
        made.fit(([["a"]] * 3, [0, 1, 2]))
    assert not model[1].training


class TwoHeads(nn.Module):
    """Two outputs in training, one in use, as GoogLeNet."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.one, self.two = nn.Linear(5, 3, rng=rng), nn.Linear(5, 3, rng=rng)

    def forward(self, x):
        return (self.one(x), self.two(x)) if self.training else self.one(x)


def test_a_model_of_several_outputs_has_a_loss_of_its_own():
    x, y = digits(90)
    cross_entropy = nn.CrossEntropyLoss()

    def loss(outputs, targets):
        if not isinstance(outputs, tuple):
            return cross_entropy(outputs, targets)
        return cross_entropy(outputs[0], targets) + 0.5 * cross_entropy(outputs[1], targets)

    model = TwoHeads()
    made = trainer(model, loss=loss)
    history = made.fit((x, y), validation=(x, y), epochs=20)
    assert history["val_accuracy"][-1] == made.evaluate((x, y))["accuracy"] > 0.9
    assert abs(history["accuracy"][-1] - history["val_accuracy"][-1]) < 0.1  # of the first output, in both
    assert made.predict(x).shape == (90, 3)


class Pair(nn.Module):
    """Two inputs, two outputs."""

    def __init__(self):
        self.scale = nn.Parameter([1.0])

    def forward(self, a, b):
        return a * self.scale + b, a * self.scale


def test_several_inputs_and_figures_without_classes():
    a, b = np.arange(6, dtype=np.float32), np.ones(6, np.float32)
    model = Pair()
    made = trainer(model, lr=0.01, loss=lambda outputs, y: nn.MSELoss()(outputs[0], y))
    history = made.fit((a, b, 3 * a + b), epochs=100, batch_size=3)
    assert list(history) == ["loss", "lr"]  # no accuracy of what has no classes
    assert model.scale.item() == pytest.approx(3, abs=1e-2)
    first, second = made.predict((a, b, b))
    np.testing.assert_allclose(first, 3 * a + 1, rtol=0.01)
    np.testing.assert_allclose(second, 3 * a, rtol=0.01)


# --- the learning rate -----------------------------------------------------------------------------------------------


def rates(make, every=None, validation=None):
    model = small()
    optimizer = nn.optim.SGD(model.parameters(), lr=1e-3, momentum=0.5)
    made = nn.Trainer(model, optimizer, schedule=make(optimizer), schedule_every=every, show="quiet")
    return made.fit(digits(40), validation, epochs=2, batch_size=10).steps["lr"]


def test_a_schedule_goes_on_by_epoch_or_step_as_it_says():
    halved = lambda optimizer: nn.optim.StepLR(optimizer, 1, gamma=0.5)  # noqa: E731
    assert rates(halved) == [1e-3] * 4 + [5e-4] * 4
    assert rates(halved, "step") == [1e-3 * 0.5**i for i in range(8)]
    warm = lambda optimizer: nn.optim.LinearWarmup(optimizer, 4)  # noqa: E731
    np.testing.assert_allclose(rates(warm), [2.5e-4, 5e-4, 7.5e-4, *[1e-3] * 5])
    np.testing.assert_allclose(rates(warm, "epoch"), [2.5e-4] * 4 + [5e-4] * 4)
    cycle = rates(lambda optimizer: nn.optim.OneCycleLR(optimizer, 1e-3, total_steps=8))
    assert len(set(cycle)) == 8


def test_the_plateau_looks_at_the_validation_if_there_is_one():
    seen = []

    class Plateau(nn.optim.ReduceLROnPlateau):
        def step(self, metrics):
            seen.append(metrics)
            super().step(metrics)

    for mode, name in (("min", "loss"), ("max", "accuracy")):
        for validation, prefix in ((None, ""), (digits(20, seed=3), "val_")):
            seen.clear()
            model = small()
            optimizer = nn.optim.SGD(model.parameters(), lr=0.01)
            made = nn.Trainer(model, optimizer, schedule=Plateau(optimizer, mode), show="quiet")
            history = made.fit(digits(), validation, epochs=2)
            assert seen == history[prefix + name]
    made = nn.Trainer(model, optimizer, metrics=[], schedule=Plateau(optimizer, "max"), show="quiet")
    with pytest.raises(
        ValueError, match=r"^Trainer.fit: ReduceLROnPlateau looks at accuracy, which is none of loss, lr$"
    ):
        made.fit(digits())


# --- callbacks -------------------------------------------------------------------------------------------------------


class Log(nn.training.Callback):
    def __init__(self, stop_at=None):
        self.seen, self.stop_at = [], stop_at

    def on_fit_start(self, trainer):
        self.seen.append("start")

    def on_epoch_start(self, trainer):
        self.seen.append(f"epoch {trainer.epoch}")

    def on_batch_end(self, trainer):
        self.seen.append(trainer.step)
        if trainer.step == self.stop_at:
            trainer.stop()

    def on_epoch_end(self, trainer):
        self.seen.append(f"done {trainer.history.epochs}")

    def on_fit_end(self, trainer):
        self.seen.append("end")


def test_callbacks_come_at_their_times():
    log = Log()
    trainer(callbacks=[log, nn.training.Callback()]).fit(digits(40), epochs=2, batch_size=20)
    assert log.seen == ["start", "epoch 1", 1, 2, "done 1", "epoch 2", 3, 4, "done 2", "end"]


def test_a_callback_can_end_the_training():
    log = Log(stop_at=3)
    made = trainer(callbacks=log)
    history = made.fit(digits(40), digits(20), epochs=5, batch_size=10)
    assert log.seen == ["start", "epoch 1", 1, 2, 3, "done 1", "end"]
    assert history.epochs == 1
    log.stop_at = None
    assert made.fit(digits(40), epochs=2).epochs == 2  # it is no lasting state


# --- what goes wrong -------------------------------------------------------------------------------------------------


def failing(kind, step):
    """A loss that is `kind` at that step, or whose gradient is."""
    cross_entropy = nn.CrossEntropyLoss()
    calls = []

    def loss(outputs, targets):
        calls.append(0)
        good = cross_entropy(outputs, targets)
        if len(calls) < step:
            return good
        if kind == "gradient":
            return good + (outputs.sum() * 0).abs().sqrt()  # sqrt at 0: its value is 0, its slope infinite
        return good * float(kind)

    return loss


@pytest.mark.parametrize(
    ("kind", "what"), [("nan", "the loss is nan"), ("inf", "the loss is inf"), ("gradient", "a gradient is not finite")]
)
def test_nan_stops_the_training_before_it_spoils_the_model(kind, what):
    data = nn.data.DataLoader(digits(40), 10)
    expected = small()
    trainer(expected).fit(nn.data.DataLoader([*zip(*digits(40), strict=True)][:20], 10))
    model = small()
    made = trainer(model, loss=failing(kind, step=3))
    with pytest.raises(FloatingPointError) as error:
        made.fit(data)
    assert str(error.value) == (
        f"Trainer.fit: {what} at epoch 1, step 3 (batch 3 of the epoch), lr = 0.05; the model is as it was before "
        "this step. Likely: try a smaller learning rate, such as 0.005, or clip the gradients, clip_norm=1.0; "
        "`with tg.detect_nan():` around fit names the operation that makes it"
    )
    same(values(model), values(expected))  # the running means of batch norm too
    assert model.training


def test_nan_among_the_data_is_told_as_such():
    x, y = digits(40)
    x[13, 2] = np.nan
    with pytest.raises(FloatingPointError, match=r"step 2 .* Likely: x of this batch holds NaN or infinity: clean the"):
        trainer().fit(nn.data.DataLoader((x, y), 10))


def test_large_gradients_are_no_error():
    x, y = digits(8)
    model = nn.Sequential(nn.Linear(5, 3, rng=np.random.default_rng(0)))
    made = trainer(model, lr=1e-25, loss=lambda out, y: nn.CrossEntropyLoss()(out, y) * 1e25)
    assert math.isfinite(made.fit((x, y))["loss"][0])  # the sum of the gradients' squares is beyond float32


def optimizer_of(model):
    return nn.optim.SGD(model.parameters(), lr=0.1)


MODEL, OTHER = small(), small()
MISTAKES = [
    (lambda: nn.Trainer(3, None), TypeError, "Trainer: model must be an nn.Module, got int"),
    (lambda: nn.Trainer(MODEL, "adam"), TypeError, "Trainer: optimizer must be an optimizer of nn.optim, got str"),
    (
        lambda: nn.Trainer(MODEL, optimizer_of(OTHER)),
        ValueError,
        "Trainer: the optimizer has none of the model's parameters; was the model made anew since?",
    ),
    (
        lambda: trainer(loss="mse"),
        TypeError,
        "Trainer: loss must be a function of outputs and targets, got 'mse'",
    ),
    (
        lambda: trainer(loss=nn.MSELoss),
        TypeError,
        "Trainer: loss must be a function of outputs and targets, got the class MSELoss; write MSELoss()",
    ),
    (
        lambda: trainer(metrics=["accuracy"]),
        TypeError,
        "Trainer: metrics must be a list of nn.training.Metrics, got 'accuracy'",
    ),
    (
        lambda: trainer(callbacks=[print]),
        TypeError,
        "Trainer: callbacks must be a list of nn.training.Callbacks, got <built-in function print>",
    ),
    (
        lambda: trainer(schedule=0.1),
        TypeError,
        "Trainer: schedule must be a schedule of nn.optim, got float",
    ),
    (
        lambda: trainer(schedule=nn.optim.ExponentialLR(optimizer_of(OTHER), 0.5)),
        ValueError,
        "Trainer: schedule must be one of the same optimizer, got one of another",
    ),
    (
        lambda: trainer(schedule_every="hour"),
        ValueError,
        'Trainer: schedule_every must be one of "epoch", "step", got \'hour\'',
    ),
    (lambda: trainer(clip_norm=0), ValueError, "Trainer: clip_norm must be greater than 0 and finite, got 0"),
    (lambda: trainer(seed=-1), ValueError, "Trainer: seed must be 0 or more, got -1"),
    (lambda: trainer(show="loud"), ValueError, 'Trainer: show must be one of "auto", "quiet", got \'loud\''),
    (lambda: trainer().fit(digits(), epochs=0), ValueError, "Trainer: epochs must be positive, got 0"),
    (
        lambda: trainer().fit(iter([])),
        ValueError,
        "Trainer.fit: the training data gave no batch; a generator can be gone through only once",
    ),
    (
        lambda: trainer().fit(nn.data.mnist_mini()),
        TypeError,
        "DataLoader: data must be one pair (x, y), got 2 tuples of arrays; unpack them first: "
        "train, test = nn.data.mnist_mini()",
    ),
    (
        lambda: trainer().fit(digits()[0]),
        TypeError,
        "Trainer: data must be inputs and targets in one tuple, (x, y), a data set or a DataLoader; "
        "got an array of shape (60, 5) alone",
    ),
    (
        lambda: trainer().fit([(1.0,), (2.0,)]),
        TypeError,
        "Trainer: a batch must have inputs and targets, (x, y); got one of 1 parts",
    ),
    (
        lambda: trainer().fit(iter([3])),
        TypeError,
        "Trainer: a batch must have inputs and targets, (x, y); got int",
    ),
    (
        lambda: trainer(loss=nn.CrossEntropyLoss(reduction="none")).fit(digits()),
        TypeError,
        "Trainer: the loss must be a tensor of one number, such as the batch's mean, got shape (32,)",
    ),
    (
        lambda: trainer(loss=lambda outputs, y: 1.0).fit(digits()),
        TypeError,
        "Trainer: the loss must be a tensor of one number, such as the batch's mean, got float",
    ),
]


@pytest.mark.parametrize(("mistake", "kind", "message"), MISTAKES, ids=[message for *_, message in MISTAKES])
def test_mistakes(mistake, kind, message):
    with pytest.raises(kind, match=f"^{re.escape(message)}$"):
        mistake()
