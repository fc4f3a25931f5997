"""What the processor computes fast in, and memory that is kept between steps."""

import ctypes
import sys
from typing import Any

import torch

from aisle.retriever.settings import Arithmetic


def device() -> str:
    """Where to compute: a GPU where torch finds one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def in_bf16(precision: Arithmetic, place: str | torch.device) -> bool:
    """Whether to compute in bfloat16.

    With `auto` on a processor without instructions for it (AVX512-BF16, AMX), fp32 is the faster one.
    """
    if precision != "auto":
        return precision == "bf16"
    if torch.device(place).type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def keep_freed_memory() -> None:
    """Ask glibc to keep large freed blocks for the next step instead of returning them to the system.

    A softmax over 12,000 items takes and frees blocks of 50 MB in each step; giving them back means a page
    fault for every 4 KiB in the next one, which took half the time of a step.
    """
    _tell_glibc({"M_MMAP_THRESHOLD": 1 << 30, "M_TRIM_THRESHOLD": (1 << 31) - 1})


def share_one_heap() -> None:
    """Ask glibc to serve all threads that start from now on from one heap: for a process of one job.

    Each thread otherwise gets a heap of its own, and what one thread has freed is lost to the others. It has
    to be asked before there are threads, which keep the heaps that they have (`benchmarks/candidates.py`).
    """
    _tell_glibc({"M_ARENA_MAX": 1})


def return_freed_memory() -> None:
    """Ask glibc to give the system all pages back that hold nothing, as after a part of a long job.

    Otherwise gaps between what is kept add up from part to part (`benchmarks/candidates.py`).
    """
    if glibc := _glibc():
        glibc.malloc_trim(0)


def _glibc() -> Any:
    """The C library where it is glibc; None elsewhere."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        library = ctypes.CDLL("libc.so.6")
    except OSError:  # another C library
        return None
    return library if hasattr(library, "malloc_trim") else None


def _tell_glibc(wanted: dict[str, int]) -> None:
    """Set parameters of malloc, by their names in malloc.h; other C libraries are left alone."""
    numbers = {"M_TRIM_THRESHOLD": -1, "M_MMAP_THRESHOLD": -3, "M_ARENA_MAX": -8}
    if glibc := _glibc():
        for name, value in wanted.items():
            glibc.mallopt(numbers[name], value)
