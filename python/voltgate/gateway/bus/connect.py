"""Connecting to NATS as configured: for the gateway, the backend and the command line."""

import random
import ssl
from typing import Any

import structlog

from voltgate.config import Nats
from voltgate.gateway.bus import uplink
from voltgate.gateway.bus.insist import NoTlsError
from voltgate.gateway.bus.login import BusError, SettingError, login
from voltgate.gateway.bus.subscriptions import Client

__all__ = ["BusError", "SettingError", "close", "connect", "connect_options", "keep_reconnecting", "unusable"]

log = structlog.get_logger()

# Of OpenSSL, where no trusted CA signed the certificate: those of nats.tls_ca are not the right ones.
_UNTRUSTED = (2, 18, 19, 20, 21)


class UnreachableError(BusError):
    """No server answers; one may soon."""


def connect_options(config: Nats, inbox_prefix: str = "") -> dict[str, Any]:
    """``nats.connect`` arguments of a configuration. Raises SettingError where a file cannot be used.

    ``inbox_prefix``: else the first of ``nats.reply_prefixes``, where gateways answer commands.
    """
    return login(config) | {
        "servers": config.urls,
        "inbox_prefix": (inbox_prefix or config.reply_prefixes[0]).encode(),
        "connect_timeout": 5,
        # Two unanswered when the third is due: the connection is considered lost.
        "ping_interval": config.ping_interval,
        "max_outstanding_pings": 2,
        # Of the first connection: one more try at once, then an error.
        "max_reconnect_attempts": 1,
        "reconnect_time_wait": 0,
    }


def server_release(client: Client) -> tuple[int, int, int]:
    """The release of the server that the client is connected to."""
    version = client.connected_server_version
    return version.major, version.minor, version.patch


def keep_reconnecting(client: Client) -> None:
    """Reconnect for ever from now on, with jitter: nats-py's default gives up after 60 attempts."""
    client.options["max_reconnect_attempts"] = -1
    client.options["reconnect_time_wait"] = 0.5 + random.random()  # noqa: S311 - jitter


async def connect(config: Nats, inbox_prefix: str = "", **options: Any) -> Client:
    """A plain client for commands that are not the gateway. Raises BusError when no server can be reached.

    An ``error_cb`` is called once the client is connected: why it is not is in the error.
    """

    async def quiet(error: Exception) -> None:
        log.debug("nats.failed", error=str(error))

    tell, later = quiet, options.pop("error_cb", quiet)

    async def failed(error: Exception) -> None:
        await tell(error)

    client = Client(config.domain)
    uplink.attach(client, config.urls)
    try:
        await client.connect(**connect_options(config, inbox_prefix) | options, error_cb=failed)
    except Exception as error:
        raise unusable(config, error) from None
    tell = later
    keep_reconnecting(client)
    return client


async def close(client: Client) -> None:
    """Close a client of :func:`connect`, also while no server answers."""
    if not client.is_connected:
        uplink.forget(client)  # it would write what waits to a connection that is gone, and fail
    await client.close()


def unusable(config: Nats, error: Exception) -> BusError:
    """Why no server of a configuration can be used, for a person."""
    if isinstance(error, BusError):
        return error
    server = f"NATS at {config.shown}"
    if isinstance(error, NoTlsError):
        return BusError(f"{server} offers no TLS, and the configuration asks for it: nothing was sent")
    if isinstance(error, ssl.SSLCertVerificationError):
        why = error.verify_message
        if error.verify_code not in _UNTRUSTED:
            return BusError(f"{server}: its certificate cannot be used: {why}")
        if config.tls_ca:
            return SettingError(
                "tls_ca", f"{config.tls_ca}: not the CA of the certificate of {server}: {why}"
            )
        return SettingError("tls_ca", f"must name the CA of the certificate of {server}: {why}")
    why = str(error).removeprefix("nats: ").strip("'") or type(error).__name__
    if "authorization" in why.lower() or "authentication" in why.lower():
        keys = "the user and password in nats.url, nats.credentials, nats.nkey_seed"
        return BusError(f"{server} refuses the login ({why}): check {keys}")
    kind = BusError if isinstance(error, ssl.SSLError) else UnreachableError
    return kind(f"{server} cannot be reached: {why}")
