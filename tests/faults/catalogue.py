"""Which faults there are, and which a set-up can suffer.

Each does its damage, waits until it is felt, and takes it away again: see `kills` and `cuts`.
"""

from faults import cuts, kills
from faults.cuts import Fault
from faults.setups import Setup

ANYWHERE: dict[str, Fault] = {
    "a gateway killed": kills.gateway_killed,
    "all gateways killed": kills.gateways_killed,
    "a gateway frozen": kills.gateway_frozen,
    "a gateway drained": kills.gateway_drained,
    "a nats-server killed": kills.nats_killed,
    "a nats-server frozen": kills.nats_frozen,
    "a nats-server frozen, then killed": kills.nats_frozen_and_killed,
    "chargers cut off": cuts.cut("chargers"),
    "chargers half-open": cuts.half_open("chargers"),
    "chargers held up": cuts.held("chargers"),
    "chargers swallowed": cuts.swallowed("chargers"),
    "NATS cut off": cuts.cut("NATS"),
    "NATS half-open": cuts.half_open("NATS"),
    "NATS held up": cuts.held("NATS"),
    "NATS swallowed": cuts.swallowed("NATS"),
}
AIMED: dict[str, Fault] = {
    "aimed: publish lost, gateway killed": cuts.publish_lost_gateway_killed,
    "aimed: PubAck lost, gateway killed": cuts.ack_lost_gateway_killed,
    "aimed: PubAck lost, line cut": cuts.ack_lost_line_cut,
    "aimed: publish lost, nats-server killed": cuts.publish_lost_nats_killed,
    "aimed: PubAck lost, nats-server killed": cuts.ack_lost_nats_killed,
    "aimed: answer lost, line cut": cuts.answer_lost_line_cut,
    "aimed: answer lost, gateway killed": cuts.answer_lost_gateway_killed,
}


OF_WORKERS: dict[str, Fault] = {
    "a worker killed": kills.worker_killed,
    "a worker frozen": kills.worker_frozen,
    "the supervisor killed": kills.supervisor_killed,
    "the supervisor frozen": kills.supervisor_frozen,
}
OF_CLUSTERS: dict[str, Fault] = {
    "the leader killed": kills.leader_killed,
    "the leader frozen": kills.leader_frozen,
    "the leader steps down": kills.leader_steps_down,
}
OF_BOOKS: dict[str, Fault] = {
    "the ledger killed": kills.ledger_killed,
    "the ledger frozen": kills.ledger_frozen,
    "PostgreSQL killed": kills.database_killed,
}


def faults(setup: Setup) -> dict[str, Fault]:
    """Those that a set-up can suffer."""
    found = ANYWHERE | AIMED
    if setup.workers > 1:
        found |= OF_WORKERS
    if setup.nodes > 1:
        found |= OF_CLUSTERS
    if setup.books:
        found |= OF_BOOKS
    return found
