"""Peak memory of a part of the process's life."""

import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def reset_peak() -> None:
    """Start counting anew, where the kernel lets a process do so (Linux); elsewhere nothing happens."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return


def peak() -> int:
    """Largest resident memory since `reset_peak` (since the start, where that does nothing), bytes."""
    try:
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return _peak_of_process()
    return int(line.split()[1]) * 1024


def _peak_of_process() -> int:
    try:
        import resource
    except ImportError:  # Windows
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
