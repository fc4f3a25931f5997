"""Runs a nightly job in a child process and kills it; commands come as JSON lines.

A command: {"users": folder, "run": folder, "out": folder, "kill_at": n, "kill_after": null}: the child is
killed just before its n-th change to a file or folder below `out`. The answer is one line: "killed",
"finished" or "failed".
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from killing import kill_before_change, serve

import aisle
from aisle.batch.job import Request, candidates_for_users
from aisle.batch.local import local_engine


def child(command: dict) -> None:
    out = Path(command["out"])
    kill_before_change(str(out), command["kill_at"])
    settings = aisle.load_settings(None, ["candidates.k=3", "candidates.part_events=30"])
    candidates_for_users(Request(command["users"], Path(command["run"]), out), settings, local_engine)


if __name__ == "__main__":
    serve(child)
