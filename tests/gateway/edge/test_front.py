"""A listener's front: the rules of its settings, what it puts before an upgrade, and reloads."""

import asyncio
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from certificates import Authority
from voltgate.config import Listener
from voltgate.gateway.clock import Wheel
from voltgate.gateway.edge.front import Front, faults, unusable
from voltgate.gateway.edge.paced import Paced
from voltgate.gateway.edge.proxied import ProxiedTransport
from voltgate.gateway.edge.secured import Handshakes, Secured
from voltgate.gateway.edge.tls import CertificateFault, Peer, TlsError

PAIR = [("a.pem", "a.key")]
PROXIES: dict[str, Any] = {"proxy_protocol": True, "trusted_proxies": ["10.0.0.1"]}

RULES: list[tuple[dict[str, Any], list[str]]] = [
    ({}, []),
    ({"security_profile": 2, "tls_certificates": PAIR}, []),
    (
        {"security_profile": 3, "tls_certificates": PAIR, "client_ca": "ca", "crl": "l", "organization": "O"},
        [],
    ),
    ({"security_profile": 1} | PROXIES, []),
    ({"security_profile": 2} | PROXIES, []),
    ({"security_profile": 3} | PROXIES, []),
    ({"security_profile": 1, "tls_certificates": PAIR}, ["security_profile"]),
    ({"security_profile": 2}, ["tls_certificates"]),
    ({"security_profile": 3}, ["tls_certificates"]),
    ({"security_profile": 3, "tls_certificates": PAIR}, ["client_ca"]),
    ({"security_profile": 2, "tls_certificates": PAIR, "client_ca": "ca"}, ["client_ca"]),
    ({"security_profile": 3, "allow_unauthenticated": True} | PROXIES, ["allow_unauthenticated"]),
    ({"security_profile": 3, "organization": "O"} | PROXIES, ["organization"]),
    ({"crl": "l"}, ["crl"]),
    ({"proxy_protocol": True}, ["trusted_proxies"]),
    ({"trusted_proxies": ["10.0.0.1"]}, ["trusted_proxies"]),
    ({"proxy_protocol": True, "trusted_proxies": ["proxy"]}, ["trusted_proxies"]),
]


@pytest.mark.parametrize(("settings", "keys"), RULES, ids=[str(settings) for settings, _ in RULES])
def test_the_rules_of_settings(settings: dict[str, Any], keys: list[str]) -> None:
    found = list(faults(Listener(**settings)))
    assert [line.partition(":")[0] for line in found] == keys, found


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def front(**settings: Any) -> Front:
    loop = asyncio.get_running_loop()
    paced = Paced(Wheel(loop.time, loop.time), loop.call_later)
    handshakes = Handshakes(paced, loop.call_soon, lambda *_: None, lambda *_: None)
    return Front(Listener(**settings), handshakes, lambda *_: None, lambda _: True)


async def test_what_is_put_before_an_upgrade(authority: Authority) -> None:
    upgrade, pair = asyncio.Protocol(), [authority.issue("server").pair]
    assert (await front()).wrap(upgrade) is upgrade
    assert isinstance((await front(security_profile=2, tls_certificates=pair)).wrap(upgrade), Secured)
    both = (await front(security_profile=2, tls_certificates=pair, **PROXIES)).wrap(upgrade)
    assert isinstance(both, ProxiedTransport)
    assert isinstance(both.get_protocol(), Secured)


async def test_a_reload_takes_new_files_and_keeps_the_old_ones_where_they_are_broken(
    authority: Authority,
) -> None:
    certificate, key = authority.issue("server", ends=timedelta(days=5)).pair
    opened = await front(security_profile=2, tls_certificates=[(certificate, key)])
    first = opened.expiries[0].at
    for old, new in zip(
        (certificate, key), authority.issue("next", ends=timedelta(days=50)).pair, strict=True
    ):
        shutil.copy(new, old)
    assert opened.reload()
    second = opened.expiries[0].at
    assert second - first > timedelta(days=40)
    shutil.copy(certificate, key)  # no key
    assert not opened.reload()
    assert opened.expiries[0].at == second
    assert isinstance(opened.wrap(asyncio.Protocol()), Secured)


async def test_a_file_that_cannot_be_used_at_the_start(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.pem")
    with pytest.raises(TlsError, match=r"missing\.pem: No such file"):
        await front(security_profile=2, tls_certificates=[(missing, missing)])
    (line,) = unusable(Listener(security_profile=2, tls_certificates=[(missing, missing)]))
    assert line.startswith(f"tls_certificates: {missing}: No such file")


class Known(asyncio.Transport):
    """A transport that knows how the charger's TLS ended."""

    def __init__(self, **known: Any) -> None:
        super().__init__(known)


CHECKS: list[tuple[dict[str, Any], dict[str, Any], str | None, bool, CertificateFault | None]] = [
    ({}, {}, None, True, None),
    ({"security_profile": 2} | PROXIES, {}, None, False, None),
    ({"security_profile": 2} | PROXIES, {"tls_version": "TLSv1.3"}, None, True, None),
    ({"security_profile": 3} | PROXIES, {"tls_version": "TLSv1.3"}, None, True, CertificateFault.NONE),
    (
        {"security_profile": 3} | PROXIES,
        {"tls_version": "TLSv1.3", "client_certificate": Peer("CP1", "")},
        None,
        True,
        None,
    ),
    (
        {"security_profile": 3} | PROXIES,
        {"tls_version": "TLSv1.3", "client_certificate": Peer("CP1", "")},
        "serial",
        True,
        CertificateFault.COMMON_NAME,
    ),
    (
        {"security_profile": 3} | PROXIES,
        {"tls_version": "TLSv1.3", "client_certificate": Peer("serial", "")},
        "serial",
        True,
        None,
    ),
]


@pytest.mark.parametrize(("settings", "known", "cn", "secured", "fault"), CHECKS)
async def test_what_a_connection_must_have(
    settings: dict[str, Any],
    known: dict[str, Any],
    cn: str | None,
    secured: bool,
    fault: CertificateFault | None,
) -> None:
    opened, transport = await front(**settings), Known(**known)
    assert opened.is_secured(transport) is secured
    assert opened.certificate_fault(transport, "CP1", cn) is fault
