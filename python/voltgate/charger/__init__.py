"""The simulated charger: OCPP 1.6, 2.0.1 and 2.1 as a station speaks them (docs/ocpp.md A, C).

Used by ``voltgate dev --chargers``, ``voltgate swarm``, the tests and locust; imports nothing of the gateway.
Bottom up: ``wire`` is one websocket, ``link`` dials and dials again, ``line`` sends CALLs, ``connectors``
charge, ``station`` boots and reports, ``commands`` answers the CSMS, ``charger`` is all of it. ``fleet`` runs
a few of them, ``swarm`` thousands in one process, ``processes`` several swarms.
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
