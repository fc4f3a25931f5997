"""Parts of the truth that are reported apart: where a mean over everybody hides who is served and who is not.

One kind of part a file, each made of what is known; kinds that the data does not know are left out.
"""

from collections.abc import Callable

from aisle.eval.slices.category import by_category
from aisle.eval.slices.history import by_history
from aisle.eval.slices.known import Known
from aisle.eval.slices.newness import by_newness
from aisle.eval.slices.parts import Named
from aisle.eval.slices.popularity import by_popularity
from aisle.eval.slices.price import by_price
from aisle.eval.slices.recency import by_recency
from aisle.eval.slices.sentiment import by_sentiment
from aisle.eval.truth import Part, Truth

KINDS: tuple[Callable[[Truth, Known], Named], ...] = (
    by_popularity,
    by_history,
    by_recency,
    by_category,
    by_price,
    by_sentiment,
)
"""Besides new and known."""

__all__ = ["KINDS", "Known", "slices"]


def slices(truth: Truth, known: Known) -> dict[str, Part]:
    """All parts that the data tells apart, by name, kind after kind.

    A kind that puts everybody in one part tells nothing and is left out. (That all users are new does tell
    something.)
    """
    found = dict(by_newness(truth, known))
    for kind in KINDS:
        parts = dict(kind(truth, known))
        if len(parts) > 1:
            found |= parts
    return found
