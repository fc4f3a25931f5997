"""Products of bytes, and the largest of many numbers: what numpy has no quick way for, and torch has.

The one file of `index` that imports torch, and not before it is asked.
"""

import numpy as np
from jaxtyping import Int, Int8, Int32
from numpy.typing import NDArray


def multiplies_bytes() -> bool:
    """Whether the processor has instructions for products of bytes that are worth it (AVX512-VNNI)."""
    import torch

    known = getattr(torch.cpu, "_is_vnni_supported", None)
    return bool(known and known() and hasattr(torch, "_int_mm"))


def multiplies_tiles() -> bool:
    """Whether it multiplies them tile by tile (AMX), several times as fast again."""
    import torch

    known = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool(known and known() and multiplies_bytes())


def products(
    queries: Int8[NDArray[np.int8], "b dim"],
    codes: Int8[NDArray[np.int8], "n dim"],
    room: Int32[NDArray[np.int32], " _"],
) -> Int32[NDArray[np.int32], "b n"]:
    """Inner product of each two rows, exact; a view of `room`, since memory used again is in the cache.

    Those of a code lie side by side where tiles are multiplied, those of a query elsewhere: the side that is
    packed for the processor then is the smaller one, or costs less (`benchmarks/search_blas.py`).
    """
    import torch

    asked, held = torch.from_numpy(queries), torch.from_numpy(codes)
    places = room[: len(queries) * len(codes)]
    if multiplies_tiles():
        out = places.reshape(len(codes), len(queries))
        torch._int_mm(held, asked.T, out=torch.from_numpy(out))
        return out.T
    out = places.reshape(len(queries), len(codes))
    torch._int_mm(asked, held.T, out=torch.from_numpy(out))
    return out


def largest(numbers: NDArray[np.float32] | NDArray[np.float64], k: int) -> Int[NDArray[np.int64], "b k"]:
    """Columns of the k largest numbers of each row, in no order; `numbers` (b, n), n >= k."""
    import torch

    found: NDArray[np.int64] = torch.from_numpy(numbers).topk(k, sorted=False).indices.numpy()
    return found
