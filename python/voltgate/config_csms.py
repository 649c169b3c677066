"""The section ``[csms]`` of the configuration (docs/csms.md)."""

import re
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field, field_serializer, field_validator

from voltgate.config_values import MOST, TABLE, Seconds, masked

Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]


class Csms(BaseModel):
    """The CSMS (docs/csms.md); needs the extra ``voltgate[csms]``. Times in seconds."""

    model_config = TABLE

    database: str = "sqlite:///voltgate-csms.db"
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 9480
    public_url: str = ""
    tls_certificates: list[tuple[str, str]] = []
    timezone: str = "UTC"
    currency: Currency = "EUR"
    tick_seconds: Annotated[float, Field(ge=0.1, le=3600)] = 60.0
    settle_after: Annotated[float, Field(ge=0, le=31 * 86_400)] = 120.0
    presume_available: Seconds = 600.0
    presume_silent: Annotated[float, Field(gt=0, le=31 * 86_400)] = 86_400.0
    max_power_w: Annotated[int, Field(ge=1, le=MOST)] = 400_000
    idle_power_w: Annotated[int, Field(ge=0, le=MOST)] = 100
    concurrent_transactions: bool = True
    ours_last: Seconds = 900.0
    attempt_wait: Seconds = 300.0
    smtp: str = ""
    mail_from: str = "voltgate@localhost"
    files: str = ""
    files_url: str = ""
    files_max_bytes: Annotated[int, Field(ge=1, le=1 << 40)] = 64 << 20
    unknown_tokens: Literal["Accepted", "Blocked", "Expired", "Invalid"] = "Accepted"

    @field_validator("database")
    @classmethod
    def _is_a_database(cls, url: str) -> str:
        if not re.match(r"(sqlite:///.|postgres(ql)?://)", url):
            raise ValueError('must be such as "sqlite:///voltgate-csms.db" or "postgresql://user@host/name"')
        return url

    @field_validator("timezone")
    @classmethod
    def _is_a_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ValueError, OSError, KeyError):
            raise ValueError('must be a time zone such as "Europe/Berlin"') from None
        return name

    @field_validator("smtp")
    @classmethod
    def _is_a_mail_server(cls, url: str) -> str:
        if url and not re.match(r"smtp(s|\+starttls)?://[^/]", url):
            raise ValueError('must be such as "smtps://user:password@mail.example.com"')
        return url

    @field_validator("files_url")
    @classmethod
    def _is_a_place(cls, url: str) -> str:
        if url and not re.match(r"(https?|ftps?|sftp)://[^/\s]", url):
            raise ValueError(
                'must be such as "https://csms.example.com/files" or "ftp://files.example.com/logs"'
            )
        return url

    @field_serializer("database", "smtp", "public_url", "files_url")
    def _mask_password(self, url: str) -> str:
        return url if url.startswith("sqlite:") else masked(url)
