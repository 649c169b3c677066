"""Connecting to NATS as configured: for the gateway, the backend and the command line."""

import random
from typing import Any

import nats
import structlog
from nats.aio.client import Client

from voltgate.config import Nats

log = structlog.get_logger()


class BusError(Exception):
    """NATS cannot be used as configured; the text says what to do."""


def connect_options(config: Nats) -> dict[str, Any]:
    """``nats.connect`` arguments of a configuration. Raises BusError where a file cannot be used."""
    options: dict[str, Any] = {
        "servers": config.urls,
        "inbox_prefix": config.inbox_prefix.encode(),
        "connect_timeout": 5,
        # Two unanswered when the third is due: the connection is considered lost.
        "ping_interval": config.ping_interval,
        "max_outstanding_pings": 2,
        # Of the first connection: one more try at once, then an error.
        "max_reconnect_attempts": 1,
        "reconnect_time_wait": 0,
    }
    if config.credentials:
        options["user_credentials"] = config.credentials
    if seed := config.nkey_seed.get_secret_value():
        options["nkeys_seed_str"] = seed
    if config.tls_ca or config.tls_cert:
        import ssl  # noqa: PLC0415 - only where TLS is configured

        try:
            context = ssl.create_default_context(cafile=config.tls_ca or None)
            if config.tls_cert:
                context.load_cert_chain(config.tls_cert, config.tls_key or None)
        except OSError as error:
            raise BusError(f"nats.tls_ca, nats.tls_cert, nats.tls_key: {error}") from None
        options["tls"] = context
    return options


def keep_reconnecting(client: Client) -> None:
    """Reconnect for ever from now on, with jitter: nats-py's default gives up after 60 attempts."""
    client.options["max_reconnect_attempts"] = -1
    client.options["reconnect_time_wait"] = 0.5 + random.random()  # noqa: S311 - jitter


async def connect(config: Nats, **options: Any) -> Client:
    """A plain client for commands that are not the gateway. Raises BusError when no server can be reached."""

    async def quiet(error: Exception) -> None:
        log.debug("nats", error=str(error))

    chosen: dict[str, Any] = {"error_cb": quiet} | connect_options(config) | options
    try:
        client = await nats.connect(**chosen)
    except Exception as error:
        why = str(error) or type(error).__name__
        raise BusError(f"NATS at {config.shown} cannot be reached: {why}") from None
    keep_reconnecting(client)
    return client
