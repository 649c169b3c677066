"""The charger record of the registry (docs/contract.md 3.8), and what makes an identity legal. Values only.

Read by the gateway, written by ``voltgate chargers``; ``registry`` has the storage.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from voltgate.config import Level, Version
from voltgate.gateway.interfaces import NotRead

MAX_CHARACTERS = 48  # docs/ocpp.md A3
MAX_BYTES = 96
MAX_RECORD = 16_384  # bytes; thousands of records stay in memory
ALIAS, ALIAS_OF = "ocpp1.6j", "ocpp1.6"  # sent by some (docs/ocpp.md B)

Quirk = Literal["half_duplex", "abort_close", "no_ping", "no_compression", "subprotocol_alias", "latin1"]
QUIRKS: tuple[Quirk, ...] = get_args(Quirk)
PasswordChange = Literal["sent", "resent", "at_reboot", "new_key"]


class Record(BaseModel):
    """The settings of one charger. Unknown keys are ignored, a record with an unknown value counts as none.

    Except a password hash of an unknown kind: no password passes it, the other hash still works.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    enabled: bool
    password_hashes: Annotated[tuple[str, ...], Field(max_length=2)] = ()
    security_profile: Literal[1, 2, 3] | None = None
    certificate_cn: str | None = None
    versions: tuple[Version, ...] | None = None
    validation: Level | None = None
    quirks: frozenset[Quirk] = frozenset()
    password_change: PasswordChange | None = None
    """Where the second password came from: a command sent it (it may be in force, or will be after a
    restart), or an operator made it, to be entered in the charger."""

    @field_validator("password_change", mode="before")
    @classmethod
    def _of_a_later_release(cls, value: object) -> object:
        # An unknown value must not lock a charger out. Both passwords pass, both stay.
        return value if value in get_args(PasswordChange) else None

    def serves(self, version: str) -> bool:
        """Whether the charger may speak ``version``."""
        return self.versions is None or version in self.versions

    def allows_profile(self, profile: int) -> bool:
        """Whether it may connect where ``profile`` is required: one at a time (docs/ocpp.md A22)."""
        return self.security_profile in (None, profile)

    @property
    def body(self) -> bytes:
        """The record as it is stored: defaults are left out."""
        return self.model_dump_json(exclude_defaults=True).encode()


@dataclass(slots=True)
class Known:
    """A record in memory.

    ``proof`` is a MAC of the password that last passed its hashes, ``passed`` the hash it passed.
    """

    identity: str
    token: str
    record: Record
    proof: bytes = b""
    passed: str = ""


# Called with the charger, or why there is no usable record.
Found = Callable[[Known | NotRead], None]


def parse(body: bytes) -> Record:
    """The record of a KV value. Raises ValueError with one line that quotes no value: hashes are in it."""
    if len(body) > MAX_RECORD:
        raise ValueError(f"record: more than {MAX_RECORD} bytes")
    try:
        return Record.model_validate_json(body)
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False)
        raise ValueError("; ".join(f"{_where(fault['loc'])}: {fault['msg']}" for fault in faults)) from None


def _where(place: tuple[int | str, ...]) -> str:
    return ".".join(map(str, place)) or "record"


def is_identity(text: str) -> bool:
    """1 to 48 characters, at most 96 bytes, no control character, no ``:`` (docs/ocpp.md A3)."""
    legal = text and len(text) <= MAX_CHARACTERS and len(text.encode(errors="surrogatepass")) <= MAX_BYTES
    return bool(legal) and not any(
        c == ":" or c < " " or "\x7f" <= c <= "\x9f" or "\ud800" <= c <= "\udfff" for c in text
    )
