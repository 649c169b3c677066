"""The simulated charger: OCPP 1.6, 2.0.1 and 2.1 as a station speaks them (OCPP.md A, C).

Used by ``voltgate swarm``, ``voltgate dev --chargers``, the tests and locust. It imports nothing of the
gateway: what it knows of it is what the wire says.

``charger`` lives, ``link`` is one connection, ``outbox`` keeps transaction messages, ``connectors`` charge
vehicles, ``messages`` and ``commands`` say what each version says, ``behaviour`` is how and how often.
"""

from voltgate.charger.behaviour import Behaviour, Latencies, Stats
from voltgate.charger.charger import Charger
from voltgate.charger.fleet import run_chargers
from voltgate.charger.link import Answer, LinkLostError
from voltgate.charger.outbox import Queued

__all__ = ["Answer", "Behaviour", "Charger", "Latencies", "LinkLostError", "Queued", "Stats", "run_chargers"]
