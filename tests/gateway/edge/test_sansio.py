"""The inside of websockets that is touched, and nowhere else: this fails when it moves."""

import gc
import re
import tomllib
import weakref
from pathlib import Path

from websockets.http11 import Request
from websockets.server import ServerProtocol

from frames import CONT, TEXT, frame
from voltgate.gateway.edge.sansio import release, server_protocol, unread
from wire import request

ROOT = Path(__file__).parents[3]


def opened() -> ServerProtocol:
    protocol = server_protocol(1000)
    protocol.receive_data(request())
    (head,) = protocol.events_received()
    assert isinstance(head, Request)
    protocol.send_response(protocol.accept(head))
    return protocol


def test_unread_bytes_are_those_of_the_frame_that_is_not_whole() -> None:
    protocol = opened()
    assert unread(protocol) == 0
    whole = frame(TEXT, b"x" * 100)
    protocol.receive_data(whole + frame(CONT | 0x80, b"y" * 50)[:20])
    assert unread(protocol) == 20 - 6, "its header is read, its mask too"


def test_a_released_protocol_is_no_cycle() -> None:
    """Connections are freed by their reference count: the garbage collector seldom runs (gc_policy)."""
    gc.collect()
    gc.disable()
    try:
        protocol = opened()
        alive = weakref.ref(protocol)
        release(protocol)
        del protocol
        assert alive() is None
    finally:
        gc.enable()


def test_what_failed_a_connection_is_known() -> None:
    protocol = opened()
    assert protocol.parser_exc is None
    protocol.receive_data(frame(TEXT, b"", mask=0))
    assert protocol.parser_exc is not None


def test_websockets_is_pinned_and_its_inside_is_touched_here_only() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "websockets>=17.4,<17.5" in project["project"]["dependencies"]
    inside = re.compile(r"reader\.buffer|\.parser\b")
    touching = [
        path.name
        for path in (ROOT / "python/voltgate/gateway").rglob("*.py")
        if inside.search(path.read_text())
    ]
    assert touching == ["sansio.py"]
