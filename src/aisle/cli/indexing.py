"""`aisle index`: the stage of a run, and verbs about versions of an index that is served."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aisle.cli.answers import stage_answer
from aisle.cli.options import Config, Encoder, Redo, Set, settings_of
from aisle.cli.verb import Answer, guarded, verb

if TYPE_CHECKING:
    from rich.table import Table

    from aisle.index.pointer import Publication
    from aisle.index.versions import Listed

app = typer.Typer(name="index", invoke_without_command=True)

Index = Annotated[
    str, typer.Option("--index", metavar="PLACE", help="Folder of the index's versions, or an fsspec URL.")
]
Version = Annotated[str, typer.Argument(metavar="VERSION", help="Its name (`aisle index list`).")]
Force = Annotated[bool, typer.Option("--force", help="Publish although the gate fails; who did is recorded.")]
Why = Annotated[str, typer.Option("--why", help="Reason for --force, recorded with it.")]
Query = Annotated[
    str | None, typer.Option("--query", metavar="SQL", help="For a database: its rows are the items.")
]
Run = Annotated[Path | None, typer.Option("--run", help="Run whose trained model makes the vectors.")]
Keep = Annotated[
    int | None, typer.Option("--keep", min=1, help="Versions that stay [default: rebuild.keep].")
]


def stage(
    context: typer.Context,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of a run; its own index is brought up to date.")
    ] = None,
    config: Config = None,
    set_: Set = None,
    redo: Redo = False,
) -> Answer | None:
    """Index the item vectors of a run (--out), or look after an index that is served (the verbs below)."""
    if context.invoked_subcommand is not None:
        return None
    if out is None:
        from aisle.data.errors import InputError

        raise InputError("a run's folder (--out), or a verb such as rebuild", "neither", "aisle index --help")
    from aisle import pipeline

    return stage_answer(out, pipeline.index(out, settings_of(config, set_), redo=redo))


app.callback(invoke_without_command=True)(guarded(stage))


@verb(app)
def rebuild(
    index: Index,
    catalogue: Annotated[
        str,
        typer.Option("--catalogue", help="Parquet, JSON lines, CSV, a folder of them, or postgresql://..."),
    ],
    query: Query = None,
    run: Run = None,
    encoder: Encoder = None,
    config: Config = None,
    set_: Set = None,
    keep: Keep = None,
    force: Force = False,
    why: Why = "",
) -> Answer:
    """Encode what changed, build a version, let the gate look at it, and serve it."""
    from aisle.index_jobs import rebuild_index

    settings = settings_of(config, set_, encoder=encoder, keep=keep)
    done = rebuild_index(index, catalogue, settings, query=query, run=run, force=force, why=why)
    data = {
        "index": index,
        "version": done.version,
        "status": done.status,
        "items": done.items,
        "encoded": done.encoded,
        "seconds": dict(done.seconds),
        "publication": None if done.publication is None else done.publication.model_dump(mode="json"),
    }
    total = sum(done.seconds.values())
    if done.publication is None:
        return Answer(data, [f"{done.version} is live already, with the same {done.items:,} items"])
    said = f"{done.version} is live: {done.items:,} items, {done.encoded:,} texts encoded, {total:.1f} s"
    return Answer(data, [said, *_findings(done.publication)])


@verb(app)
def update(
    index: Index,
    catalogue: Annotated[
        str | None, typer.Option("--catalogue", help="Items to add, or to replace where they are there.")
    ] = None,
    delete: Annotated[
        list[str] | None, typer.Option("--delete", metavar="ID", help="Item to delete; may be repeated.")
    ] = None,
    query: Query = None,
    run: Run = None,
    encoder: Encoder = None,
    config: Config = None,
    set_: Set = None,
) -> Answer:
    """Add, replace and delete items of the live version at once."""
    from aisle.index_jobs import update_index

    settings = settings_of(config, set_, encoder=encoder)
    done = update_index(index, settings, catalogue=catalogue, deleted=delete or (), query=query, run=run)
    said = f"{done.version}: {done.added:,} items added, {done.replaced:,} replaced, {done.deleted:,} deleted"
    data = {"index": index, **vars(done)}
    return Answer(data, [said, f"{done.changed:,} items beside the large index until the next rebuild"])


@verb(app)
def compact(
    index: Index, config: Config = None, set_: Set = None, force: Force = False, why: Why = ""
) -> Answer:
    """Make one version of the live one and the changes to it."""
    from aisle.index.updates import compact
    from aisle.index.versions import Versions

    done = compact(Versions(index), settings_of(config, set_).rebuild, force=force, why=why)
    data = {"index": index, "publication": done.model_dump(mode="json")}
    return Answer(data, [f"{done.version} is live", *_findings(done)])


@verb(app, "list")
def list_versions(index: Index) -> Answer:
    """List the versions, and who published which."""
    from aisle.index.versions import Versions

    versions = Versions(index)
    listed, pointer = versions.listing(), versions.pointer()
    publications = [] if pointer is None else [one.model_dump(mode="json") for one in pointer.publications]
    data = {"index": index, "versions": [_facts(one) for one in listed], "publications": publications}
    history = [] if pointer is None else [_history(one) for one in pointer.publications[-5:]]
    return Answer(data, [_table(listed), *history])


@verb(app)
def verify(
    index: Index,
    version: Annotated[
        str | None, typer.Argument(metavar="[VERSION]", help="One version; all unless given.")
    ] = None,
) -> Answer:
    """Compare every byte of the versions with its checksum; fails where one is damaged."""
    from aisle.index.errors import IndexFault
    from aisle.index.versions import Versions

    listed = Versions(index).listing(check="all", only=version)
    if damaged := [f"{one.version}: {one.damage}" for one in listed if one.damage]:
        fix = "roll back to a sound version, or rebuild; `aisle index gc` removes old ones"
        raise IndexFault("versions as they were written", "; ".join(damaged), fix)
    return Answer(
        {"index": index, "versions": [_facts(one) for one in listed]},
        [f"{len(listed)} versions, every byte as it was written"],
    )


@verb(app)
def publish(
    index: Index,
    version: Version,
    config: Config = None,
    set_: Set = None,
    force: Force = False,
    why: Why = "",
) -> Answer:
    """Let the gate look at a version, and serve it."""
    from aisle.index import publishing
    from aisle.index.versions import Versions

    settings = settings_of(config, set_)
    versions = Versions(index)
    with versions.writing():
        done = publishing.publish(
            versions, version, settings.index, settings.rebuild.gate, force=force, why=why
        )
    return Answer(
        {"index": index, "publication": done.model_dump(mode="json")},
        [f"{version} is live", *_findings(done)],
    )


@verb(app)
def rollback(
    index: Index,
    version: Annotated[
        str | None,
        typer.Argument(metavar="[VERSION]", help="The newest earlier one that was live, unless given."),
    ] = None,
) -> Answer:
    """Serve an earlier version again."""
    from aisle.index import publishing
    from aisle.index.versions import Versions

    versions = Versions(index)
    with versions.writing():
        done = publishing.rollback(versions, version)
    data = {"index": index, "publication": done.model_dump(mode="json")}
    return Answer(data, [f"{done.version} is live again"])


@verb(app)
def gc(index: Index, keep: Keep = None, config: Config = None, set_: Set = None) -> Answer:
    """Remove old versions that nobody reads, and what killed jobs left."""
    from aisle.index import publishing
    from aisle.index.versions import Versions

    versions = Versions(index)
    with versions.writing():
        gone = publishing.collect(versions, settings_of(config, set_, keep=keep).rebuild.keep)
    said = "\n".join(f"removed {name}" for name in gone) or "nothing to remove"
    return Answer({"index": index, "removed": gone}, [said])


def _facts(one: "Listed") -> dict[str, object]:
    found = one.description
    more = {} if found is None else found.model_dump(mode="json", exclude={"files", "seal"})
    return {"version": one.version, "live": one.live, "damage": one.damage, **more}


def _table(listed: "list[Listed]") -> "Table":
    from rich.table import Table

    table = Table(title=f"{len(listed)} versions")
    for column, side in (("version", "left"), ("live", "left"), ("kind", "left"), ("items", "right")):
        table.add_column(column, justify="left" if side == "left" else "right")
    for column in ("dim", "MiB"):
        table.add_column(column, justify="right")
    for one in listed:
        found = one.description
        if found is None:
            table.add_row(one.version, "live" if one.live else "", f"damaged: {one.damage}")
            continue
        size = sum(entry.size for entry in found.files.values()) / 2**20
        row = (found.kind, f"{found.items:,}", str(found.dim), f"{size:,.1f}")
        table.add_row(one.version, "live" if one.live else "", *row)
    return table


def _history(one: "Publication") -> str:
    over = (
        f", overriding {', '.join(one.overridden)} ({one.why or 'no reason given'})" if one.overridden else ""
    )
    return f"{one.at} {one.how} {one.version} by {one.by}{over}"


def _findings(done: "Publication") -> list[str]:
    return [f"gate: {finding}" for finding in done.checks]
