"""The certificates of listeners and for NATS."""

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from certificates import Authority
from cli.configuration import OPEN

Findings = Callable[..., dict[str, tuple[str, str]]]

CA = trustme.CA()
NOW = datetime.now(UTC)


def pair(folder: Path, **options: object) -> tuple[str, str]:
    """The files of a certificate and of its key."""
    leaf = CA.issue_cert("gateway.example", **options)  # type: ignore[arg-type]
    certificate, key = folder / "leaf.pem", folder / "leaf.key"
    certificate.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    key.write_bytes(leaf.private_key_pem.bytes())
    return str(certificate), str(key)


def other_key(folder: Path) -> tuple[str, str]:
    certificate, key = pair(folder)
    Path(key).write_bytes(CA.issue_cert("another.example").private_key_pem.bytes())
    return certificate, key


def with_passphrase(folder: Path) -> tuple[str, str]:
    certificate, key = pair(folder)
    private = rsa.generate_private_key(65_537, 2048)
    Path(key).write_bytes(
        private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    )
    return certificate, key


def small_rsa(folder: Path) -> tuple[str, str]:
    """1024 bits, signed as trustme signs, which makes none that small itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256

    private = rsa.generate_private_key(65_537, 1024)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "small")])
    certificate = (
        x509.CertificateBuilder(name, name, private.public_key(), 1, NOW, NOW + timedelta(days=90))
        .sign(private, SHA256())
    )  # fmt: skip
    files = folder / "leaf.pem", folder / "leaf.key"
    files[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    files[1].write_bytes(
        private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    )
    return str(files[0]), str(files[1])


def no_pem(folder: Path) -> tuple[str, str]:
    certificate, key = pair(folder)
    Path(certificate).write_text("nothing")
    return certificate, key


def swapped(folder: Path) -> tuple[str, str]:
    certificate, key = pair(folder)
    Path(key).write_bytes(Path(certificate).read_bytes())
    return certificate, key


CERTIFICATES = [
    (lambda f: pair(f, not_after=NOW + timedelta(days=90)), "ok", "valid until", "good"),
    (lambda f: pair(f, not_after=NOW + timedelta(days=29)), "hint", "renew it", "soon over"),
    (lambda f: pair(f, not_after=NOW - timedelta(days=1)), "fail", "expired on", "over"),
    (lambda f: pair(f, not_before=NOW + timedelta(days=1)), "fail", "is not valid before", "not yet"),
    (lambda f: pair(f, key_type=trustme.KeyType.RSA), "ok", "valid until", "RSA with 2048 bits"),
    (other_key, "fail", "not the key of the first certificate", "another's key"),
    (small_rsa, "fail", "RSA with 1024 bits is too weak: use at least 2048", "A25"),
    (with_passphrase, "fail", "passphrase", "it cannot be typed at start"),
    (no_pem, "fail", "not a certificate in PEM form", "no certificate"),
    (swapped, "fail", "not a private key in PEM form", "no key"),
    (lambda f: ("absent.pem", "absent.key"), "fail", "absent.pem: No such file", "no file"),
    (lambda f: (str(f), str(f)), "fail", "Is a directory", "a folder"),
]


@pytest.mark.parametrize(
    ("make", "verdict", "text", "why"), CERTIFICATES, ids=[why for *_, why in CERTIFICATES]
)
def test_a_certificate_and_its_key(
    findings: Findings,
    file: Callable[[str], Path],
    tmp_path: Path,
    free_port: Callable[[], int],
    make: Callable[[Path], tuple[str, str]],
    verdict: str,
    text: str,
    why: str,
) -> None:
    certificate, key = make(tmp_path)
    listener = f"[[listeners]]\nport=0\nsecurity_profile=2\ntls_certificates=[['{certificate}','{key}']]\n"
    nats = f"[nats]\nurl='nats://127.0.0.1:{free_port()}'\n"
    seen = findings(file(listener + nats))["listeners.0.tls_certificates.0"]
    assert seen[0] == verdict, why
    assert text in seen[1], why


def test_authorities(
    findings: Findings, file: Callable[[str], Path], tmp_path: Path, free_port: Callable[[], int]
) -> None:
    certificate, _ = pair(tmp_path, not_after=NOW + timedelta(days=90))
    ca = tmp_path / "ca.pem"
    CA.cert_pem.write_to_path(str(ca))
    nats = f"[nats]\nurl='nats://127.0.0.1:{free_port()}'\ntls_ca="
    assert findings(file(f"{OPEN}{nats}'{ca}'\n"))["nats.tls_ca"][0] == "ok"
    assert ssl.create_default_context(cafile=str(ca)), "what passes can be loaded"
    verdict, text = findings(file(f"{OPEN}{nats}'{certificate}'\n"))["nats.tls_ca"]
    assert (verdict, "is not an authority" in text) == ("fail", True), "it cannot sign a server's certificate"


def test_the_files_of_a_listener(
    findings: Findings, file: Callable[[str], Path], tmp_path: Path, free_port: Callable[[], int]
) -> None:
    """Both kinds are well; one alone is a hint, an expired one and a list whose time is over are faults."""
    servers, chargers = Authority(tmp_path, "servers"), Authority(tmp_path, "chargers")
    rsa, ec = servers.issue("rsa", kind="rsa"), servers.issue("ec")
    old = servers.issue("old", begins=timedelta(days=-9), ends=timedelta(days=-1))
    over = chargers.revoke(ends=timedelta(days=-1))
    doors = [
        f"security_profile=2\ntls_certificates={[list(rsa.pair), list(ec.pair)]}\n",
        f"security_profile=3\ntls_certificates={[list(old.pair)]}\n"
        f"client_ca='{chargers.file}'\ncrl='{over}'\n",
    ]
    listeners = "".join(f"[[listeners]]\nport={number}\n{door}" for number, door in enumerate(doors, 9100))
    seen = findings(file(f"{listeners}[nats]\nurl='nats://127.0.0.1:{free_port()}'\n"))
    verdicts = {name: verdict for name, (verdict, _) in seen.items() if name.startswith("listeners")}
    assert verdicts == {
        "listeners.0.tls_certificates.0": "ok",
        "listeners.0.tls_certificates.1": "ok",
        "listeners.1.tls_certificates.0": "fail",
        "listeners.1.tls_certificates": "hint",
        "listeners.1.client_ca": "ok",
        "listeners.1.crl": "fail",
    }
