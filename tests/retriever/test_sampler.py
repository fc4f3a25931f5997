"""The order of an epoch: similar lengths in a batch, batches in no order."""

import numpy as np

from aisle.retriever.sampler import POOL, EpochSampler

BATCH = 4
LENGTHS = np.random.default_rng(0).integers(1, 50, 2 * POOL * BATCH + 3)


def lengths_of_batches(epoch=0):
    sampler = EpochSampler(BATCH, LENGTHS.tolist(), seed=0)
    sampler.set_epoch(epoch)
    order = np.array(list(sampler))
    return LENGTHS[order[:-3]].reshape(-1, BATCH)


def test_batches_hold_similar_lengths_in_no_order():
    batches = lengths_of_batches()
    assert np.ptp(batches, axis=1).mean() < np.ptp(LENGTHS) / 10
    means = batches.mean(1)
    half = len(means) // 2
    assert abs(means[:half].mean() - means[half:].mean()) < np.std(means) / 2


def test_the_incomplete_batch_comes_last():
    order = list(EpochSampler(BATCH, [1] * 7, seed=0))
    assert sorted(order) == list(range(7))
    assert len(EpochSampler(BATCH, [1] * 7, seed=0)) == 7
    assert list(EpochSampler(BATCH, [3], seed=0)) == [0]
