"""Keys of session tickets, the same in all workers: whichever accepts a charger that returns resumes it.

A resumed handshake costs a third of a full one, and in a storm the kernel gives a charger to any worker.
Python's contexts make keys of their own, and offer no way to set them; OpenSSL does, and a context of CPython
begins with the pointer to OpenSSL's. Touches CPython's inside: in the releases of :data:`KNOWN` alone,
guarded by tests/gateway/edge/test_tickets.py. Elsewhere a worker resumes its own sessions only.
"""

import _ssl
import ctypes
import hashlib
import ssl
import sys

KNOWN = ((3, 11), (3, 12), (3, 13), (3, 14))
_SET_KEYS = 59  # SSL_CTRL_SET_TLSEXT_TICKET_KEYS
_SIZE = 80  # of a key's name, an HMAC key and an AES key


def keys(secret: bytes, listener: str) -> bytes:
    """Those of one listener, b"" of b"": what another one has verified of a charger is not good here."""
    if not secret:
        return b""
    return hashlib.shake_256(secret + listener.encode()).digest(_SIZE)


def share(context: ssl.SSLContext, keys_: bytes) -> bool:
    """Make tickets of ``context`` with these keys; False where that is not possible."""
    if sys.implementation.name != "cpython" or sys.version_info[:2] not in KNOWN:
        return False
    openssl = ctypes.CDLL(getattr(_ssl, "__file__", None))
    try:
        control, options = openssl.SSL_CTX_ctrl, openssl.SSL_CTX_get_options
    except AttributeError:  # it is in there, and hidden
        return False
    options.argtypes, options.restype = [ctypes.c_void_p], ctypes.c_uint64
    control.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_char_p]
    control.restype = ctypes.c_long
    pointer = ctypes.c_void_p.from_address(id(context) + object.__basicsize__)
    if options(pointer) != context.options or control(pointer, _SET_KEYS, 0, None) != _SIZE:
        return False
    return bool(control(pointer, _SET_KEYS, _SIZE, keys_) == 1)
