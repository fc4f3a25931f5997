"""Candidates in, the same candidates in order out: sentiment, features, scorers and the ranking API."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aisle.ranker.ranker import Ranked, Ranker

__all__ = ["Ranked", "Ranker"]


def __getattr__(name: str) -> Any:
    if name in __all__:  # fetched when it is first used: settings are read without torch
        return getattr(import_module("aisle.ranker.ranker"), name)
    raise AttributeError(f"module 'aisle.ranker' has no attribute {name!r}")
