"""The order of the examples in an epoch."""

from collections.abc import Iterator

import torch
from transformers.trainer_pt_utils import LengthGroupedSampler


class EpochSampler(LengthGroupedSampler):
    """Neighbours are of similar length; the order depends on the seed and the epoch alone.

    So every process of several draws the same order, of which each takes its part, and a training that goes
    on in the middle of an epoch skips what that epoch has already seen.

    Args:
        batch: examples of a batch over all processes.
        lengths: of each example.
        seed: of all epochs.
    """

    def __init__(self, batch: int, lengths: list[int], seed: int) -> None:
        super().__init__(batch, lengths=lengths)
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Draw the order of this epoch next."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        self.generator = torch.Generator().manual_seed(1_000_003 * self.seed + self.epoch)
        return iter(super().__iter__())  # type: ignore[no-untyped-call]
