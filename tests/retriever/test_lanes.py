"""Blocks side by side: the order of one after another, faults where they belong, threads given back."""

import threading
import time
from collections.abc import Iterator

import pytest
import torch
from threadpoolctl import threadpool_info

from aisle.retriever.lanes import in_lanes


@pytest.fixture(autouse=True)
def two_cores() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def slow_first(block: int) -> tuple[int, int, str]:
    time.sleep(0.05 * (block % 2 == 0))
    return block, torch.get_num_threads(), threading.current_thread().name


def test_results_come_in_order_from_lanes_with_their_share_of_the_cores() -> None:
    before = [(one["filepath"], one["num_threads"]) for one in threadpool_info()]
    found = list(in_lanes(slow_first, range(6)))
    assert [block for block, _, _ in found] == list(range(6))
    assert {threads for _, threads, _ in found} == {2 // 2}
    assert {name for _, _, name in found} == {"lane_0", "lane_1"}
    assert torch.get_num_threads() == 2
    assert [(one["filepath"], one["num_threads"]) for one in threadpool_info()] == before


def test_one_block_has_all_cores() -> None:
    assert list(in_lanes(slow_first, [1])) == [(1, 2, threading.current_thread().name)]


def test_a_fault_comes_behind_the_results_before_it_and_ends_the_rest() -> None:
    started = []

    def fails_at_two(block: int) -> int:
        started.append(block)
        if block == 2:
            raise ValueError("two")
        return block

    results = in_lanes(fails_at_two, range(100))
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="two"):
        next(results)
    assert len(started) < 10
    assert torch.get_num_threads() == 2


def test_work_is_only_a_little_ahead_of_who_takes_it() -> None:
    started = []
    results = in_lanes(started.append, range(100))
    next(results)
    results.close()
    assert len(started) <= 4
    assert torch.get_num_threads() == 2
