"""websockets' Sans-I/O ``ServerProtocol`` as it is used here, and the only code that touches its inside.

Two attributes are not public, so websockets is pinned to one minor release and
``tests/gateway/edge/test_sansio.py`` fails when either of them changes.
"""

import logging
from collections.abc import Sequence

from websockets.extensions.base import ServerExtensionFactory
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.server import ServerProtocol

_SILENT = logging.getLogger("voltgate.websockets")
_SILENT.setLevel(logging.CRITICAL + 1)  # it logs "connection open" once per connection

# No context takeover and small windows: no memory is kept per connection between messages (RFC 7692 7.1).
COMPRESSION: Sequence[ServerExtensionFactory] = (
    ServerPerMessageDeflateFactory(
        server_no_context_takeover=True,
        client_no_context_takeover=True,
        server_max_window_bits=11,
        client_max_window_bits=11,
    ),
)


def server_protocol(max_message_bytes: int) -> ServerProtocol:
    """A protocol that waits for an upgrade request."""
    return ServerProtocol(extensions=COMPRESSION, max_size=max_message_bytes, logger=_SILENT)


def unread(protocol: ServerProtocol) -> int:
    """Bytes ``protocol`` was given and has not yet made a frame of."""
    return len(protocol.reader.buffer)


def release(protocol: ServerProtocol) -> None:
    """Make ``protocol`` unusable and free of cycles: its parser is a generator that refers to it."""
    protocol.parser = None  # type: ignore[assignment]
