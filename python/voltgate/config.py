"""The configuration: TOML file, then environment, then flags (docs/contract.md 4.2).

Every key, its default and its unit are here; ``deploy/voltgate.toml`` is the same list with comments, and a
test compares the two. Files and the environment are read by ``config_sources``, faults put into words by
``config_faults``.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    Field,
    SecretStr,
    ValidationError,
    field_serializer,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from voltgate import config_faults, config_sources
from voltgate.config_csms import Csms
from voltgate.config_sources import ENV_PREFIX, Sources
from voltgate.config_sources import ConfigError as ConfigError  # noqa: PLC0414 - raised by load()
from voltgate.config_values import MOST, TABLE, Seconds, masked

Version = Literal["v16", "v201", "v21"]
Class = Literal["tx", "event", "live"]
Level = Literal["strict", "lenient", "off"]
Watched = Annotated[str, Field(pattern=r"^[^\s.*>/]{1,255}/[^\s.*>/]{1,255}$")]  # STREAM/CONSUMER
# Prefixes become NATS subjects and stream names: one plain token each.
Token = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,32}$")]


class _Section(BaseModel):
    model_config = TABLE


class Nats(_Section):
    """The address of NATS and how long to wait for it. Times in seconds."""

    url: str | list[str] = "nats://127.0.0.1:4222"
    prefix: Token = "ocpp"
    rpc_prefix: Token = "ocpprpc"
    stream_prefix: Token = "OCPP"
    ops_prefix: Token = "ops"
    credentials: str = ""
    nkey_seed: SecretStr = SecretStr("")
    tls_ca: str = ""
    tls_cert: str = ""
    tls_key: str = ""
    inbox_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,32}(\.[A-Za-z0-9_-]{1,32}){0,3}$")] = (
        "_VOLTGATE"
    )
    reply_prefixes: Annotated[list[Token], Field(min_length=1, max_length=64)] = ["_INBOX", "_R_"]
    domain: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{0,32}$")] = ""
    publish_timeout: Seconds = 12.0
    ask_timeout: Seconds = 20.0
    ask_grace: Seconds = 5.0
    outage_close: Seconds = 60.0
    ping_interval: Seconds = 10.0
    max_pending_bytes: Annotated[int, Field(ge=1 << 20, le=MOST)] = 64 << 20
    watched_consumers: Annotated[list[Watched], Field(max_length=100)] = []

    @field_validator("url")
    @classmethod
    def _is_a_server(cls, url: str | list[str]) -> str | list[str]:
        urls = [url] if isinstance(url, str) else url
        if not urls:
            raise ValueError("must name at least one server")
        if not all(map(_is_server, urls)):
            raise ValueError('must be a server such as "nats://127.0.0.1:4222", or a list of them')
        if len({one.startswith("ws") for one in urls}) > 1:
            raise ValueError("must not mix servers behind websockets (ws, wss) with others")
        return url

    @field_validator("nkey_seed")
    @classmethod
    def _is_a_seed(cls, seed: SecretStr) -> SecretStr:
        text = seed.get_secret_value()
        if text and not is_seed(text):
            raise ValueError("must be the seed of a NATS user, which begins with SU (nsc, or nk -gen user)")
        return seed

    @model_validator(mode="after")
    def _roots_differ(self) -> "Nats":
        if self.ops_prefix in (self.prefix, self.rpc_prefix):
            raise ValueError("ops_prefix: must differ from prefix and rpc_prefix")
        if self.prefix == self.rpc_prefix:
            # A stream of facts would answer every question with its PubAck (docs/contract.md 3.2).
            raise ValueError("prefix and rpc_prefix must differ")
        roots = (self.prefix, self.rpc_prefix)
        for key, names in (
            ("inbox_prefix", [self.inbox_prefix.split(".")[0]]),
            ("reply_prefixes", self.reply_prefixes),
        ):
            if both := [name for name in names if name in roots]:
                raise ValueError(f"{key}: {both[0]} must differ from prefix and rpc_prefix")
        if self.inbox_prefix.split(".")[0] in self.reply_prefixes:
            # Whoever sends a command could have its reply counted as a PubAck (docs/contract.md 3.5).
            raise ValueError(
                "inbox_prefix: must not begin with one of reply_prefixes: it is the gateway's alone"
            )
        return self

    def may_answer(self, reply: str) -> bool:
        """Whether anything is published to ``reply``, which a caller chose (docs/contract.md 3.5)."""
        return reply.partition(".")[0] in self.reply_prefixes and _is_subject(reply)

    def may_answer_question(self, reply: str) -> bool:
        """The same for a backend: gateways ask from their inbox."""
        return self.may_answer(reply) or self.is_inbox(reply)

    def is_inbox(self, reply: str) -> bool:
        """Whether ``reply`` is in the inbox of a gateway."""
        return reply.startswith(f"{self.inbox_prefix}.") and _is_subject(reply)

    @property
    def urls(self) -> list[str]:
        """The servers as a list."""
        return [self.url] if isinstance(self.url, str) else self.url

    @property
    def shown(self) -> str:
        """The servers without user names and passwords."""
        return ", ".join(masked(url) for url in self.urls)

    @field_serializer("url")
    def _mask_passwords(self, url: str | list[str]) -> str | list[str]:
        return masked(url) if isinstance(url, str) else [masked(one) for one in url]


class Listener(_Section):
    """One address that chargers connect to. Which keys go together is in ``gateway.edge.front.faults``."""

    host: str = "0.0.0.0"  # noqa: S104 - chargers come from outside
    port: Annotated[int, Field(ge=0, le=65_535)] = 9000
    allow_unauthenticated: bool = False
    security_profile: Literal[1, 2, 3] = 1
    tls_certificates: list[tuple[str, str]] = []
    client_ca: str = ""
    crl: str = ""
    organization: str = ""
    proxy_protocol: bool = False
    trusted_proxies: list[str] = []
    unmatched: Literal["refuse", "close"] = "refuse"
    assume_version: Literal["", "ocpp1.6", "ocpp2.0.1", "ocpp2.1"] = ""


class Registry(_Section):
    """Whether a charger needs a record to connect, and the bounds of password checks."""

    required: bool = True
    hash_threads: Annotated[int, Field(ge=1, le=64)] = 2
    max_hashes: Annotated[int, Field(ge=1, le=MOST)] = 200
    max_hashes_per_address: Annotated[int, Field(ge=1, le=MOST)] = 50


class Limits(_Section):
    """Bounds; each has an answer to the sender and a metric."""

    max_connections: Annotated[int, Field(ge=1, le=MOST)] = 15_000
    max_connection_age: Annotated[float, Field(ge=0, le=31 * 86_400)] = 0.0
    max_handshakes: Annotated[int, Field(ge=1, le=MOST)] = 5_000
    max_message_bytes: Annotated[int, Field(ge=1024, le=MOST)] = 524_288
    max_buffered_bytes: Annotated[int, Field(ge=1 << 20, le=MOST)] = 268_435_456
    max_unread_bytes: Annotated[int, Field(ge=65_536, le=MOST)] = 1_048_576
    open_calls: Annotated[int, Field(ge=1, le=1000)] = 8
    calls_per_second: Annotated[float, Field(gt=0)] = 20.0
    calls_burst: Annotated[int, Field(ge=1, le=MOST)] = 200
    stored_bytes_per_second: Annotated[float, Field(gt=0)] = 8192.0
    stored_bytes_burst: Annotated[int, Field(ge=1, le=MOST)] = 33_554_432
    rejects_per_minute: Annotated[int, Field(ge=0, le=MOST)] = 10
    remembered_chargers: Annotated[int, Field(ge=1, le=MOST)] = 100_000
    ping_interval: Seconds = 60.0
    ping_timeout: Seconds = 30.0
    accepts_per_second: Annotated[float, Field(gt=0)] = 2000.0
    accepts_burst: Annotated[int, Field(ge=1, le=MOST)] = 20_000
    source_accepts_per_second: Annotated[float, Field(gt=0)] = 100.0
    source_accepts_burst: Annotated[int, Field(ge=1, le=MOST)] = 20_000
    handshake_timeout: Seconds = 10.0
    handshakes_per_second: Annotated[float, Field(gt=0)] = 2000.0
    logins_per_minute: Annotated[float, Field(ge=1)] = 120.0
    login_delay: Seconds = 60.0
    command_queue: Annotated[int, Field(ge=1, le=MOST)] = 16


class Streams(_Section):
    """Settings for ``voltgate streams apply``. Windows in seconds, ages in days, sizes in bytes."""

    replicas: Literal[1, 3, 5] = 1
    duplicate_window: Annotated[int, Field(ge=60, le=86_400)] = 1200
    tx_max_bytes: Annotated[int, Field(ge=1 << 20, le=MOST)] = 4 << 30
    tx_max_age_days: Annotated[int, Field(ge=1, le=MOST)] = 30
    events_max_bytes: Annotated[int, Field(ge=1 << 20, le=MOST)] = 2 << 30
    events_max_age_days: Annotated[int, Field(ge=1, le=MOST)] = 7
    commands_max_bytes: Annotated[int, Field(ge=1 << 20, le=MOST)] = 1 << 30
    commands_max_age_days: Annotated[int, Field(ge=1, le=MOST)] = 30

    @model_validator(mode="after")
    def _window_fits_age(self) -> "Streams":
        # JetStream refuses a duplicate window longer than the age of the stream.
        if self.duplicate_window > 86_400 * min(self.tx_max_age_days, self.commands_max_age_days):
            raise ValueError("duplicate_window must not exceed tx_max_age_days and commands_max_age_days")
        return self


class Drain(_Section):
    """How a process drains: seconds of grace, sockets closed per second, seconds until it exits anyway."""

    grace: Annotated[float, Field(ge=0)] = 5.0
    rate: Annotated[float, Field(gt=0)] = 500.0
    deadline: Seconds = 120.0


class Admin(_Section):
    """The admin HTTP server: /metrics, /livez, /readyz, /lbz."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 9464


class Tracing(_Section):
    """OpenTelemetry traces over OTLP/HTTP, off without an endpoint; needs the extra ``voltgate[otel]``."""

    endpoint: str = ""
    ratio: Annotated[float, Field(ge=0, le=1)] = 0.01
    service_name: Annotated[str, Field(min_length=1, max_length=255)] = "voltgate"

    @field_validator("endpoint")
    @classmethod
    def _is_a_collector(cls, url: str) -> str:
        if url and not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", url):
            raise ValueError('must be the URL of an OTLP/HTTP receiver, such as "http://127.0.0.1:4318"')
        return url

    @property
    def shown(self) -> str:
        """The endpoint without user name and password."""
        return masked(self.endpoint)

    @field_serializer("endpoint")
    def _mask_password(self, url: str) -> str:
        return masked(url)


class Log(_Section):
    """Log lines go to stderr: coloured text on a terminal, JSON elsewhere."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "text"] = "auto"


class ActionPolicy(_Section):
    """Changes to the policy of one action; absent keys keep the default (``voltgate policy``)."""

    class_: Annotated[Class | None, Field(alias="class")] = None
    answer: Literal["gateway", "backend"] | None = None
    validation: Level | None = None
    fallback: str | dict[str, Any] | None = None


class Config(BaseSettings):
    """The whole configuration. Make one with :func:`load`."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        nested_model_default_partial_update=True,
    )
    _values: ClassVar[Mapping[str, Any]] = {}  # of the file
    _sources: ClassVar[Sources] = Sources()

    validation: Level | None = None
    nats: Nats = Nats()
    listeners: Annotated[list[Listener], Field(min_length=1)] = [Listener()]
    registry: Registry = Registry()
    limits: Limits = Limits()
    streams: Streams = Streams()
    drain: Drain = Drain()
    admin: Admin = Admin()
    log: Log = Log()
    tracing: Tracing = Tracing()
    csms: Csms = Csms()
    policy: dict[Version, dict[str, ActionPolicy]] = {}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags beat the environment, the environment beats the file."""
        del dotenv_settings, file_secret_settings
        return (init_settings, env_settings, InitSettingsSource(settings_cls, dict(cls._values)))

    def is_given(self, *key: str | int) -> bool:
        """Whether the command line, a variable or the file has this value; else it is the default."""
        return bool(self._sources.of(key))

    def where(self, *key: str | int) -> str:
        """The source of a value and its key, for a message: ``voltgate.toml:12: nats.url``.

        Of a value that is not given: the table that lacks it, where the file has it.
        """
        source = self._sources.of(key) or (self._sources.of(key[:-1]) if key[1:] else "")
        return f"{source}: {'.'.join(map(str, key))}".removeprefix(": ")


def load(file: Path | None = None, **flags: Any) -> Config:
    """Read the configuration.

    ``flags`` are sections as nested dicts, for example ``nats={"url": "..."}``.
    Raises ConfigError with one line per fault, each naming the source of the value and its key.
    """
    values, sources = config_sources.read(file, flags)
    known = config_faults.known(Config) | {
        "policy": {version: {"*": config_faults.known(ActionPolicy)} for version in get_args(Version)}
    }
    source = type(
        "_ConfigFromFile", (Config,), {"_values": values, "_sources": sources, "__doc__": Config.__doc__}
    )
    faults = config_faults.unknown_variables(sources, known)
    try:
        loaded: Config = source(**flags)
    except ValidationError as error:
        faults += config_faults.explained(error.errors(), sources, known)
    except SettingsError:  # it names neither the variable nor the fault
        faults += config_faults.not_json(sources, Config)
    else:
        if not faults:
            return loaded
    raise ConfigError("\n".join(faults))


def printable(config: Config) -> dict[str, Any]:
    """The effective values with secrets masked, as ``voltgate check --print-config`` shows them."""
    shown: dict[str, Any] = _given(config.model_dump(mode="json", by_alias=True))
    return shown


def _given(value: Any) -> Any:
    """Drop keys without a value: TOML has no null."""
    if isinstance(value, dict):
        return {key: _given(one) for key, one in value.items() if one is not None}
    return value


# Tokens of a reply subject, at least two: a wildcard, a space or a control character is in none.
_SUBJECT = re.compile(r"[^\s\x00-\x20\x7f.*>]+(\.[^\s\x00-\x20\x7f.*>]+)+")
_LONGEST = 512  # characters


def _is_subject(reply: str) -> bool:
    return len(reply) <= _LONGEST and _SUBJECT.fullmatch(reply) is not None


_SCHEMES = ("nats", "tls", "ws", "wss")


def _is_server(url: str) -> bool:
    scheme, known, rest = url.partition("://")
    if not re.fullmatch(r"[^\s:/]\S*", rest or url) or (known and scheme not in _SCHEMES):
        return False
    try:
        port = urlsplit(f"nats://{(rest or url).rpartition('@')[2]}").port  # a password may hold anything
    except ValueError:
        return False
    return port != 0


def is_seed(text: str) -> bool:
    """Whether it is a NATS user's: base32 of two bytes of kind, a key of 32, and a CRC-16 of both (nkeys)."""
    if not re.fullmatch(r"SU[A-Z2-7]{56}", text):
        return False
    seed = base64.b32decode(text + "=" * (-len(text) % 8))
    return binascii.crc_hqx(seed[:-2], 0) == int.from_bytes(seed[-2:], "little")
