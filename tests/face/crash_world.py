"""Runs a small, cheap set of stages in a child process and kills it; commands come as JSON lines.

A command: {"out": folder, "generation": text, "kill_at": n, "kill_after": seconds, "swap": bool,
"redo": bool}.
`kill_at` kills the child just before its n-th change to a file or folder below `out`, `kill_after` some time
after its start. The answer is one line: "killed", "finished" or "failed".
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from killing import kill_before_change, serve

from aisle.durable import exchange, write_whole
from aisle.lock import locked
from aisle.stage import Folders, Stage
from aisle.stages import Workshop


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


def child(command: dict) -> None:
    out = Path(command["out"])
    if command["kill_at"]:
        kill_before_change(str(out), command["kill_at"])
    swap = exchange if command["swap"] else lambda first, second: False
    with locked(out):
        workshop = Workshop(out, swap=swap)
        for stage in stages(command["generation"]):
            workshop.run(stage, redo=command["redo"])


if __name__ == "__main__":
    serve(child)
