"""Made reports, whose words and figures are known."""

import xml.etree.ElementTree as ET

from aisle.eval.leaks import Finding, Leaks
from aisle.eval.leaks.finding import Severity
from aisle.eval.report import Context, Report
from aisle.eval.report.context import (
    Aspect,
    Calibration,
    Customers,
    Example,
    ListedItem,
    MovedOpinion,
    PastEvent,
    ReliabilityBin,
    ShownItem,
    ShownReason,
    WantedItem,
)
from aisle.eval.report.schema import Comparison, Estimate, Method, Popularity, RunCounts, Sampled, Slice

HOSTILE = '<b>&"k$nn$'
BEAUTY = {
    "dataset": "amazon-beauty-2014",
    "users": 22_363,
    "split": {"strategy": "leave_one_out"},
    "part": "test",
    "candidates": "all items",
}
VALUES = {"two_tower": 0.06, "als": 0.05, "bm25": 0.031, HOSTILE: 0.02}
MEASURES = ("recall@1", "recall@10", "ndcg@1", "ndcg@10", "coverage@1", "coverage@10")


def comparison(model: str, other: str, outcome: str) -> Comparison:
    difference = VALUES[model] - VALUES[other]
    p = 0.5 if outcome == "undecided" else 0.0003
    return Comparison(
        measure="ndcg@10",
        model=model,
        other=other,
        difference=difference,
        low=difference - 0.004,
        high=difference + 0.004,
        p=p,
        p_holm=min(1, 6 * p),
        outcome=outcome,
    )


def made(outcome: str = "better", *, ours: tuple[str, ...] = ("two_tower",), **protocol) -> Report:
    """A report whose comparisons all have one outcome."""
    names = list(VALUES)
    models = {}
    for model, value in VALUES.items():
        models[model] = {}
        for at, measure in enumerate(MEASURES):
            here = value * (1 + at / 7)
            width = None if "coverage" in measure else 0.005
            low, high = (None, None) if width is None else (here - width, here + width)
            models[model][measure] = Estimate(value=here, low=low, high=high)
    for model, value in VALUES.items():
        models[model]["ndcg@10"] = Estimate(value=value, low=0.01, high=0.09)
    return Report(
        protocol={"dataset": "shop", "users": 1234, "relevant": 2345, "catalogue": 99} | protocol,
        models=models,
        primary="ndcg@10",
        ours=list(ours),
        comparisons=[comparison(a, b, outcome) for at, a in enumerate(names) for b in names[at + 1 :]],
        runs={
            name: RunCounts(rows=9, users_without_results=0, users_ignored=0, longest=10, items_outside=None)
            for name in names
        },
        method=Method(confidence=0.95, resamples=1000, permutations=10_000, seed=0),
        warnings=["bm25 leaves out 3 of 1234 users; they score 0."],
        versions={"aisle": "0.1.0"},
    ).with_context(
        Context(
            counts={
                "events": {
                    "rows_in": 4321,
                    "kept": 4000,
                    "rejected": {"rating out of range": 321},
                    "repaired": {},
                },
                "parts": {"train": {"events": 3000, "users": 50}, "test": {"events": 1000, "users": 40}},
                "files": [{"file": "events.csv", "rows": 4321}],
                "order": "time",
            },
            timings={"train": 812.25},
            settings={"retriever": {"dim": 128}},
            versions={"torch": "2.13.0"},
            learning_curve=[
                {"phase": "search", "epoch": 1, "loss": 7.5, "ndcg@10": 0.03},
                {"phase": "search", "epoch": 2, "loss": 7.0, "ndcg@10": 0.04},
                {"phase": "refit", "epoch": 1, "loss": 7.25},
            ],
        )
    )


KETTLE = ShownItem(item_id="B1", title="Kettle & <sieve>", details="Acme · 19.90 · Kitchen")
POT = ShownItem(item_id="B2", title="Pot " + "of steel with a very long name " * 6, details="Kitchen")
CUP = ShownItem(item_id="B3" * 30, title="B3" * 30)


def example(outcome: str = "Found, and moved up") -> Example:
    """A user who took a kettle after a pot."""
    why = [
        ShownReason(kind="history", what=POT.title, lift=0.8),
        ShownReason(kind="features", what="price", lift=0.25),
    ]
    return Example(
        user_id="u-1",
        outcome=outcome,
        share=0.125,
        events=12,
        history=[PastEvent(item=POT, kind="review", date="2024-05-06", stars=4.0)],
        lists={
            "two_tower": [
                ListedItem(rank=1, item=CUP, relevant=False),
                ListedItem(rank=2, item=KETTLE, relevant=True),
            ],
            "als": [
                ListedItem(
                    rank=1,
                    item=KETTLE,
                    relevant=True,
                    before=2,
                    probability=0.031,
                    reasons=why,
                    review="Boils fast, pours well.",
                ),
                ListedItem(rank=2, item=CUP, relevant=False, before=1, probability=0.01),
            ],
        },
        wanted=[WantedItem(item=KETTLE, ranks={"two_tower": 2, "als": 1})],
    )


def opinion(change: float, *, moved: bool, item: ShownItem | None = KETTLE) -> MovedOpinion:
    """What reviewers think of an item's price, now and before."""
    return MovedOpinion(
        item=item,
        aspect="price",
        before=0.75,
        before_reviews=40,
        recent=0.75 + change,
        recent_reviews=12,
        change=change,
        low=change - 0.1,
        high=change + 0.1,
        q=0.01 if moved else 0.6,
        moved=moved,
        sentence="Too dear now.",
    )


def leaked(*severities: Severity) -> Leaks:
    """One finding of each severity, leaks first; one check found nothing, one could not be made."""
    found = [
        Finding(
            check="time order",
            severity=severity,
            what=f"A {severity}.",
            evidence=["user u, item i", "user v, item j"],
            fix="look again",
        )
        for severity in sorted(severities, key=lambda severity: severity != "leak")
    ]
    return Leaks(
        checked=["time order", "duplicates"],
        left_out={"training text": "needs the texts of items"},
        findings=found,
    )


def full() -> Report:
    """A report with every section, under the protocol of published figures."""
    report = made(**BEAUTY)
    parts = {
        name: Slice(
            users=users,
            pairs=users + 5,
            models={model: {"ndcg@10": found["ndcg@10"]} for model, found in report.models.items()},
        )
        for name, users in (
            ("new users", 40),
            ("known users", 900),
            ("new items", 3),
            ("price: up to 9.99", 300),
        )
    }
    catalogue = [0.01, 0.1, 0.5, 1.0]
    popularity = Popularity(
        k=10,
        catalogue=catalogue,
        wanted=[0.05, 0.3, 0.8, 1.0],
        models={model: [0.1, 0.7, 0.9, 1.0] for model in VALUES},
    )
    calibration = Calibration(
        model="two_tower",
        of="users of validation",
        error=0.004,
        bins=[
            ReliabilityBin(low=0.0, high=0.02, count=9000, predicted=0.008, observed=0.009),
            ReliabilityBin(low=0.1, high=0.12, count=50, predicted=0.11, observed=0.16),
            ReliabilityBin(low=0.2, high=0.22, count=3, predicted=0.21, observed=1.0),
        ],
    )
    customers = Customers(
        moment="2024-06-01",
        recent_days=30,
        before_days=180,
        false_discoveries=0.1,
        tested=321,
        worse=1,
        better=1,
        moved=[
            opinion(-0.3, moved=True),
            opinion(0.2, moved=True, item=None),
            opinion(0.05, moved=False, item=POT),
        ],
        aspects=[
            Aspect(
                aspect="price", reviews=80, polarity=0.6, negative=0.2, for_it="Fair.", against_it="Too dear."
            )
        ],
    )
    sampled = Sampled(
        negatives=99,
        models={model: {"ndcg@10": 0.5 + VALUES[model]} for model in VALUES},
        alone={model: {"ndcg@10": VALUES[model]} for model in VALUES},
        notes=["Sampled metrics are no estimates.", "Sampling swaps nobody."],
    )
    seeds = {"two_tower": {"0": {"ndcg@10": 0.058}, "1": {"ndcg@10": 0.062}}}
    context = Context(
        calibration=calibration,
        examples=[
            example(),
            example("Not found").model_copy(update={"history": [], "lists": {"two_tower": []}}),
        ],
        customers=customers,
        language_model_curves={
            "pretrain": [{"epoch": 1, "perplexity": 9.5}, {"epoch": 2, "perplexity": 8.5}]
        },
        peak_memory={"train": 2**30},
    )
    return report.model_copy(
        update={
            "slices": parts,
            "popularity": popularity,
            "leaks": leaked(),
            "sampled": sampled,
            "seeds": seeds,
        }
    ).with_context(context)


def tree(page: str) -> ET.Element:
    """The page as a parser of XML sees it."""
    return ET.fromstring(page.removeprefix("<!DOCTYPE html>"))


def text(page: str) -> str:
    """All words of the page, in their order."""
    body = tree(page).find("body")
    assert body is not None
    return " ".join(" ".join(body.itertext()).split())
