"""Memory and time of one training step of the sequence tower as histories grow.

    OMP_NUM_THREADS=1 python benchmarks/long_histories.py

Each line is a process of its own. "At once" computes all users of the batch together, "in turns" bounds the
largest tensor of a layer as the sequence tower does. Milliseconds are processor time of one thread.
"""

import resource
import statistics
import subprocess
import sys
import time

from aisle.retriever.towers import MOST_ACTIVATIONS

STEPS = 3
USERS, ITEMS = 32, 10_000
LENGTHS = (50, 200, 1_000)
WAYS = {"at once": 1 << 62, "in turns": MOST_ACTIVATIONS}


def measure(events: int, way: str) -> tuple[float, float]:
    """Median milliseconds of a step, and the process's peak memory in MiB beyond what it began with."""
    import torch

    from aisle.retriever.arithmetic import keep_freed_memory
    from aisle.retriever.batches import PaddedHistories, SequenceExamples
    from aisle.retriever.model import build
    from aisle.retriever.settings import RetrieverSettings

    keep_freed_memory()
    torch.manual_seed(0)
    settings = RetrieverSettings(towers=("ids",), max_history=events)
    towers = build(settings, "ids", None, torch.ones(ITEMS, dtype=torch.bool), 0).train()
    towers.users.most_activations = WAYS[way]
    rows = torch.randint(ITEMS, (USERS, events + 1))
    past = PaddedHistories(rows[:, :-1], torch.full((USERS, events), 3), torch.full((USERS,), events))
    examples = SequenceExamples(past, rows, torch.ones_like(rows, dtype=torch.bool))
    before = peak_mib()
    spent = []
    for _ in range(STEPS):
        start = time.process_time()
        towers.users.training_vectors(examples, towers.items).square().mean().backward()
        spent.append(time.process_time() - start)
    return 1000 * statistics.median(spent), peak_mib() - before


def peak_mib() -> float:
    """High-water mark of this process's memory (Linux), MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """All lengths, both ways."""
    if len(sys.argv) == 3:
        print(*measure(int(sys.argv[1]), sys.argv[2]))
        return
    print(f"{USERS} users, default sequence tower, fp32, one thread\n")
    print("| events | batch | CPU ms | peak MiB of a step |\n|---|---|---|---|")
    for events in LENGTHS:
        for way in WAYS:
            command = [sys.executable, __file__, str(events), way]
            ms, mib = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
            print(f"| {events:,} | {way} | {float(ms):,.0f} | {float(mib):,.0f} |", flush=True)


if __name__ == "__main__":
    main()
