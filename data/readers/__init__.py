"""Readers: a shop's files, whatever their format, as canonical rows."""

from aisle.data.readers.shop import FileReport, RawShop, read_shop

__all__ = ["FileReport", "RawShop", "read_shop"]
