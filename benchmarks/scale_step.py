"""Cost of one training step of the towers as the catalogue grows: CPU time and memory.

    OMP_NUM_THREADS=1 python benchmarks/scale_step.py [ITEMS ...]

Each line is a process of its own. Sampled softmax, text vectors on disk, random data: what is measured is
work, not learning. Milliseconds are processor time of one thread, the median of `STEPS` steps, so that other
processes do not disturb them. Private memory is what the process alone holds after a step, gradients
included; the text vectors are file pages, which the system takes back when it needs them.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WARM, STEPS = 2, 5
USERS, EVENTS, TEXT_DIM = 128, 20, 384
SIZES = (10_000, 100_000, 1_000_000)
RECIPES = {
    "text and own ids": ("hybrid", {}),
    "text and hashed ids": ("hybrid", {"id_buckets": 65_536}),
    "text alone": ("text", {}),
}


def write_vectors(path: Path, items: int) -> None:
    """Random unit vectors as a safetensors file, a block at a time."""
    import numpy as np

    from aisle.retriever.texts import header

    rng = np.random.default_rng(0)
    with path.open("wb") as file:
        file.write(header(items, TEXT_DIM))
        for start in range(0, items, 50_000):
            block = rng.standard_normal((min(50_000, items - start), TEXT_DIM), np.float32)
            file.write((block / TEXT_DIM**0.5).data)


def measure(items: int, recipe: str, vectors: Path) -> tuple[float, float, int]:
    """Median milliseconds of a step, MiB of private memory, and trained numbers, in this process."""
    import torch
    from safetensors.torch import load_file

    from aisle.retriever.arithmetic import keep_freed_memory
    from aisle.retriever.batches import PaddedHistories, SequenceExamples
    from aisle.retriever.model import build
    from aisle.retriever.objective import Objective
    from aisle.retriever.settings import ObjectiveSettings, RetrieverSettings

    keep_freed_memory()
    torch.manual_seed(0)
    kind, changes = RECIPES[recipe]
    settings = RetrieverSettings(objective=ObjectiveSettings(kind="sampled_softmax"), **changes)
    known = torch.ones(items, dtype=torch.bool)
    towers = build(settings, kind, load_file(vectors)["vectors"], known, 0).train()
    counts = torch.ones(items, dtype=torch.int64)
    objective = Objective(known, counts, settings.objective, cosine=True).train()
    optimizer = torch.optim.AdamW(towers.parameters(), settings.learning_rate)
    spent = []
    for _ in range(WARM + STEPS):
        rows = torch.randint(items, (USERS, EVENTS + 1))
        kinds, lengths = torch.full((USERS, EVENTS), 3), torch.full((USERS,), EVENTS)
        past = PaddedHistories(rows[:, :-1], kinds, lengths)
        examples = SequenceExamples(past, rows, torch.ones_like(rows, dtype=torch.bool))
        start = time.process_time()
        optimizer.zero_grad()
        targets = examples.target_rows
        compared = objective.compare(targets)
        users, their_items = towers(examples, compared.rows)
        objective(users, their_items, targets, compared, towers.temperature()).backward()
        torch.nn.utils.clip_grad_norm_(towers.parameters(), 1.0)
        optimizer.step()
        spent.append(time.process_time() - start)
    numbers = sum(weights.numel() for weights in towers.parameters())
    return 1000 * statistics.median(spent[WARM:]), private_mib(), numbers


def private_mib() -> float:
    """Memory that this process alone holds (Linux), MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    [anonymous] = [line for line in lines if line.startswith("RssAnon")]
    return int(anonymous.split()[1]) / 1024


def main() -> None:
    """All sizes and recipes."""
    if len(sys.argv) == 4:
        print(*measure(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
        return
    sizes = [int(size) for size in sys.argv[1:]] or SIZES
    print(f"{USERS} users of {EVENTS} events, 4,096 uniform negatives, fp32, one thread\n")
    print(
        "| items | item vectors from | trained numbers | CPU ms a step | private MiB |\n|---|---|---|---|---|"
    )
    for items in sizes:
        with tempfile.TemporaryDirectory() as folder:
            vectors = Path(folder) / "text.safetensors"
            write_vectors(vectors, items)
            for recipe in RECIPES:
                command = [sys.executable, __file__, str(items), recipe, str(vectors)]
                printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
                ms, mib, numbers = printed.split()
                print(
                    f"| {items:,} | {recipe} | {int(numbers):,} | {float(ms):.0f} | {float(mib):,.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
