"""Arrow's types as those that text files have: text, numbers and times that polars can bring to text."""

import pyarrow as pa


def plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A batch without the file's metadata, whose columns are text, numbers, times, or nested.

    UUIDs and bytes become text (null where bytes are not UTF-8), other extension types what they are stored
    as (`numeric` of PostgreSQL: text), durations a number, decimals of more than 38 digits text.

    >>> batch = pa.record_batch({"id": pa.array([b"B01", b"\\xff"]), "price": pa.array([1.5, None])})
    >>> plain(batch).to_pydict()
    {'id': ['B01', None], 'price': [1.5, None]}
    """
    return pa.RecordBatch.from_arrays([_plain(column) for column in batch.columns], batch.schema.names)


def _plain(array: pa.Array) -> pa.Array:
    kind = array.type
    if isinstance(kind, pa.UuidType):
        return pa.array([None if one is None else str(one) for one in array.to_pylist()], pa.large_string())
    if isinstance(kind, pa.BaseExtensionType):
        return _plain(array.storage)
    if pa.types.is_dictionary(kind) and not pa.types.is_string(kind.value_type):
        return _plain(array.dictionary_decode())
    if any(
        of(kind)
        for of in (
            pa.types.is_binary,
            pa.types.is_large_binary,
            pa.types.is_fixed_size_binary,
            pa.types.is_binary_view,
        )
    ):
        return _text(array.cast(pa.large_binary()))
    if pa.types.is_decimal256(kind):
        return array.cast(pa.large_string())
    return array.cast(pa.int64()) if pa.types.is_duration(kind) else array


def _text(array: pa.Array) -> pa.Array:
    """Bytes as text."""
    try:
        return array.cast(pa.large_string())
    except pa.ArrowInvalid:  # some of them are not UTF-8
        return pa.array([_decoded(one) for one in array.to_pylist()], pa.large_string())


def _decoded(content: bytes | None) -> str | None:
    try:
        return None if content is None else content.decode()
    except UnicodeDecodeError:
        return None
