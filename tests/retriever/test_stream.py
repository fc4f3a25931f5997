"""Windows and batches, side by side: results in the order of the inputs, and nothing waits for ever."""

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from aisle.data.errors import InputError
from aisle.retriever.engine import lanes, pieces
from aisle.retriever.engine import stream as engine
from aisle.retriever.engine.pieces import ENOUGH, FIRST, MOST, Pieces, batches, in_pieces, windows
from aisle.retriever.engine.stream import AHEAD, Batch, Job, stream
from aisle.retriever.lanes import in_lanes

CPU = torch.device("cpu")


def job(budget: int = 64, seen: list[list[str]] | None = None) -> Job[str]:
    """Counts letters: the result of a piece is its tokens' sum and number; tokens are the letters' codes."""

    def tokenize(texts: list[str]) -> Pieces:
        if seen is not None:
            seen.append(texts)
        return Pieces([[ord(letter) for letter in text] or [1] for text in texts])

    def compute(batch: Batch[str]) -> torch.Tensor:
        ids, mask = batch.tokens["input_ids"], batch.tokens.get("attention_mask")
        assert mask is None or (ids[mask == 0] == 0).all()
        real = torch.ones_like(ids) if mask is None else mask
        assert [len(text) or 1 for text in batch.inputs] == real.sum(1).tolist()
        return torch.stack([(ids * real).sum(1), real.sum(1)], 1).float()

    return Job(tokenize, compute, CPU, budget, pad=0)


def words(count: int) -> list[str]:
    rng = np.random.default_rng(0)
    return ["".join(rng.choice([*"abcd"], int(rng.integers(0, 9)))) for _ in range(count)]


def test_results_come_in_the_order_of_the_inputs() -> None:
    texts, seen = words(3 * FIRST + 5), []
    found = list(stream(iter(texts), job(seen=seen)))
    assert [len(block) for block in found] == [FIRST, 2 * FIRST, 5]
    expected = [[sum(map(ord, text)) or 1, len(text) or 1] for text in texts]
    assert np.concatenate(found).tolist() == expected
    assert all(len(window) == len(set(window)) for window in seen), "equal inputs are computed once"
    assert list(stream([], job())) == []


def test_batches_hold_all_pieces_within_their_budget() -> None:
    lengths = np.random.default_rng(1).integers(1, 40, 500)
    made = batches(lengths, 128)
    assert sorted(np.concatenate(made).tolist()) == list(range(500))
    assert all(len(rows) * lengths[rows].max() <= 128 for rows in made)
    assert max(lengths[made[-1]]) <= min(lengths[made[0]]), "longest first"
    assert [rows.tolist() for rows in batches(np.array([500, 3]), 128)] == [[0], [1]]


def test_batches_of_few_texts_are_hardly_padded() -> None:
    lengths = np.random.default_rng(2).integers(8, 128, 300)
    made = batches(lengths, 8192)
    assert sorted(np.concatenate(made).tolist()) == list(range(300))
    sizes = [len(rows) * int(lengths[rows].max()) for rows in made]
    assert 1 - lengths.sum() / sum(sizes) < 0.1, "in whole batches of 8192: 0.19"
    assert min(sizes[:-1]) >= ENOUGH * 8192, "and all but the last are worth a step"


def test_windows_end_by_number_and_by_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = [len(window) for window in windows(range(100_000))]
    assert sizes[:4] == [FIRST, 2 * FIRST, 4 * FIRST, 8 * FIRST]
    assert max(sizes) == MOST
    assert sum(sizes) == 100_000
    monkeypatch.setattr(pieces, "MOST_CHARACTERS", 10)
    assert list(windows(["a" * 6, "b" * 5, "c" * 30, "d"], len)) == [["a" * 6], ["b" * 5], ["c" * 30], ["d"]]


def test_a_long_input_is_the_mean_of_its_tokens() -> None:
    def compute(batch: Batch[str]) -> torch.Tensor:
        return batch.tokens["input_ids"].float().sum(1) / batch.tokens["input_ids"].ne(0).sum(1)

    said = {"long": [[1, 2, 3], [4, 5, 6], [7]], "short": [[8]]}
    made = Job[str](lambda texts: in_pieces([said[text] for text in texts]), compute, CPU, 8, pad=0)
    (found,) = stream(["short", "long"], made)
    assert found.tolist() == pytest.approx([8, (1 + 2 + 3 + 4 + 5 + 6 + 7) / 7])


def test_reading_ahead_is_bounded_and_ends_with_who_reads() -> None:
    read = 0

    def endless() -> Iterator[str]:
        nonlocal read
        while True:
            read += 1
            yield f"{read}"

    before = threading.active_count()
    found = stream(endless(), job(budget=1))
    assert next(found).shape == (FIRST, 2)
    assert read <= FIRST + 2 * FIRST + 4 * FIRST, "one window in work, one tokenized, one begun"
    assert AHEAD < FIRST
    found.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


@pytest.mark.parametrize("where", ["inputs", "tokenize", "compute"])
def test_what_goes_wrong_is_raised_where_it_is_read(where: str) -> None:
    def inputs() -> Iterator[str]:
        yield "a"
        if where == "inputs":
            raise InputError("a", "b", "c")

    def fail(*_: object) -> Pieces:
        raise InputError("a", "b", "c")

    plain = job()
    made = {
        "inputs": plain,
        "tokenize": Job[str](fail, plain.compute, CPU, 64, 0),
        "compute": Job[str](plain.tokenize, fail, CPU, 64, 0),  # type: ignore[arg-type]
    }[where]
    before = threading.active_count()
    with pytest.raises(InputError):
        list(stream(inputs(), made))
    assert threading.active_count() == before


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(lanes, "cores", lambda: 2)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("settled", "batches"), [(False, 9), (True, 8)])
def test_batches_side_by_side_have_a_core_each_and_keep_their_order(
    settled: bool, batches: int, two_cores: None
) -> None:
    plain, both, where, begun = job(), threading.Barrier(2), set(), []

    def compute(batch: Batch[str]) -> torch.Tensor:
        begun.append(batch.inputs)
        if settled or len(begun) > 1:  # the first settles the arithmetic, alone
            both.wait(timeout=30)  # nothing goes on until two of them are at work
        where.add((threading.current_thread().name, torch.get_num_threads()))
        return plain.compute(batch)

    texts = [f"{number:03d}" for number in range(batches)]
    made = Job[str](plain.tokenize, compute, CPU, 3, pad=0, settled=lambda: settled)
    (found,) = stream(texts, made)
    assert found.tolist() == [[sum(map(ord, text)), 3] for text in texts]
    assert where == {("lane_0", 1), ("lane_1", 1)}
    assert torch.get_num_threads() == 2


def test_fewer_batches_than_lanes_have_all_cores(two_cores: None) -> None:
    plain, where = job(), []

    def compute(batch: Batch[str]) -> torch.Tensor:
        where.append((threading.current_thread(), torch.get_num_threads()))
        return plain.compute(batch)

    list(stream(["a", "b"], Job[str](plain.tokenize, compute, CPU, 64, pad=0)))
    assert where == [(threading.current_thread(), 2)]


def test_a_lane_makes_no_lanes(two_cores: None) -> None:
    assert lanes.Lanes(CPU).count == 2
    assert lanes.Lanes(torch.device("meta")).count == 1
    assert list(in_lanes(lambda _: lanes.Lanes(CPU).count, range(2))) == [1, 1]


def test_a_fault_in_a_lane_is_raised_and_ends_them(two_cores: None) -> None:
    plain, before = job(), threading.active_count()

    def compute(batch: Batch[str]) -> torch.Tensor:
        if batch.inputs == ["005"]:
            raise InputError("a", "b", "c")
        return plain.compute(batch)

    texts = [f"{number:03d}" for number in range(100)]
    with pytest.raises(InputError):
        list(stream(texts, Job[str](plain.tokenize, compute, CPU, 3, pad=0)))
    assert threading.active_count() == before


def test_a_window_begins_while_the_one_before_it_ends(
    two_cores: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last batch of the first window is not done before one of the second is at work."""
    plain, prepared, second, put = job(), threading.Event(), threading.Event(), engine._put
    texts = [f"{number:05d}" for number in range(FIRST + 4)]
    where: list[str] = []

    def putting(ready: Any, made: Any, left: threading.Event) -> bool:
        found = put(ready, made, left)
        if isinstance(made, Batch) and texts[FIRST] in made.inputs:
            prepared.set()
        return found

    def compute(batch: Batch[str]) -> torch.Tensor:
        assert prepared.wait(timeout=30)
        if texts[FIRST] in batch.inputs:
            where.append(threading.current_thread().name)
            second.set()
        if texts[FIRST - 1] in batch.inputs:
            assert second.wait(timeout=30)
        return plain.compute(batch)

    monkeypatch.setattr(engine, "_put", putting)
    found = list(stream(texts, Job[str](plain.tokenize, compute, CPU, 5 * 64, pad=0)))
    assert [len(block) for block in found] == [FIRST, 4]
    assert np.concatenate(found).tolist() == [[sum(map(ord, text)), 5] for text in texts]
    assert where[0].startswith("lane"), "all cores are not free for it"


def test_windows_that_are_done_come_before_an_error() -> None:
    texts = words(3 * FIRST + 1)

    def inputs() -> Iterator[str]:
        yield from texts
        raise OSError("the file ends too early")

    found: list[Any] = []
    with pytest.raises(OSError, match="too early"):
        found.extend(stream(inputs(), job()))
    assert [len(block) for block in found] == [FIRST, 2 * FIRST]
