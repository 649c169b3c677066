"""The client certificate of a charger: the request for one, and TLS with what the CSMS has signed.

Imported where it is used: ``cryptography`` is large, and most simulated chargers have no certificate.
"""

import ssl
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


class Request:
    """A new key, and the request to sign it in the name of the charger."""

    def __init__(self, identity: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, identity)])
        request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(self._key, SHA256())
        self.csr = request.public_bytes(Encoding.PEM).decode()

    def fits(self, chain: str) -> bool:
        """Whether the first certificate of a chain in PEM form is for this key."""
        try:
            return x509.load_pem_x509_certificates(chain.encode())[0].public_key() == self._key.public_key()
        except ValueError:
            return False

    def context(self, chain: str, before: ssl.SSLContext | None) -> ssl.SSLContext:
        """For the next connection, by this certificate; servers are trusted as ``before``."""
        context = ssl.create_default_context()
        if before is not None:
            for authority in before.get_ca_certs(binary_form=True):
                context.load_verify_locations(cadata=authority)
        private = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        with TemporaryDirectory() as folder:  # ssl reads files only
            file = Path(folder) / "charger.pem"
            file.write_bytes(private + chain.encode())
            context.load_cert_chain(file)
        return context
