"""JSON lines as rows: one object a line (JSON or Python literals), bulk-index pairs, ordered sequences."""

from collections.abc import Iterator
from pathlib import Path

from aisle.data.mapping import FileMapping
from aisle.data.readers.lines import byte_lines, undecodable
from aisle.data.readers.records import Parse, Record, dialect, parse_json
from aisle.data.readers.staging import Row

BULK_ACTIONS = ("index", "create", "update", "delete")
"""What the action line of a bulk-index pair can say."""

PEEK = 100
"""Records looked at to learn a file's columns."""


def json_rows(path: Path, parse: Parse, encoding: str = "utf-8") -> Iterator[Row]:
    """The records of a JSON lines file; blank lines are none.

    Raises:
        InputError: see :func:`aisle.data.readers.lines.byte_lines`.
    """
    for number, line in byte_lines(path, encoding):
        if line.isspace():
            continue
        try:
            record = parse(line)
        except UnicodeDecodeError:
            raise undecodable(path, number, encoding) from None
        problem = (
            None if record is not None else ("not JSON" if parse is parse_json else "not a Python literal")
        )
        yield Row(number, record, problem, len(line))


def bulk_rows(rows: Iterator[Row]) -> Iterator[Row]:
    """Documents of a bulk-index file, with the `_id` of their action line; action lines are no rows."""
    identity: object = None
    for row in rows:
        action = bulk_action(row.record)
        if action is not None:
            identity = action.get("_id")
            continue
        if row.record is not None and identity is not None:
            row.record.setdefault("_id", identity)
        identity = None
        yield row


def bulk_action(record: Record | None) -> Record | None:
    """What an action line says; None for any other record.

    >>> bulk_action({"index": {"_id": "7"}}), bulk_action({"title": "a"})
    ({'_id': '7'}, None)
    """
    if record is None or len(record) != 1:
        return None
    name, content = next(iter(record.items()))
    return content if name in BULK_ACTIONS and isinstance(content, dict) else None


def sequence_rows(rows: Iterator[Row], mapping: FileMapping) -> Iterator[Row]:
    """One row an item of each user's list, under the canonical names, `position` counting from 0.

    A record without a list, or with an empty one, stays one row with a problem.
    """
    users, items = mapping.sources("user_id"), mapping.sources("item_id")
    for row in rows:
        if row.record is None:
            yield row
            continue
        identity = next((row.record[name] for name in users if name in row.record), None)
        listed = next((row.record[name] for name in items if name in row.record), None)
        if not isinstance(listed, list) or not listed:
            yield Row(row.number, {"user_id": identity}, "no list of items", row.size)
            continue
        size = row.size // len(listed) + 1
        for position, item in enumerate(listed):
            record = {"user_id": identity, "item_id": item, "position": position}
            yield Row(row.number, record, None, size)


def json_columns(path: Path, parse: Parse, encoding: str = "utf-8") -> tuple[str, ...]:
    """All columns of a JSON lines file: its lines may have different ones."""
    records = (row.record for row in json_rows(path, parse, encoding) if row.record is not None)
    return tuple(dict.fromkeys(key for record in records for key in record))


def peek(path: Path, encoding: str = "utf-8") -> tuple[Parse | None, list[Record]]:
    """How the lines of a file are to be parsed (None: they hold no objects) and its first records."""
    parse: Parse | None = None
    records: list[Record] = []
    looked_at = 0
    for number, line in byte_lines(path, encoding):
        if line.isspace():
            continue
        try:
            parse = parse or dialect(line)
            record = parse(line) if parse else None
        except UnicodeDecodeError:
            raise undecodable(path, number, encoding) from None
        if record is not None:
            records.append(record)
        looked_at += 1
        if looked_at == PEEK:
            break
    return parse, records
