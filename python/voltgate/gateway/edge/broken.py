"""What is kept of a frame that closes its socket (docs/contract.md 2.2, 3.2). Values only."""

KEPT = 4096  # bytes
_EXTENDED = {126: 2, 127: 8}  # bytes of the length behind the two first ones (RFC 6455 5.2)


def payload_of(front: bytes) -> tuple[bytes, int]:
    """The payload that has come of a frame, unmasked, ``KEPT`` bytes at most; and its size by the header.

    ``front``: the first bytes of the frame, of which even the header may be cut.
    """
    if len(front) < 2:
        return b"", 0
    size, at = front[1] & 0x7F, 2
    if size in _EXTENDED:
        extended = _EXTENDED[size]
        size, at = int.from_bytes(front[2 : 2 + extended], "big"), 2 + extended
    key = bytes(4)
    if front[1] & 0x80:
        key, at = front[at : at + 4], at + 4
    masked = front[at : at + min(KEPT, size)]
    return bytes(byte ^ key[n % 4] for n, byte in enumerate(masked)), size
