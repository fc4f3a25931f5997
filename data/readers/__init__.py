"""Readers: a shop's files, whatever their format, as canonical rows."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aisle.data.readers.shop import FileReport, RawShop, read_shop

__all__ = ["FileReport", "RawShop", "read_shop"]


def __getattr__(name: str) -> Any:
    """The three above, imported when first used: `aisle.data.detect` needs the formats without them."""
    if name in __all__:
        from aisle.data.readers import shop

        return getattr(shop, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
