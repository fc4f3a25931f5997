"""A language model without layers: each token has one vector, and a text has their mean.

It is read as the others are (:class:`aisle.retriever.encoder.Encoder`), a hundred times as fast, and knows
nothing of the order of words. As a folder it is sentence-transformers' `StaticEmbedding`:

    modules.json          StaticEmbedding, Normalize
    tokenizer.json        read without special tokens
    model.safetensors     embedding.weight (tokens, dim)
"""

from pathlib import Path
from types import SimpleNamespace

import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, processors
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

NAME = "embedding.weight"


class StaticModel(nn.Module):
    """Vectors of tokens, whatever stands beside them.

    Args:
        weights: of each token (tokens, dim).
    """

    def __init__(self, weights: Float[Tensor, "tokens dim"]) -> None:
        super().__init__()
        self.embedding = nn.Embedding(weights.shape[0], weights.shape[1], _weight=weights)
        self.config = SimpleNamespace(
            hidden_size=weights.shape[1], num_hidden_layers=0, model_type="static", is_encoder_decoder=False
        )

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> SimpleNamespace:
        """States of tokens, as transformers' models give them."""
        return SimpleNamespace(last_hidden_state=self.embedding(input_ids))

    def save_pretrained(self, folder: Path) -> None:
        """Write the vectors of the tokens."""
        save_file({NAME: self.embedding.weight.detach().cpu().contiguous()}, folder / "model.safetensors")


def read_static(folder: Path) -> StaticModel:
    """The model in a folder.

    Raises:
        ValueError: there are no vectors of tokens in it.
    """
    state = load_file(folder / "model.safetensors")
    weights = state.get(NAME, state.get("embeddings"))  # model2vec's name of it
    if weights is None or weights.ndim != 2:
        raise ValueError(f"no {NAME} in model.safetensors")
    return StaticModel(weights.float()).eval()


def read_static_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer in a folder, which adds no special tokens."""
    return without_special_tokens(Tokenizer.from_file(str(folder / "tokenizer.json")))


def without_special_tokens(tokenizer: Tokenizer) -> PreTrainedTokenizerBase:
    """The same tokenizer for texts alone, with nothing before or behind them."""
    own = Tokenizer.from_str(tokenizer.to_str())
    own.no_padding()
    own.no_truncation()
    own.post_processor = processors.TemplateProcessing(single="$A", pair="$A $B", special_tokens=[])
    first = own.id_to_token(0)
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=own, pad_token=first, eos_token=first, padding_side="right"
    )


def token_vectors(count: int, states: Float[Tensor, "n dim"], ids: Tensor) -> Float[Tensor, "tokens dim"]:
    """Vectors of all tokens from those of some; the others get the mean."""
    found = states.mean(0).repeat(count, 1)
    return torch.index_copy(found, 0, ids, states)
