"""One file from an address: resumed, checked, and under its name only when it is whole.

Beside the file lies a folder `.fetch/` with, per file, `NAME.part` (what has come so far), `NAME.json` (its
address, validators, length and checksums) and `NAME.lock`.
"""

import errno
import gzip
import logging
import os
import shutil
import time
import zlib
from pathlib import Path

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from aisle.checksum import file_checksum, file_sha256
from aisle.data.digests import Digest, digests_of
from aisle.data.errors import InputError
from aisle.data.exclusive import exclusive
from aisle.data.progress import meter
from aisle.durable import write_whole

log = logging.getLogger(__name__)

ATTEMPTS = 6
"""Tries without a byte gained before giving up."""

BACKOFF = 1.0
"""Seconds before the second try; doubled for every further one."""

LONGEST_WAIT = 60.0
"""Seconds between two tries at most, whatever the server asks for."""

UNREACHED = 5.0
"""Seconds after which a server that has not once been reached is given up, and for one connection at most."""

TRANSIENT = (408, 425, 429, 500, 502, 503, 504)
"""Statuses that may be gone on the next try."""

NO_CONNECTION = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError)
"""Failures before there is a server to talk to."""

MIB = 1 << 20


class Note(BaseModel):
    """What is known of a file, kept beside it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(..., description="where it came from")
    etag: str | None = Field(None, description="the server's ETag")
    modified: str | None = Field(None, description="the server's Last-Modified")
    size: int | None = Field(None, description="bytes of the whole file, if the server says")
    digests: tuple[Digest, ...] = Field((), description="checksums of the whole file that the server sent")
    sha256: str | None = Field(None, description="SHA-256 of the whole file; set once it is complete")

    @property
    def validator(self) -> str | None:
        """What `If-Range` may carry: a strong ETag, else the date of change (RFC 9110, section 13.1.5)."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.modified


class PassingError(Exception):
    """A try failed in a way that may pass."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


def download(url: str, target: Path, *, sha256: str | None = None) -> Path:
    """Download `url` to `target`.

    A download that was cut goes on where it stopped, if the file on the server is still the same. Failures
    that may pass are tried again with a warning, `ATTEMPTS` times without a byte gained; a server that was
    never reached only for `UNREACHED` seconds. Two processes that want one file
    download it once; the lock goes with the process that holds it.

    Args:
        url: http or https address.
        target: file to write; if it is there and was downloaded whole before, nothing is done.
        sha256: expected SHA-256, hex.

    Returns:
        `target`.

    Raises:
        InputError: the server cannot be reached or has no such file, the content is not what the checksums
            say, there is no space, or `target` is something that was not downloaded from here.
    """
    note_path = target.parent / ".fetch" / f"{target.name}.json"
    part = note_path.with_suffix(".part")
    try:
        with exclusive(note_path.with_suffix(".lock"), target):
            if not _is_there(target, note_path, url, sha256):
                _receive(url, part, note_path)
                _check(part, note_path, sha256)
                os.replace(part, target)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise InputError(
                f"space for {target.name}",
                str(error),
                "free some space and run it again: it goes on where it stopped",
            ) from None
        raise InputError(
            f"a folder that can be written: {target.parent}", str(error), "choose another"
        ) from None
    return target


def _is_there(target: Path, note_path: Path, url: str, sha256: str | None) -> bool:
    """Whether `target` was downloaded whole; refuses a file that was not."""
    if not target.exists():
        return False
    note = _read_note(note_path, url)
    if note is None or note.sha256 is None or target.stat().st_size != note.size:
        raise InputError(
            f"no file yet, or one downloaded whole from {url}",
            f"{target}, which is neither",
            "move it out of the way and run it again",
        )
    if sha256 is not None and note.sha256 != sha256.lower():
        raise InputError(
            f"{target.name} with SHA-256 {sha256}", note.sha256, "remove the file to download it anew"
        )
    return True


def _receive(url: str, part: Path, note_path: Path) -> None:
    """Bring `part` to its full length."""
    failures, reached, started = 0, False, time.monotonic()
    timeout = httpx.Timeout(30.0, connect=UNREACHED)
    headers = {"Accept-Encoding": "identity"}
    with httpx.Client(follow_redirects=True, timeout=timeout, headers=headers) as client:
        while True:
            before = _length(part)
            try:
                _one_try(client, url, part, note_path)
                return
            except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.TooManyRedirects) as error:
                raise InputError("an http address", f"{url}: {error}", "check the address") from None
            except (httpx.TransportError, PassingError) as error:
                reason = str(error) if isinstance(error, PassingError) else f"{type(error).__name__}: {error}"
                reached = reached or not isinstance(error, NO_CONNECTION)
                failures = 1 if _length(part) > before else failures + 1
                wait = _wait(failures, error)
                late = not reached and time.monotonic() - started + wait > UNREACHED
                if failures == ATTEMPTS or late:
                    raise InputError(
                        f"an answer from {httpx.URL(url).host}",
                        reason,
                        "check the network (and the proxy), then run it again: it goes on where it stopped",
                    ) from None
                log.warning("%s: %s; trying again in %g s", _name(part), reason, wait)
                time.sleep(wait)


def _wait(failures: int, error: Exception) -> float:
    """Seconds before the next try: what the server asks for, else longer after each of the `failures`."""
    asked = error.wait if isinstance(error, PassingError) else None
    return min(BACKOFF * 2 ** (failures - 1) if asked is None else asked, LONGEST_WAIT)


def _one_try(client: httpx.Client, url: str, part: Path, note_path: Path) -> None:
    note, have = _read_note(note_path, url), _length(part)
    before = note if have and note and note.validator else None
    headers = {"Range": f"bytes={have}-", "If-Range": str(before.validator)} if before else {}
    with client.stream("GET", url, headers=headers) as answer:
        if answer.status_code in TRANSIENT:
            raise PassingError(f"status {answer.status_code} from {url}", _retry_after(answer))
        if before and answer.status_code == 416:
            if answer.headers.get("Content-Range") == f"bytes */{have}":
                return
            part.unlink()
            raise PassingError(f"status 416: the part of {have} bytes does not fit")
        if before and answer.status_code == 206:
            try:
                note = _continued(before, answer, have)
            except PassingError:
                part.unlink()
                raise
        elif answer.status_code == 200:
            note, have = _started(url, answer), 0
            part.unlink(missing_ok=True)
        else:
            status = f"status {answer.status_code} {answer.reason_phrase}"
            raise InputError(f"a file at {url}", status, "check the name and the address")
        _write_note(note_path, note)
        _save(answer, part, have, note.size)
    if note.size is not None and _length(part) != note.size:
        raise PassingError(f"{_length(part)} of {note.size} bytes came")


def _started(url: str, answer: httpx.Response) -> Note:
    """Note of a file whose first byte comes with `answer`."""
    length = answer.headers.get("Content-Length", "")
    return Note(
        url=url,
        etag=answer.headers.get("ETag"),
        modified=answer.headers.get("Last-Modified"),
        size=int(length) if length.isdigit() else None,
        digests=digests_of(answer, whole=True),
    )


def _continued(note: Note, answer: httpx.Response, have: int) -> Note:
    """Note of a file that goes on after `have` bytes; refuses an answer that does not fit them."""
    start, size = _content_range(answer)
    etag = answer.headers.get("ETag", note.etag)
    if start != have or etag != note.etag or (note.size and size and size != note.size):
        raise PassingError(f"bytes from {start} of another version came instead of bytes from {have}")
    digests = note.digests or digests_of(answer, whole=False)
    return note.model_copy(update={"size": note.size or size, "digests": digests})


def _save(answer: httpx.Response, part: Path, have: int, size: int | None) -> None:
    free = shutil.disk_usage(part.parent).free
    if size is not None and size - have > free:
        raise OSError(errno.ENOSPC, f"{(size - have) / MIB:,.0f} MiB to come, {free / MIB:,.0f} MiB free")
    total = None if size is None else size / MIB
    with part.open("ab") as file, meter(f"fetching {_name(part)}, MiB", total) as progress:
        progress.advance(have / MIB)
        for block in answer.iter_raw():
            file.write(block)
            progress.advance(len(block) / MIB)
        file.flush()
        os.fsync(file.fileno())


def _check(part: Path, note_path: Path, sha256: str | None) -> None:
    """Compare `part` with every checksum there is, and remove it if it fails: going on would not mend it."""
    note = Note.model_validate_json(note_path.read_text())
    found = file_sha256(part)
    expected = [Digest(algorithm="sha256", hex=sha256.lower())] if sha256 else []
    for digest in (*expected, *note.digests):
        value = found if digest.algorithm == "sha256" else file_checksum(part, digest.algorithm)
        if value != digest.hex:
            part.unlink()
            raise InputError(
                f"{digest.algorithm} {digest.hex} from {note.url}", value, "run it again to download it anew"
            )
    if note.url.endswith(".gz"):
        try:
            with gzip.open(part) as stream:
                while stream.read(16 * MIB):
                    pass
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            part.unlink()
            raise InputError(
                f"a whole gzip file at {note.url}", str(error), "run it again to download it anew"
            ) from None
    _write_note(note_path, note.model_copy(update={"sha256": found, "size": _length(part)}))


def _read_note(path: Path, url: str) -> Note | None:
    try:
        note = Note.model_validate_json(path.read_text())
    except (OSError, ValidationError):
        return None
    return note if note.url == url else None


def _write_note(path: Path, note: Note) -> None:
    write_whole(path, note.model_dump_json(indent=2) + "\n")


def _length(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _name(part: Path) -> str:
    """The file that `part` becomes."""
    return part.name.removesuffix(".part")


def _content_range(answer: httpx.Response) -> tuple[int, int | None]:
    """Start and size of the whole from `Content-Range: bytes 5-9/10`."""
    try:
        rest = answer.headers["Content-Range"].removeprefix("bytes ")
        span, _, size = rest.partition("/")
        return int(span.partition("-")[0]), None if size == "*" else int(size)
    except (KeyError, ValueError):
        raise PassingError(f"no usable Content-Range in the answer from {answer.url}") from None


def _retry_after(answer: httpx.Response) -> float | None:
    value = answer.headers.get("Retry-After", "")
    return float(value) if value.isdigit() else None
