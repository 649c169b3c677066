"""Certificates that are not the charger's, and logins by another security profile (docs/ocpp.md A22, A25)."""

import asyncio
import ssl
from collections import Counter

from attack.certificates import MUTUAL, REFUSED, UNAUTHORIZED, client
from attack.driver import SOURCE, Attacker
from attack.metrics import metric
from attack.sockets import ENDED, RefusedError, dial
from attack.target import PASSWORD, connected, subjects

LABELS = ("tls_expired", "tls_unknown_authority", "tls_revoked", "tls_no_certificate")
PAUSE = 0.2  # seconds; a flood of handshakes is another attack
MOST_FACTS = 4  # of each reason in one round, from each of two workers
VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


async def wrong_client_certificates(attacker: Attacker) -> None:
    """Each kind ends in its handshake, or is answered 401; the charger itself is accepted."""
    ports, ends = attacker.ports, Counter[tuple[str, str]]()
    kinds = ["", *REFUSED, *UNAUTHORIZED]
    contexts = {
        (kind, version): client(ports.certificates, kind, version)
        for kind in (*kinds, "own")
        for version in VERSIONS
    }
    before = {label: await metric(ports.admin, "voltgate_handshakes_total", result=label) for label in LABELS}

    facts_before = await _security_facts(attacker)

    async def one(
        kind: str,
        port: int,
        identity: str,
        password: str | None,
        version: ssl.TLSVersion,
        source: str = SOURCE,
    ) -> str:
        secured = contexts[kind, version]
        try:
            async with dial(port, identity, password, source=source, secured=secured):
                return "101"
        except RefusedError as refused:
            return str(refused.status) if refused.status else "closed"
        except TimeoutError:
            return "no end"
        except ENDED:
            return "closed"

    async def again(kind: str, version: ssl.TLSVersion) -> None:
        # An address for each kind: attempts that failed count by address and identity.
        source = f"127.0.{10 + attacker.order.round}.{1 + kinds.index(kind)}"
        while True:
            ends[kind, await one(kind, ports.mutual, MUTUAL, None, version, source)] += 1
            if not await attacker.pause(PAUSE):
                return

    await asyncio.gather(*(again(kind, version) for kind in kinds for version in VERSIONS))
    for (kind, end), count in ends.items():
        due = "closed" if kind in ("", *REFUSED) else "401"
        attacker.expect(end in (due, "503"), f"certificate {kind or 'none'}: {end}")
        attacker.counts[end] += count
    for kind in UNAUTHORIZED:
        attacker.expect(ends[kind, "401"] > 0, f"certificate {kind}: never answered 401")
    cases = {
        "its own certificate": ("own", ports.mutual, MUTUAL, None, "101"),
        "its own for another identity": ("own", ports.mutual, "sha256", None, "401"),
        "its own with another's password": ("own", ports.mutual, "sha256", PASSWORD, "401"),
        "its own where passwords are asked for": ("own", ports.tls, MUTUAL, None, "401"),
    }
    version = VERSIONS[attacker.order.round % len(VERSIONS)]
    for name, (kind, port, identity, password, right) in cases.items():
        # Its own address: attempts that failed count by address and identity.
        end = await one(kind, port, identity, password, version, "127.0.0.3")
        attacker.expect(end == right, f"{name}: {end}")
    for label, earlier in before.items():
        counted = await metric(ports.admin, "voltgate_handshakes_total", result=label) - earlier
        attacker.expect(counted > 0, f"none was counted as {label}")
    facts = await _security_facts(attacker)
    attacker.expect(bool(facts), "no security fact was stored")
    for subject, stored in facts.items():
        new = stored - facts_before.get(subject, 0)
        attacker.expect(new <= MOST_FACTS, f"{new} facts {subject}, {MOST_FACTS} are allowed")


async def _security_facts(attacker: Attacker) -> dict[str, int]:
    async with connected(attacker.ports.nats_url("gateway")) as nats:
        return await subjects(nats, "OCPP_REJECTS", "ocpp.security.>")
