"""How well a language model predicts held-out texts."""

from collections.abc import Iterator, Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from aisle.retriever.masking import IGNORED, Examples, Masking, with_labels


class Perplexity:
    """exp of the mean loss of a predicted token, over held-out texts with always the same words masked.

    Args:
        examples: the held-out texts.
        masking: how words are hidden; None for a causal model.
        batch_size: texts read at once.
        seed: of the masks.
    """

    def __init__(self, examples: Examples, masking: Masking | None, batch_size: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        ordered = sorted(examples.chunks, key=lambda chunk: len(chunk.ids))
        self.batches = [
            with_labels(examples.collate(ordered[start : start + batch_size]), masking, generator)
            for start in range(0, len(ordered), batch_size)
        ]
        self.causal = masking is None
        if self.causal:
            for batch in self.batches:
                batch["labels"][:, 0] = IGNORED

    def __call__(self, model: nn.Module) -> float:
        """Perplexity of a model as it is."""
        nats, tokens = 0.0, 0
        for batch, losses in self.losses(model):
            nats += float(losses.sum())
            tokens += int((batch["labels"] != IGNORED).sum())
        return float(torch.tensor(nats / max(1, tokens)).exp())

    def losses(
        self, model: nn.Module
    ) -> Iterator[tuple[Mapping[str, Tensor], Float[Tensor, "batch tokens"]]]:
        """Each batch with the loss of its tokens in nats; 0 where nothing is predicted.

        `labels` of a causal model's batch are told apart from the inputs already: a text's first token, which
        nothing stands before, is not predicted.
        """
        place = next(model.parameters()).device
        with torch.inference_mode():
            for batch in self.batches:
                inputs = {name: value.to(place) for name, value in batch.items() if name != "labels"}
                logits, labels = model(**inputs).logits.float(), batch["labels"].to(place)
                if self.causal:
                    logits = logits.roll(1, dims=1)  # the token before predicts
                yield (
                    batch,
                    nn.functional.cross_entropy(
                        logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="none"
                    ).view(labels.shape),
                )
