"""The linear model of a catalogue: each item's share in a history, predicted from all the others."""

import numpy as np
from scipy import sparse

from aisle.data.history import Histories
from aisle.retriever.cooccurrence import largest

REGULARISATION = 200.0
KEPT = 200
"""Items with the largest weights that each item keeps."""


def linear_weights(histories: Histories, items: int) -> sparse.csr_array:
    """Weights B of `x B`, which predicts a history x (0 and 1) item by item, float32 (items, items).

    B minimises |X - X B|^2 + `REGULARISATION` |B|^2 with a diagonal of zeros. With P the inverse of
    `X^T X + REGULARISATION`, its entries are `-P_ij / P_jj`.
    Source: Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data", equation 8.

    It takes the cube of the number of items, and memory for three dense matrices.

    Args:
        histories: what is known.
        items: of the catalogue.
    """
    owner = np.repeat(np.arange(len(histories)), histories.lengths)
    ones = np.ones(len(histories.items), np.float32)
    had = sparse.csr_array((ones, (owner, histories.items)), (len(histories), items))
    had.data[:] = 1
    gram = (had.T @ had).toarray()
    gram[np.diag_indices(items)] += REGULARISATION
    inverse = np.linalg.inv(gram)
    weights = inverse / -np.diag(inverse)[None, :]
    np.fill_diagonal(weights, 0)
    weights[np.abs(weights) < 1e-6] = 0
    return largest(sparse.csr_array(weights), KEPT)
