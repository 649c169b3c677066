"""Which attacks there are. Each starts anew in every round."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from attack import dials, floods, frame_abuse, messages, requests, trickles
from attack.driver import Attacker
from attack.target import TX_BYTES


@dataclass(frozen=True)
class Attack:
    """``tx_bytes``: an attack on the room of OCPP_TX has a target of its own, where there is little of it."""

    drive: Callable[[Attacker], Awaitable[None]]
    tx_bytes: int = TX_BYTES


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
    "reply subjects of commands": Attack(messages.reply_subjects),
    "forged PubAcks": Attack(messages.forged_acks),
    "garbage on NATS": Attack(messages.garbage),
    "commands to a mute charger, 3,000": Attack(messages.commands_to_a_mute_charger),
    "hostile identities": Attack(requests.hostile_identities),
    "malformed requests": Attack(requests.malformed_requests),
    "websocket violations": Attack(frame_abuse.websocket_violations),
    "mutated frames": Attack(frame_abuse.mutated_frames),
    "MeterValues of 500 KB, 267": Attack(floods.large_meter_values, tx_bytes=112 << 20),
}
