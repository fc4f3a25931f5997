"""Simple recommenders that every model is held against: tuned on validation, ranked over the whole catalogue.

One recommender a file, all behind `Scorer` (`past.py`); `run.py` tunes, refits and ranks them.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aisle.eval.baselines.run import Baseline, run_baselines

__all__ = ["Baseline", "run_baselines"]


def __getattr__(name: str) -> Any:
    """`Baseline` and `run_baselines`, imported when first used: settings must not load implicit."""
    if name in __all__:
        from aisle.eval.baselines import run

        return getattr(run, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
