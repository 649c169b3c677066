"""What glibc keeps of the memory that was freed. Other C libraries are left as they are."""

import ctypes

# mallopt(3). glibc raises its own bound to the largest block it has seen, and keeps what is below it.
_MMAP_THRESHOLD, _ARENAS = -3, -8
_LARGE = 128 << 10


def keep_little(arenas: int = 0) -> None:
    """Allocate large blocks apart from small objects, so that a flood of them leaves no holes behind.

    ``arenas``: how many heaps all threads share, set before any is started; 0: up to eight a core.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGE)
        if arenas:
            mallopt(_ARENAS, arenas)


def give_back() -> None:
    """Return to the system what is free between small objects (malloc_trim(3))."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
