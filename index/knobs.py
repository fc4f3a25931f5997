"""Search settings as FAISS takes them, for indices of several layers."""

import faiss

from aisle.index.settings import SearchSettings

FIXED = (faiss.IndexPQ, faiss.IndexFastScan, faiss.IndexNSG, faiss.IndexLattice, faiss.IndexAdditiveQuantizer)
"""Indices that take neither search parameters nor a selection of rows."""

WALKED = 64
"""A walk that would keep more than one row in so many is not tried: all rows are scored instead."""


def parameters(
    index: faiss.Index, settings: SearchSettings, selector: faiss.IDSelector | None = None
) -> faiss.SearchParameters | None:
    """Search parameters of an index and of those inside it; None where it takes none.

    Args:
        index: what is searched.
        settings: how hard to look.
        selector: the rows that may be returned; None: all.
    """
    layer = faiss.downcast_index(index)
    if isinstance(layer, faiss.IndexRefine):
        inner = parameters(layer.base_index, settings, selector)
        return faiss.IndexRefineSearchParameters(
            k_factor=float(settings.rescore), **({"base_index_params": inner} if inner is not None else {})
        )
    if isinstance(layer, faiss.IndexPreTransform):
        inner = parameters(layer.index, settings, selector)
        return None if inner is None else faiss.SearchParametersPreTransform(index_params=inner)
    if isinstance(layer, FIXED):
        return None
    rows = {} if selector is None else {"sel": selector}
    if isinstance(layer, faiss.IndexIVF):
        return faiss.SearchParametersIVF(nprobe=min(settings.nprobe, layer.nlist), **rows)
    if isinstance(layer, faiss.IndexHNSW):
        return faiss.SearchParametersHNSW(efSearch=settings.ef, **rows)
    return faiss.SearchParameters(**rows)


def harder(index: faiss.Index, effort: SearchSettings, k: int) -> SearchSettings | None:
    """Four times as many lists visited, or candidates of a graph; None where all rows are scored as soon.

    A graph that was asked for `k` rows kept `k` candidates, however few `ef` says: twice as many at least.
    """
    layer = innermost(index)
    if isinstance(layer, faiss.IndexIVF) and effort.nprobe < layer.nlist:
        return effort.model_copy(update={"nprobe": min(4 * effort.nprobe, layer.nlist)})
    wider = max(4 * effort.ef, 2 * k)
    if isinstance(layer, faiss.IndexHNSW) and wider <= layer.ntotal // WALKED:
        return effort.model_copy(update={"ef": wider})
    return None


def selects(index: faiss.Index) -> bool:
    """Whether FAISS can keep rows out while it searches such an index."""
    return not isinstance(innermost(index), FIXED)


def innermost(index: faiss.Index) -> faiss.Index:
    """What searches, below re-scoring and transformations of vectors."""
    layer = faiss.downcast_index(index)
    if isinstance(layer, faiss.IndexRefine):
        return innermost(layer.base_index)
    return innermost(layer.index) if isinstance(layer, faiss.IndexPreTransform) else layer


def turned(index: faiss.Index) -> set[str]:
    """Which search settings make a difference to an index: of `nprobe`, `ef` and `rescore`."""
    rescored = {"rescore"} if isinstance(faiss.downcast_index(index), faiss.IndexRefine) else set()
    layer = innermost(index)
    if isinstance(layer, faiss.IndexIVF):
        return rescored | {"nprobe"}
    return rescored | ({"ef"} if isinstance(layer, faiss.IndexHNSW) else set())
