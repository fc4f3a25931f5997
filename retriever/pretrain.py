"""Pre-training of a language model on a shop's own text: masked words, or the next token."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.data import Sampler
from transformers import EarlyStoppingCallback, PreTrainedModel, TrainingArguments, set_seed
from transformers.utils import SAFE_WEIGHTS_NAME

from aisle.data.progress import meter
from aisle.retriever import processes
from aisle.retriever.arithmetic import device, in_bf16, keep_freed_memory
from aisle.retriever.checkpoint import quiet_transformers
from aisle.retriever.corpus import held_out
from aisle.retriever.language_model import LanguageModel, new_model, read_language_model
from aisle.retriever.masking import Examples, Masking, chunks, with_labels
from aisle.retriever.perplexity import Perplexity
from aisle.retriever.rounds import RoundsTrainer, arguments
from aisle.retriever.sampler import EpochSampler
from aisle.retriever.settings import EncoderSettings, PretrainSettings
from aisle.retriever.trainer import Watch


def pretrain(
    texts: Sequence[str], encoder: EncoderSettings, settings: PretrainSettings, out: Path, *, seed: int
) -> LanguageModel:
    """Train a language model on `texts`; write `out/model/` (an encoder's folder) and `out/curve.jsonl`.

    A line of the curve is a round: `epoch`, `loss`, and `perplexity` of the held-out texts, of which always
    the same words are masked. The model is the one of the best round. Continues from the checkpoints that a
    killed run left in `out`; equal seeds give equal models.

    Args:
        texts: a part of them is held out; see :mod:`aisle.retriever.corpus`.
        encoder: the model to go on from, the longest text in tokens, and the pooling.
        settings: of the training.
        out: an existing folder.
        seed: of everything random.

    Returns:
        The model of the best round, with its head.

    Raises:
        InputError: fewer than two texts, a model that cannot be read, or a loss that is no longer finite.
    """
    keep_freed_memory()
    learned, held = held_out(texts, settings.held_out_share, settings.held_out_texts, seed)
    learned = learned[: settings.steps * settings.batch_size]
    set_seed(seed)
    if settings.from_scratch:
        start = new_model(learned, settings, "mean" if encoder.pooling == "auto" else encoder.pooling)
    else:
        start = read_language_model(encoder)
    start.warn_of_unknown(held, encoder.model)
    limit = min(encoder.max_tokens, start.encoder(encoder).longest or encoder.max_tokens)
    parts = [chunks(start.tokenizer, part, limit, start.objective) for part in (learned, held)]
    dataset, evaluation = (Examples(part, start.padding) for part in parts)
    masking = start.masking(settings)
    perplexity = Perplexity(evaluation, masking, settings.batch_size, seed)
    folder = out.resolve() / "checkpoints"
    asked = arguments(
        folder,
        steps=settings.steps,
        round_steps=min(settings.round_steps, settings.steps),
        metric=LanguageTrainer.metric,
        bf16=in_bf16(settings.precision, device()),
        seed=seed,
        per_device_train_batch_size=processes.portion(settings.batch_size, "retriever.pretrain.batch_size"),
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        warmup_steps=settings.warmup_steps,
        lr_scheduler_type="linear",
        greater_is_better=False,
        ddp_find_unused_parameters=False,
    )
    trainer = LanguageTrainer(start.model, masking, dataset, perplexity, asked)
    trainer.add_callback(EarlyStoppingCallback(early_stopping_patience=settings.patience))
    with quiet_transformers(), meter("pre-training", settings.steps) as progress:
        trainer.add_callback(Watch(progress))
        trainer.run(folder, settings.patience)
    if processes.is_first():
        (out / "curve.jsonl").write_text("".join(json.dumps(row) + "\n" for row in trainer.curve()))
        start.encoder(encoder).save(out / "model")
    return start


class LanguageTrainer(RoundsTrainer):
    """Trains a language model with its own loss; batches hold texts of similar length."""

    metric = "perplexity"

    def __init__(
        self,
        model: PreTrainedModel,
        masking: Masking | None,
        dataset: Examples,
        perplexity: Perplexity,
        arguments: TrainingArguments,
    ) -> None:
        super().__init__(model, dataset, perplexity, arguments)
        self.masking = masking
        self.lengths = dataset.lengths

    def compute_loss(self, model: nn.Module, inputs: dict[str, Tensor], *_: Any, **__: Any) -> Tensor:
        """Mean loss of the predicted tokens of a batch, in nats."""
        return model(**with_labels(inputs, self.masking)).loss  # type: ignore[no-any-return]

    def restore(self, checkpoint: Path) -> None:
        """Put the weights of a checkpoint into the model; tied ones are stored once."""
        self.module.load_state_dict(load_file(checkpoint / SAFE_WEIGHTS_NAME), strict=False)
        self.module.tie_weights()  # type: ignore[operator]

    def _get_train_sampler(self, *_: object) -> Sampler[int]:
        return EpochSampler(self.args.train_batch_size * processes.count(), self.lengths, self.args.seed)
