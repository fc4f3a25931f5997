"""CAGRA graphs, which FAISS builds on a GPU where it was built with cuVS."""

import faiss
import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from aisle.index.devices import gpus
from aisle.index.errors import IndexFault

DEGREE = 64
"""Neighbours that a graph keeps for an item, FAISS's default (`GpuIndexCagraConfig.graph_degree`)."""


def available() -> bool:
    """Whether the installed FAISS can build such a graph here."""
    return hasattr(faiss, "GpuIndexCagra") and gpus() > 0


def build(vectors: Float[NDArray[np.float32], "n dim"]) -> faiss.Index:
    """A graph of inner products, built on a GPU and brought to the CPU, where it can be written and searched.

    Raises:
        IndexFault: FAISS was built without cuVS, or finds no GPU.
    """
    if not available():
        found = "no GPU" if hasattr(faiss, "GpuIndexCagra") else "a FAISS without cuVS"
        raise IndexFault(
            "a GPU and FAISS with cuVS for index.kind = 'cagra'", found, "set index.kind to 'hnsw'"
        )
    config = faiss.GpuIndexCagraConfig()
    config.graph_degree = DEGREE
    config.intermediate_graph_degree = 2 * DEGREE
    graph = faiss.GpuIndexCagra(
        faiss.StandardGpuResources(), vectors.shape[1], faiss.METRIC_INNER_PRODUCT, config
    )
    graph.train(vectors)
    index = faiss.IndexHNSWCagra(vectors.shape[1], DEGREE // 2, faiss.METRIC_INNER_PRODUCT)
    index.base_level_only = True
    graph.copyTo(index)
    return index
