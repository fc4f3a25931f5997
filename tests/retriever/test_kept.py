"""Results are kept with their object, and go with it at once."""

import gc
from weakref import ref

import pytest

from aisle.retriever.kept import kept


class Shop:
    def __init__(self, name: str) -> None:
        self.name = name
        self.asked: list[tuple[str, ...]] = []

    @kept
    def told(self, *parts: str) -> str:
        self.asked.append(parts)
        return self.name + "".join(parts)

    @kept
    def failing(self) -> None:
        self.asked.append(())
        raise ValueError(self.name)


def test_each_object_is_asked_once_for_each_input() -> None:
    one, other = Shop("a"), Shop("b")
    assert [one.told("x"), one.told("x", "y"), one.told("x"), other.told("x")] == ["ax", "axy", "ax", "bx"]
    assert (one.asked, other.asked) == ([("x",), ("x", "y")], [("x",)])


def test_a_fault_is_not_kept() -> None:
    shop = Shop("a")
    for _ in range(2):
        with pytest.raises(ValueError, match="a"):
            shop.failing()
    assert len(shop.asked) == 2


def test_the_object_goes_with_its_last_name() -> None:
    gc.disable()
    try:
        shop = Shop("a")
        shop.told("x")
        gone = ref(shop)
        del shop
        assert gone() is None
    finally:
        gc.enable()
