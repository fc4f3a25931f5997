"""The order of the examples in an epoch."""

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

POOL = 50
"""Batches whose examples are sorted by length together."""


class EpochSampler(Sampler[int]):
    """Batches of examples of similar length, in random order; the seed and the epoch alone decide it.

    Examples are shuffled, sorted by length within every `POOL` batches, cut into batches, and the batches
    shuffled again: a learning rate that is still high at an epoch's end must not meet short histories alone
    there. An incomplete batch comes last.

    So every process of several draws the same order, of which each takes its part, and a training that goes
    on in the middle of an epoch skips what that epoch has already seen.

    Args:
        batch: examples of a batch over all processes.
        lengths: of each example.
        seed: of all epochs.
    """

    def __init__(self, batch: int, lengths: list[int], seed: int) -> None:
        self.batch = batch
        self.lengths = np.array(lengths, np.int64)
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Draw the order of this epoch next."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        random = np.random.default_rng((self.seed, self.epoch))
        shuffled = random.permutation(len(self))
        size = self.batch * POOL
        pools = [shuffled[start : start + size] for start in range(0, len(shuffled), size)]
        order = np.concatenate([pool[np.argsort(-self.lengths[pool], kind="stable")] for pool in pools])
        whole = len(order) // self.batch * self.batch
        batches = random.permutation(order[:whole].reshape(-1, self.batch))
        return iter([*batches.ravel().tolist(), *order[whole:].tolist()])
