"""How many processor cores this process may use."""

import logging
import os
from math import ceil
from pathlib import Path

import torch

LOG = logging.getLogger(__name__)

CGROUP = Path("/sys/fs/cgroup")
"""Where Linux says what a container may have."""


def cores(cgroup: Path = CGROUP) -> int:
    """Cores that the process may run on and that its container's quota pays for; 1 at least.

    torch counts all that the process may run on. In a container with a quota of two cores on a machine of
    64, its 64 threads would wait for each other most of the time.
    """
    try:
        allowed = len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        allowed = os.cpu_count() or 1
    quota = _quota(cgroup)
    return max(1, allowed if quota is None else min(allowed, ceil(quota)))


def limit_threads() -> None:
    """Let torch take no more threads than there are cores for it; what was set lower stays."""
    most = cores()
    if torch.get_num_threads() > most:
        LOG.info(
            "torch takes %d threads, not %d: so many cores are this process's", most, torch.get_num_threads()
        )
        torch.set_num_threads(most)


def _quota(cgroup: Path) -> float | None:
    """Cores of the container: cgroup v2's cpu.max, or v1's cpu.cfs_quota_us."""
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text().strip()
            period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    try:
        found = float(quota) / float(period)
    except (ValueError, ZeroDivisionError):  # "max": no quota
        return None
    return found if found > 0 else None
