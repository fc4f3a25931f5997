"""The embedded shop: a planted world of any size, as raw files with the truth beside them."""

from aisle.data.shop.generate import generate_shop
from aisle.data.shop.settings import ShopSettings
from aisle.data.shop.truth import oracle

__all__ = ["ShopSettings", "generate_shop", "oracle"]
