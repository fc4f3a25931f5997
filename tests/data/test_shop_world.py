"""The planted world behaves as its docs say: funnels, seasons, stars, searches, tastes."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
from scipy.stats import spearmanr

from aisle.data.shop.catalogue import Catalogue, make_catalogue
from aisle.data.shop.departments import leaves
from aisle.data.shop.draws import below, child, normal, root, uniform
from aisle.data.shop.generate import make_events
from aisle.data.shop.listing import list_products
from aisle.data.shop.oracle import oracle_run
from aisle.data.shop.phrases import BLAME, PRAISE
from aisle.data.shop.settings import DAYS, PERIODS, START, ShopSettings
from aisle.data.shop.tastes import INTEREST_SHARE, LOYAL_SHARE, Tastes, make_tastes, utility
from aisle.data.shop.truth import item_truth, taste_truth
from aisle.data.shop.visits import EXPLORE, make_visits, seasons

SETTINGS = ShopSettings(users=3000, items=600, seed=3, dirt=0)


@dataclass
class World:
    catalogue: Catalogue
    tastes: Tastes
    log: pl.DataFrame
    reviews: pl.DataFrame
    items: pl.DataFrame
    titles: pl.DataFrame

    def of(self, action: str) -> pl.DataFrame:
        """Events of one action, with what is true of their product."""
        return self.log.filter(pl.col("action") == action).join(self.items, left_on="sku", right_on="item_id")


@pytest.fixture(scope="module")
def world() -> World:
    catalogue = make_catalogue(SETTINGS)
    users = np.arange(SETTINGS.users)
    log, reviews = make_events(catalogue, users, SETTINGS)
    when = pl.from_epoch("at", time_unit="ms").dt.replace_time_zone("UTC").dt.cast_time_unit("us")
    return World(
        catalogue,
        make_tastes(catalogue, users, SETTINGS.seed),
        log.with_columns(time=when),
        reviews,
        item_truth(catalogue),
        list_products(catalogue, SETTINGS.seed),
    )


def test_draws_are_uniform_and_independent() -> None:
    users = child(root(1, "test"), np.arange(2000))
    numbers = uniform(child(users[:, None], np.arange(50)))
    assert numbers.min() > 0
    assert numbers.max() < 1
    counts = np.bincount((numbers.ravel() * 20).astype(int), minlength=20)
    expected = numbers.size / 20
    assert ((counts - expected) ** 2 / expected).sum() < 44  # chi-square, 19 degrees of freedom, p = .001
    assert np.abs(np.corrcoef(numbers.T) - np.eye(50)).max() < 0.11  # 5 / sqrt(2000)
    assert abs(normal(users).std() - 1) < 0.08
    assert set(below(users, 3)) == {0, 1, 2}
    assert not np.array_equal(root(1, "test"), root(2, "test"))
    assert not np.array_equal(root(1, "test"), root(1, "other"))


def test_the_table_of_leaves_is_whole() -> None:
    assert len(leaves()) == len({leaf.name for leaf in leaves()}) == 60
    for leaf in leaves():
        assert (len(leaf.nouns), len(leaf.features), len(leaf.aspects)) == (2, 5, 4)
        assert leaf.price > 0
        assert leaf.peak is None or 1 <= leaf.peak <= 12


@pytest.mark.parametrize("items", [1, 2, 13, 400, 5000])
def test_every_leaf_always_has_something_on_sale(items: int) -> None:
    catalogue = make_catalogue(ShopSettings(users=1, items=items))
    assert len(catalogue) == items == catalogue.ids.n_unique()
    assert (np.diff(catalogue.offsets) > 0).all()
    always = (catalogue.first_day == 0) & (catalogue.end_day == DAYS)
    assert set(catalogue.leaf[always]) == set(range(len(catalogue.leaves)))
    assert (catalogue.first_day < catalogue.end_day).all()
    assert np.bincount(catalogue.leaf, catalogue.appeal) == pytest.approx(1)
    brands = catalogue.brands
    assert len(set(brands.names)) == len(brands.names) == brands.offsets[-1]
    department = catalogue.department[catalogue.leaf]
    assert (brands.offsets[department] <= catalogue.brand).all()
    assert (catalogue.brand < brands.offsets[department + 1]).all()


def test_titles_rarely_repeat() -> None:
    catalogue = make_catalogue(ShopSettings(users=1, items=20_000))
    titles = list_products(catalogue, 0)["title"]
    assert 1 - titles.n_unique() / len(titles) < 0.05


def test_titles_tell_leaf_feature_and_brand(world: World) -> None:
    rows = world.titles.join(world.items, left_on="asin", right_on="item_id")
    nouns = {leaf.name: leaf.nouns for leaf in leaves()}
    for row in rows.iter_rows(named=True):
        title = row["title"].lower()
        assert any(noun in title for noun in nouns[row["leaf"]])
        assert row["feature_right"] in title
        assert row["brand"].lower() in title


def test_purchase_follows_cart_follows_view(world: World) -> None:
    pair = ["visitor", "sku"]
    for later, earlier in (("order", "basket"), ("basket", "look")):
        first = world.of(earlier).group_by(pair).agg(before=pl.col("at").min())
        both = world.of(later).join(first, on=pair, how="left")
        assert both["before"].null_count() == 0
        assert (both["before"] < both["at"]).all()
    reviews = world.reviews.join(
        world.of("order").select("visitor", "sku", bought=pl.col("at") // 1000),
        left_on=["reviewerID", "asin"],
        right_on=pair,
        how="left",
    )
    assert (reviews["unixReviewTime"] > reviews["bought"]).all()
    assert reviews["bought"].null_count() == 0


def test_the_funnel_narrows_and_nobody_buys_twice(world: World) -> None:
    count = world.log["action"].value_counts()
    counts = dict(zip(count["action"], count["count"], strict=True))
    assert counts["look"] > counts["basket"] > counts["order"] > len(world.reviews) > 0
    assert world.of("order").select("visitor", "sku").is_duplicated().sum() == 0
    assert world.log.drop("words").is_duplicated().sum() == 0
    per_user = (len(world.log) + len(world.reviews)) / SETTINGS.users
    assert 0.8 * SETTINGS.events_per_user < per_user < 1.2 * SETTINGS.events_per_user
    assert 4 <= counts["order"] / SETTINGS.users <= 8


def test_products_have_events_only_while_on_sale(world: World) -> None:
    for action in ("look", "basket", "order"):
        events = world.of(action)
        assert (events["time"] >= events["on_sale_from"]).all()
        assert (events["time"] < events["on_sale_until"]).all()
    reviews = world.reviews.join(world.items, left_on="asin", right_on="item_id")
    written = reviews["unixReviewTime"] * 1_000_000
    assert (written < reviews["on_sale_until"].to_physical()).all()
    gone = (world.items["on_sale_until"] < world.items["on_sale_until"].max()).mean()
    late = (world.items["on_sale_from"] > START).mean()
    assert gone is not None
    assert late is not None
    assert 0.1 < float(gone) < 0.5  # type: ignore[arg-type]
    assert 0.3 < float(late) < 0.6  # type: ignore[arg-type]


def test_seasons_show(world: World) -> None:
    peaks = {leaf.name: leaf.peak for leaf in leaves() if leaf.peak}
    events = world.of("order").filter(pl.col("leaf").is_in(list(peaks)))
    peak = events["leaf"].replace_strict(peaks, return_dtype=pl.Int64)
    away = (events["time"].dt.month().cast(pl.Int64) - peak) % 12
    near, far = away.is_in([11, 0, 1]).sum(), away.is_in([5, 6, 7]).sum()
    assert near > 2 * far
    daily = world.of("look").group_by(pl.col("time").dt.date()).len()
    december = daily.filter(pl.col("time") >= datetime(2024, 12, 1).date())
    assert december["len"].mean() > 1.2 * daily["len"].mean()  # type: ignore[operator]


def test_stars_follow_quality_and_leniency(world: World) -> None:
    reviews = world.reviews.join(world.items, left_on="asin", right_on="item_id")
    assert spearmanr(reviews["overall"], reviews["quality"]).statistic > 0.45
    means = (
        reviews.group_by("asin")
        .agg(pl.len(), pl.mean("overall"), pl.first("quality"))
        .filter(pl.col("len") >= 8)
    )
    assert len(means) > 50
    assert spearmanr(means["overall"], means["quality"]).statistic > 0.75
    lenient = reviews["reviewerID"].str.slice(1).cast(pl.Int64).to_numpy()
    assert spearmanr(reviews["overall"], world.tastes.leniency[lenient]).statistic > 0.15
    shares = reviews["overall"].value_counts(normalize=True)
    assert set(shares["overall"]) == {1.0, 2.0, 3.0, 4.0, 5.0}
    assert shares["proportion"].min() > 0.02  # type: ignore[operator]


def test_sentences_follow_stars_and_name_aspects(world: World) -> None:
    reviews = world.reviews.join(world.items, left_on="asin", right_on="item_id")
    aspects = {leaf.name: leaf.aspects for leaf in leaves()}
    praise_share: dict[float, list[bool]] = {}
    for row in reviews.iter_rows(named=True):
        praises, blames = (
            [a for a in aspects[row["leaf"]] for t in templates if t.format(aspect=a) in row["reviewText"]]
            for templates in (PRAISE, BLAME)
        )
        assert 1 <= len(praises) + len(blames) <= 3
        praise_share.setdefault(row["overall"], []).extend([True] * len(praises) + [False] * len(blames))
    means = [np.mean(praise_share[stars]) for stars in (1.0, 2.0, 3.0, 4.0, 5.0)]
    assert means == sorted(means)
    assert means[0] < 0.1
    assert means[-1] > 0.9


def test_searches_are_words_of_what_is_looked_at(world: World) -> None:
    searches = world.log.filter(pl.col("action") == "lookup")
    assert searches["sku"].null_count() == len(searches)
    nouns = {noun for leaf in leaves() for noun in leaf.nouns}
    assert searches["words"].map_elements(lambda words: words.endswith(tuple(nouns)), pl.Boolean).all()

    names = {leaf.nouns[i]: leaf.name for leaf in leaves() for i in range(2)}
    viewed = (
        searches.sort("at")
        .drop("sku", "time")
        .join_asof(
            world.of("look").sort("at").select("at", "visitor", "leaf", "sku"),
            on="at",
            by="visitor",
            strategy="forward",
            tolerance=900_000,
            check_sortedness=False,
        )
    )
    viewed = viewed.join(world.titles, left_on="sku", right_on="asin")
    matched, chance = [], []
    shuffled = viewed["title"].sample(fraction=1, shuffle=True, seed=1)
    for words, leaf, title, other in zip(
        viewed["words"], viewed["leaf"], viewed["title"], shuffled, strict=True
    ):
        noun = next(noun for noun in sorted(names, key=len, reverse=True) if words.endswith(" " + noun))
        assert names[noun] == leaf
        wish = words.removesuffix(" " + noun)
        matched.append(wish in title.lower())
        chance.append(wish in other.lower())
    assert np.mean(matched) > 0.28 > 10 * np.mean(chance)


def test_tastes_drift(world: World) -> None:
    first = world.tastes.style[:, 0]
    likeness = [float((first * world.tastes.style[:, p]).sum(axis=1).mean()) for p in range(PERIODS)]
    assert likeness == sorted(likeness, reverse=True)
    assert likeness[0] == pytest.approx(1, abs=1e-6)
    assert likeness[1] > 0.85
    assert likeness[-1] < 0.75
    kept = (world.tastes.interests[:, 1:] == world.tastes.interests[:, :-1]).mean()
    assert 0.85 < kept < 0.95


def test_tastes_show_in_what_is_bought(world: World) -> None:
    orders = world.of("order")
    user = orders["visitor"].str.slice(1).cast(pl.Int64).to_numpy()
    day = ((orders["at"] // 1000 - int(START.timestamp())) // 86_400).to_numpy()
    looks = np.stack(orders["looks"].to_list())
    likes = world.tastes.style[user, day * PERIODS // DAYS]
    others = world.tastes.style[np.random.default_rng(0).permutation(user), day * PERIODS // DAYS]
    assert (looks * likes).sum(axis=1).mean() > (looks * others).sum(axis=1).mean() + 0.2


def test_popularity_has_a_long_tail(world: World) -> None:
    counts = np.sort(world.of("order")["sku"].value_counts()["count"].to_numpy())[::-1]
    assert counts[: SETTINGS.items // 10].sum() > 0.3 * counts.sum()
    assert len(counts) > 0.8 * SETTINGS.items


def test_the_oracle_agrees_with_its_plain_form(world: World) -> None:
    """For one user, product by product, from the truth as it is written."""
    user, day, catalogue = 17, 500, world.catalogue
    tastes = make_tastes(catalogue, np.array([user]), SETTINGS.seed)
    run = oracle_run(catalogue, tastes, k=50, day=day)
    period = day * PERIODS // DAYS
    liked = taste_truth(catalogue, tastes).filter(pl.col("period") == period).row(0, named=True)
    truth = {row["item_id"]: row for row in world.items.iter_rows(named=True)}
    names = [leaf.name for leaf in catalogue.leaves]
    season = seasons(catalogue)[:, day]
    weight = dict.fromkeys(names, 0.0)
    for share, name in zip(INTEREST_SHARE, liked["interests"], strict=True):
        weight[name] += share * season[names.index(name)]
    wants: dict[str, dict[str, float]] = {name: {} for name in names}
    for row, item in enumerate(catalogue.ids):
        if not catalogue.first_day[row] <= day < catalogue.end_day[row]:
            continue
        leaf = catalogue.leaf[row]
        wants[truth[item]["leaf"]][item] = truth[item]["appeal"] * np.exp(
            utility(
                match=np.dot(liked["likes"], truth[item]["looks"]),
                wanted=catalogue.feature[row] == tastes.wanted(np.array([0]), leaf)[0],
                loyal=tastes.loyal(np.array([0]), catalogue.brand[row])[0],
                gap=truth[item]["dearness"] - liked["budget"],
                quality=truth[item]["quality"],
            )
        )
    scores = {}
    for leaf, name in enumerate(names):
        of_leaf = (1 - EXPLORE) * weight[name] / sum(weight.values()) + EXPLORE * catalogue.demand[leaf]
        for item, want in wants[name].items():
            scores[item] = np.log(of_leaf * want / sum(wants[name].values()))
    best = sorted(scores, key=lambda item: -scores[item])[:50]
    assert run["item_id"].to_list() == best
    assert run["score"].to_list() == pytest.approx([scores[item] for item in best], abs=1e-3)
    assert run["rank"].to_list() == list(range(1, 51))
    assert run["user_id"].unique().to_list() == ["U0000017"]


def test_loyalty_is_as_rare_as_said(world: World) -> None:
    rows, brands = np.arange(SETTINGS.users)[:, None], np.arange(len(world.catalogue.brands.names))
    assert world.tastes.loyal(rows, brands).mean() == pytest.approx(LOYAL_SHARE, abs=0.005)


def test_the_oracle_beats_neighbours_and_neighbours_beat_popularity(world: World) -> None:
    """Recall@10 of the purchases of the last tenth of the time, what was bought before left out."""
    cut = world.of("order")["at"].quantile(0.9)
    day = int((cut / 1000 - START.timestamp()) // 86_400)  # type: ignore[operator]
    past = world.log.filter(pl.col("at") < cut, pl.col("sku").is_not_null())
    future = world.of("order").filter(pl.col("at") >= cut)
    code = {item: row for row, item in enumerate(world.catalogue.ids)}

    def matrix(events: pl.DataFrame) -> sp.csr_matrix:
        users = events["visitor"].str.slice(1).cast(pl.Int64).to_numpy()
        items = np.array([code[item] for item in events["sku"]])
        shape = (SETTINGS.users, SETTINGS.items)
        return (sp.csr_matrix((np.ones(len(users)), (users, items)), shape) > 0).astype(float)

    seen, bought, truth = matrix(past), matrix(past.filter(pl.col("action") == "order")), matrix(future)
    norm = np.sqrt(seen.sum(axis=0).A1) + 1e-9
    likeness = (seen.T @ seen).toarray() / norm / norm[:, None]
    np.fill_diagonal(likeness, 0)
    run = oracle_run(world.catalogue, world.tastes, k=SETTINGS.items, day=day)
    oracle = np.full((SETTINGS.users, SETTINGS.items), -np.inf)
    who = run["user_id"].str.slice(1).cast(pl.Int64).to_numpy()
    oracle[who, [code[item] for item in run["item_id"]]] = run["score"]

    def recall(scores: np.ndarray) -> float:
        scores = np.where(bought.toarray() > 0, -np.inf, scores)
        top = np.argsort(-scores, axis=1)[:, :10]
        users = np.nonzero(truth.sum(axis=1).A1)[0]
        hits = np.take_along_axis(truth.toarray(), top, axis=1).sum(axis=1)
        return float((hits[users] / truth.sum(axis=1).A1[users]).mean())

    popular = recall(np.tile(bought.sum(axis=0).A1, (SETTINGS.users, 1)))
    neighbours = recall(seen @ likeness)
    assert recall(oracle) > 1.5 * neighbours
    assert neighbours > 1.5 * popular
    assert popular > 2 * 10 / SETTINGS.items


def test_a_user_is_the_same_in_any_company(world: World) -> None:
    some = np.array([5, 1999, 42])
    log, reviews = make_events(world.catalogue, some, SETTINGS)
    for made, every, who in (
        (log, world.log.drop("time"), "visitor"),
        (reviews, world.reviews, "reviewerID"),
    ):
        same = every.filter(pl.col(who).is_in([f"U{user:07d}" for user in some]))
        order = [who, made.columns[-3], "at" if who == "visitor" else "asin"]
        assert made.sort(order).equals(same.sort(order))


def test_visits_are_in_order_and_mean_what_is_asked() -> None:
    settings = ShopSettings(users=500, items=50, events_per_user=60)
    catalogue = make_catalogue(settings)
    visits = make_visits(catalogue, make_tastes(catalogue, np.arange(500), 0), settings)
    same = visits.user[1:] == visits.user[:-1]
    assert (np.diff(visits.day)[same] >= 0).all()
    assert visits.day.min() >= 0
    assert visits.day.max() < DAYS
    assert visits.second.max() < 86_400 - 15 * 60
    assert (np.bincount(visits.user, minlength=500) > 0).all()
