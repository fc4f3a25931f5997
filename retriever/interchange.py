"""The folder format of sentence-transformers, read and written without the library.

    config.json, tokenizer.json, model.safetensors    the language model, as transformers saves it
    modules.json                                      what follows it: Transformer, Pooling, Normalize
    sentence_bert_config.json                         tokens of a text that are read; lower case
    1_Pooling/config.json                             how tokens become one vector

Two spellings are about: a pooling as a row of flags (`pooling_mode_mean_tokens`) with modules named
`sentence_transformers.models.Pooling`, and, in newer versions of the library, `"pooling_mode": "mean"` with
other module paths. Both are read. What is written is the older one, because every version reads it.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aisle.data.errors import InputError
from aisle.retriever.settings import Pooling

MODES: dict[str, Pooling] = {
    "mean": "mean",
    "cls": "cls",
    "lasttoken": "last_token",
    "max": "max",
    "mean_sqrt_len_tokens": "mean",
}
"""The library's names of poolings, and ours; at unit length the last is the mean."""

FLAGS = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_lasttoken": "lasttoken",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
}
"""The older spelling: flag and mode."""

KNOWN = ("Transformer", "Pooling", "Normalize")
"""Or StaticEmbedding in the place of the first two."""


@dataclass(frozen=True)
class Layout:
    """What a folder says about the way from a text to a vector.

    Attributes:
        language_model: folder with config.json, tokenizer and weights.
        pooling: None where the folder says nothing.
        lowercase: whether texts are put into lower case before the tokenizer reads them.
        static: whether each token has one vector, and there are no layers (StaticEmbedding).
    """

    language_model: Path
    pooling: Pooling | None = None
    lowercase: bool = False
    static: bool = False


def read_layout(folder: Path) -> Layout:
    """The layout of a folder; one without modules.json is a plain language model.

    Raises:
        InputError: vectors of this model are made in a way that aisle does not know.
    """
    if not (folder / "modules.json").is_file():
        return Layout(folder)
    modules = _read(folder / "modules.json")
    names = [str(module.get("type", "")).rpartition(".")[2] for module in modules]
    if names in (["StaticEmbedding"], ["StaticEmbedding", "Normalize"]):
        _refuse_prompt(folder / "config_sentence_transformers.json")
        return Layout(folder / modules[0]["path"], "mean", static=True)
    if strange := [name for name in names if name not in KNOWN] or names[:1] != ["Transformer"]:
        raise _unknown(folder / "modules.json", f"{strange if names else 'no modules'}")
    place = {name: folder / module["path"] for name, module in zip(names, modules, strict=True)}
    _refuse_prompt(folder / "config_sentence_transformers.json")
    pooling = _pooling(place["Pooling"] / "config.json") if "Pooling" in place else None
    model = place["Transformer"]
    reading = [_read(path) for path in sorted(model.glob("sentence_*_config.json"))]
    return Layout(model, pooling, lowercase=any(found.get("do_lower_case") for found in reading))


def write_layout(folder: Path, layout: Layout, dim: int, max_tokens: int) -> None:
    """Write beside a saved language model what sentence-transformers needs to give the same vectors.

    Args:
        folder: holds the language model.
        layout: with its pooling.
        dim: length of a vector.
        max_tokens: of a text, special ones included; the rest is cut.
    """
    body = ["StaticEmbedding"] if layout.static else ["Transformer", "Pooling"]
    kinds = [
        (index, f"{index}_{kind}" if index else "", kind) for index, kind in enumerate([*body, "Normalize"])
    ]
    modules = [
        {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for index, path, kind in kinds
    ]
    for _, path, _ in kinds[1:]:
        (folder / path).mkdir(exist_ok=True)
    _write(folder / "config_sentence_transformers.json", {"prompts": {}, "similarity_fn_name": "cosine"})
    _write(folder / "modules.json", modules)
    if layout.static:
        return
    flags = {
        flag: MODES.get(mode) == layout.pooling and mode != "mean_sqrt_len_tokens"
        for flag, mode in FLAGS.items()
    }
    _write(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": dim, **flags})
    _write(
        folder / "sentence_bert_config.json",
        {"max_seq_length": max_tokens, "do_lower_case": layout.lowercase},
    )


def _pooling(path: Path) -> Pooling:
    config = _read(path)
    modes = config.get("pooling_mode", [FLAGS[flag] for flag in FLAGS if config.get(flag)] or "mean")
    (mode, *more) = [modes] if isinstance(modes, str) else modes
    if more or mode not in MODES:
        raise _unknown(path, f"pooling {modes}")
    return MODES[mode]


def _refuse_prompt(path: Path) -> None:
    """Refuse a prompt that the library would put before each text unasked."""
    config = _read(path) if path.is_file() else {}
    name = config.get("default_prompt_name")
    if name and config.get("prompts", {}).get(name):
        raise _unknown(path, f"a prompt before every text: {name}")


def _unknown(path: Path, found: str) -> InputError:
    return InputError(
        f"an encoder made of {', '.join(KNOWN)}; pooling one of {', '.join(MODES)}; no default prompt",
        f"{found} in {path}",
        "take another encoder, or save this one without it",
    )


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError("a JSON file", f"{path}: {error}", "save the encoder again") from error


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
