"""How many processor cores this process may use, and each thread of it."""

import logging
import os
from math import ceil
from pathlib import Path
from threading import local

import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

LOG = logging.getLogger(__name__)

CGROUP = Path("/sys/fs/cgroup")
"""Where Linux says what a container may have."""

THIS = local()
"""What is known of the thread that asks."""


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


def begin_lane(share: int) -> None:
    """Make the thread that calls a lane: it has `share` cores, and other threads keep theirs.

    OpenMP counts by thread; torch sets its own count in each new one, when it is first asked.
    """
    torch.get_num_threads()
    threadpool_limits(share, user_api="openmp")
    THIS.lane = True


def in_lane() -> bool:
    """Whether the thread that calls has its share of the cores, so that there is nothing more to share."""
    return getattr(THIS, "lane", False)


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
