"""Seconds of one full softmax step (forward and backward) over a catalogue of Beauty's size.

    python benchmarks/softmax_step.py

Shows what bfloat16 and kept memory are worth; medians of `STEPS` steps, in one process each way.
"""

import statistics
import subprocess
import sys
import time

STEPS = 15
QUERIES, ITEMS, DIM = 1_000, 12_101, 128


def measure(precision: str, memory: str) -> float:
    """Median seconds of a step in this process."""
    import torch

    from aisle.retriever.arithmetic import keep_freed_memory
    from aisle.retriever.losses import full_softmax

    if memory == "kept":
        keep_freed_memory()
    torch.manual_seed(0)
    users, items = (torch.randn(n, DIM, requires_grad=True) for n in (QUERIES, ITEMS))
    targets = torch.randint(ITEMS, (QUERIES,))
    seconds = []
    for _ in range(STEPS):
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            loss = full_softmax(users, items, targets, torch.tensor(0.07))
        loss.backward()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def main() -> None:
    """All four ways, each in a process of its own."""
    if len(sys.argv) == 3:
        print(measure(*sys.argv[1:]))
        return
    print(f"{QUERIES} queries, {ITEMS} items, {DIM} dimensions\n")
    print("| precision | freed memory | ms |\n|---|---|---|")
    for precision in ("fp32", "bf16"):
        for memory in ("returned", "kept"):
            command = [sys.executable, __file__, precision, memory]
            seconds = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            print(f"| {precision} | {memory} | {1000 * seconds:.0f} |")


if __name__ == "__main__":
    main()
