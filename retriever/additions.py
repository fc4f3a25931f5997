"""Items that came after the training: embedded from their texts, found at once."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import polars as pl
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from aisle.data.errors import InputError
from aisle.data.visitors import Longer
from aisle.data.words import words_of
from aisle.index.exact import ExactIndex
from aisle.retriever.arithmetic import device
from aisle.retriever.candidates import Retriever, sources_of
from aisle.retriever.encoder import Encoder
from aisle.retriever.model import Model, build, words_column
from aisle.retriever.sources import WORDS, divisors, item_vectors, side_by_side
from aisle.retriever.towers import TwoTower
from aisle.retriever.weights import FUSED
from aisle.retriever.words import with_words


def with_items(model: Model, ids: pl.Series, texts: Sequence[str]) -> Model:
    """The model with more items, which no event names: their texts speak, and the prior of new ones.

    Args:
        model: trained.
        ids: external ids, all new and different.
        texts: one for each; not read by a model of ids alone.

    Raises:
        InputError: an id is there already or twice.
    """
    known = pl.concat([model.items, ids.cast(pl.String)])
    if known.n_unique() != len(known):
        twice = known.filter(known.is_duplicated())[0]
        raise InputError("items that are new and all different", f"{twice!r} twice", "leave it out")
    text = None
    if model.text is not None:
        encoder = Encoder.load(model.settings.encoder, device())
        text = torch.cat([model.text, torch.from_numpy(encoder.encode(list(texts), "encoding items"))])
    return _with_words(_with_text(model, known, text), model, texts)


def longer(retriever: Retriever, items: pl.DataFrame, texts: Sequence[str]) -> Retriever:
    """The retriever of a shop with more items, as in :func:`with_items`; it searches exactly.

    It finds what the other may find, and the new ones.

    Args:
        retriever: of the shop as it is.
        items: canonical items (:func:`aisle.data.visitors.items_of`).
        texts: one for each.

    Raises:
        InputError: an item is there already or twice.
    """
    model = with_items(retriever.model, items["item_id"], texts)
    shop = Longer.of(retriever.prepared, items)
    vectors = sources_of(shop, model).indexed(model.weights.fused, model.priors[FUSED])
    found = Retriever(shop, model, ExactIndex(vectors, retriever.settings), retriever.settings)
    if retriever.allowed is None:
        return found
    return found.allowing(np.append(retriever.allowed, np.ones(len(items), np.bool_)))


def with_texts(
    model: Model,
    ids: pl.Series,
    vectors: Float[NDArray[np.float32], "n text_dim"],
    said: Callable[[NDArray[np.bool_]], Sequence[str] | None] = lambda _: None,
) -> tuple[Model, Int[NDArray[np.int64], " n"]]:
    """The model as it would be if the catalogue said something else: other texts, and items that are new.

    Items that the model knows keep the words that they had.

    Args:
        model: trained, on texts among other things.
        ids: items of the catalogue of today, all different.
        vectors: text vector of each, by the model's own encoder.
        said: gives the texts of the new ones among them, bool (n), for a model that reads words; None: they
            share no words with any item.

    Returns:
        A model of all items, the ones that are gone included, and the row of each of `ids` in it.

    Raises:
        InputError: the model reads no texts.
    """
    if model.text is None:
        raise InputError("a model that reads texts", "one of ids alone", "train with text to add items")
    known = model.items.to_frame("item_id").with_row_index("row")
    found = ids.to_frame("item_id").join(known, on="item_id", how="left", maintain_order="left")["row"]
    rows = found.cast(pl.Int64)
    new = rows.is_null().to_numpy()
    places = rows.fill_null(-1).to_numpy().copy()
    places[new] = len(model.items) + np.arange(int(new.sum()))
    text = model.text.clone()
    text[torch.from_numpy(places[~new])] = torch.from_numpy(vectors[~new])
    text = torch.cat([text, torch.from_numpy(vectors[new])])
    longer = _with_text(model, pl.concat([model.items, ids.filter(pl.Series(new))]), text)
    texts = said(new) if model.words is not None and new.any() else None
    return longer if texts is None else _with_words(longer, model, texts), places


def indexed_vectors(
    model: Model, ids: pl.Series, vectors: Float[NDArray[np.float32], "n text_dim"]
) -> Float[NDArray[np.float32], "n dim"]:
    """Vectors of the items of today for an index that the model's queries search (`Sources.indexed`).

    Arguments are those of :func:`with_texts`.
    """
    longer, rows = with_texts(model, ids, vectors)
    found = item_vectors(longer.towers, longer.similarity)
    temperatures = divisors(longer.temperatures, longer.similarity)
    return side_by_side(longer.weights.fused, temperatures, found, longer.priors[FUSED])[rows]


def _with_words(longer: Model, model: Model, texts: Sequence[str]) -> Model:
    """A model with more items, which share words with those that it had, if words are a source."""
    if model.words is None:
        return longer
    words, more = model.words.to_list(), words_of(texts)
    shared = with_words(model.neighbours[WORDS], words, more, trained=model.trained)
    neighbours = {**longer.neighbours, WORDS: shared}
    return replace(longer, neighbours=neighbours, words=words_column([*words, *more]))


def _with_text(model: Model, items: pl.Series, text: Tensor | None) -> Model:
    """The model with these items, the first of which it knows, and these text vectors."""
    more = len(items) - len(model.items)
    weights = {FUSED: model.weights.fused, **model.weights.alone}
    priors = {
        name: np.concatenate([prior, np.full(more, weights[name].prior.new, np.float32)])
        for name, prior in model.priors.items()
    }
    return replace(
        model,
        towers={name: _longer(model, name, text, more) for name in model.towers},
        similarity=replace(model.similarity, vectors=text.numpy())
        if model.similarity and text is not None
        else None,
        neighbours={name: source.wider(more) for name, source in model.neighbours.items()},
        words=None if model.words is None else pl.concat([model.words, words_column([[]] * more)]),
        priors=priors,
        items=items,
        text=text,
    )


def _longer(model: Model, name: str, text: Tensor | None, more: int) -> TwoTower:
    """Towers with more items; these have no free vectors."""
    state = dict(model.towers[name].state_dict())
    for key in ("items.known", "items.free.weight"):
        if key in state:
            state[key] = torch.cat([state[key], state[key].new_zeros(more, *state[key].shape[1:])])
    width = getattr(model.towers[name].users, "text_dim", 0)
    towers = build(model.settings, model.kinds[name], text, state["items.known"], width)
    towers.load_state_dict(state)
    return towers.eval()
