"""What all verbs of the command line share: options, printing, and how they fail."""

import errno
import inspect
import json
import logging
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aisle.retriever.processes import is_first

if TYPE_CHECKING:
    from rich.console import RenderableType

BAD_INPUT, UNEXPECTED, INTERRUPTED = 2, 1, 130
"""Exit statuses: something to correct, a fault of aisle's, Ctrl-C."""

DISK_FAULTS = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EISDIR,
    errno.ENOTDIR,
)
"""Faults of the file system that a user can do something about."""

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object, for machines.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress; warnings and errors only.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show where an error arose.")]


@dataclass(frozen=True)
class Answer:
    """What a verb has to say.

    Attributes:
        data: for machines.
        shown: for people: text or tables, printed one below the other.
    """

    data: dict[str, Any]
    shown: list["RenderableType"] = field(default_factory=list)


def verb(app: typer.Typer, name: str | None = None) -> Callable[[Callable[..., Answer]], Callable[..., None]]:
    """Register a function as a verb that also takes --json, --quiet and --debug and fails politely."""

    def register(command: Callable[..., Answer]) -> Callable[..., None]:
        verb = guarded(command)
        app.command(name)(verb)
        return verb

    return register


def guarded(command: Callable[..., Answer | None]) -> Callable[..., None]:
    """The function with --json, --quiet and --debug, failing politely; None is nothing to say."""

    @wraps(command)
    def verb(*, as_json: bool, quiet: bool, debug: bool, **arguments: Any) -> None:
        with telling(quiet=quiet or as_json), polite(as_json=as_json, debug=debug):
            answer = command(**arguments)
            if answer is not None:
                show(answer, as_json=as_json)

    shared = {"as_json": AsJson, "quiet": Quiet, "debug": Debug}
    signature = inspect.signature(command)
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=kind)
        for name, kind in shared.items()
    ]
    parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in signature.parameters.values()]
    verb.__signature__ = signature.replace(parameters=[*parameters, *options])  # type: ignore[attr-defined]
    verb.__annotations__ = {**command.__annotations__, **shared}
    return verb


@contextmanager
def polite(*, as_json: bool, debug: bool) -> Iterator[None]:
    """Turn errors into one message on stderr and an exit status; with `debug`, the traceback comes first."""
    try:
        yield
    except KeyboardInterrupt:
        complain("stopped; the same command goes on from here")
        raise typer.Exit(INTERRUPTED) from None
    except (typer.Exit, BrokenPipeError):
        raise
    except Exception as error:
        if debug:
            traceback.print_exc()
        status, said = explanation(error)
        if is_first() or status == UNEXPECTED:  # all of several processes find the same bad input
            complain(said.get("message") or f"cannot go on\n{error}")
        if as_json and is_first():
            sys.stdout.write(json.dumps({"error": {"kind": type(error).__name__, **said}}) + "\n")
        raise typer.Exit(status) from None


def explanation(error: Exception) -> tuple[int, dict[str, str]]:
    """Exit status, and what to tell about an error: its three parts, or a message."""
    if all(hasattr(error, part) for part in ("expected", "found", "fix")):
        parts = {"expected": "expected", "found": "found", "to_do": "fix"}
        return BAD_INPUT, {name: str(getattr(error, part)) for name, part in parts.items()}
    if isinstance(error, OSError) and error.errno in DISK_FAULTS:
        return BAD_INPUT, {"message": f"{error.strerror}: {error.filename or 'while writing'}"}
    kind = type(error).__name__
    first = (str(error).splitlines() or [""])[0][:200]
    return UNEXPECTED, {"message": f"unexpected {kind}: {first} (run with --debug to see where)"}


def complain(message: str) -> None:
    """One message on stderr."""
    sys.stderr.write(f"aisle: {message}\n")


@contextmanager
def telling(*, quiet: bool) -> Iterator[None]:
    """Say on stderr what is being done, if it is a terminal; warnings always."""
    from aisle.data.progress import be_quiet

    be_quiet(quiet)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Plain())
    logger = logging.getLogger("aisle")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO if sys.stderr.isatty() and not quiet else logging.WARNING)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        be_quiet(False)


def show(answer: Answer, *, as_json: bool) -> None:
    """Print an answer on stdout, in the first process where there are several."""
    if not is_first():
        return
    if as_json:
        sys.stdout.write(json.dumps(answer.data) + "\n")
        return
    from rich.console import Console

    console = Console(highlight=False)
    for one in answer.shown:
        console.print(one, markup=False, soft_wrap=isinstance(one, str))


class _Plain(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        mark = "warning: " if record.levelno >= logging.WARNING else ""
        return f"{mark}{record.getMessage()}"
