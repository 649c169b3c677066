"""What a client shows NATS, and what it trusts: creds file, nkey seed and TLS files of the configuration.

All of it is read before anything is dialled, and a fault names its key: nats-py reports some of them as a
server that is not available, and others not at all.
"""

import re
import ssl
from pathlib import Path
from typing import Any, NoReturn

from voltgate.config import Nats, is_seed

_CREDENTIALS = re.compile(
    r"^-+BEGIN NATS USER JWT-+$\s*(\S+)\s*^-+END NATS USER JWT-+$.*"
    r"^-+BEGIN USER NKEY SEED-+$\s*(\S+)\s*^-+END USER NKEY SEED-+$",
    re.MULTILINE | re.DOTALL,
)


class BusError(Exception):
    """NATS cannot be used as configured; the text says what to do."""


class SettingError(BusError):
    """A value of [nats] cannot be used, whatever the server says; ``key`` is its name."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(f"nats.{key}: {text}")
        self.key = key


def login(config: Nats) -> dict[str, Any]:
    """``nats.connect`` arguments of the login and of TLS. Raises SettingError."""
    options: dict[str, Any] = {}
    if config.credentials:
        _check_credentials(config.credentials)
        options["user_credentials"] = config.credentials
    if seed := config.nkey_seed.get_secret_value():
        options["nkeys_seed_str"] = seed
    if config.tls_key and not config.tls_cert:
        raise SettingError("tls_key", "needs nats.tls_cert, the certificate of this key")
    if config.tls_ca or config.tls_cert:
        options["tls"] = _context(config)
    return options


def _check_credentials(file: str) -> None:
    text = _content("credentials", file)
    found = _CREDENTIALS.search(text.decode(errors="replace"))
    if found is None:
        raise SettingError("credentials", f"{file}: is not a .creds file (nsc generate creds)")
    if not is_seed(found[2]):
        raise SettingError("credentials", f"{file}: its seed is damaged (nsc generate creds)")


def _context(config: Nats) -> ssl.SSLContext:
    ca, certificate, key = config.tls_ca, config.tls_cert, config.tls_key

    def ask() -> NoReturn:  # else OpenSSL would ask on the terminal
        raise SettingError("tls_key", f"{key or certificate} has a passphrase: store it without one")

    if ca:
        _content("tls_ca", ca)
    try:
        context = ssl.create_default_context(cafile=ca or None)
    except ssl.SSLError:
        raise SettingError("tls_ca", f"{ca}: holds no certificate in PEM form") from None
    if certificate:
        _content("tls_cert", certificate)
        if key:
            _content("tls_key", key)
        try:
            context.load_cert_chain(certificate, key or None, password=ask)
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                text = f"{key or certificate} is not the key of the certificate in {certificate}"
                raise SettingError("tls_key", text) from None
            text = f"{certificate}, {key or certificate}: not a certificate and its key in PEM form"
            raise SettingError("tls_cert", text) from None
    return context


def _content(key: str, file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise SettingError(key, f"{file}: {getattr(error, 'strerror', None) or error}") from None
