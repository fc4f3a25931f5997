"""Runs a small, cheap set of stages in a child process and kills it; commands come as JSON lines.

A command: {"out": folder, "generation": text, "kill_at": n, "kill_after": seconds, "swap": bool,
"redo": bool}.
`kill_at` kills the child just before its n-th change to a file or folder below `out`, `kill_after` some time
after its start. The answer is one line: "killed", "finished" or "failed".
"""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from aisle.durable import exchange, write_whole
from aisle.lock import locked
from aisle.stage import Folders, Stage
from aisle.stages import Workshop

CHANGES = {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate"}


def write(name: str, generation: str):
    def work(folders: Folders) -> None:
        for number in range(3):
            path = folders.out / f"part-{number}" / "value.txt"
            path.parent.mkdir(exist_ok=True)
            (folders.work / "scratch.txt").write_text("half")
            if not path.exists():
                write_whole(path, f"{name} {generation}\n")
        for earlier in folders.inputs.values():
            assert (earlier / "part-0" / "value.txt").read_text().split()[1] == generation

    return work


def stages(generation: str) -> list[Stage]:
    first = Stage("first", write("first", generation), settings={"generation": generation})
    return [first, Stage("second", write("second", generation), reads=("first",))]


def kill_before_change(out: Path, number: int) -> None:
    changes = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal changes
        if event not in CHANGES or not str(arguments[0]).startswith(str(out)):
            return
        if event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR):
            return
        changes += 1
        if changes == number:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def child(command: dict) -> None:
    out = Path(command["out"])
    if command["kill_at"]:
        kill_before_change(out, command["kill_at"])
    swap = exchange if command["swap"] else lambda first, second: False
    with locked(out):
        workshop = Workshop(out, swap=swap)
        for stage in stages(command["generation"]):
            workshop.run(stage, redo=command["redo"])


def answer(command: dict) -> str:
    process = os.fork()
    if process == 0:
        try:
            child(command)
        except BaseException as error:
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            os._exit(1)
        os._exit(0)
    if command["kill_after"] is not None:
        time.sleep(command["kill_after"])
        os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    if os.WIFSIGNALED(status):
        return "killed"
    return "finished" if os.WEXITSTATUS(status) == 0 else "failed"


if __name__ == "__main__":
    for line in sys.stdin:
        sys.stdout.write(answer(json.loads(line)) + "\n")
        sys.stdout.flush()
