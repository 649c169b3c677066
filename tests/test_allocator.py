"""What a process keeps of memory that it has freed."""

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="what glibc does is measured")

# Once a block of 20 MiB was freed, glibc puts those of 4 MiB among the small ones.
HOLES = """
import resource
from voltgate import allocator

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() >> 20

{first}
bytearray(20 << 20)
before, large, small = resident(), [], []
for _ in range(20):
    large.append(bytearray(4 << 20))
    large[-1][::4096] = bytes(1024)
    small.append(bytes(5000))
assert resident() - before >= 70
large.clear()
{then}
print(resident() - before)
"""


def kept(first: str = "", then: str = "") -> int:
    """MiB of 80 that a new process keeps."""
    source = HOLES.format(first=first, then=then)
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_large_blocks_leave_no_holes() -> None:
    assert kept() >= 60, "glibc alone keeps them"
    assert kept(first="allocator.keep_little(arenas=1)") <= 10


def test_holes_are_given_back() -> None:
    assert kept(then="allocator.give_back()") <= 10
