"""Mail against a real SMTP server."""

from collections.abc import Iterator

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message as Handler

from csms.story import moment
from jetstream import free_port
from voltgate.csms.alerts import mail
from voltgate.csms.alerts.channels import Mail
from voltgate.csms.alerts.mail import Server
from voltgate.csms.alerts.notices import Entry, Notice

NOTICE = Notice(
    "the-id", "offline", "offline", "Offline", moment(0), raised=(Entry("Straße 1", "Straße 1", 0, "", 1),)
)
TO = Mail(("a@b.example", "c@d.example"))


class Mailbox(Handler):
    """Keeps what it gets."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[object] = []

    def handle_message(self, message: object) -> None:
        self.taken.append(message)


@pytest.fixture
def smtp() -> Iterator[tuple[Mailbox, Server]]:
    box = Mailbox()
    controller = Controller(box, hostname="127.0.0.1", port=free_port())
    controller.start()
    yield box, Server.parsed(f"smtp://127.0.0.1:{controller.port}", "voltgate@example.com")
    controller.stop()


async def test_a_mail_arrives(smtp: tuple[Mailbox, Server]) -> None:
    box, server = smtp
    assert await mail.send(server, TO, NOTICE) is None
    (message,) = box.taken
    assert (message["From"], message["To"]) == ("voltgate@example.com", "a@b.example, c@d.example")  # type: ignore[index]
    assert message["Subject"] == "Offline: 1"  # type: ignore[index]
    assert message["X-RcptTo"] == "a@b.example, c@d.example"  # type: ignore[index]
    text = message.get_payload(decode=True).decode()  # type: ignore[attr-defined]
    assert text.splitlines()[:2] == ["Offline: 1", "new: Straße 1"]


async def test_a_server_that_is_away(smtp: tuple[Mailbox, Server]) -> None:
    _, server = smtp
    gone = Server("smtp", "127.0.0.1", 1, "", "", "voltgate@example.com")
    assert await mail.send(gone, TO, NOTICE) == "ConnectionRefusedError"
    wants_tls = Server("smtp+starttls", server.host, server.port, "", "", "voltgate@example.com")
    assert await mail.send(wants_tls, TO, NOTICE) == "SMTPNotSupportedError"


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("smtp://mail", ("smtp", "mail", 25, "", "")),
        ("smtp+starttls://u:p%40@mail", ("smtp+starttls", "mail", 587, "u", "p@")),
        ("smtps://u@mail:2465", ("smtps", "mail", 2465, "u", "")),
    ],
)
def test_urls(url: str, found: tuple[str, str, int, str, str]) -> None:
    server = Server.parsed(url, "x@y")
    assert (server.scheme, server.host, server.port, server.user, server.password) == found
    assert "p@" not in repr(server)


@pytest.mark.parametrize("url", ["", "mail", "http://mail", "smtp://"])
def test_what_is_no_server(url: str) -> None:
    with pytest.raises(ValueError, match="must be such as"):
        Server.parsed(url, "x@y")
