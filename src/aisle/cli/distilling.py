"""`aisle distill`: a smaller encoder for a shop."""

from pathlib import Path
from typing import Annotated

import typer

from aisle.cli.options import Config, Encoder, Seed, Set, settings_of
from aisle.cli.verb import Answer


def distill(
    catalogue: Annotated[
        str, typer.Argument(metavar="CATALOGUE", help="A shop's items: a file, a folder or a database.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for the encoder; must not be there.")],
    config: Config = None,
    set_: Set = None,
    seed: Seed = None,
    encoder: Encoder = None,
    layers: Annotated[
        int, typer.Option("--layers", min=0, help="Layers that stay; 0: none, a vector for each token.")
    ] = 0,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Passes over the texts.")] = 10,
    query: Annotated[
        str | None, typer.Option("--query", metavar="SQL", help="For a database: its rows are the items.")
    ] = None,
) -> Answer:
    """Teach a smaller and faster encoder the vectors of the language model, on a shop's own texts."""
    from aisle.data.catalogue import read_catalogue
    from aisle.data.errors import InputError
    from aisle.data.text import render_items
    from aisle.durable import remove
    from aisle.retriever.arithmetic import device
    from aisle.retriever.encoder import Encoder as Reads
    from aisle.retriever.smaller.distill import distill
    from aisle.retriever.smaller.settings import DistillSettings

    if out.exists():
        raise InputError("a folder that is not there yet (--out)", f"{out}", "name another")
    chosen = settings_of(config, set_, seed=seed, encoder=encoder)
    texts = render_items(read_catalogue(catalogue, chosen.data, query=query).items, chosen.data.text)
    reads = chosen.retriever.encoder.model_copy(update={"precision": "fp32", "backend": "torch"})
    found = distill(
        Reads.load(reads, device()), texts, DistillSettings(layers=layers, epochs=epochs), chosen.seed
    )
    unfinished = out.with_name(f".{out.name}.part")
    remove(unfinished)  # of a call that was killed
    found.encoder.save(unfinished)
    unfinished.rename(out)
    facts = {"out": str(out), "texts": found.texts, "cosine": found.after, "before": found.before}
    return Answer(
        facts,
        [
            f"{out}: learned from {found.texts:,} texts; cosine to the larger encoder on others "
            f"{found.after:.4f} ({found.before:.4f} before learning)",
            f"use it with --set retriever.encoder.model={out}",
        ],
    )
