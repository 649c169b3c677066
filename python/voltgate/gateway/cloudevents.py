"""The CloudEvents attributes of the facts that are written in Python, and the one clock format
(docs/contract.md 3.3).

The facts of frames get theirs in the core (rust/core/src/publish.rs).
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache


def headers(  # noqa: PLR0913 - the attributes of CloudEvents
    id_: str,
    source: str,
    type_: str,
    time: str,
    *,
    identity: str | None,
    extra: Iterable[tuple[str, str]] = (),
) -> list[tuple[str, str]]:
    """The headers of one fact. ``source``: ``chargers/<token>``, ``gateways/<name>``; ``time``: RFC 3339."""
    subject = [("ce-subject", identity)] if identity is not None else []
    return [
        ("ce-specversion", "1.0"),
        ("ce-id", id_),
        ("ce-source", f"/{source}"),
        ("ce-type", type_),
        *subject,
        ("ce-time", time),
        ("ce-datacontenttype", "application/json"),
        *extra,
    ]


def time_text(time_ms: int) -> str:
    """Milliseconds since the Unix epoch as RFC 3339; some chargers require the ``Z`` (docs/ocpp.md B)."""
    second, ms = divmod(time_ms, 1000)
    return f"{_second(second)}.{ms:03d}Z"


@lru_cache(maxsize=2)
def _second(second: int) -> str:
    """A thousand Heartbeats a second are answered with the same one."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
