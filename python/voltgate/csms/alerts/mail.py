"""Mail, by the standard library's client in a thread: a message a day does not need another SMTP client."""

import asyncio
import smtplib
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Self
from urllib.parse import unquote, urlsplit

from voltgate.config_csms import Csms
from voltgate.csms.alerts.channels import Mail
from voltgate.csms.alerts.notices import Notice

TIMEOUT = 20.0
_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}


@dataclass(frozen=True, slots=True)
class Server:
    """Where mail is given to. ``scheme``: ``smtp``, ``smtp+starttls``, ``smtps``."""

    scheme: str
    host: str
    port: int
    user: str
    password: str = field(repr=False)
    sender: str

    @classmethod
    def parsed(cls, url: str, sender: str) -> Self:
        """Of ``smtps://user:password@host:465``. Raises ValueError."""
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError('must be such as "smtps://user:password@mail.example.com"')
        return cls(
            parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme],
            unquote(parts.username or ""), unquote(parts.password or ""), sender,
        )  # fmt: skip

    @classmethod
    def configured(cls, csms: Csms) -> Self | None:
        """That of ``csms.smtp``; None: there is none. Raises ValueError."""
        return cls.parsed(csms.smtp, csms.mail_from) if csms.smtp else None


async def send(server: Server, channel: Mail, notice: Notice) -> str | None:
    """Send a notice. None: the server took it for every address; else why it is not delivered."""
    return await asyncio.to_thread(_send, server, message(server.sender, channel, notice))


def message(sender: str, channel: Mail, notice: Notice) -> EmailMessage:
    """The mail. Names of chargers are in its body only, never in a header."""
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = sender, ", ".join(channel.to), notice.subject
    made["Date"] = format_datetime(notice.at)
    made["Message-ID"] = f"<{notice.id}@voltgate>"
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(notice.text)
    return made


def _send(server: Server, made: EmailMessage) -> str | None:
    client = smtplib.SMTP_SSL if server.scheme == "smtps" else smtplib.SMTP
    try:
        with client(server.host, server.port, timeout=TIMEOUT) as smtp:
            if server.scheme == "smtp+starttls":
                smtp.starttls()
            if server.user:
                smtp.login(server.user, server.password)
            refused = smtp.send_message(made)
    except (smtplib.SMTPException, OSError) as error:
        return type(error).__name__
    return f"{len(refused)} addresses were refused" if refused else None
