"""A trained encoder on its way to a hub."""

from pathlib import Path

from aisle.data.errors import InputError
from aisle.retriever.interchange import read_layout

CARD = """---
library_name: sentence-transformers
pipeline_tag: sentence-similarity
tags:
- sentence-transformers
- feature-extraction
- aisle
---

# {name}

An encoder of a shop's products and behaviour, trained with aisle. Texts become vectors of unit length:

```python
from sentence_transformers import SentenceTransformer

vectors = SentenceTransformer("{repo}").encode(["red lipstick"])
```
"""
"""README.md of a repository whose folder has none."""


def push(folder: Path, repo: str, *, private: bool = False) -> str:
    """Upload an encoder's folder to a hub, as one commit, and return its address.

    The token comes from `huggingface_hub` (`hf auth login` or `HF_TOKEN`), the hub from `HF_ENDPOINT`.

    Args:
        folder: as :meth:`aisle.retriever.encoder.Encoder.save` writes it, or one that holds it in `model/`.
        repo: name on the hub; made if need be.
        private: whether a new repository is hidden from others.

    Raises:
        InputError: `folder` holds no encoder, or the hub refuses.
    """
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.errors import HFValidationError, HTTPError, LocalTokenNotFoundError  # type: ignore[attr-defined]

    place = folder / "model" if (folder / "model" / "modules.json").is_file() else folder
    if (
        not (place / "modules.json").is_file()
        or not (read_layout(place).language_model / "config.json").is_file()
    ):
        raise InputError(
            "a folder with an encoder (modules.json, config.json)",
            f"none in {folder}",
            "give the folder of `aisle pretrain`, or its model/",
        )
    files: dict[str, Path | bytes] = {
        path.relative_to(place).as_posix(): path for path in sorted(place.rglob("*")) if path.is_file()
    }
    files.setdefault("README.md", CARD.format(name=repo.rpartition("/")[2], repo=repo).encode())
    additions = [
        CommitOperationAdd(path_in_repo=name, path_or_fileobj=content) for name, content in files.items()
    ]
    api = HfApi()
    try:
        url = api.create_repo(repo, private=private, exist_ok=True)
        api.create_commit(url.repo_id, operations=additions, commit_message="Encoder trained with aisle")
    except (HTTPError, HFValidationError, LocalTokenNotFoundError, OSError) as error:
        raise InputError(
            "a hub that takes the encoder",
            f"{repo}: {(str(error).splitlines() or [type(error).__name__])[0]}",
            "check the name and the network, and log in with `hf auth login` or set HF_TOKEN",
        ) from error
    return str(url)
