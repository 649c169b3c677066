"""A charger's own certificate: the request and what fits it. TLS with it: tests/e2e/test_certified.py."""

import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from certificates import Authority
from scripted_csms import VERSIONS, conversation, ready
from voltgate.backend.authority import Authorities
from voltgate.charger.certificates import Request


def test_a_request_in_the_charger_s_name(tmp_path: Path) -> None:
    own, other = Request("CP 1"), Request("CP 1")
    request = x509.load_pem_x509_csr(own.csr.encode())
    assert request.is_signature_valid
    (name,) = request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert name.value == "CP 1"
    chain = Authorities(tmp_path).sign(own.csr, "CP 1", "")
    assert own.fits(chain)
    assert not other.fits(chain), "another key"
    assert not own.fits("text")


def test_the_new_context_trusts_the_servers_of_the_old_one(tmp_path: Path) -> None:
    servers, own = Authority(tmp_path, "servers"), Request("CP 1")
    chain = Authorities(tmp_path).sign(own.csr, "CP 1", "")
    before = ssl.create_default_context(cafile=servers.file)
    after = own.context(chain, before)
    trusted = before.get_ca_certs(binary_form=True)
    assert len(trusted) == 1
    assert set(trusted) <= set(after.get_ca_certs(binary_form=True))
    assert after.verify_mode is ssl.CERT_REQUIRED
    assert after.check_hostname
    assert own.context(chain, None).verify_mode is ssl.CERT_REQUIRED


INVALID = {"v16": "InvalidChargePointCertificate"} | dict.fromkeys(
    ("v201", "v21"), "InvalidChargingStationCertificate"
)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_certificate_for_another_key_is_refused_and_reported(tmp_path: Path, version: str) -> None:
    """The charger keeps its connection, and takes the right one afterwards."""
    trigger = ("TriggerMessage", "SignChargingStationCertificate")
    if version == "v16":
        trigger = ("ExtendedTriggerMessage", "SignChargePointCertificate")
    async with conversation(version) as (charger, csms):
        await ready(charger)
        chain = Authorities(tmp_path).sign(Request("CP").csr, "CP", "")
        answer = await csms.command("CertificateSigned", {"certificateChain": chain})
        assert answer[2] == {"status": "Rejected"}, "it has not asked for one"
        assert (await csms.command(trigger[0], {"requestedMessage": trigger[1]}))[2] == {"status": "Accepted"}
        asked = await csms.wait_for("SignCertificate")
        answer = await csms.command("CertificateSigned", {"certificateChain": chain})
        assert answer[2] == {"status": "Rejected"}
        event = await csms.wait_for("SecurityEventNotification", times=2)
        assert event.payload["type"] == INVALID[version]
        assert len(csms.sockets) == 1
        right = Authorities(tmp_path).sign(asked.payload["csr"], charger.settings.identity, "")
        answer = await csms.command("CertificateSigned", {"certificateChain": right})
        assert answer[2] == {"status": "Accepted"}
        await csms.until(lambda: len(csms.sockets) == 2)
