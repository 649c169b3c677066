"""Connecting to NATS as configured: for the gateway, the backend and the command line."""

import random
import re
from pathlib import Path
from typing import Any

import structlog

from voltgate.config import Nats
from voltgate.gateway.bus.subscriptions import Client

log = structlog.get_logger()

# nats-py makes of any other file that no server is available.
_CREDENTIALS = re.compile(r"^-+BEGIN NATS USER JWT-+$.+^-+BEGIN USER NKEY SEED-+$", re.MULTILINE | re.DOTALL)


class BusError(Exception):
    """NATS cannot be used as configured; the text says what to do."""


class UnreachableError(BusError):
    """No server answers; one may soon."""


def connect_options(config: Nats, inbox_prefix: str = "") -> dict[str, Any]:
    """``nats.connect`` arguments of a configuration. Raises BusError where a file cannot be used.

    ``inbox_prefix``: else the first of ``nats.reply_prefixes``, where gateways answer commands.
    """
    options: dict[str, Any] = {
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
    if config.credentials:
        try:
            text = Path(config.credentials).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "is not a .creds file"
            raise BusError(f"nats.credentials: {config.credentials}: {why}") from None
        if not _CREDENTIALS.search(text):
            raise BusError(
                f"nats.credentials: {config.credentials}: is not a .creds file (nsc generate creds)"
            )
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


async def connect(config: Nats, inbox_prefix: str = "", **options: Any) -> Client:
    """A plain client for commands that are not the gateway. Raises BusError when no server can be reached."""

    async def quiet(error: Exception) -> None:
        log.debug("nats", error=str(error))

    chosen: dict[str, Any] = {"error_cb": quiet} | connect_options(config, inbox_prefix) | options
    client = Client()
    try:
        await client.connect(**chosen)
    except Exception as error:
        why = str(error) or type(error).__name__
        raise BusError(f"NATS at {config.shown} cannot be reached: {why}") from None
    keep_reconnecting(client)
    return client
