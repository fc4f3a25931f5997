"""Processes that train one model together, as `torchrun` starts them.

The first one leads: it alone reads settings into stages, holds locks, writes folders and prints. The others
wait for the trainings that it calls them to (:func:`together`) and end with what it returned.

`torch` is imported only where there is more than one process.
"""

import atexit
import logging
import os
import pickle
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

_letters: "_Letters | None" = None
"""How the processes talk, once they are connected."""


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
        arguments: of `work`; torchrun's store carries them to the processes of this job; none is kept.
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
    global _letters
    import torch
    from torch import distributed
    from torch.distributed.rendezvous import rendezvous

    if _letters is not None:
        return
    backend = "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        backend = "cpu:gloo,cuda:nccl"
    store, _, _ = next(rendezvous("env://", timeout=PATIENCE))
    distributed.init_process_group(backend, store=store, rank=rank(), world_size=count(), timeout=PATIENCE)
    atexit.register(distributed.destroy_process_group)
    _letters = _Letters(store)


class _Letters:
    """What the first process tells the others, in order, through torchrun's store.

    A broadcast by gloo would do the same, but its threads give a tensor back a moment after it is done, and
    one that does so while the interpreter ends aborts the process
    (https://github.com/pytorch/pytorch/pull/179291). Values are pickled, as torch's own broadcast of
    objects does: they live in the memory of this job's store alone, and never become a file.
    """

    def __init__(self, store: Any) -> None:
        store.set_timeout(PATIENCE)
        self.store = store
        self.count = 0

    def share(self, value: Any) -> Any:
        """The first process's value, in all of them; only the others wait."""
        self.count += 1
        letter = f"aisle-{self.count}"
        if not is_first():
            return self._read(letter)
        self.store.set(letter, pickle.dumps(value))
        return value

    def _read(self, letter: str) -> Any:
        content = self.store.get(letter)
        if self.store.add(f"{letter}-read", 1) == count() - 1:  # the last one to read it
            self.store.delete_key(letter)
        return pickle.loads(content)


def _broadcast(value: Any) -> Any:
    """The first process's value, in all of them."""
    if _letters is None:
        raise RuntimeError("processes that are not connected: their work belongs inside of lead()")
    return _letters.share(value)
