"""Certificates: of the gateway, of the charger MUTUAL, and others that must not pass as its own."""

import ssl
from datetime import timedelta
from pathlib import Path

from certificates import Authority

MUTUAL = "mutual"
ORGANIZATION = "Good Charging"
REFUSED = ("expired", "early", "other authority", "namesake authority", "revoked")
"""Kinds that end in the handshake."""
UNAUTHORIZED = ("other organization", "no organization", "other charger", "two names")
"""Kinds of the right authority that are answered 401."""


def make(folder: Path) -> list[str]:
    """Issue all of them; the lines of a listener of security profile 3."""
    servers, chargers = Authority(folder, "servers"), Authority(folder, "chargers")
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    day, hour = timedelta(days=1), timedelta(hours=1)
    pairs = [servers.issue(kind, "localhost", kind=kind).pair for kind in ("rsa", "ec")]
    chargers.issue("own", MUTUAL, ORGANIZATION)
    chargers.issue("expired", MUTUAL, ORGANIZATION, begins=-2 * day, ends=-hour)
    chargers.issue("early", MUTUAL, ORGANIZATION, begins=hour)
    Authority(folder, "others").issue("other authority", MUTUAL, ORGANIZATION)
    namesake = Authority(elsewhere, "chargers").issue("namesake authority", MUTUAL, ORGANIZATION)
    for file in namesake.pair:
        Path(file).rename(folder / Path(file).name)
    chargers.issue("other organization", MUTUAL, "Bad Charging")
    chargers.issue("no organization", MUTUAL)
    chargers.issue("other charger", "another", ORGANIZATION)
    chargers.issue("two names", (MUTUAL, "another"), ORGANIZATION)
    crl = chargers.revoke(chargers.issue("revoked", MUTUAL, ORGANIZATION))
    served = ", ".join(f'["{certificate}", "{key}"]' for certificate, key in pairs)
    return [
        f"tls_certificates = [{served}]",
        f'client_ca = "{chargers.file}"',
        f'crl = "{crl}"',
        f'organization = "{ORGANIZATION}"',
    ]


def client(folder: str, kind: str = "", version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    """A client that knows the gateway's authority and has the certificate of ``kind``, if any."""
    context = ssl.create_default_context(cafile=f"{folder}/servers.pem")
    if kind:
        context.load_cert_chain(f"{folder}/{kind}.pem", f"{folder}/{kind}.key")
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context
