"""The engine: what comes out is what each input gives alone, whatever the windows, batches and threads."""

import json
import logging
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from language_models import tiny_bert, tiny_gpt2
from pydantic import ValidationError

from aisle.data.errors import InputError
from aisle.retriever.encoder import Encoder
from aisle.retriever.engine import lanes, pieces, readers
from aisle.retriever.engine import stream as engine
from aisle.retriever.engine.pieces import ENOUGH, FIRST, MOST, Pieces, batches, in_pieces, windows
from aisle.retriever.engine.readers import Reader, TorchRead, sample_of
from aisle.retriever.engine.speeds import kept_at, speeds
from aisle.retriever.engine.stream import AHEAD, Batch, Job, stream
from aisle.retriever.engine.threads import cores
from aisle.retriever.lanes import in_lanes
from aisle.retriever.settings import EncoderSettings

CPU = torch.device("cpu")
STRANGE = [
    "",
    " \n\t ",
    "red lipstick " * 80_000,  # a megabyte
    "x" * 1_000_000,
    "💄💋🏽 👩‍👩‍👧",
    "أحمر شفاه",
    "שפתון אדום",
    "\u202emirror\u202c",
    "口红",
    "e\u0301\u0000\ufffd\ufeff",
    "red lipstick",
]


@pytest.fixture(scope="module", params=["bert", "gpt2"])
def encoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    make = {"bert": tiny_bert, "gpt2": tiny_gpt2}[request.param]
    folder = make(tmp_path_factory.mktemp("model") / request.param)
    return Encoder.load(EncoderSettings(model=str(folder), max_tokens=32, batch_tokens=64, precision="fp32"))


def job(budget: int = 64, seen: list[list[str]] | None = None) -> Job[str]:
    """Counts letters: the result of a piece is its tokens' sum and number; tokens are the letters' codes."""

    def tokenize(texts: list[str]) -> Pieces:
        if seen is not None:
            seen.append(texts)
        return Pieces([[ord(letter) for letter in text] or [1] for text in texts])

    def compute(batch: Batch[str]) -> torch.Tensor:
        ids, mask = batch.tokens["input_ids"], batch.tokens.get("attention_mask")
        assert mask is None or (ids[mask == 0] == 0).all()
        real = torch.ones_like(ids) if mask is None else mask
        assert [len(text) or 1 for text in batch.inputs] == real.sum(1).tolist()
        return torch.stack([(ids * real).sum(1), real.sum(1)], 1).float()

    return Job(tokenize, compute, CPU, budget, pad=0)


def words(count: int) -> list[str]:
    rng = np.random.default_rng(0)
    return ["".join(rng.choice([*"abcd"], int(rng.integers(0, 9)))) for _ in range(count)]


def test_results_come_in_the_order_of_the_inputs() -> None:
    texts, seen = words(3 * FIRST + 5), []
    found = list(stream(iter(texts), job(seen=seen)))
    assert [len(block) for block in found] == [FIRST, 2 * FIRST, 5]
    expected = [[sum(map(ord, text)) or 1, len(text) or 1] for text in texts]
    assert np.concatenate(found).tolist() == expected
    assert all(len(window) == len(set(window)) for window in seen), "equal inputs are computed once"
    assert list(stream([], job())) == []


def test_batches_hold_all_pieces_within_their_budget() -> None:
    lengths = np.random.default_rng(1).integers(1, 40, 500)
    made = batches(lengths, 128)
    assert sorted(np.concatenate(made).tolist()) == list(range(500))
    assert all(len(rows) * lengths[rows].max() <= 128 for rows in made)
    assert max(lengths[made[-1]]) <= min(lengths[made[0]]), "longest first"
    assert [rows.tolist() for rows in batches(np.array([500, 3]), 128)] == [[0], [1]]


def test_batches_of_few_texts_are_hardly_padded() -> None:
    lengths = np.random.default_rng(2).integers(8, 128, 300)
    made = batches(lengths, 8192)
    assert sorted(np.concatenate(made).tolist()) == list(range(300))
    sizes = [len(rows) * int(lengths[rows].max()) for rows in made]
    assert 1 - lengths.sum() / sum(sizes) < 0.1, "in whole batches of 8192: 0.19"
    assert min(sizes[:-1]) >= ENOUGH * 8192, "and all but the last are worth a step"


def test_windows_end_by_number_and_by_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = [len(window) for window in windows(range(100_000))]
    assert sizes[:4] == [FIRST, 2 * FIRST, 4 * FIRST, 8 * FIRST]
    assert max(sizes) == MOST
    assert sum(sizes) == 100_000
    monkeypatch.setattr(pieces, "MOST_CHARACTERS", 10)
    assert list(windows(["a" * 6, "b" * 5, "c" * 30, "d"], len)) == [["a" * 6], ["b" * 5], ["c" * 30], ["d"]]


def test_a_long_input_is_the_mean_of_its_tokens() -> None:
    def compute(batch: Batch[str]) -> torch.Tensor:
        return batch.tokens["input_ids"].float().sum(1) / batch.tokens["input_ids"].ne(0).sum(1)

    said = {"long": [[1, 2, 3], [4, 5, 6], [7]], "short": [[8]]}
    made = Job[str](lambda texts: in_pieces([said[text] for text in texts]), compute, CPU, 8, pad=0)
    (found,) = stream(["short", "long"], made)
    assert found.tolist() == pytest.approx([8, (1 + 2 + 3 + 4 + 5 + 6 + 7) / 7])


def test_reading_ahead_is_bounded_and_ends_with_who_reads() -> None:
    read = 0

    def endless() -> Iterator[str]:
        nonlocal read
        while True:
            read += 1
            yield f"{read}"

    before = threading.active_count()
    found = stream(endless(), job(budget=1))
    assert next(found).shape == (FIRST, 2)
    assert read <= FIRST + 2 * FIRST + 4 * FIRST, "one window in work, one tokenized, one begun"
    assert AHEAD < FIRST
    found.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


@pytest.mark.parametrize("where", ["inputs", "tokenize", "compute"])
def test_what_goes_wrong_is_raised_where_it_is_read(where: str) -> None:
    def inputs() -> Iterator[str]:
        yield "a"
        if where == "inputs":
            raise InputError("a", "b", "c")

    def fail(*_: object) -> Pieces:
        raise InputError("a", "b", "c")

    plain = job()
    made = {
        "inputs": plain,
        "tokenize": Job[str](fail, plain.compute, CPU, 64, 0),
        "compute": Job[str](plain.tokenize, fail, CPU, 64, 0),  # type: ignore[arg-type]
    }[where]
    before = threading.active_count()
    with pytest.raises(InputError):
        list(stream(inputs(), made))
    assert threading.active_count() == before


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(lanes, "cores", lambda: 2)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("settled", "batches"), [(False, 9), (True, 8)])
def test_batches_side_by_side_have_a_core_each_and_keep_their_order(
    settled: bool, batches: int, two_cores: None
) -> None:
    plain, both, where, begun = job(), threading.Barrier(2), set(), []

    def compute(batch: Batch[str]) -> torch.Tensor:
        begun.append(batch.inputs)
        if settled or len(begun) > 1:  # the first settles the arithmetic, alone
            both.wait(timeout=30)  # nothing goes on until two of them are at work
        where.add((threading.current_thread().name, torch.get_num_threads()))
        return plain.compute(batch)

    texts = [f"{number:03d}" for number in range(batches)]
    made = Job[str](plain.tokenize, compute, CPU, 3, pad=0, settled=lambda: settled)
    (found,) = stream(texts, made)
    assert found.tolist() == [[sum(map(ord, text)), 3] for text in texts]
    assert where == {("lane_0", 1), ("lane_1", 1)}
    assert torch.get_num_threads() == 2


def test_fewer_batches_than_lanes_have_all_cores(two_cores: None) -> None:
    plain, where = job(), []

    def compute(batch: Batch[str]) -> torch.Tensor:
        where.append((threading.current_thread(), torch.get_num_threads()))
        return plain.compute(batch)

    list(stream(["a", "b"], Job[str](plain.tokenize, compute, CPU, 64, pad=0)))
    assert where == [(threading.current_thread(), 2)]


def test_a_lane_makes_no_lanes(two_cores: None) -> None:
    assert lanes.Lanes(CPU).count == 2
    assert lanes.Lanes(torch.device("meta")).count == 1
    assert list(in_lanes(lambda _: lanes.Lanes(CPU).count, range(2))) == [1, 1]


def test_a_fault_in_a_lane_is_raised_and_ends_them(two_cores: None) -> None:
    plain, before = job(), threading.active_count()

    def compute(batch: Batch[str]) -> torch.Tensor:
        if batch.inputs == ["005"]:
            raise InputError("a", "b", "c")
        return plain.compute(batch)

    texts = [f"{number:03d}" for number in range(100)]
    with pytest.raises(InputError):
        list(stream(texts, Job[str](plain.tokenize, compute, CPU, 3, pad=0)))
    assert threading.active_count() == before


def test_strange_texts_have_the_vectors_that_they_have_alone(encoder: Encoder) -> None:
    together = encoder.encode(STRANGE)
    assert np.isfinite(together).all()
    alone = np.concatenate([encoder.encode([text]) for text in STRANGE])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    streamed = np.concatenate(list(encoder.stream(iter(STRANGE))))
    np.testing.assert_array_equal(streamed, together)


def test_tokens_of_pairs_and_windows_are_the_tokenizers(encoder: Encoder) -> None:
    found = encoder.pairs(["red lipstick", ""], ["a golden shampoo", ""])
    one = encoder.tokenizer("red lipstick", "a golden shampoo")
    assert found.ids[0] == one["input_ids"]
    assert found.types is None or found.types[0] == one["token_type_ids"]
    assert all(found.ids), "nothing is something too"
    assert all(len(window) <= 32 for window in encoder.windows(STRANGE, 4)[2])


def test_auto_takes_what_is_faster_and_says_so(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(readers, "in_bf16", lambda *_: True)
    monkeypatch.setattr(readers, "speeds", lambda about, ways, made: {"fp32": 1.0, "bf16": 0.5})
    tokens = {"input_ids": torch.tensor([[5, 6, 7]])}
    caplog.set_level(logging.INFO)
    reader = Reader(encoder.model, "auto")
    states = reader(tokens)
    assert (reader.precision, states.dtype) == ("bf16", torch.float32)
    assert "computes in bf16 (torch): cosine" in caplog.text
    exact = Reader(encoder.model, "fp32")(tokens)
    assert 0 < (states - exact).abs().max() < 0.1
    monkeypatch.setattr(readers, "speeds", lambda about, ways, made: {"fp32": 1.0, "bf16": 0.95})
    reader = Reader(encoder.model, "auto")
    assert (reader(tokens) - exact).abs().max() < 1e-6, "5% are not worth the rounding"
    assert reader.precision == "fp32"


def test_auto_takes_nothing_that_bends_the_vectors(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Bent(Reader):
        def made(self, precision, sample):
            exact = TorchRead(self.model)
            return exact if precision == "fp32" else lambda tokens: exact(tokens).flip(-1)

        def _candidates(self, sample):
            return ["bf16"]

    tokens = {"input_ids": torch.tensor([[5, 6, 7]])}
    assert Bent(encoder.model, "auto", least=-1.0)(tokens) is not None
    assert not caplog.text
    reader = Bent(encoder.model, "auto")
    found = reader(tokens)
    assert reader.precision == "fp32"
    assert "something slower is taken" in caplog.text
    assert (found - Reader(encoder.model, "fp32")(tokens)).abs().max() < 1e-6


def test_a_model_that_is_read_follows_its_training(encoder: Encoder) -> None:
    before = encoder.encode(["red lipstick"])
    weights = next(encoder.model.parameters())
    with torch.no_grad():
        weights.mul_(-1)
        changed = encoder.encode(["red lipstick"])
        weights.mul_(-1)
    assert np.abs(changed - before).max() > 1e-3
    np.testing.assert_array_equal(encoder.encode(["red lipstick"]), before)


def test_samples_run_from_the_longest_to_the_shortest() -> None:
    tokens = {"input_ids": torch.arange(64 * 20).reshape(64, 20)}
    rows = sample_of(tokens)["input_ids"][:, 0] // 20
    assert (len(rows), int(rows[0]), int(rows[-1])) == (16, 0, 63)
    assert len(sample_of({"input_ids": torch.ones(2, 5000)})["input_ids"]) == 1


def test_speeds_are_measured_once(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    calls: list[str] = []

    def made(name: str):
        return lambda: calls.append(name)

    first = speeds({"threads": 2}, ["a", "b"], made)
    assert list(first) == ["a", "b"]
    assert calls[:4] == ["a", "b", "a", "b"], "in turn"
    done = len(calls)
    assert speeds({"threads": 2}, ["a", "b"], made) == first
    assert len(calls) == done
    speeds({"threads": 4}, ["a", "b"], made)
    assert len(calls) == 2 * done
    assert len(json.loads(kept_at().read_text())) == 2
    kept_at().write_text("[no json")
    speeds({"threads": 2}, ["a", "b"], made)
    assert len(calls) == 3 * done


def test_cores_are_those_that_are_paid_for(tmp_path) -> None:
    allowed = cores(tmp_path)
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert cores(tmp_path) == allowed
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert cores(tmp_path) == 1
    (tmp_path / "cpu.max").unlink()
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("-1\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert cores(tmp_path) == allowed
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("100000\n")
    assert cores(tmp_path) == 1


@pytest.mark.parametrize("place", ["cuda", "cpu"])
def test_attention_without_padding_is_for_gpus(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stub:
        chosen = "sdpa"
        supported = True

        def parameters(self):
            return iter([SimpleNamespace(dtype=torch.bfloat16, device=SimpleNamespace(type=place))])

        def set_attn_implementation(self, name: str) -> None:
            if not self.supported:
                raise ValueError("this model does not support it")
            self.chosen = name

    without_padding = readers.without_padding.__wrapped__  # shapes and types of a stub are its own
    monkeypatch.setattr(readers, "is_flash_attn_2_available", lambda: False)
    assert without_padding(Stub()).chosen == "sdpa"
    monkeypatch.setattr(readers, "is_flash_attn_2_available", lambda: True)
    assert without_padding(Stub()).chosen == ("flash_attention_2" if place == "cuda" else "sdpa")
    monkeypatch.setattr(Stub, "supported", False)
    assert without_padding(Stub()).chosen == "sdpa"


def test_arithmetic_that_nobody_has(encoder: Encoder) -> None:
    with pytest.raises(ValidationError, match="only with backend = 'openvino'"):
        EncoderSettings(precision="int8")
    with pytest.raises(InputError, match="a GPU for"):
        Reader.of(encoder.model, EncoderSettings(precision="fp16"))


def test_a_window_begins_while_the_one_before_it_ends(
    two_cores: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last batch of the first window is not done before one of the second is at work."""
    plain, prepared, second, put = job(), threading.Event(), threading.Event(), engine._put
    texts = [f"{number:05d}" for number in range(FIRST + 4)]
    where: list[str] = []

    def putting(ready: Any, made: Any, left: threading.Event) -> bool:
        found = put(ready, made, left)
        if isinstance(made, Batch) and texts[FIRST] in made.inputs:
            prepared.set()
        return found

    def compute(batch: Batch[str]) -> torch.Tensor:
        assert prepared.wait(timeout=30)
        if texts[FIRST] in batch.inputs:
            where.append(threading.current_thread().name)
            second.set()
        if texts[FIRST - 1] in batch.inputs:
            assert second.wait(timeout=30)
        return plain.compute(batch)

    monkeypatch.setattr(engine, "_put", putting)
    found = list(stream(texts, Job[str](plain.tokenize, compute, CPU, 5 * 64, pad=0)))
    assert [len(block) for block in found] == [FIRST, 4]
    assert np.concatenate(found).tolist() == [[sum(map(ord, text)), 5] for text in texts]
    assert where[0].startswith("lane"), "all cores are not free for it"


def test_windows_that_are_done_come_before_an_error() -> None:
    texts = words(3 * FIRST + 1)

    def inputs() -> Iterator[str]:
        yield from texts
        raise OSError("the file ends too early")

    found: list[Any] = []
    with pytest.raises(OSError, match="too early"):
        found.extend(stream(inputs(), job()))
    assert [len(block) for block in found] == [FIRST, 2 * FIRST]
