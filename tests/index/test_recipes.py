"""Kinds as FAISS factory strings."""

import doctest

import faiss
import pytest

from aisle.index import recipes
from aisle.index.recipes import KINDS, factory, lists


def test_the_examples_hold():
    assert doctest.testmod(recipes) == doctest.TestResults(failed=0, attempted=9)


@pytest.mark.parametrize("storage", ["float32", "fp16", "int8"])
@pytest.mark.parametrize("dim", [1, 7, 384, 417])
@pytest.mark.parametrize("kind", KINDS)
def test_faiss_knows_every_recipe(kind, dim, storage):
    for items in (1, 1_000, 10_000_000):
        index = faiss.index_factory(dim, factory(kind, items, dim, storage), faiss.METRIC_INNER_PRODUCT)
        assert index.d == dim


@pytest.mark.parametrize("items", [1, 38, 39, 1_000, 123_456, 10**8])
def test_lists_have_enough_to_train_on(items):
    assert lists(items) == 1 or lists(items) * recipes.POINTS <= items
    assert lists(items) <= 8 * items**0.5
