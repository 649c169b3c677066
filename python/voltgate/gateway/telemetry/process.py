"""What the operating system says about this process, read at scrape.

The cost does not grow with the chargers: Linux tells the number of open descriptors as the size of their
folder since 6.2, and an older kernel is asked for the list.
"""

import os
import resource
import time
from functools import cache
from pathlib import Path

_PROC = Path("/proc/self")
_PAGE = resource.getpagesize()
_UNLIMITED = float("inf")


def cpu_seconds() -> float:
    """User and system time."""
    return time.process_time()


def resident_memory_bytes() -> float:
    """Memory in RAM."""
    return int((_PROC / "statm").read_bytes().split()[1]) * _PAGE


def open_fds() -> int:
    """Open descriptors."""
    folder = _PROC / "fd"
    return folder.stat().st_size or len(os.listdir(folder))


def max_fds() -> float:
    """The soft limit of open descriptors."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _UNLIMITED if soft == resource.RLIM_INFINITY else soft


@cache
def start_time_seconds() -> float:
    """When the process was started, since the Unix epoch."""
    # proc(5): the name in parentheses may hold anything; the start is the 20th field behind it, in ticks
    # since boot.
    ticks = int((_PROC / "stat").read_bytes().rpartition(b")")[2].split()[19])
    since_boot = time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.time() - since_boot + ticks / os.sysconf("SC_CLK_TCK")
