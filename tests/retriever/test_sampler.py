"""The order of an epoch: similar lengths in a batch, batches in no order."""

import numpy as np

from aisle.retriever.sampler import POOL, EpochSampler

BATCH = 4
LENGTHS = np.random.default_rng(0).integers(1, 50, 2 * POOL * BATCH + 3)


def order(seed=0, epoch=0):
    sampler = EpochSampler(BATCH, LENGTHS.tolist(), seed)
    sampler.set_epoch(epoch)
    return list(sampler)


def test_batches_hold_similar_lengths_in_no_order():
    batches = LENGTHS[order()[:-3]].reshape(-1, BATCH)
    assert np.ptp(batches, axis=1).mean() < np.ptp(LENGTHS) / 10
    means = batches.mean(1)[:POOL]  # sorted, if batches came as they were cut
    assert abs(np.corrcoef(means, np.arange(POOL))[0, 1]) < 0.5


def test_seed_and_epoch_alone_decide_the_order():
    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(0, 1)
    assert order(0, 0) != order(1, 0)


def test_the_incomplete_batch_comes_last():
    found = order()
    assert sorted(found) == list(range(len(LENGTHS)))
    assert len(EpochSampler(BATCH, [1] * 7, seed=0)) == 7
    assert list(EpochSampler(BATCH, [3], seed=0)) == [0]
