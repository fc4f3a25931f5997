"""Verbs that share what was trained."""

from pathlib import Path
from typing import Annotated

import typer

from aisle.cli.verb import Answer


def push(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Encoder, or a stage that holds one in model/.")
    ],
    repo: Annotated[str, typer.Argument(metavar="REPO", help="Name on the hub, such as acme/shop-encoder.")],
    private: Annotated[bool, typer.Option("--private", help="For your own eyes.")] = False,
) -> Answer:
    """Share a trained encoder on the Hugging Face hub."""
    from aisle.retriever.hub import push

    url = push(folder, repo, private=private)
    return Answer({"url": url}, [url])
