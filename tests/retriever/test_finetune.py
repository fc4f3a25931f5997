"""Fine-tuning pulls together what users take together, with any adapter, and goes on after a kill."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from language_models import tiny_bert, tiny_gpt2
from scipy import sparse
from worlds import COLOURS, THINGS, circle_shop, write_prepared

from aisle.data.errors import InputError
from aisle.data.settings import TextSettings
from aisle.retriever.encoder import Encoder
from aisle.retriever.finetune import train as train_module
from aisle.retriever.finetune.adapters import freeze, merged, prepare
from aisle.retriever.finetune.job import finetune
from aisle.retriever.finetune.pairs import Pairs, shop_pairs
from aisle.retriever.finetune.settings import FinetuneSettings
from aisle.retriever.finetune.train import Draws, TokenPairs, contrast, tune
from aisle.retriever.finetune.validation import TextValidation
from aisle.retriever.losses import in_batch
from aisle.retriever.settings import EncoderSettings, RetrieverSettings
from aisle.retriever.texts import item_texts

WORDS = [f"{colour} {thing}" for thing in THINGS for colour in COLOURS]
SMALL = FinetuneSettings(
    learning_rate=3e-3,
    warmup_steps=2,
    batch_size=16,
    round_steps=10,
    max_rounds=6,
    temperature=0.1,
    dropout=0.0,
)
ADAPTERS = ("lora", "dora", "loha", "lokr", "ia3")


def changed(**changes) -> FinetuneSettings:
    return SMALL.model_copy(update=changes)


def by_thing(hard: int = 0) -> Pairs:
    """Texts of one kind of thing belong together; without any group, so that nothing is left out."""
    rows = [
        (thing * 6 + one, thing * 6 + other)
        for thing in range(4)
        for one in range(6)
        for other in range(6)
        if one != other
    ]
    anchors, positives = np.array(rows).T
    chances = np.full(len(rows), 1 / len(rows))
    hard_rows = np.tile((anchors[:, None] + 6) % 24, (1, hard))
    return Pairs(
        [*WORDS], anchors, positives, chances, sparse.csr_array((24, 1), dtype=np.float32), hard_rows
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_bert(tmp_path_factory.mktemp("bert"), layers=2, texts=WORDS)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return circle_shop(tmp_path_factory.mktemp("circle") / "prepare", users=60)


def loaded(folder: Path) -> Encoder:
    return Encoder.load(EncoderSettings(model=str(folder), max_tokens=16, precision="fp32"))


def closeness(encoder: Encoder) -> float:
    """Share of texts whose nearest other text is of the same thing."""
    vectors = encoder.encode(WORDS)
    scores = vectors @ vectors.T - 2 * np.eye(len(WORDS))
    return float((scores.argmax(1) // 6 == np.arange(24) // 6).mean())


def tuned(model: Path, out: Path, pairs: Pairs | None = None, seed: int = 0, **changes) -> Encoder:
    encoder = loaded(model)
    tune(encoder, pairs or by_thing(), changed(**changes), out, precision="fp32", seed=seed)
    return encoder


def test_what_belongs_together_gets_close(model, tmp_path):
    assert closeness(loaded(model)) < 0.7
    assert closeness(tuned(model, tmp_path)) > 0.9


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_an_adapter_learns_and_is_gone_after_the_merge(model, tmp_path, adapter):
    before = loaded(model)
    after = tuned(model, tmp_path, adapter=adapter, learning_rate=3e-2, max_rounds=1, round_steps=3, rank=4)
    assert type(after.model) is type(before.model)
    assert after.model.state_dict().keys() == before.model.state_dict().keys()
    assert np.abs(after.encode(WORDS) - before.encode(WORDS)).max() > 0.01
    after.save(tmp_path / "model")
    np.testing.assert_allclose(loaded(tmp_path / "model").encode(WORDS), after.encode(WORDS), atol=1e-6)


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_merging_changes_no_vector(model, adapter):
    encoder = loaded(model)
    untouched = encoder.encode(WORDS)
    encoder.model = prepare(encoder.model, changed(adapter=adapter, rank=4)).eval()
    np.testing.assert_allclose(encoder.encode(WORDS), untouched, atol=1e-5)  # a fresh one does nothing
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in encoder.model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.3 * torch.randn_like(parameter))
    apart = encoder.encode(WORDS)
    assert np.abs(apart - untouched).max() > 0.01
    encoder.model = merged(encoder.model)
    np.testing.assert_allclose(encoder.encode(WORDS), apart, atol=1e-5)


def test_only_the_adapter_learns(model):
    adapted = prepare(loaded(model).model, changed(adapter="lora"))
    learning = [name for name, parameter in adapted.named_parameters() if parameter.requires_grad]
    assert learning
    assert all("lora_" in name for name in learning)


def test_a_causal_model_takes_an_adapter_too(tmp_path):
    encoder = loaded(tiny_gpt2(tmp_path))
    untouched = encoder.encode(WORDS)
    encoder.model = prepare(encoder.model, changed(adapter="lora")).eval()
    np.testing.assert_allclose(merged(encoder.model) and encoder.encode(WORDS), untouched, atol=1e-5)
    with pytest.raises(InputError, match="adapter of kind loha"):
        prepare(loaded(tmp_path).model, changed(adapter="loha"))


def test_frozen_layers_keep_their_weights(model, tmp_path):
    before, after = loaded(model).model.state_dict(), tuned(model, tmp_path, frozen_layers=1, max_rounds=1)
    same = {name for name, value in after.model.state_dict().items() if torch.equal(value, before[name])}
    moved = before.keys() - same
    assert all(name.startswith(("embeddings", "encoder.layer.0", "pooler")) for name in same)
    assert {name.split(".")[2] for name in moved} == {"1"}


def test_more_frozen_layers_than_there_are(model):
    with pytest.raises(InputError, match="at most 2 frozen layers"):
        freeze(loaded(model).model, 3)


def test_without_hard_negatives_the_loss_is_in_batch():
    torch.manual_seed(0)
    anchors, positives = torch.nn.functional.normalize(torch.randn(2, 5, 4), dim=-1)
    rows, share = torch.tensor([0, 1, 1, 2, 3]), torch.randn(5)
    excluded = (rows[:, None] == rows[None, :]) & ~torch.eye(5, dtype=torch.bool)
    ours = contrast(anchors, positives, excluded, 0.1, share)
    assert ours.item() == pytest.approx(in_batch(anchors, positives, rows, torch.tensor(0.1), share).item())


def test_a_hard_negative_is_one_more_column():
    anchors = torch.tensor([[1.0, 0.0]])
    columns = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    loss = contrast(anchors, columns, torch.tensor([[False, False]]), 1.0, torch.zeros(2))
    assert loss.item() == pytest.approx(np.log(1 + np.exp(-1)))


def test_a_batch_leaves_out_what_belongs_together(model, shop):
    texts = item_texts(shop, TextSettings(), "train")
    pairs = shop_pairs(shop, texts, SMALL, "train")
    places = list(range(8))
    batch = TokenPairs(pairs, loaded(model)).collate(places)
    expected = pairs.related(pairs.anchors[places], pairs.positives[places])
    np.fill_diagonal(expected, False)
    np.testing.assert_array_equal(batch["excluded"].numpy(), expected)
    assert expected.any()
    assert len(batch["tokens"]["input_ids"]) == len({*pairs.anchors[places], *pairs.positives[places]})


def test_a_batch_leaves_out_what_reads_the_same(model):
    pairs = by_thing()
    pairs.texts[8] = pairs.texts[1]
    anchors, positives = np.array([0, 12, 6]), np.array([1, 13, 8])  # the third is said like the first
    chances, nothing = np.full(3, 1 / 3), np.zeros((3, 0), np.int64)
    few = Pairs(pairs.texts, anchors, positives, chances, pairs.groups, nothing)
    batch = TokenPairs(few, loaded(model)).collate([0, 1, 2])
    excluded = batch["excluded"].numpy()
    assert excluded.tolist() == [[False, False, True], [False, False, False], [True, False, False]]


def test_a_hard_negative_weighs_like_the_positive_that_it_came_with(model):
    batch = TokenPairs(by_thing(1), loaded(model)).collate([0, 50])
    assert batch["excluded"].shape == (2, 4)
    np.testing.assert_array_equal(batch["log_share"][2:], batch["log_share"][:2])


def test_draws_follow_the_chances_and_the_epoch():
    pairs = by_thing()
    pairs.chances[:] = 0
    pairs.chances[[3, 8]] = 0.25, 0.75
    draws = Draws(pairs, 50, seed=1)
    first, again = list(draws), list(draws)
    assert first == again
    assert len(first) == 150  # 120 pairs, in whole batches
    assert set(first) == {3, 8}
    assert first.count(8) / len(first) == pytest.approx(0.75, abs=0.12)
    draws.set_epoch(1)
    assert list(draws) != first


def test_one_seed_gives_the_same_weights_and_a_killed_training_goes_on_to_them(model, tmp_path, monkeypatch):
    whole, other = (tuned(model, tmp_path / str(seed), seed=seed, max_rounds=2) for seed in (0, 1))

    class KilledError(Exception):
        pass

    def die(*_):
        raise KilledError

    with monkeypatch.context() as patch:
        step = train_module.PairTrainer.compute_loss

        def some_steps(self, *args, **kwargs):
            return die() if self.state.global_step == 17 else step(self, *args, **kwargs)

        patch.setattr(train_module.PairTrainer, "compute_loss", some_steps)
        with pytest.raises(KilledError):
            tuned(model, tmp_path / "killed", max_rounds=2)
    assert list((tmp_path / "killed").glob("checkpoint-10"))
    again = tuned(model, tmp_path / "killed", max_rounds=2)
    np.testing.assert_array_equal(again.encode(WORDS), whole.encode(WORDS))
    assert np.abs(other.encode(WORDS) - whole.encode(WORDS)).max() > 1e-3


@pytest.mark.parametrize("saving", [{"gradient_checkpointing": True}, {"chunk_texts": 3}], ids=str)
def test_what_saves_memory_changes_no_result(model, tmp_path, saving):
    plain = tuned(model, tmp_path / "plain", max_rounds=1, round_steps=3).encode(WORDS)
    other = tuned(model, tmp_path / "saving", max_rounds=1, round_steps=3, **saving).encode(WORDS)
    np.testing.assert_allclose(other, plain, atol=1e-4)


def test_no_more_texts_are_read_at_once_than_allowed(model, tmp_path, monkeypatch):
    read, vectors = [], Encoder.vectors

    def counted(self, batch):
        read.append(len(batch["input_ids"]))
        return vectors(self, batch)

    monkeypatch.setattr(Encoder, "vectors", counted)
    tuned(model, tmp_path, max_rounds=1, round_steps=1, chunk_texts=3)
    assert max(read) == 3
    assert len(read) > 2  # each chunk twice


def test_accumulated_batches_make_one_step(model, tmp_path):
    """Two batches of the same two pairs are one batch of them."""
    pairs = by_thing()
    pairs.chances[:] = np.eye(120)[0]  # one pair alone: the gradient is 0 only if nothing competes
    hard = Pairs(WORDS, pairs.anchors, pairs.positives, pairs.chances, pairs.groups, by_thing(1).hard)
    one = tuned(model, tmp_path / "one", hard, max_rounds=1, round_steps=3, batch_size=2).encode(WORDS)
    two = tuned(
        model, tmp_path / "two", hard, max_rounds=1, round_steps=3, batch_size=2, accumulation=2
    ).encode(WORDS)
    np.testing.assert_allclose(two, one, atol=1e-4)


def test_no_pairs(model, tmp_path):
    pairs = by_thing()
    none = np.zeros(0, np.int64)
    empty = Pairs(WORDS, none, none, np.zeros(0), pairs.groups, np.zeros((0, 0), np.int64))
    with pytest.raises(InputError, match="pairs of texts"):
        tune(loaded(model), empty, SMALL, tmp_path, precision="fp32", seed=0)


def test_a_loss_that_is_not_finite(model, tmp_path):
    with pytest.raises(InputError, match=r"lower retriever\.finetune\.learning_rate"):
        tuned(model, tmp_path, learning_rate=1e30, warmup_steps=0, max_rounds=1)


def test_a_worse_model_is_not_kept(model, tmp_path, caplog):
    encoder = loaded(model)
    before = encoder.encode(WORDS)
    figures = iter([0.5, 0.4, 0.3, 0.2])
    found = tune(
        encoder,
        by_thing(),
        changed(patience=2),
        tmp_path,
        precision="fp32",
        seed=0,
        validation=lambda _: next(figures),
    )
    assert (found.steps, found.untouched, found.best) == (0, 0.5, 0.5)
    np.testing.assert_array_equal(encoder.encode(WORDS), before)
    assert "the untouched one is kept" in caplog.text


@pytest.fixture(scope="module")
def job(shop, model, tmp_path_factory):
    out = tmp_path_factory.mktemp("job")
    settings = RetrieverSettings(
        encoder=EncoderSettings(model=str(model), max_tokens=16),
        finetune=changed(pairs=("same_user", "next_item"), max_rounds=8),
        precision="fp32",
    )
    finetune(shop, TextSettings(item=("{title}",)), settings, out, seed=0)
    return out


def test_the_job_learns_what_users_take_together(job, shop, model):
    facts = json.loads((job / "finetune.json").read_text())
    assert facts["best"] > 1.5 * facts["untouched"]
    curve = [json.loads(line) for line in (job / "curve.jsonl").read_text().splitlines()]
    assert max(row["ndcg@10"] for row in curve) == facts["best"]
    assert closeness(loaded(job / "model")) > closeness(loaded(model))


def test_the_validation_is_the_plain_one(job, shop):
    """Every user, every item: mean of the past, seen items left out."""
    texts = item_texts(shop, TextSettings(item=("{title}",)), "train")
    encoder = loaded(job / "model")
    vectors = encoder.encode(texts)
    gains = []
    truth = dict(shop.truth("validation").rows())
    for user, wanted in truth.items():
        past = shop.histories("train").items_of(int(shop.user_ids.rows([user])[0]))
        scores = vectors @ vectors[past].mean(0)
        scores[past] = -np.inf
        place = int((scores >= scores[shop.item_ids.rows([wanted])[0]]).sum())
        gains.append(1 / np.log2(place + 1) if place <= 10 else 0.0)
    found = TextValidation(shop, texts, SMALL, seed=0)(encoder)
    assert found == pytest.approx(np.mean(gains), abs=0.02)  # equal scores may round differently


def test_texts_that_are_all_the_same(shop, model, tmp_path):
    pairs = shop_pairs(shop, ["a thing"] * len(shop.items), SMALL, "train")
    with pytest.raises(InputError, match="pairs of texts"):
        tune(loaded(model), pairs, SMALL, tmp_path, precision="fp32", seed=0)


def test_nobody_to_validate_with(shop, tmp_path):
    item = {"item_id": "a", "title": "red lipstick"}
    event = {"user_id": "u", "item_id": "a", "kind": "purchase", "position": 0}
    lonely = write_prepared(tmp_path / "p", [item], {"train": [event], "validation": [], "test": []})
    with pytest.raises(InputError, match="users of validation"):
        TextValidation(lonely, ["red lipstick"], SMALL, seed=0)
