"""The fine-tuning of a shop's language model, from its prepared events to a folder."""

import json
from dataclasses import asdict
from pathlib import Path

from aisle.data.prepared import Prepared
from aisle.data.settings import TextSettings
from aisle.retriever import processes
from aisle.retriever.arithmetic import device
from aisle.retriever.encoder import Encoder
from aisle.retriever.finetune.pairs import shop_pairs
from aisle.retriever.finetune.together import tune_with_towers
from aisle.retriever.finetune.train import tune
from aisle.retriever.finetune.validation import TextValidation
from aisle.retriever.settings import RetrieverSettings
from aisle.retriever.texts import item_texts


def finetune(
    prepared: Prepared, text: TextSettings, settings: RetrieverSettings, out: Path, *, seed: int
) -> None:
    """Fine-tune the language model on the events of train, and write it to `out/model/`.

    The folder is in the format of sentence-transformers. `out/finetune.json` says how many steps were kept
    and what validation gave, `out/curve.jsonl` how it went. Events of validation decide when to stop and are
    never trained on. What else is in `out` afterwards is for a run that continues a killed one.

    Raises:
        InputError: no pairs to train on, nobody to validate with, or a model that cannot be trained so.
    """
    reading = settings.encoder.model_copy(update={"precision": "fp32"})
    encoder = Encoder.load(reading, device())
    if settings.finetune.through == "towers":
        tuned = tune_with_towers(encoder, prepared, text, settings, out / "checkpoints", seed=seed)
    else:
        texts = item_texts(prepared, text, "train")
        tuned = tune(
            encoder,
            shop_pairs(prepared, texts, settings.finetune, "train"),
            settings.finetune,
            out / "checkpoints",
            precision=settings.precision,
            seed=seed,
            validation=TextValidation(prepared, texts, settings.finetune, seed),
        )
    if processes.is_first():
        encoder.save(out / "model")
        facts = asdict(tuned)
        (out / "curve.jsonl").write_text("".join(json.dumps(row) + "\n" for row in facts.pop("curve")))
        (out / "finetune.json").write_text(json.dumps(facts) + "\n")
    processes.wait()
