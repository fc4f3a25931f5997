"""Where FAISS searches: on the CPU, or on the GPUs that it finds."""

import shutil
import subprocess

import faiss

from aisle.index.errors import IndexFault
from aisle.index.settings import IndexSettings


def gpus() -> int:
    """How many GPUs FAISS finds; 0 where it was built without."""
    return int(faiss.get_num_gpus()) if hasattr(faiss, "get_num_gpus") else 0


def gpu_memory(settings: IndexSettings) -> int:
    """Bytes of memory of the GPUs that may be used, as their driver tells; 0 without."""
    if settings.device == "cpu" or not gpus() or not (tool := shutil.which("nvidia-smi")):
        return 0
    command = [tool, "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    return sum(int(mebibytes) << 20 for mebibytes in told if mebibytes.isdigit())


def on_device(index: faiss.Index, settings: IndexSettings) -> faiss.Index:
    """The index itself, or its copy on all GPUs, as replicas or in shards.

    Vectors stored as fp16 stay so on a GPU. `auto` leaves on the CPU what FAISS cannot bring to a GPU.

    Raises:
        IndexFault: a GPU is asked for, and FAISS finds none or has no such index for it.
    """
    found = gpus()
    if settings.device == "gpu" and not found:
        raise IndexFault(
            "a GPU for index.device = 'gpu'", "FAISS finds none", "set index.device to 'auto' or 'cpu'"
        )
    if settings.device == "cpu" or not found:
        return index
    if isinstance(index, faiss.IndexRefine):  # candidates on the GPU, stored vectors in memory
        base = on_device(index.base_index, settings)
        return index if base is index.base_index else faiss.IndexRefine(base, index.refine_index)
    options = faiss.GpuMultipleClonerOptions()
    options.shard = settings.gpus == "shards" and found > 1
    options.useFloat16 = settings.storage == "fp16"
    try:
        return faiss.index_cpu_to_all_gpus(index, co=options)
    except RuntimeError as error:  # FAISS: "This type of index is not implemented on GPU"
        if settings.device == "gpu":
            reason = str(error).splitlines()[0]
            raise IndexFault(
                f"an index of kind {settings.kind!r} on a GPU", reason, "set index.device to 'auto' or 'cpu'"
            ) from error
        return index
