"""Whether the shop's texts say anything to the language model: what it cannot read makes no towers."""

import logging
from collections.abc import Sequence

from aisle.data.errors import InputError
from aisle.retriever.encoder import CHARS_PER_TOKEN, Encoder

LOG = logging.getLogger(__name__)

SAMPLE = 2_000
"""Texts that are looked at, evenly spread."""

UNREADABLE, HARDLY_READABLE = 0.5, 0.1
"""Shares of unknown tokens that are refused (where nothing but the text describes an item) and warned of."""

CUT = 0.25
"""Share of texts over the limit that is warned of."""

OTHER_MODEL = (
    "take an encoder made for the language (--encoder, such as intfloat/multilingual-e5-small), "
    "or pre-train one with a tokenizer of the shop's own text (retriever.pretrain)"
)


def check_texts(texts: Sequence[str], encoder: Encoder, *, alone: bool) -> None:
    """Refuse or warn of texts that are all the same, unknown to the tokenizer, or longer than what is read.

    Args:
        texts: of the items.
        encoder: reads them.
        alone: whether items are described by nothing else; then what cannot be told apart is refused.

    Raises:
        InputError: the texts are of no use.
    """
    _check_difference(texts, alone=alone)
    step = max(1, len(texts) // SAMPLE)
    limit = encoder.settings.max_tokens
    sample = [text[: limit * CHARS_PER_TOKEN] for text in texts[::step] if text]
    if not sample:
        return
    rows: list[list[int]] = encoder.tokenizer(sample, add_special_tokens=False, verbose=False)["input_ids"]
    unknown = encoder.tokenizer.unk_token_id
    tokens = sum(map(len, rows))
    share = sum(row.count(unknown) for row in rows) / max(1, tokens) if unknown is not None else 0.0
    found = f"{share:.0%} of the tokens of the items' texts are {encoder.tokenizer.unk_token}"
    if share >= UNREADABLE and alone:
        raise InputError(f"texts that the tokenizer of {encoder.settings.model} knows", found, OTHER_MODEL)
    if share >= HARDLY_READABLE:
        LOG.warning("%s: %s cannot read them; %s", found, encoder.settings.model, OTHER_MODEL)
    over = sum(len(row) + encoder.special_tokens > limit for row in rows) / len(rows)
    if over >= CUT:
        LOG.warning(
            "%.0f%% of the items' texts are longer than %d tokens, and the rest of them is not read; "
            "raise retriever.encoder.max_tokens, or put what matters first (data.text.item)",
            100 * over,
            limit,
        )


def _check_difference(texts: Sequence[str], *, alone: bool) -> None:
    if len(texts) < 2 or len(set(texts)) > 1:
        return
    found = f"all {len(texts):,} items have the same text: {texts[0][:60]!r}"
    advice = "check which columns are the title and the description (mapping.toml)"
    if alone:
        raise InputError(
            "items whose texts differ",
            found,
            f'{advice}, or set retriever.towers to ["hybrid"] to learn from events, too',
        )
    LOG.warning('%s; %s, or set retriever.towers to ["ids"]', found, advice)
