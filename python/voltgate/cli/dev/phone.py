"""What a phone needs for the console of ``voltgate dev --host``: a certificate, and a QR code of the link.

Browsers keep the console's cookie and service worker for HTTPS alone.
"""

import ipaddress
import os
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from voltgate.cli.faults import Failure

_LASTS, _EARLY = timedelta(days=365), timedelta(days=1)
_BORDER = 2  # modules of light around the code
_HALVES = {(0, 0): "█", (0, 1): "▀", (1, 0): "▄", (1, 1): " "}  # upper and lower module; 1: dark


def certificate(folder: Path, hosts: Iterable[str]) -> Path:
    """A file with a self-signed certificate for these hosts, and its key.

    One that is there and fits is used again, so that a browser asks once.
    """
    file, names, now = folder / "console.pem", [_name(host) for host in hosts], datetime.now(UTC)
    if not _fits(file, names, now):
        folder.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(_made(names, now))
    return file


def fingerprint(file: Path) -> str:
    """Of the certificate in a file, as browsers show it."""
    return _read(file).fingerprint(hashes.SHA256()).hex(":").upper()


def qr_code(text: str) -> str:
    """A QR code in blocks that are light on a dark terminal; two rows of it are a line. Raises Failure."""
    try:
        import segno  # noqa: PLC0415 - the CSMS is an extra
    except ImportError:
        raise Failure("--host: the QR code needs segno: pip install 'voltgate[csms]'") from None
    rows = [list(row) for row in segno.make_qr(text).matrix_iter(border=_BORDER)]
    if len(rows) % 2:
        rows.append([0] * len(rows[0]))
    return "\n".join(
        "".join(_HALVES[pair] for pair in zip(upper, lower, strict=True))
        for upper, lower in zip(rows[::2], rows[1::2], strict=True)
    )


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _read(file: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(file.read_bytes())


def _fits(file: Path, names: Iterable[x509.GeneralName], now: datetime) -> bool:
    try:
        found = _read(file)
    except (OSError, ValueError):
        return False
    covered = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(names) <= set(covered) and now + _EARLY < found.not_valid_after_utc


def _made(names: Iterable[x509.GeneralName], now: datetime) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "voltgate dev")])
    made = (
        x509.CertificateBuilder()
        .subject_name(own)
        .issuer_name(own)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLY)
        .not_valid_after(now + _LASTS)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return made.public_bytes(pem) + private
