"""Random bytes as a PROXY header: any beginning of a header needs more or is refused as the whole is."""

import string

from voltgate.gateway.edge.proxy import FIXED, MAX_BYTES, NeedMore, Proxied, Refused, parse


def one(data: bytes) -> None:
    """Raises where a rule does not hold for ``data``."""
    found = parse(data)
    match found:
        case NeedMore():
            assert len(data) < FIXED + MAX_BYTES, "what is held is bounded"
        case Refused():
            assert isinstance(parse(data + b"more"), Refused), "a refusal is never taken back"
        case Proxied():
            assert FIXED <= found.size <= len(data)
            assert parse(data[: found.size]) == parse(data + b"more") == found, "the rest is the charger's"
            assert parse(data[: found.size - 1]) is NeedMore.NEED_MORE
            if found.peer is not None:
                address, port = found.peer
                assert set(address) <= {*string.hexdigits, ".", ":"}
                assert 0 <= port <= 0xFFFF
            if found.tls is not None and not found.tls.verified:
                assert found.tls.common_name == "", "a name counts only where it was verified"
    for size in range(min(len(data), 32)):
        before = parse(data[:size])
        refused = isinstance(before, Refused) and isinstance(found, Refused)
        assert refused or before in (NeedMore.NEED_MORE, found), "nothing is taken back"
