"""Runs a job on a tiny index in a child process and kills it; commands come as JSON lines.

A command: {"place": folder, "job": "rebuild" | "update" | "compact" | "publish" | "rollback" | "gc",
"changed": items that differ, "kill_at": n, "kill_before": step, "kill_after": seconds, "encode": seconds that
each block takes}. `kill_at` kills the child just before its n-th change to a file or folder below `place`,
`kill_before` at the beginning of a named step of a rebuild, `kill_after` some time after its start. The
answer is one line: "killed", "finished" or "failed".
"""

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from killing import die, kill_before_change, serve
from planted_index import angles, circle

from aisle.index.publishing import collect, publish, rollback
from aisle.index.rebuild import rebuild
from aisle.index.rebuild_settings import GateSettings, RebuildSettings
from aisle.index.settings import IndexSettings
from aisle.index.updates import compact, update
from aisle.index.versions import Versions

CPU = IndexSettings(device="cpu")
JOB = RebuildSettings(keep=2, block=4, gate=GateSettings(min_overlap=0, sample=8))
ITEMS = 24


def child(command: dict[str, Any]) -> None:
    """Do the job."""
    versions = Versions(command["place"])
    if command.get("kill_at"):
        kill_before_change(command["place"], command["kill_at"])

    def encode(texts: list[str], what: str) -> np.ndarray:
        time.sleep(command.get("encode", 0))
        return angles(texts)

    def listener(step: str) -> None:
        if step == command.get("kill_before"):
            die()

    if command["job"] == "rebuild":
        rebuild(versions, circle(ITEMS, command["changed"], encode=encode), CPU, JOB, listener=listener)
        return
    if command["job"] == "update":
        update(versions, circle(ITEMS, command["changed"], encode=encode), [], JOB)
        return
    if command["job"] == "compact":
        compact(versions, JOB)
        return
    with versions.writing():
        if command["job"] == "publish":
            publish(versions, versions.names()[0], CPU, JOB.gate)
        elif command["job"] == "rollback":
            rollback(versions)
        else:
            collect(versions, 1)


if __name__ == "__main__":
    serve(child)
