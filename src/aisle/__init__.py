"""A recommender for shops that reads.

    from aisle import pipeline

    report = pipeline.run(Path("shop"), Path("runs/shop"))

The command line, `aisle run --data shop --out runs/shop`, does the same. `import aisle` imports nothing
heavy: every name below is fetched when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aisle import pipeline
    from aisle.data.errors import InputError
    from aisle.recommender import Recommender
    from aisle.settings import Settings, load_settings

__all__ = ["InputError", "Recommender", "Settings", "__version__", "load_settings", "pipeline"]

_HOMES = {
    "InputError": "aisle.data.errors",
    "Recommender": "aisle.recommender",
    "Settings": "aisle.settings",
    "load_settings": "aisle.settings",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("aisle")
    if name == "pipeline":
        return import_module("aisle.pipeline")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'aisle' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
