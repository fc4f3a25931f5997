"""What the processor computes fast in, and memory that is kept between steps."""

import ctypes
import sys

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
    if not sys.platform.startswith("linux"):
        return
    mmap_threshold, trim_threshold = -3, -1  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD of malloc.h
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # another C library
        return
    mallopt(mmap_threshold, 1 << 30)
    mallopt(trim_threshold, (1 << 31) - 1)
