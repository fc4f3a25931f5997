"""What is to be done: a catalogue, users, and how they are read."""

from dataclasses import dataclass

from aisle.data.errors import InputError
from aisle.index.settings import Storage
from aisle.planning.curves import PLANNED


@dataclass(frozen=True)
class Job:
    """What is to be done.

    Attributes:
        items, users: numbers of them.
        tokens: of an item's text, on average, special ones included.
        user_tokens: of a user's history as text; 0: users are not read by the language model.
        k: candidates of a user.
        rerank: candidates of a user that are scored as pairs; 0: none.
        pair_tokens: of a pair, where a language model scores it.
        kind: of the index; "auto" as `index.kind` says.
        storage: of item vectors.
        dim: length of vectors in the index; None: of the language model.
    """

    items: int
    users: int
    tokens: float = 48.0
    user_tokens: float = 128.0
    k: int = 100
    rerank: int = 0
    pair_tokens: float = 128.0
    kind: str = "auto"
    storage: Storage = "float32"
    dim: int | None = None

    def __post_init__(self) -> None:
        for name in ("items", "users", "k"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} of 1 or more", f"{getattr(self, name)}", f"correct {name}")
        for name in ("user_tokens", "rerank"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} of 0 or more", f"{getattr(self, name)}", f"correct {name}")
        for name in ("tokens", "pair_tokens"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} above 0", f"{getattr(self, name)}", f"correct {name}")
        if self.rerank > self.k:
            raise InputError(f"at most {self.k} reranked candidates of {self.k}", f"{self.rerank}", "raise k")
        if self.kind not in ("auto", *PLANNED):
            kinds = ", ".join(("auto", *PLANNED))
            raise InputError(f"a kind of index among {kinds}", repr(self.kind), "plan one of these")
