"""Settings of one simulated charger: identity, endpoints, behaviour. All times in seconds."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from ssl import SSLContext


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """The defaults follow the specification's intervals; no transactions start by themselves."""

    connectors: int = 1
    tags: tuple[str, ...] = ("04A2B3C4", "04D5E6F7", "0412ABCD")

    second: float = 1.0
    """Length of one second in intervals that the CSMS sets."""
    boot_retry: float = 60.0
    """Wait before the next BootNotification if the CSMS gave no interval."""
    heartbeat: float | None = None
    """Replaces the interval of the boot answer; 0 disables heartbeats."""

    answer_timeout: float = 30.0
    attempts: int = 3
    """TransactionMessageAttempts (1.6), MessageAttempts[TransactionEvent] (2.x)."""
    retry_interval: float = 60.0
    """TransactionMessageRetryInterval (1.6), MessageAttemptInterval[TransactionEvent] (2.x)."""
    faults: tuple[str, ...] = ()
    """Names of ``faults``, in the order of the list."""
    reuse_ids: bool = False
    """Whether a resend keeps its message id (MicroOcpp) or gets a new one (EVerest); docs/ocpp.md C."""

    # docs/ocpp.md A19
    back_off_minimum: float = 10.0
    back_off_random: float = 10.0
    back_off_repeats: int = 5
    obey_retry_after: bool = False
    """Wait for the Retry-After of a refused upgrade."""
    stop_if_rejected: bool = False
    """Do not redial after an HTTP 4xx."""

    # Autopilot: a vehicle arrives after `idle` and stays for `charging`. None: no vehicles.
    idle: tuple[float, float] | None = None
    charging: tuple[float, float] = (600.0, 3600.0)
    meter_interval: float = 60.0

    open_timeout: float = 10.0
    """For TCP, TLS and upgrade together."""
    ping_interval: float | None = None
    """None: a ping is sent only after a CALL without an answer."""
    ping_timeout: float = 20.0
    """The connection is dropped if a pong takes longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A CSMS; shared by the chargers that connect to it."""

    url: str
    """The identity is appended to it."""
    address: str = ""
    """IP address to connect to; empty: the host of ``url`` is resolved at each dial."""
    source: str = ""
    """IP address to connect from; empty: chosen by the system."""
    ssl: SSLContext | None = None
    """None: the default context for ``wss``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One charger. Each dial picks a random endpoint, like a load balancer."""

    identity: str
    version: str
    """``v16``, ``v201`` or ``v21``."""
    endpoints: Sequence[Endpoint]
    password: bytes | None = None
    """May be any bytes (docs/ocpp.md A23)."""
    behaviour: Behaviour = field(default_factory=Behaviour)
