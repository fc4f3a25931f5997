"""Baselines from grid to run: tuned on validation, refitted on everything before the part, ranked."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl

from aisle.data.errors import InputError
from aisle.data.history import Histories
from aisle.data.ids import Rows
from aisle.data.prepared import BEFORE, Part, Prepared
from aisle.data.progress import meter
from aisle.data.schema import KINDS
from aisle.eval.baselines.factors import Als, Bpr, LogisticMf
from aisle.eval.baselines.item_knn import ItemKnn, ItemKnnBm25
from aisle.eval.baselines.past import Past, Scorer
from aisle.eval.baselines.popularity import Popularity, RecentPopularity
from aisle.eval.baselines.rank import rank
from aisle.eval.baselines.settings import BaselineSettings, Evidence, Grid, Name
from aisle.eval.baselines.text_search import TextSearch
from aisle.eval.baselines.tuning import CUT, tune, tuning_truth, worth

SCORERS: dict[Name, type[Scorer]] = {
    "popularity": Popularity,
    "recent_popularity": RecentPopularity,
    "item_knn": ItemKnn,
    "item_knn_bm25": ItemKnnBm25,
    "als": Als,
    "bpr": Bpr,
    "logistic_mf": LogisticMf,
    "bm25": TextSearch,
}


@dataclass(frozen=True)
class Baseline:
    """A baseline's answer.

    Attributes:
        run: user_id, rank (from 1), item_id, score; the users who have something in the truth.
        settings: the chosen settings, and how they were chosen.
        seconds: for tuning, fitting and ranking together.
    """

    name: Name
    run: pl.DataFrame
    settings: dict[str, object]
    seconds: float


def run_baselines(
    prepared: Prepared,
    texts: Callable[[Part], Sequence[str]],
    settings: BaselineSettings,
    *,
    part: Part,
    k: int,
    seed: int,
) -> Iterator[Baseline]:
    """Run each of `settings.names`: the `k` best unseen items of every user in the truth of `part`.

    The untouched encoder and SASRec are left to the caller: they need models that are not of this component.

    The grid of each is searched under one budget (:mod:`aisle.eval.baselines.tuning`) by fitting on train and
    judging by ndcg@10 on a sample of the validation users, the same for all; the best is fitted again on all
    that lies before `part`.
    Recent popularity needs times; it is left out where only the order of events is known, because it would
    be the popularity list again.

    Args:
        texts: the texts that may be known when a part is predicted, one per item row, for the baseline that
            searches texts; asked for once a part.
        part: "validation" or "test". On "validation" the settings are chosen on what is judged.
        k: length of the lists.
        seed: of the sample, and of models that start at random.

    Raises:
        InputError: nothing lies before `part`, or the texts are not those of the items.
    """
    if not BEFORE[part]:
        raise InputError("a part with a past: validation or test", part, "choose one of these")
    bench = _Bench(prepared, texts, settings, seed)
    for name in settings.names:
        if name == "encoder" or name == "sasrec" or (name == "recent_popularity" and not prepared.timed):
            continue
        started = time.monotonic()
        chosen, how = bench.choose(name)
        past = bench.past(chosen.pop("evidence"), part)
        scorer = SCORERS[name](**chosen).fit(past, seed=seed, threads=settings.threads)
        wanted = prepared.user_ids.rows(prepared.truth(part)["user_id"].unique().sort())
        run = bench.rank(scorer, past, wanted, part, k)
        yield Baseline(name, run, chosen | how, time.monotonic() - started)


class _Bench:
    """What all baselines share: the pasts, the seen items and the validation users."""

    def __init__(
        self,
        prepared: Prepared,
        texts: Callable[[Part], Sequence[str]],
        settings: BaselineSettings,
        seed: int,
    ) -> None:
        self.prepared, self.settings, self.seed = prepared, settings, seed
        self._render = texts
        self._texts: dict[Part, Sequence[str]] = {}
        self._pasts: dict[tuple[Evidence, Part], Past] = {}
        self._seen: dict[Part, Histories] = {}

    def past(self, evidence: Evidence, part: Part) -> Past:
        """What may be learned from before `part`. Repeats in a row (look, cart, purchase) are one event."""
        if (evidence, part) not in self._pasts:
            kinds = self.prepared.target_kinds if evidence == "target" else KINDS
            histories = self.prepared.histories(*BEFORE[part], kinds=kinds).merge_repeats(
                self.prepared.target_kinds
            )
            self._pasts[evidence, part] = Past(histories, self.texts(part), self.prepared.timed)
        return self._pasts[evidence, part]

    def texts(self, part: Part) -> Sequence[str]:
        """The texts that may be known when `part` is predicted."""
        if part not in self._texts:
            texts, items = self._render(part), len(self.prepared.items)
            if len(texts) != items:
                raise InputError(
                    f"one text for each of {items} items", f"{len(texts)} texts", "render the texts again"
                )
            self._texts[part] = texts
        return self._texts[part]

    def rank(self, scorer: Scorer, past: Past, user_rows: Rows, part: Part, k: int) -> pl.DataFrame:
        """The run of `user_rows`, without what they had seen before `part`."""
        if part not in self._seen:
            self._seen[part] = self.prepared.histories(*BEFORE[part], kinds=self.prepared.seen_kinds)
        return rank(
            scorer,
            past,
            user_rows,
            self._seen[part],
            k,
            users=self.prepared.user_ids,
            items=self.prepared.item_ids,
        )

    @cached_property
    def truth(self) -> pl.DataFrame:
        """The validation truth of a sample of its users."""
        return tuning_truth(self.prepared, self.settings, self.seed)

    def choose(self, name: Name) -> tuple[dict[str, Any], dict[str, object]]:
        """Settings (and `evidence`) with the best ndcg@10 on validation, and how they were found."""
        grid: Grid = getattr(self.settings, name)
        evidence = self.settings.evidence
        if len(evidence) > 1 and self._same_evidence():
            evidence = evidence[:1]
        axes: dict[str, Sequence[Any]] = {"evidence": evidence} | grid.axes()
        if not len(self.truth):
            axes = {axis: values[:1] for axis, values in axes.items()}
        with meter(f"tuning {name}") as done:

            def value(point: dict[str, Any]) -> float:
                done.advance()
                return self._validate(name, **point)

            found = tune(axes, value, self.settings, self.truth, self.seed)
        return found.point, {"evidence": found.point["evidence"]} | found.how

    def _same_evidence(self) -> bool:
        """Whether all events that name an item are of the target kinds."""
        target, everything = (self.past(kind, "validation").histories for kind in ("target", "all"))
        return len(target.items) == len(everything.items)

    def _validate(self, name: Name, evidence: Evidence, **point: Any) -> float:
        past = self.past(evidence, "validation")
        scorer = SCORERS[name](**point).fit(past, seed=self.seed, threads=self.settings.threads)
        rows = self.prepared.user_ids.rows(self.truth["user_id"].unique().sort())
        run = self.rank(scorer, past, rows, "validation", CUT)
        return worth(run, self.truth)
