"""Any number of inputs through a language model: tokenized behind, computed here, handed on in order.

A thread takes inputs a window at a time, tokenizes them and makes batches of similar length out of each
window; the next batches are ready while this one is computed. Memory holds a window or two, however many
inputs there are.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from queue import Empty, Full, Queue
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aisle.retriever.engine.lanes import Lanes
from aisle.retriever.engine.pieces import Pieces, batches, padded, windows

T = TypeVar("T")

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

AHEAD = 32
"""Batches that are ready before they are computed, at most."""

PATIENCE = 0.1
"""Seconds after which the thread looks whether anybody still waits for it."""


@dataclass(frozen=True)
class Batch(Generic[T]):
    """Pieces of similar length.

    Attributes:
        tokens: inputs of a language model (pieces, tokens), padded on the right; without attention_mask where
            all are equally long.
        inputs: that the pieces are of.
        rows: places of these inputs among the distinct ones of their window.
        share: of the input that a piece holds; None: all of it.
        among: batches of their window.
    """

    tokens: dict[str, Tensor]
    inputs: list[T]
    rows: Rows
    share: Floats | None
    among: int

    def on(self, device: torch.device) -> "Batch[T]":
        """The same on a device."""
        tokens = {name: value.to(device, non_blocking=True) for name, value in self.tokens.items()}
        return replace(self, tokens=tokens)


@dataclass(frozen=True)
class Job(Generic[T]):
    """What is done with inputs.

    Attributes:
        tokenize: pieces of some inputs; called in another thread, a window at a time.
        compute: a row of numbers, or one number, for each piece of a batch.
        device: where batches are computed.
        budget: tokens of a batch, padding included.
        pad: token that fills up.
        weight: characters of an input; None: not worth counting.
        settled: whether the first batch need not be computed before all others, which settles the arithmetic.
    """

    tokenize: Callable[[list[T]], Pieces]
    compute: Callable[[Batch[T]], Tensor]
    device: torch.device
    budget: int
    pad: int
    weight: Callable[[T], int] | None = None
    settled: Callable[[], bool] = lambda: True


Made = Batch[Any] | Rows | BaseException | None
"""A batch; the place of each input of a complete window among the distinct ones; an error; the end."""

Begun = tuple[Batch[Any], Callable[[], Floats]]
"""A batch that is at work, and what waits for its result."""


def stream(inputs: Iterable[T], job: Job[T]) -> Iterator[Floats]:
    """Results in the order of the inputs, a window at a time: float32 (inputs, ...), summed over pieces.

    Inputs that are equal and in the same window are computed once.

    Raises:
        Exception: whatever `inputs` or `job` raise.
    """
    ready: Queue[Made] = Queue(AHEAD)
    left = threading.Event()
    behind = threading.Thread(target=_prepare, args=(inputs, job, ready, left), daemon=True)
    behind.start()
    try:
        yield from _computed(ready, job)
    finally:
        left.set()
        with suppress(Empty):
            while True:
                ready.get_nowait()
        behind.join()


def _computed(ready: "Queue[Made]", job: Job[Any]) -> Iterator[Floats]:
    begun: deque[Begun | Rows] = deque()
    parts: list[tuple[Batch[Any], Floats]] = []
    lanes = Lanes(job.device)
    first = not job.settled()  # it is waited for: the arithmetic is settled by it, and by no other
    try:
        while (made := ready.get()) is not None:
            if isinstance(made, BaseException):
                yield from _taken(begun, parts, 0)
                raise made
            begun.append((made, _begun(made, job, lanes)) if isinstance(made, Batch) else made)
            nothing_else = isinstance(made, np.ndarray) and ready.empty()
            yield from _taken(begun, parts, 0 if first or nothing_else else lanes.count)
            first = False
        yield from _taken(begun, parts, 0)
    finally:
        lanes.end()


def _taken(
    begun: "deque[Begun | Rows]", parts: list[tuple[Batch[Any], Floats]], most: int
) -> Iterator[Floats]:
    """Wait until no more than `most` batches are at work; the results of windows that are complete then."""
    while begun and (len(begun) > most or isinstance(begun[0], np.ndarray)):
        one = begun.popleft()
        if isinstance(one, np.ndarray):
            yield _assembled(parts)[one]
            parts.clear()
        else:
            batch, result = one
            parts.append((batch, result()))


def _begun(batch: Batch[Any], job: Job[Any], lanes: Lanes) -> Callable[[], Floats]:
    """What gives the result of a batch: in a lane, or on all cores if they are idle and it is one of few."""

    def begin(batch: Batch[Any]) -> Callable[[], Floats]:
        with torch.inference_mode():
            return _fetched(job.compute(batch.on(job.device)))

    def compute(batch: Batch[Any]) -> Floats:
        return begin(batch)()

    alone = lanes.count == 1 or (batch.among < lanes.count and lanes.idle())
    return begin(batch) if alone else lanes.begin(compute, batch)


def _assembled(parts: list[tuple[Batch[Any], Floats]]) -> Floats:
    """Results of the distinct inputs of a window, each piece added to its input."""
    count = 1 + max(int(batch.rows.max()) for batch, _ in parts)
    found = np.zeros((count, *parts[0][1].shape[1:]), np.float32)
    for batch, result in parts:
        if batch.share is None:
            found[batch.rows] = result
        else:
            share = batch.share.reshape(-1, *[1] * (result.ndim - 1))
            np.add.at(found, batch.rows, share * result)
    return found


def _fetched(result: Tensor) -> Callable[[], Floats]:
    """What gives a result on the host; copied behind the next computation where that is on a GPU."""
    if result.device.type != "cuda":
        return lambda: result.float().cpu().numpy()
    host = torch.empty(result.shape, dtype=torch.float32, pin_memory=True)
    host.copy_(result.float(), non_blocking=True)
    done = torch.cuda.Event()  # type: ignore[no-untyped-call]
    done.record()

    def fetch() -> Floats:
        done.synchronize()
        return host.numpy()

    return fetch


def _prepare(inputs: Iterable[T], job: Job[T], ready: "Queue[Made]", left: threading.Event) -> None:
    """Fill the queue; what goes wrong goes into it too."""
    try:
        for window in windows(inputs, job.weight):
            place: dict[T, int] = {}
            rows = np.fromiter((place.setdefault(one, len(place)) for one in window), np.int64, len(window))
            for batch in batches_of(list(place), job):
                if not _put(ready, batch, left):
                    return
            if not _put(ready, rows, left):
                return
        _put(ready, None, left)
    except BaseException as error:  # raised again where somebody can catch it
        _put(ready, error, left)


def _put(ready: "Queue[Made]", made: Made, left: threading.Event) -> bool:
    while not left.is_set():
        with suppress(Full):
            ready.put(made, timeout=PATIENCE)
            return True
    return False


def batches_of(window: list[T], job: Job[T]) -> Iterator[Batch[T]]:
    """A window in batches, on the host; in memory that a GPU reads by itself where there is one."""
    pieces = job.tokenize(window)
    lengths = pieces.lengths
    cut = batches(lengths, job.budget)
    for chosen in cut:
        tokens = {"input_ids": padded([pieces.ids[place] for place in chosen], job.pad)}
        width = tokens["input_ids"].shape[1]
        if (lengths[chosen] < width).any():
            tokens["attention_mask"] = (np.arange(width) < lengths[chosen][:, None]).astype(np.int64)
        if pieces.types is not None:
            tokens["token_type_ids"] = padded([pieces.types[place] for place in chosen], 0)
        rows = chosen if pieces.owner is None else pieces.owner[chosen]
        arrays = {name: torch.from_numpy(array) for name, array in tokens.items()}
        if job.device.type == "cuda":
            arrays = {name: array.pin_memory() for name, array in arrays.items()}
        share = None if pieces.share is None else pieces.share[chosen]
        yield Batch(arrays, [window[row] for row in rows], rows, share, len(cut))
