"""Loaders that are stopped, saved, loaded and resumed; batches made ahead; what data may look like."""

import signal
import subprocess
import sys
import threading
import time
import traceback

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nn
import tensorgraph as tg
from nn.data import DataLoader, ImageSet, cutout, normalize, random_crop, random_flip

X = np.random.default_rng(0).random((23, 2, 5, 5)).astype(np.float32)
Y = np.arange(23)
AUGMENT = [random_crop(1), random_flip(), normalize(0.5, 0.2), cutout(2)]


def loader(rng=7, transform=AUGMENT, **settings):
    return DataLoader((X, Y), 4, shuffle=True, rng=rng, transform=transform, **settings)


def frozen(batches):
    """Batches as something to compare."""
    return [tuple(column.tobytes() for column in batch) for batch in batches]


def taken(batches, count):
    """The first of the batches; the loop is left then."""
    found = [next(batches) for _ in range(count)]
    batches.close()
    return found


def saved(state, folder):
    """Through a file, as a program would."""
    nn.save(folder / "state", state)
    return nn.load(folder / "state")


# --- stopped and resumed ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefetch", [False, 3])
@pytest.mark.parametrize("done", range(7))
def test_a_stopped_pass_goes_on(tmp_path, done, prefetch):
    whole = loader()
    expected = [frozen(whole) for _ in range(4)]
    stopped = loader(prefetch=prefetch)
    assert frozen(stopped) == expected[0]
    first = frozen(taken(iter(stopped), done))
    again = loader(rng=99, prefetch=prefetch)
    again.load_state_dict(saved(stopped.state_dict(), tmp_path))
    rest = [frozen(again) for _ in range(3)]
    if done == 0:  # an iteration that was not begun
        assert rest == expected[1:4]
    else:
        assert first + rest[0] == expected[1]
        assert rest[1:] == expected[2:4]


def test_after_the_last_batch_nothing_is_left_of_a_pass():
    """The loop body runs with the last batch: the pass is not finished, but has no more batches."""
    whole = loader()
    expected = [frozen(whole) for _ in range(2)]
    stopped, again = loader(), loader(rng=99)
    for _ in stopped:
        state = stopped.state_dict()
    again.load_state_dict(state)
    assert list(again) == []
    assert frozen(again) == expected[1]
    again.load_state_dict(stopped.state_dict())  # after the loop
    assert frozen(again) == expected[1]


def test_a_state_can_be_taken_again_before_anything_is_yielded():
    stopped, one, two = loader(), loader(rng=1), loader(rng=2)
    taken(iter(stopped), 2)
    one.load_state_dict(stopped.state_dict())
    two.load_state_dict(one.state_dict())
    assert one.state_dict() == two.state_dict() == stopped.state_dict()
    assert frozen(two) == frozen(one)


def test_a_loop_that_was_left_begins_anew_unless_a_state_is_loaded():
    whole, left = loader(), loader()
    expected = [frozen(whole) for _ in range(2)]
    taken(iter(left), 2)
    assert frozen(left) == expected[1]


def test_a_state_is_that_of_the_pass_that_began_last():
    both, one = loader(), loader()
    outer, inner = iter(both), iter(both)
    next(outer), next(inner), next(inner)
    one.load_state_dict(both.state_dict())
    rest = frozen(inner)
    assert frozen(one) == rest
    list(outer)  # the end of another pass
    assert both.state_dict().get("pass") is None


def test_the_librarys_generator_gives_only_the_seed(seeded):
    seeded(3)
    stopped = loader(rng=None)
    batches = iter(stopped)
    next(batches)
    state, library = stopped.state_dict(), tg.default_rng().bit_generator.state
    assert set(state) == {"pass"}
    rest, following = frozen(batches), frozen(stopped)
    again = loader(rng=None)
    again.load_state_dict(state)
    tg.default_rng().bit_generator.state = library  # as whoever saves the whole training does
    assert [frozen(again), frozen(again)] == [rest, following]


def test_a_shared_generator_goes_on_where_it_was():
    """Others may have drawn from it in the middle of the pass."""
    rng = np.random.default_rng(1)
    stopped = loader(rng=rng)
    batches = iter(stopped)
    next(batches)
    rng.random(10)
    state = stopped.state_dict()
    drawn = rng.random()
    other = np.random.default_rng(2)
    again = loader(rng=other)
    again.load_state_dict(state)
    assert other.random() == drawn
    assert frozen(again) == frozen(batches)


@pytest.mark.parametrize("kind", [np.random.MT19937, np.random.Philox, np.random.SFC64, np.random.PCG64DXSM])
def test_any_generator(tmp_path, kind):
    stopped, again = (loader(rng=np.random.Generator(kind(seed))) for seed in (1, 2))
    batches = iter(stopped)
    next(batches)
    again.load_state_dict(saved(stopped.state_dict(), tmp_path))
    assert [frozen(again), frozen(again)] == [frozen(batches), frozen(stopped)]


def test_without_randomness_only_the_number_of_batches_counts(seeded):
    before = tg.default_rng().bit_generator.state
    plain = DataLoader((X, Y), 4)
    batches = iter(plain)
    next(batches)
    again = DataLoader((X, Y), 4)
    again.load_state_dict(plain.state_dict())
    assert frozen(again) == frozen(batches)
    assert tg.default_rng().bit_generator.state == before


@given(st.lists(st.integers(0, 6), max_size=6), st.booleans())
def test_stopped_again_and_again(stops, drop_last):
    """A chain of loaders, each of which goes on where the one before was stopped."""
    expected, whole = [], loader(drop_last=drop_last)
    for _ in range(len(stops) + 2):
        expected += frozen(whole)
    found, current = [], loader(drop_last=drop_last)
    for stop in stops:
        for i, batch in enumerate(current):
            if i == stop:
                break  # this one was yielded, so it counts
            found += frozen([batch])
        else:
            continue
        found += frozen([batch])
        following = loader(rng=0, drop_last=drop_last)
        following.load_state_dict(current.state_dict())
        current = following
    found += frozen(current)
    assert found == expected[: len(found)]


def good():
    stopped = loader()
    taken(iter(stopped), 2)
    return stopped.state_dict()


def changed(**entries):
    state = good()
    return state | {"pass": state["pass"] | entries}


@pytest.mark.parametrize(
    ("state", "fault"),
    [
        (dict, "it has the entries none, this loader needs rng"),
        (lambda: good() | {"epoch": 3}, "it has the entries epoch, pass, rng, this loader needs pass, rng"),
        (lambda: {"pass": good()["pass"]}, "it has the entries pass, this loader needs pass, rng"),
        (lambda: good() | {"rng": {}}, "its rng is not the state of a PCG64"),
        (lambda: good() | {"rng": np.random.MT19937(0).state}, "its rng is not the state of a PCG64"),
        (lambda: good() | {"rng": 3}, "its rng is not the state of a PCG64"),
        (lambda: good() | {"pass": 3}, "its pass must be a dict, got 3"),
        (lambda: changed(batch_size=8), "its pass has batch_size = 8, this loader 4"),
        (lambda: changed(examples=24), "its pass has examples = 24, this loader 23"),
        (lambda: changed(shuffle=False), "its pass has shuffle = False, this loader True"),
        (lambda: changed(drop_last=True), "its pass has drop_last = True, this loader False"),
        (lambda: changed(batches=7), "its pass has batches = 7, this loader 0 to 6"),
        (lambda: changed(batches=-1), "its pass has batches = -1, this loader 0 to 6"),
        (lambda: changed(batches=2.0), r"its pass has batches = 2\.0, this loader 0 to 6"),
        (lambda: changed(seed="a"), "its pass has seed = 'a', which must be an integer of 0 or more"),
        (lambda: changed(seed=-1), "its pass has seed = -1, which must be an integer of 0 or more"),
        (lambda: changed(seed=None), "its pass has seed = None, which must be an integer of 0 or more"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(state, fault):
    one, two = loader(), loader()
    taken(iter(one), 1), taken(iter(two), 1)
    with pytest.raises(ValueError, match=f"^DataLoader.load_state_dict: the state does not fit: {fault}$"):
        one.load_state_dict(state())
    assert one.state_dict() == two.state_dict()
    assert frozen(one) == frozen(two)


# --- transforms ------------------------------------------------------------------------------------------------------


def test_transforms_follow_one_another_and_each_batch_has_its_generator():
    seen = []

    def noted(x, rng):
        seen.append(rng.random())
        return x + 1

    found = list(DataLoader((X, Y), 10, rng=1, transform=[noted, np.sqrt, lambda x: x * 2]))
    np.testing.assert_array_equal(np.concatenate([x for x, _ in found]), np.sqrt(X + 1) * 2)
    assert len(set(seen)) == 3
    again = list(seen)
    list(DataLoader((X, Y), 10, rng=1, transform=noted))
    assert seen[3:] == again


def test_a_transform_may_be_an_object():
    class Plus:
        def __call__(self, x, *, rng):
            return x + int(rng.integers(1, 2))

    ((x, _),) = DataLoader((X, Y), 23, transform=Plus(), rng=0)
    np.testing.assert_array_equal(x, X + 1)


def test_images_that_are_shown_again_are_augmented_anew():
    batches = DataLoader((X, Y), 23, rng=0, transform=random_crop(2))
    ((first, _),), ((second, _),) = batches, batches
    assert (first != second).any()


def test_a_transform_that_cannot_be_called():
    with pytest.raises(TypeError, match=r"^DataLoader: transform must be a function or a list of functions, got 3$"):
        DataLoader((X, Y), transform=3)
    with pytest.raises(
        TypeError, match=r"^DataLoader: transform must be a function or a list of functions, got \[3\]$"
    ):
        DataLoader((X, Y), transform=[3])


# --- batches made ahead ----------------------------------------------------------------------------------------------


def threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("DataLoader")]


@pytest.mark.parametrize("prefetch", [True, 1, 2, 100])
def test_batches_made_ahead_are_the_same(prefetch):
    one, two = loader(), loader(prefetch=prefetch)
    assert [frozen(one), frozen(one)] == [frozen(two), frozen(two)]
    assert threads() == []


def test_as_many_are_made_ahead_as_said():
    made = []

    def noted(x):
        made.append(len(x))
        return x

    batches = iter(DataLoader((X,), 1, transform=noted, prefetch=3))
    next(batches)
    limit = time.monotonic() + 10
    while len(made) < 4 and time.monotonic() < limit:
        time.sleep(0.001)
    time.sleep(0.02)
    assert len(made) == 4  # the one in use, and three
    batches.close()


def test_an_error_of_the_thread_comes_where_its_batch_would_have():
    def fails_at_the_third(x):
        if x[0] == 2:
            raise KeyError("the third")
        return x

    batches = iter(DataLoader((np.arange(5),), 1, transform=fails_at_the_third, prefetch=2))
    found = [next(batches)[0].item() for _ in range(2)]
    with pytest.raises(KeyError, match="the third") as error:
        next(batches)
    assert found == [0, 1]
    assert "fails_at_the_third" in "".join(traceback.format_tb(error.tb))
    assert threads() == []


def test_no_thread_is_left_behind_by_a_loop_that_is_left():
    for x, _ in loader(prefetch=5):
        assert len(x)
        break
    assert threads() == []
    batches = iter(loader(prefetch=5))
    next(batches)
    assert len(threads()) == 1
    del batches
    assert threads() == []


def test_no_thread_begins_before_the_first_batch_is_asked_for():
    batches = iter(loader(prefetch=2))
    assert threads() == []
    assert len(list(batches)) == 6


SLOW = """
import time, numpy as np, nn
def slow(x):
    time.sleep(0.3)
    return x
for i, batch in enumerate(nn.data.DataLoader((np.arange(1000),), 1, transform=slow, prefetch=4)):
    print(i, flush=True)
"""


def test_ctrl_c_ends_a_loop_that_waits_for_its_thread():
    process = subprocess.Popen([sys.executable, "-c", SLOW], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "0\n"
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - began < 20  # all batches would take 300 seconds
    assert errors.endswith("KeyboardInterrupt\n")
    assert process.returncode == -signal.SIGINT


# --- what data may look like -----------------------------------------------------------------------------------------


def test_memory_maps_are_read_batch_by_batch(tmp_path):
    """A file of 8 GB, of which nothing is on the disk but what was written: read whole, it would not fit."""
    x = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, (200_000, 10_000))
    chosen = np.random.default_rng(0).integers(0, 200_000, 3)
    x[chosen, 0] = [1, 2, 3]
    opened = np.load(tmp_path / "x.npy", mmap_mode="r")
    sizes = DataLoader((opened, np.arange(200_000)), 100, shuffle=True, rng=0)
    for i, (batch, numbers) in enumerate(sizes):
        assert type(batch) is np.ndarray
        np.testing.assert_array_equal(batch[:, 0], x[numbers, 0])
        if i == 3:
            break
    (batch, _), *_ = DataLoader((opened[chosen], chosen), 3)
    assert batch[:, 0].tolist() == [1, 2, 3]


def test_an_array_alone_is_one_column():
    assert [x.shape for (x,) in DataLoader(X, 20)] == [(20, 2, 5, 5), (3, 2, 5, 5)]
    assert [x.shape for (x,) in DataLoader(tg.tensor(X), 20)] == [(20, 2, 5, 5), (3, 2, 5, 5)]


def test_a_set_of_images():
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 4, 4), np.uint8)
    data = ImageSet(images, np.array([0, 1, 2, 1, 0]), "abc")
    found = list(DataLoader(data, 2, shuffle=True, rng=0))
    order = np.concatenate([y for _, y in found])
    assert sorted(order.tolist()) == [0, 0, 1, 1, 2]
    assert {x.dtype for x, _ in found} == {np.dtype(np.float32)}
    every = np.concatenate([x for x, _ in DataLoader(data, 2)])
    np.testing.assert_array_equal(every, (images / 255).astype(np.float32))
    for i, (image, label) in enumerate(data):
        np.testing.assert_array_equal(image, every[i])
        assert label == data.labels[i]
        assert type(label) is int


class Table:
    """Like a data set of Hugging Face: examples are dicts, and several at once a dict of lists."""

    def __init__(self, examples, together=True):
        self.examples, self.together, self.reads = examples, together, []

    def __len__(self):
        return len(self.examples)

    def __getitem__(self, which):
        self.reads.append(which)
        if isinstance(which, int):
            return self.examples[which]
        if not self.together:
            raise TypeError("an integer, please")
        return {key: [self.examples[i][key] for i in which] for key in self.examples[0]}

    def batch(self, size):
        raise AssertionError("Hugging Face's data sets have such a method, which is something else")


@pytest.mark.parametrize("together", [True, False])
def test_examples_that_are_dicts(together):
    data = Table([{"image": np.full((1, 2, 2), i), "label": i} for i in range(5)], together)
    made = DataLoader(data, 2)
    data.reads.clear()
    found = list(made)
    assert [x[:, 0, 0, 0].tolist() for x, _ in found] == [[0, 1], [2, 3], [4]]
    assert [y.tolist() for _, y in found] == [[0, 1], [2, 3], [4]]
    assert data.reads == ([[0, 1], [2, 3], [4]] if together else [0, 1, 2, 3, 4])


@pytest.mark.parametrize(
    ("mode", "colour", "shape", "expected"),
    [
        ("L", 51, (1, 3, 2), [0.2]),
        ("RGB", (255, 0, 51), (3, 3, 2), [1, 0, 0.2]),
        ("1", 1, (1, 3, 2), [1]),
        ("RGBA", (255, 51, 0, 128), (3, 3, 2), [1, 0.2, 0]),
        ("P", 0, (3, 3, 2), [0, 0, 0]),
    ],
)
@pytest.mark.parametrize("together", [True, False])
def test_pictures_of_pillow(mode, colour, shape, expected, together):
    picture = pytest.importorskip("PIL.Image").new(mode, (2, 3), colour)
    ((x, y),) = DataLoader(Table([{"image": picture, "label": 7}] * 2, together), 2)
    assert x.dtype == np.float32
    assert x.shape == (2, *shape)
    np.testing.assert_allclose(x[0, :, 0, 0], expected, rtol=1e-6)
    assert y.tolist() == [7, 7]


def test_lists_of_pairs_of_numbers_and_of_single_things():
    assert [tuple(c.tolist() for c in b) for b in DataLoader([[1, 2], [3, 4], [5, 6]], 2)] == [
        ([1, 3], [2, 4]),
        ([5], [6]),
    ]
    assert [x.tolist() for (x,) in DataLoader([1, 2, 3], 2)] == [[1, 2], [3]]
    assert [x.tolist() for (x,) in DataLoader(range(3), 2)] == [[0, 1], [2]]


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        (
            [(np.zeros((2, 3)), 0), (np.zeros((3, 2)), 1)],
            tg.ShapeError,
            r"DataLoader: field 0 of the examples has the shapes \(2, 3\) and \(3, 2\); "
            "examples of one batch must have one shape$",
        ),
        ([(1, 2), (1, 2, 3)], tg.ShapeError, "DataLoader: the examples of a batch have 2 and 3 fields"),
        (
            {"x": X, "y": Y},
            TypeError,
            "DataLoader: data must be a tuple of arrays or a sequence of examples, got dict; "
            "give the arrays of a dict as a tuple$",
        ),
    ],
)
def test_data_that_do_not_fit(data, kind, message):
    with pytest.raises(kind, match=f"^{message}"):
        list(DataLoader(data, 2))


def test_pillow_is_not_imported_for_data_without_pictures():
    if "PIL.Image" not in sys.modules:
        list(DataLoader([(1, 2)], 1))
        assert "PIL.Image" not in sys.modules
