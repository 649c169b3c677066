"""The simulated charger for OCPP 1.6, 2.0.1 and 2.1 (docs/ocpp.md A, C).

Used by ``voltgate dev --chargers``, ``voltgate swarm``, the tests and locust; imports nothing of the gateway.
Bottom up: ``wire`` is one websocket, ``link`` dials and redials, ``line`` sends CALLs, ``connectors`` run
transactions, ``station`` boots and sends heartbeats, ``commands`` answers the CSMS, ``charger`` is the whole.
``fleet`` runs a few chargers, ``swarm`` thousands in one process, ``processes`` several swarms.
"""

from voltgate.charger.calls import Answer, Queued, Unanswered
from voltgate.charger.charger import Charger
from voltgate.charger.fleet import run_chargers
from voltgate.charger.line import Line, Observer
from voltgate.charger.settings import Behaviour, Endpoint, Settings
from voltgate.charger.tally import Latencies, Tally

__all__ = [
    "Answer", "Behaviour", "Charger", "Endpoint", "Latencies", "Line", "Observer", "Queued", "Settings",
    "Tally", "Unanswered", "run_chargers",
]  # fmt: skip
