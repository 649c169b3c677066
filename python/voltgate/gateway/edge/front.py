"""What a listener puts between a socket and its upgrade: a PROXY header, TLS, both, or nothing.

Also the rules that its settings must keep, and the check of a charger's certificate. The files of its TLS are
read again by :meth:`Front.reload`, for the handshakes that follow; connections stay as they are.
"""

import asyncio
from collections.abc import Callable, Iterator

import structlog

from voltgate.config import Listener
from voltgate.gateway.edge.proxied import ProxiedTransport, Untrusted
from voltgate.gateway.edge.proxy import Refused, TrustedProxies
from voltgate.gateway.edge.secured import Handshakes, Secured
from voltgate.gateway.edge.tickets import keys
from voltgate.gateway.edge.tls import (
    CertificateFault,
    Expiry,
    Files,
    Tls,
    TlsError,
    build,
    certificate_fault,
)

log = structlog.get_logger()


def faults(settings: Listener) -> Iterator[str]:
    """What contradicts itself or would be less secure than it looks; each a line that names the key."""
    secured, behind = bool(settings.tls_certificates), settings.proxy_protocol
    if settings.security_profile == 1 and secured:
        yield "security_profile: 1 is without TLS: set 2 or 3, or remove tls_certificates"
    if settings.security_profile > 1 and not secured and not behind:
        yield f"tls_certificates: security_profile {settings.security_profile} needs TLS: name them"
    if settings.security_profile == 3 and secured and not settings.client_ca:
        yield "client_ca: security_profile 3 needs the authority of the chargers: name it"
    if settings.security_profile == 3 and settings.allow_unauthenticated:
        yield "allow_unauthenticated: with security_profile 3 the certificate is the credential: remove it"
    if settings.client_ca and not (settings.security_profile == 3 and secured):
        yield "client_ca: is used with security_profile 3 and tls_certificates only: remove it"
    if settings.crl and not settings.client_ca:
        yield "crl: is used with client_ca only: remove it"
    if settings.organization and not settings.client_ca:
        # A load balancer that terminates TLS passes on the common name alone.
        yield "organization: is compared where client_ca is used only: check it at the load balancer"
    if behind and not settings.trusted_proxies:
        yield "trusted_proxies: proxy_protocol needs the addresses of the load balancers: name them"
    if settings.trusted_proxies and not behind:
        yield "trusted_proxies: is used with proxy_protocol only: remove it"
    try:
        TrustedProxies.of(settings.trusted_proxies)
    except ValueError as error:
        yield f"trusted_proxies: {error}"


def unusable(settings: Listener) -> Iterator[str]:
    """Why its files cannot be used; a line that names the key."""
    try:
        _tls(settings)
    except TlsError as error:
        yield str(error)


def _tls(settings: Listener, tickets: bytes = b"") -> Tls | None:
    """``tickets``: see tls.build."""
    if not settings.tls_certificates:
        return None
    return build(Files(tuple(settings.tls_certificates), settings.client_ca, settings.crl), tickets)


class Front:
    """Of one listener. ``refused`` is called for each socket that is reset because of its PROXY header.

    ``named``: whether a charger behind a load balancer may stay, once its address is known.
    """

    def __init__(
        self,
        settings: Listener,
        handshakes: Handshakes,
        refused: Callable[[Refused | Untrusted, str], None],
        named: Callable[[str], bool],
        secret: bytes = b"",
    ) -> None:
        """``secret``: of session tickets. Raises TlsError where a file cannot be used."""
        self._settings, self._handshakes = settings, handshakes
        self._refused, self._named = refused, named
        self._trusted = TrustedProxies.of(settings.trusted_proxies)
        self._tls = _tls(settings, keys(secret, self._name))

    def reload(self, secret: bytes = b"") -> bool:
        """Read the files again; where one cannot be used all of them stay as they are, and it is logged."""
        try:
            self._tls = _tls(self._settings, keys(secret, self._name))
        except TlsError as error:
            log.error("certificates.kept", listener=self._name, error=str(error))
            return False
        if self._tls is not None:
            log.info("certificates.reloaded", listener=self._name)
        return True

    @property
    def _name(self) -> str:
        return f"{self._settings.host}:{self._settings.port}"

    @property
    def expiries(self) -> tuple[Expiry, ...]:
        """When the files in use expire."""
        return self._tls.expiries if self._tls is not None else ()

    def wrap(self, upgrade: asyncio.Protocol) -> asyncio.Protocol:
        """The protocol of a socket just accepted; ``upgrade`` gets its transport at once, its bytes later."""
        protocol = upgrade
        if self._tls is not None:
            protocol = Secured(protocol, self._tls.context, self._handshakes)
        if self._settings.proxy_protocol:
            protocol = ProxiedTransport(protocol, self._trusted, self._refused, self._named)
        return protocol

    def is_secured(self, transport: asyncio.BaseTransport) -> bool:
        """Whether the charger's own connection has what the profile asks for: TLS, here or at the proxy."""
        return self._settings.security_profile == 1 or bool(transport.get_extra_info("tls_version"))

    def certificate_fault(
        self, transport: asyncio.BaseTransport, identity: str, certificate_cn: str | None
    ) -> CertificateFault | None:
        """Why the charger's certificate is not its own; None where it is, or where none is asked for.

        ``certificate_cn``: of its record (docs/contract.md 3.8).
        """
        if self._settings.security_profile != 3:
            return None
        found = transport.get_extra_info("client_certificate")
        return certificate_fault(found, certificate_cn or identity, self._settings.organization)
