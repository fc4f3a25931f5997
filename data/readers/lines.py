"""Text files as numbered lines: gzip by content, byte-order marks, encodings, and what can be wrong."""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from aisle.data.errors import InputError

GZIP_MAGIC = b"\x1f\x8b"
BUFFER = 1 << 20


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The bytes of a file, decompressed if it is gzip by its content.

    Raises:
        InputError: the file cannot be read, its gzip stream is cut short or damaged.
    """
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == GZIP_MAGIC
            raw.seek(0)
            if packed:
                with gzip.GzipFile(fileobj=raw) as unpacked:
                    yield cast(BinaryIO, io.BufferedReader(unpacked, BUFFER))
            else:
                yield cast(BinaryIO, io.BufferedReader(raw, BUFFER))
    except EOFError:
        raise InputError(
            "a whole gzip file", f"{path.name} ends too early", "fetch or copy the file again"
        ) from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputError(
            "a whole gzip file", f"{path.name} is damaged: {error}", "fetch or copy the file again"
        ) from None
    except OSError as error:
        raise InputError(
            "a readable file",
            f"cannot read {path}: {error.strerror or error}",
            "check the path and its rights",
        ) from None


def text_lines(path: Path, encoding: str = "utf-8") -> Iterator[tuple[int, str]]:
    """(line number from 1, line with its line end) of a text file; a byte-order mark is taken away.

    Raises:
        InputError: bytes that the encoding does not know, or what :func:`opened` raises.
    """
    number = 0
    with opened(path) as stream:
        if _is_utf8(encoding):
            for number, raw in enumerate(stream, 1):
                yield number, decoded(raw, path, number)
            return
        text = io.TextIOWrapper(stream, encoding, newline="\n")
        try:
            for number, line in enumerate(text, 1):
                yield number, line.removeprefix("\ufeff") if number == 1 else line
        except UnicodeError:
            raise undecodable(path, number + 1, encoding) from None


def byte_lines(path: Path, encoding: str = "utf-8") -> Iterator[tuple[int, bytes]]:
    """(line number from 1, line in UTF-8 with its line end), as :func:`text_lines`, but not yet decoded."""
    if not _is_utf8(encoding):
        for number, line in text_lines(path, encoding):
            yield number, line.encode("utf-8", "replace")
        return
    with opened(path) as stream:
        for number, raw in enumerate(stream, 1):
            yield number, raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw


def decoded(raw: bytes, path: Path, number: int) -> str:
    """A line of UTF-8 as text.

    Raises:
        InputError: the line is not UTF-8.
    """
    try:
        return raw.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError:
        raise undecodable(path, number, "utf-8") from None


def undecodable(path: Path, number: int, encoding: str) -> InputError:
    """The error for bytes that are no text in `encoding`."""
    return InputError(
        f"text in {encoding}",
        f"{path.name}, line {number}: bytes that are not {encoding}",
        'set `encoding` for this file in the mapping (for example encoding = "latin-1")',
    )


def _is_utf8(encoding: str) -> bool:
    return encoding.lower().replace("_", "-") in ("utf-8", "utf8", "utf-8-sig", "ascii")
