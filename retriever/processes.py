"""Processes that train one model together, as `torchrun` starts them.

The first one leads: it alone reads settings into stages, holds locks, writes folders and prints. The others
wait for the trainings that it calls them to (:func:`together`) and end with what it returned.

`torch` is imported only where there is more than one process.
"""

import atexit
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, ParamSpec, TypeVar

from aisle.data.errors import InputError

T = TypeVar("T")
P = ParamSpec("P")

PATIENCE = timedelta(days=30)
"""How long a process waits for the others: a shop may take hours to prepare, and torchrun ends the rest
when one fails."""

_working = False
"""Whether this process is in a work that all do at the same time."""


def count() -> int:
    """Processes that train together."""
    return int(os.environ.get("WORLD_SIZE", 1))


def rank() -> int:
    """Number of this process among those that train together, from 0."""
    return int(os.environ.get("RANK", 0))


def is_first() -> bool:
    """Whether this is the process that leads."""
    return rank() == 0


def lead(work: Callable[[], T]) -> T:
    """Do `work` in the first process while the others wait for :func:`together`; all return its result.

    An error of `work` is raised in all. With one process, this is `work()`.
    """
    if count() == 1:
        return work()
    _connect()
    if not is_first():
        return _follow()  # type: ignore[no-any-return]
    try:
        result = work()
    except BaseException as error:
        if not _working:  # else the others are in it, too, and torchrun ends them
            _broadcast(("raise", error))
        raise
    _broadcast(("return", result))
    return result


def together(work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Do `work` in all processes at the same time; called by the first one, inside of :func:`lead`.

    Args:
        work: a function of a module, so that it can be named to the others.
        arguments: of `work`; torch.distributed carries them to the processes of this job, and none is stored.
        named: of `work`.
    """
    if count() > 1:
        _broadcast(("work", (work, arguments, named)))
    return _at_work(work, *arguments, **named)


def share(find: Callable[[], T]) -> T:
    """What `find` returns in the first process, in all of them; the others do not call it."""
    if count() == 1:
        return find()
    return _broadcast(find() if is_first() else None)  # type: ignore[no-any-return]


def wait() -> None:
    """Go on when all processes have come here."""
    share(lambda: None)


@contextmanager
def first_alone() -> Iterator[None]:
    """The first process goes through the body before the others do: they find the files it left."""
    if not is_first():
        wait()
    yield
    if is_first():
        wait()


def portion(batch: int, setting: str = "retriever.batch_size") -> int:
    """Examples of a batch that each process takes; `setting` is the name of its size.

    Raises:
        InputError: the batch cannot be shared equally.
    """
    if batch % count():
        raise InputError(
            "a batch that the processes can share equally",
            f"{setting} = {batch} and {count()} processes",
            f"set {setting} to a multiple of {count()}",
        )
    return batch // count()


def _at_work(work: Callable[..., T], *arguments: Any, **named: Any) -> T:
    """`work`, with the note that all processes are in it; the note stays if it fails."""
    global _working
    _working = True
    result = work(*arguments, **named)
    _working = False
    return result


def _follow() -> Any:
    from aisle.data.progress import be_quiet

    be_quiet()
    logging.getLogger("aisle").setLevel(logging.ERROR)
    while True:
        match _broadcast(None):
            case "return", result:
                return result
            case "raise", error:
                raise error
            case "work", (work, arguments, named):
                _at_work(work, *arguments, **named)


def _connect() -> None:
    import torch
    from torch import distributed

    if distributed.is_initialized():
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        distributed.init_process_group("cpu:gloo,cuda:nccl", timeout=PATIENCE)
    else:
        distributed.init_process_group("gloo", timeout=PATIENCE)
    atexit.register(distributed.destroy_process_group)


def _broadcast(value: Any) -> Any:
    """The first process's value, in all of them."""
    import torch
    from torch import distributed

    box = [value]
    distributed.broadcast_object_list(box, src=0, device=torch.device("cpu"))
    return box[0]
