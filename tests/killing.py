"""A child process that is killed at a point that the test names: how jobs that were killed are tested.

A script makes itself a server with :func:`serve`: commands come as JSON lines, each is done in a child of its
own, and the answer is one line, "killed", "finished" or "failed".
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

CHANGES = {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate"}
"""Audit events of changes to the disk."""

Command = dict[str, Any]


def die() -> None:
    """The end, as the system's killer brings it."""
    os.kill(os.getpid(), signal.SIGKILL)


def kill_before_change(place: str, number: int) -> None:
    """Die just before the n-th change to a file or folder below `place`."""
    changes = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal changes
        if event not in CHANGES or not str(arguments[0]).startswith(place):
            return
        if event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR):
            return
        changes += 1
        if changes == number:
            die()

    sys.addaudithook(hook)


def serve(child: Callable[[Command], None]) -> None:
    """Answer the commands on stdin; `kill_after` of a command is when its child is killed, in seconds."""
    for line in sys.stdin:
        sys.stdout.write(_answer(child, json.loads(line)) + "\n")
        sys.stdout.flush()


def _answer(child: Callable[[Command], None], command: Command) -> str:
    process = os.fork()
    if process == 0:
        try:
            child(command)
        except BaseException as error:
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            os._exit(1)
        os._exit(0)
    if command.get("kill_after") is not None:
        time.sleep(command["kill_after"])
        os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    if os.WIFSIGNALED(status):
        return "killed"
    return "finished" if os.WEXITSTATUS(status) == 0 else "failed"
