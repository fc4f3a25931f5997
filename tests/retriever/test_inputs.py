"""Ratings and times of events: as codes, in batches, and where they decide what comes next."""

import numpy as np
import pytest
import torch
from worlds import best_item_rate, circle_shop, signal_shop

from aisle.data.history import Histories
from aisle.data.settings import TextSettings
from aisle.retriever.batches import PaddedHistories, SequenceDataset, pad
from aisle.retriever.inputs import GAP_CODES, RATING_CODES, SECOND, gap_codes, rating_codes, told
from aisle.retriever.model import build
from aisle.retriever.settings import Input, RetrieverSettings
from aisle.retriever.train import train
from aisle.retriever.users import SequenceUsers

ALL: tuple[Input, ...] = ("ratings", "gaps", "recency")
IDS = RetrieverSettings(
    towers=("ids",),
    dim=32,
    batch_size=32,
    learning_rate=1e-2,
    warmup_steps=5,
    round_steps=20,
    max_rounds=15,
    precision="fp32",
    dropout=0.1,
)


def timed(*seconds, ratings=None):
    """Histories of users, from the seconds of their events."""
    flat = np.concatenate([np.array(row, np.int64) for row in seconds])
    stars = None if ratings is None else np.array(ratings, np.float32)
    return Histories(
        offsets=np.cumsum([0, *map(len, seconds)]),
        items=np.arange(len(flat)),
        kinds=np.full(len(flat), 3, np.int8),
        times=flat * SECOND,
        ratings=stars,
    )


def test_each_half_star_has_its_code_and_no_rating_is_zero():
    stars = np.array([np.nan, *np.arange(0, 5.5, 0.5)], np.float32)
    assert rating_codes(stars).tolist() == list(range(RATING_CODES))


def test_each_doubling_of_a_gap_has_its_code():
    powers = 2 ** np.arange(30)
    assert gap_codes(SECOND * powers).tolist() == list(range(2, 32))
    assert gap_codes(SECOND * (2 * powers - 1)).tolist() == list(range(2, 32))
    assert gap_codes(np.array([-SECOND, 0, SECOND - 1])).tolist() == [1, 1, 1]
    assert gap_codes(np.array([2**62])).tolist() == [GAP_CODES - 1]


def test_gaps_look_back_and_waits_look_ahead():
    codes = told(timed([0, 4, 4], [], [100, 101]), ALL)
    four, none, now, one = 4, 1, 8, 2  # codes of 4 s, 0 s, 97 s and 1 s
    assert codes["gaps"].tolist() == [0, four, none, 0, one]
    assert codes["waits"].tolist() == [four, none, now, one, none]
    assert "ratings" not in codes
    later = told(timed([0, 4, 4], [], [100, 101]), ["recency"], moment=102 * SECOND)
    assert later["waits"].tolist() == [four, none, now, one, one]
    assert set(later) == {"waits"}


def test_nothing_is_told_of_no_events():
    assert {name: len(codes) for name, codes in told(timed([], []), ALL).items()} == {"gaps": 0, "waits": 0}


def test_batches_hold_the_codes_of_their_events():
    world = timed([0, 4, 4], [7], ratings=[5, np.nan, 1, 3])
    codes = told(world, ALL)
    past = pad(world, np.array([0, 1]), 2, codes)
    assert past.ratings.tolist() == [[0, 3], [7, 0]]
    assert past.gaps.tolist() == [[4, 1], [0, 0]]  # the first of the two that are seen has an event before it
    examples = SequenceDataset(world, ["purchase"], 2, codes).collate([0])["examples"]
    assert examples.histories.ratings.tolist() == [[11, 0]]
    assert examples.histories.waits.tolist() == [[4, 1]]
    assert examples.histories.to("cpu").waits.tolist() == [[4, 1]]


def test_towers_start_as_if_nothing_were_told_and_what_is_not_known_stays_nothing():
    towers = build(RetrieverSettings(dim=8, max_history=6), "ids", None, torch.ones(9, dtype=torch.bool), 0)
    towers.eval()
    row = torch.tensor([[1, 2, 3]])
    plain = PaddedHistories(row, torch.full((1, 3), 3), torch.tensor([3]))
    codes = {name: torch.tensor([[0, 4, 5]]) for name in ("ratings", "gaps", "waits")}
    rich = PaddedHistories(plain.items, plain.kinds, plain.lengths, **codes)
    assert torch.equal(towers.user_vectors(plain), towers.user_vectors(rich))
    towers.user_vectors(rich)[0, 0].backward()
    for name in codes:
        moved = getattr(towers.users, name).weight.grad.norm(dim=1).nonzero().squeeze(1)
        assert moved.tolist() == [4, 5]


def test_a_state_does_not_know_how_long_its_target_waits_for_what_follows():
    torch.manual_seed(0)
    towers = build(
        RetrieverSettings(dim=8, max_history=6), "ids", None, torch.ones(9, dtype=torch.bool), 0
    ).eval()
    torch.nn.init.normal_(towers.users.waits.weight)
    one = PaddedHistories(
        torch.tensor([[1, 2, 3]]), torch.full((1, 3), 3), torch.tensor([3]), waits=torch.tensor([[3, 4, 5]])
    )
    other = PaddedHistories(one.items, one.kinds, one.lengths, waits=torch.tensor([[3, 9, 5]]))
    states, changed = (towers.users.states(past, towers.items) for past in (one, other))
    torch.testing.assert_close(states[:, :2], changed[:, :2])
    assert not torch.allclose(states[:, 2], changed[:, 2])


def test_order_alone_tells_nothing(tmp_path):
    users = SequenceUsers(circle_shop(tmp_path), IDS)
    past = users.inputs(np.arange(3), "train")
    assert past.ratings is past.gaps is past.waits is None


def test_the_moment_of_prediction_is_told_only_where_all_users_share_it(tmp_path):
    by_user = SequenceUsers(signal_shop(tmp_path / "gaps", "gaps", users=9), IDS).inputs(
        np.arange(3), "train"
    )
    by_time = SequenceUsers(signal_shop(tmp_path / "recency", "recency", users=9), IDS)
    assert by_user.gaps is not None
    assert by_user.waits is None
    assert by_time.inputs(np.arange(3), "train").waits is not None


@pytest.mark.parametrize("signal", ALL)
def test_what_decides_the_next_item_is_learned_if_it_is_told(tmp_path, signal):
    shop = signal_shop(tmp_path / "prepare", signal)
    for inputs in (ALL, tuple(name for name in ALL if name != signal)):
        out = tmp_path / "-".join(inputs)
        out.mkdir()
        train(shop, TextSettings(), IDS.model_copy(update={"inputs": inputs}), out, seed=0)
        rate = best_item_rate(shop, out / "model")
        assert rate > 0.9 if inputs == ALL else rate < 0.7, f"{inputs}: {rate:.2f}"
