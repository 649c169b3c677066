"""The authority that signs certificates of chargers: what it signs, what it refuses, its files."""

from base64 import b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

import certificates
from certificates import Key
from voltgate.backend.answers import Backend, Question
from voltgate.backend.authority import Authorities, Authority, make
from voltgate.backend.rules import Command, Rules
from voltgate.backend.tokens import Tokens
from voltgate.charger.certificates import Request

EC = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)


def csr(cn: str | list[str], key: Key | ed25519.Ed25519PrivateKey = EC, organization: str = "") -> str:
    names = [x509.NameAttribute(NameOID.COMMON_NAME, one) for one in ([cn] if isinstance(cn, str) else cn)]
    if organization:
        names.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    names.append(x509.NameAttribute(NameOID.LOCALITY_NAME, "Utrecht"))
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(names))
    hashed = None if isinstance(key, ed25519.Ed25519PrivateKey) else SHA256()
    return builder.sign(key, hashed).public_bytes(Encoding.PEM).decode()


@pytest.mark.parametrize("key", [EC, RSA], ids=["ec", "rsa"])
def test_a_certificate_for_a_year_in_the_charger_s_name(tmp_path: Path, key: Key) -> None:
    make(tmp_path)
    root = x509.load_pem_x509_certificate((tmp_path / "ca.pem").read_bytes())
    (own,) = x509.load_pem_x509_certificates(Authority(tmp_path).sign(csr("CP 1", key), "CP 1").encode())
    own.verify_directly_issued_by(root)
    assert own.public_key() == key.public_key()
    assert own.subject == x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CP 1")]), "and nothing else"
    left = own.not_valid_after_utc - datetime.now(UTC)
    assert timedelta(days=364) < left < timedelta(days=366)
    assert not own.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    usage = own.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH], "it is no server"
    above = root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    below = own.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert below.key_identifier == above.digest


def broken(request: str) -> str:
    """With another content than the one that is signed."""
    der = bytearray(x509.load_pem_x509_csr(request.encode()).public_bytes(Encoding.DER))
    place = der.index(b"Utrecht")
    der[place : place + 1] = b"V"
    return x509.load_der_x509_csr(bytes(der)).public_bytes(Encoding.PEM).decode()


def other_curve(request: str) -> str:
    """With the name of a curve that is not known here."""
    der = x509.load_pem_x509_csr(request.encode()).public_bytes(Encoding.DER)
    known, unknown = bytes.fromhex("2a8648ce3d030107"), bytes.fromhex("2a8648ce3d030106")
    text = b64encode(der.replace(known, unknown)).decode()
    return f"-----BEGIN CERTIFICATE REQUEST-----\n{text}\n-----END CERTIFICATE REQUEST-----\n"


REFUSED = [
    ("text", "cannot be read"),
    (csr("CP 2"), "the CN must be"),
    (csr([]), "the CN must be"),
    (csr(["CP 1", "CP 2"]), "the CN must be"),
    (csr("CP 1", rsa.generate_private_key(65537, 1024)), "too short"),
    (csr("CP 1", ec.generate_private_key(ec.SECP192R1())), "too short"),
    (csr("CP 1", ed25519.Ed25519PrivateKey.generate()), "RSA or EC"),
    (broken(csr("CP 1")), "signature is wrong"),
    (other_curve(csr("CP 1")), "unknown kind"),
]


@pytest.mark.parametrize(("request_", "why"), REFUSED, ids=[why for _, why in REFUSED])
def test_what_is_not_signed(tmp_path: Path, request_: str, why: str) -> None:
    make(tmp_path)
    with pytest.raises(ValueError, match=why):
        Authority(tmp_path).sign(request_, "CP 1")


def files_of(authority: certificates.Authority, folder: Path, organization: str = "") -> None:
    """``ca.pem`` and ``ca.key``: an issuer below ``authority``."""
    own = authority.issue("sub", "Sub", organization, ends=timedelta(days=30))
    for source, name in zip(own.pair, ("ca.pem", "ca.key"), strict=True):
        (folder / name).write_bytes(Path(source).read_bytes())


def test_an_authority_below_a_root(tmp_path: Path) -> None:
    """The chain has it and not the root; no certificate outlives it; its O is that of the chargers."""
    files_of(certificates.Authority(tmp_path), tmp_path, "Operator")
    authority = Authority(tmp_path)
    signed = authority.sign(csr("CP 1", organization="Operator"), "CP 1")
    own, issuer = x509.load_pem_x509_certificates(signed.encode())
    own.verify_directly_issued_by(issuer)
    assert own.not_valid_after_utc <= issuer.not_valid_after_utc
    for organization in ("", "Another"):
        with pytest.raises(ValueError, match="the O must be"):
            authority.sign(csr("CP 1", organization=organization), "CP 1")


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for folder in (tmp_path, other):
        make(folder)
    (tmp_path / "ca.key").write_bytes((other / "ca.key").read_bytes())
    with pytest.raises(ValueError, match=r"ca\.key: is not the key of .*ca\.pem"):
        Authority(tmp_path)
    (tmp_path / "ca.key").write_text("x")
    with pytest.raises(ValueError, match=r"ca\.key: does not hold an unencrypted key"):
        Authority(tmp_path)
    (tmp_path / "ca.pem").write_text("x")
    with pytest.raises(ValueError, match=r"ca\.pem: does not hold a certificate"):
        Authority(tmp_path)
    (tmp_path / "ca.pem").unlink()
    with pytest.raises(FileNotFoundError):
        Authorities(tmp_path)  # one of the two is there: nothing is made


def test_the_folder_is_made_once_and_its_key_is_the_owner_s(tmp_path: Path) -> None:
    Authorities(tmp_path)
    before = (tmp_path / "ca.pem").read_bytes()
    Authorities(tmp_path)
    assert (tmp_path / "ca.pem").read_bytes() == before
    assert (tmp_path / "ca.key").stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        make(tmp_path)


def test_v2g_certificates_have_an_authority_of_their_own(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no authority for V2G"):
        Authorities(tmp_path).sign(csr("A"), "A", "V2GCertificate")
    make(tmp_path, "v2g")
    authorities = Authorities(tmp_path)
    for use, name in [("", "ca"), ("ChargingStationCertificate", "ca"), ("V2G20Certificate", "v2g")]:
        issuer = x509.load_pem_x509_certificate((tmp_path / f"{name}.pem").read_bytes())
        own = x509.load_pem_x509_certificate(authorities.sign(csr("A"), "A", use).encode())
        own.verify_directly_issued_by(issuer)


ANSWERS = [
    ("v16", {}, {}),
    (
        "v201",
        {"certificateType": "ChargingStationCertificate"},
        {"certificateType": "ChargingStationCertificate"},
    ),
    ("v21", {"requestId": 7}, {"requestId": 7}),
]


@pytest.mark.parametrize(("version", "about", "repeated"), ANSWERS)
async def test_the_command_that_follows_the_answer(
    tmp_path: Path, version: str, about: dict[str, object], repeated: dict[str, object]
) -> None:
    async def never(key: str) -> int:
        raise AssertionError(key)

    rules = Rules(authorities=Authorities(tmp_path))
    asked = {"csr": (own := Request("CP 1")).csr, **about}
    for backend, status in [
        (Backend(Tokens(), never), "Rejected"),
        (Backend(Tokens(), never, rules), "Accepted"),
    ]:
        answer = await backend.answer(Question(version, "SignCertificate", "CP=201", "k1", asked))
        assert answer == {"status": status}
    stranger = await backend.answer(Question(version, "SignCertificate", "CP=202", "k2", asked))
    assert stranger == {"status": "Rejected"}, "a charger gets no certificate in another's name"
    command = rules.later.pop("k1")
    assert isinstance(command, Command)
    assert own.fits(command.payload.pop("certificateChain"))
    assert (command.action, command.payload) == ("CertificateSigned", repeated)
    assert rules.later.pop("k1") is None, "once"
    assert rules.later.pop("k2") is None
