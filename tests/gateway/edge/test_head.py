"""The head of an upgrade request: its end, its first line, what is tolerated, the identity."""

import pytest

from voltgate.gateway.edge import head
from voltgate.gateway.edge.head import identity_of
from voltgate.gateway.reasons import Refusal

PATHS = {
    "/path-1": ("path-1", "no prefix"),
    "/a/b/c/path-2": ("path-2", "any prefix"),
    "//ocpp//path-3": ("path-3", "doubled slashes (docs/ocpp.md B)"),
    "/ocpp/path-4/": ("path-4", "a slash behind it"),
    "/ocpp1.6/path-5": ("path-5", "a version in the URL decides nothing (docs/ocpp.md A1)"),
    "/ocpp/path-6?x=/1": ("path-6", "a query is no part of it"),
    "/ocpp/path-6/#x/1": ("path-6", "a fragment is no part of it"),
    "/ocpp/%70ath-7": ("path-7", "percent-encoded letters"),
    "/path-%c3%b6": ("path-ö", "percent-encoding in lower case"),
    "/%2520": ("%20", "decoded once, not twice"),
    "/" + "x" * 48: ("x" * 48, "48 characters"),
}


@pytest.mark.parametrize(("path", "identity"), [(path, name) for path, (name, _) in PATHS.items()])
def test_the_identity_is_the_last_segment_of_the_path(path: str, identity: str) -> None:
    assert identity_of(path) == identity


LINES: dict[bytes, Refusal | None] = {
    b"": None,
    b"GET /a": None,
    b"GET /a HTTP/1.1\r\n": None,
    b"GET /a HTTP/1.1\n": None,
    b"GET  /a b  HTTP/1.1 \r\n": None,
    b"OPTIONS * HTTP/1.1\r\n": None,
    b"GET /a HTTP/1.0\r\n": Refusal.HTTP_VERSION,
    b"PRI * HTTP/2.0\r\n": Refusal.HTTP_VERSION,
    b"GET HTTP/1.1\r\n": Refusal.BAD_REQUEST,
    b"GET /a\r\n": Refusal.BAD_REQUEST,
    b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n": Refusal.BAD_REQUEST,
    b"[2,1]\n": Refusal.BAD_REQUEST,
    b"\0\r\nQUIT\n": Refusal.BAD_REQUEST,
    b"\n": Refusal.BAD_REQUEST,
}


@pytest.mark.parametrize(("line", "fault"), LINES.items())
def test_the_request_line_is_judged_as_soon_as_it_ends(line: bytes, fault: Refusal | None) -> None:
    assert head.fault_of_line(bytearray(line)) is fault


STRICT = {
    b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n": b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /a b%20c HTTP/1.1\r\n\r\n": b"GET /a%20b%20c HTTP/1.1\r\n\r\n",
    b"GET  /a  HTTP/1.1\r\n\r\n": b"GET /a HTTP/1.1\r\n\r\n",
    "GET /ö HTTP/1.1\r\n\r\n".encode(): b"GET /%C3%B6 HTTP/1.1\r\n\r\n",
    b"GET /a\xff\t HTTP/1.1\r\n\r\n": b"GET /a%FF%09 HTTP/1.1\r\n\r\n",
    b"GET /a HTTP/1.1\nHost: x\n\n": b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize(("sent", "read"), STRICT.items())
def test_what_is_tolerated_is_read_as_rfc_9112_writes_it(sent: bytes, read: bytes) -> None:
    assert head.end_of(bytearray(sent)) == len(sent)
    assert head.end_of(bytearray(sent[:-1])) == 0
    assert head.strict(sent) == read
