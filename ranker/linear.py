"""The linear model of a catalogue: each item's share in a history, predicted from all the others."""

import logging

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import lapack

from aisle.data.history import Histories

LOG = logging.getLogger(__name__)

REGULARISATION = 200.0
KEPT = 200
"""Items with the largest weights that each item keeps."""

SMALL = 1e-6
"""Weights nearer to 0 are none."""

ROWS_AT_ONCE = 1024
"""Items whose weights are picked together."""

MOST = 15_000
"""Items that the model is of, the most taken ones: time grows with their cube, memory with the square."""


def linear_weights(histories: Histories, items: int, most: int = MOST) -> sparse.csr_array:
    """Weights B of `x B`, which predicts a history x (0 and 1) item by item, float32 (items, items).

    B minimises |X - X B|^2 + `REGULARISATION` |B|^2 with a diagonal of zeros. With P the inverse of
    `X^T X + REGULARISATION`, its entries are `-P_ij / P_jj`.
    Source: Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data", equation 8.

    It takes the cube of the number of items, and memory for two dense matrices (1.8 GB at most). Of a larger
    catalogue, the `most` most taken items alone have weights.

    Args:
        histories: what is known.
        items: of the catalogue.
        most: items of the model; an item that nobody took has no weights in any case.
    """
    events = np.bincount(histories.items, minlength=items)
    chosen = np.argsort(-events, kind="stable")[: min(most, np.count_nonzero(events))]
    chosen.sort()
    if not len(chosen):
        return sparse.csr_array((np.empty(0, np.float32), (chosen, chosen)), (items, items))
    if np.count_nonzero(events) > most:
        LOG.info("the linear model is of the %d most taken of %d items", most, items)
    owner = np.repeat(np.arange(len(histories)), histories.lengths)
    ones = np.ones(len(histories.items), np.float32)
    had = sparse.csr_array((ones, (owner, histories.items)), (len(histories), items))[:, chosen]
    had.data[:] = 1
    gram = (had.T @ had).toarray()
    gram[np.diag_indices(len(chosen))] += REGULARISATION
    weights = _inverse(gram)
    del gram
    weights /= -np.diag(weights).copy()[None, :]
    np.fill_diagonal(weights, 0)
    blocks = [_kept(weights[start : start + ROWS_AT_ONCE]) for start in range(0, len(chosen), ROWS_AT_ONCE)]
    found = sparse.csr_array(sparse.vstack(blocks, format="csr")).tocoo()
    return sparse.csr_array((found.data, (chosen[found.row], chosen[found.col])), (items, items))


def _inverse(gram: NDArray[np.float32]) -> NDArray[np.float32]:
    """Inverse of a positive definite matrix in its own memory, by its Cholesky factor."""
    factor, failed = lapack.spotrf(np.asfortranarray(gram.T), lower=1, overwrite_a=1)
    if failed:
        raise np.linalg.LinAlgError(f"not positive definite at row {failed}")
    lower, _ = lapack.spotri(factor, lower=1, overwrite_c=1)
    for row in range(len(lower)):  # the upper triangle is that of the lower one
        lower[row, row + 1 :] = lower[row + 1 :, row]
    inverse: NDArray[np.float32] = lower
    return inverse


def _kept(rows: NDArray[np.float32]) -> sparse.csr_array:
    """The `KEPT` largest weights of some rows, without sorting all of them."""
    rows = np.where(np.abs(rows) < SMALL, np.float32(0), rows)
    if rows.shape[1] > KEPT:
        left_out = np.argpartition(-rows, KEPT, axis=1)[:, KEPT:]
        np.put_along_axis(rows, left_out, 0, axis=1)
    return sparse.csr_array(rows)
