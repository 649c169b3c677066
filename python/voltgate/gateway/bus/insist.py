"""A client of NATS that insists on TLS where it was asked for.

nats-py uses TLS only where the server's first line asks for it: a server that does not, or something in the
network that rewrites that line, gets the credentials in the clear. Touches nats-py's inside: pinned to
>=2.16,<2.17, guarded by tests/gateway/bus/test_insist.py.
"""

from typing import Any

from nats import errors
from nats.aio import client as nats_py
from nats.aio.client import ErrorCallback


class NoTlsError(errors.Error):
    """The server offers no TLS, and the configuration asks for it."""


class InsistingClient(nats_py.Client):
    """nats-py's client, which sends nothing to a server without TLS if its ``tls`` or a URL asks for TLS."""

    async def connect(self, *arguments: Any, **options: Any) -> None:
        """As nats-py's, with ``error_cb``. Where no server was left, raises why the last one was no use."""
        error_cb: ErrorCallback = options.pop("error_cb")
        why: Exception | None = None

        async def failed(error: Exception) -> None:
            nonlocal why
            if not isinstance(why, NoTlsError):
                why = error
            await error_cb(error)

        options["error_cb"] = failed
        try:
            await super().connect(*arguments, **options)
        except errors.NoServersError as error:
            raise (why or error) from None

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        """The server's first line, read before anything is sent, and each later one."""
        if initial_connection and self._insists and not info.get("tls_required"):
            raise NoTlsError
        await super()._process_info(info, initial_connection)

    @property
    def _insists(self) -> bool:
        server = self._current_server
        if server is not None and server.uri.scheme in ("ws", "wss"):
            return False  # TLS, if any, is below the websocket and was begun before this line
        return bool(self.options.get("tls")) or any(one.uri.scheme == "tls" for one in self._server_pool)
