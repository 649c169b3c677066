"""Which attacks there are. Each starts anew in every round."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from attack import (
    descriptors,
    dials,
    floods,
    frame_abuse,
    handshakes,
    impostors,
    logins,
    messages,
    proxies,
    replies,
    requests,
    slow,
    trickles,
)
from attack.conditions import USUAL, Conditions
from attack.driver import Attacker


@dataclass(frozen=True)
class Attack:
    """Those with the same ``conditions`` follow one another, so that they share a target."""

    drive: Callable[[Attacker], Awaitable[None]]
    conditions: Conditions = USUAL
    rounds: int = 3
    """At most; one where a round is long, and has many windows' worth of answers."""
    patience: float = 40.0
    """Seconds for its end once it is to stop."""
    tool: str = ""
    """A program that it needs."""


FEW = Conditions(descriptors=descriptors.DESCRIPTORS)
LITTLE_ROOM = Conditions(tx_bytes=112 << 20)

ATTACKS: dict[str, Attack] = {
    "pings, 4 MB": Attack(floods.pings),
    "pongs, 4 MB": Attack(floods.pongs),
    "deflated messages, 8 connections": Attack(floods.deflated),
    "empty fragments": Attack(floods.fragments),
    "empty texts and pings": Attack(floods.empty_texts),
    "stray answers": Attack(floods.stray_answers),
    "wrong logins, 80 of each kind": Attack(dials.wrong_logins),
    "logins of one identity, 60": Attack(dials.logins_of_one_identity),
    "reconnecting for fresh budgets": Attack(dials.reconnecting),
    "dials of a live identity, 500": Attack(dials.dials_of_a_live_identity),
    "single bytes of a frame": Attack(trickles.single_bytes),
    "slow upgrades": Attack(trickles.slow_upgrades),
    "slowhttptest": Attack(slow.slowhttptest, rounds=1, tool="slowhttptest"),
    "slow readers": Attack(slow.slow_readers),
    "reply subjects of commands": Attack(messages.reply_subjects),
    "reply subjects of kicks, questions": Attack(replies.kicks_and_questions),
    "broken replies and results": Attack(replies.broken_replies),
    "forged PubAcks": Attack(messages.forged_acks),
    "garbage on NATS": Attack(messages.garbage),
    "nonsense before `voltgate tail`": Attack(replies.tail_of_nonsense, rounds=1),
    "commands to a mute charger, 3,000": Attack(messages.commands_to_a_mute_charger),
    "hostile identities": Attack(requests.hostile_identities),
    "malformed requests": Attack(requests.malformed_requests),
    "forged PROXY headers": Attack(proxies.forged_headers, rounds=1),
    "websocket violations": Attack(frame_abuse.websocket_violations),
    "mutated frames": Attack(frame_abuse.mutated_frames),
    "slow TLS handshakes": Attack(handshakes.slow_handshakes, rounds=1),
    "half-open TLS, 500": Attack(handshakes.half_open),
    "ClientHellos without an end": Attack(handshakes.hellos),
    "TLS downgrade": Attack(handshakes.downgrade, rounds=1),
    "TLS renegotiation": Attack(handshakes.renegotiation, rounds=1, tool="openssl"),
    "wrong client certificates": Attack(impostors.wrong_client_certificates),
    "bad logins, 10,000": Attack(logins.bad_logins, rounds=1, patience=60),
    "bad logins over TLS, 10,000": Attack(logins.bad_logins_over_tls, rounds=1, patience=120),
    "storm of 2,000 logins over TLS": Attack(logins.storm, patience=120),
    "256 descriptors, all taken": Attack(descriptors.held_sockets, FEW),
    "256 descriptors, 9,000 connects": Attack(descriptors.connects, FEW, rounds=1, patience=120),
    "MeterValues of 500 KB, 267": Attack(floods.large_meter_values, LITTLE_ROOM),
}
