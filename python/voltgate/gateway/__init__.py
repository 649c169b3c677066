"""The gateway: websockets of chargers on one side, NATS on the other.

edge      listener, upgrade, connection: the socket of one charger; the only importer of websockets
session   the conversation: CALLs, questions, commands; no socket, no NATS, no clock
bus       NATS: publishes, PubAcks, questions, streams; the only importer of nats
registry  charger records, passwords, security facts
cluster   links, ownership and liveness, shared by several gateways
pool      several worker processes under one supervisor
telemetry metrics and traces: leaves, as the modules of this folder
roster    the chargers connected to this process
worker    wiring, and the life of one process

Import direction (tests/test_house.py): leaves <- bus <- registry <- cluster; leaves <- session;
leaves, registry <- edge; leaves <- pool; all but pool <- roster <- worker. The modules directly in this
folder, but for roster, worker and preflight, are leaves.
"""

# Earlier ones refuse consumers whose filters overlap; before 2.12.3 they lose acknowledged messages when
# killed (docs/ocpp.md F1).
NATS_MINIMUM = "2.12.8"
