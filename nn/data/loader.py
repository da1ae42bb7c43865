"""Batches of examples, shuffled and augmented if wished, from where they were left."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

import tensorgraph as tg
from nn._checks import count
from nn.data.prefetch import prefetched
from nn.data.sources import reader

Array = np.ndarray[Any, np.dtype[Any]]
Transform = Callable[..., Any]


class DataLoader:
    """Goes through data in batches, in a new order each time if shuffled.

    All randomness of a pass comes from one seed, drawn when the pass begins, and that of a batch from this seed and the
    number of the batch. So it does not matter whether batches are made ahead, or whether the pass was interrupted.

    Arguments:
        data: a tuple of arrays of equal length, such as (x, y), which may lie in files (np.memmap); a data set such as
            `nn.data.MNIST()`; or any sequence of examples, each a tuple such as (image, label) or a dict such as
            {"image": image, "label": label}. Pictures of Pillow become (C, H, W), float32 in [0, 1].
        batch_size: the number of examples in a batch. The last batch is smaller if it does not divide; drop_last leaves
            that one out.
        shuffle: draw the order anew for each pass, every example once. rng: where seeds come from, a generator or
            a seed; the library's own generator if None.
        transform: a function of the batch's x, such as an augmentation, whose result is yielded in its place; or
            several in a list, one after the other. One with an argument named rng is given the batch's generator.
        prefetch: make so many batches ahead, in a thread; True is 2.

    Yields:
        One tuple a batch, such as (x, y) with x (batch_size, ...) and y (batch_size,), of NumPy arrays.

    Raises:
        ShapeError: the arrays differ in length. TypeError, ValueError: an argument is impossible, there are no data.

    Example:
        >>> import nn, numpy as np
        >>> loader = nn.data.DataLoader((np.arange(5), np.arange(5) ** 2), batch_size=2)
        >>> [y.tolist() for x, y in loader]
        [[0, 1], [4, 9], [16]]
    """

    def __init__(
        self,
        data: Any,
        batch_size: int = 32,
        shuffle: bool = False,
        rng: np.random.Generator | int | None = None,
        drop_last: bool = False,
        transform: Transform | Sequence[Transform] | None = None,
        prefetch: bool | int = False,
    ) -> None:
        if isinstance(batch_size, (np.ndarray, tg.Tensor, list, tuple)):
            raise TypeError(
                f"DataLoader: batch_size must be an integer, got {type(batch_size).__name__}; "
                "give arrays that belong together as one tuple, DataLoader((x, y))"
            )
        self.data = data
        self._examples, self._read = reader("DataLoader", data)
        self.batch_size = count(self, "batch_size", batch_size)
        self.shuffle = shuffle
        self.rng = None if rng is None else np.random.default_rng(rng)
        self.drop_last = drop_last
        self.transform = transform
        _with_rng(transform)
        self.prefetch = 2 * prefetch if isinstance(prefetch, bool) else count(self, "prefetch", prefetch, 0)
        self._pass: _Pass | None = None  # the pass that is running or was interrupted
        self._resumes = False  # whether the next iteration goes on with it
        if not self._examples:
            raise ValueError("DataLoader: the data are empty")
        if drop_last and batch_size > self._examples:
            raise ValueError(
                f"DataLoader: batch_size = {batch_size} with drop_last leaves no batch of {self._examples} examples"
            )

    def __len__(self) -> int:
        """The number of batches in a pass."""
        return self._examples // self.batch_size if self.drop_last else math.ceil(self._examples / self.batch_size)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        transforms = _with_rng(self.transform)
        if not self._resumes or self._pass is None:
            self._pass = _Pass(int((self.rng or tg.default_rng()).integers(2**63)) if self._random() else None)
        self._resumes = False
        current = self._pass
        order = np.arange(self._examples)
        if self.shuffle:
            current.generator(0).shuffle(order)

        def batch(i: int) -> tuple[Any, ...]:
            x, *others = self._read(order[i * self.batch_size : (i + 1) * self.batch_size])
            rng = current.generator(i + 1) if any(random for _, random in transforms) else None
            for transform, random in transforms:
                x = transform(x, rng=rng) if random else transform(x)
            return (x, *others)

        numbers = range(current.batches, len(self))
        for made in prefetched(batch, numbers, self.prefetch) if self.prefetch else map(batch, numbers):
            current.batches += 1
            yield made
        if self._pass is current:
            self._pass = None

    def _random(self) -> bool:
        return self.shuffle or any(random for _, random in _with_rng(self.transform))

    def state_dict(self) -> dict[str, Any]:
        """Where this loader stands, for `nn.save`: the state of its generator, and of the pass that is not finished.

        A batch counts as done as soon as it was yielded. Where the library's own generator is used (rng=None), that
        one's state is not in it, but the seed of the pass is.
        """
        state: dict[str, Any] = {}
        if self.rng is not None:
            state["rng"] = self.rng.bit_generator.state
        if self._pass is not None:
            state["pass"] = self._settings() | {"batches": self._pass.batches}
            if self._pass.seed is not None:
                state["pass"]["seed"] = self._pass.seed
        return state

    def _settings(self) -> dict[str, Any]:
        """What must be the same for a pass to be the same."""
        return {
            "examples": self._examples,
            "batch_size": self.batch_size,
            "shuffle": bool(self.shuffle),
            "drop_last": bool(self.drop_last),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where a loader of the same data and settings stood.

        The next iteration yields the batches that were left of its unfinished pass, if there was one; it yields none if
        all were, but the loop had not come to its end. Every later pass is as it would have been.

        Raises:
            ValueError: the state is not one, or of a loader with other data or settings. Nothing has changed then.

        Example:
            >>> import nn, numpy as np
            >>> def loader():
            ...     return nn.data.DataLoader((np.arange(6),), batch_size=2, shuffle=True, rng=0)
            >>> one, two = loader(), loader()
            >>> batches = iter(one)
            >>> first = next(batches)
            >>> two.load_state_dict(one.state_dict())
            >>> [x.tolist() for (x,) in two] == [x.tolist() for (x,) in batches]
            True
        """
        try:
            interrupted = self._checked(state)
        except ValueError as fault:
            raise ValueError(f"DataLoader.load_state_dict: the state does not fit: {fault}") from None
        if self.rng is not None:
            self.rng.bit_generator.state = state["rng"]
        self._pass, self._resumes = interrupted, interrupted is not None

    def _checked(self, state: Mapping[str, Any]) -> _Pass | None:
        """The unfinished pass of a state that fits this loader."""
        needed = {name for name, used in (("rng", self.rng is not None), ("pass", "pass" in state)) if used}
        if set(state) != needed:
            raise ValueError(f"it has the entries {_words(state)}, this loader needs {_words(needed)}")
        if self.rng is not None:
            kind = type(self.rng.bit_generator)
            try:
                kind().state = state["rng"]
            except (KeyError, TypeError, ValueError, OverflowError):
                raise ValueError(f"its rng is not the state of a {kind.__name__}") from None
        if "pass" not in state:
            return None
        if not isinstance(state["pass"], Mapping):
            raise ValueError(f"its pass must be a dict, got {state['pass']!r}")
        interrupted = dict(state["pass"])
        seed, batches = interrupted.pop("seed", None), interrupted.pop("batches", None)
        for name, own in self._settings().items():
            if interrupted.get(name) != own:
                raise ValueError(f"its pass has {name} = {interrupted.get(name)}, this loader {own}")
        if type(batches) is not int or not 0 <= batches <= len(self):
            raise ValueError(f"its pass has batches = {batches}, this loader 0 to {len(self)}")
        if self._random() and (type(seed) is not int or seed < 0):
            raise ValueError(f"its pass has seed = {seed!r}, which must be an integer of 0 or more")
        return _Pass(seed, batches)


class _Pass:
    """One way through the data: where its randomness comes from, and how many batches were yielded."""

    def __init__(self, seed: int | None, batches: int = 0) -> None:
        self.seed = seed
        self.batches = batches

    def generator(self, n: int) -> np.random.Generator:
        """Number 0 draws the order, number i + 1 is for batch i."""
        assert self.seed is not None
        return np.random.default_rng((self.seed, n))


def _words(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _with_rng(transform: Any) -> list[tuple[Transform, bool]]:
    """The transforms in order, each with whether it has an argument rng."""
    if transform is None:
        return []
    import inspect  # here, as importing nn should be fast

    def random(function: Transform) -> bool:
        if not callable(function):
            raise TypeError(f"DataLoader: transform must be a function or a list of functions, got {transform!r}")
        try:
            return "rng" in inspect.signature(function).parameters
        except ValueError:  # a function of C without a signature
            return False

    return [(each, random(each)) for each in (transform if isinstance(transform, (list, tuple)) else [transform])]
