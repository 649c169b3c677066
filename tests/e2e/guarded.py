"""A nats-server with the users of deploy/nats, whose permissions gateways and backends of the tests have.

A client that names no user may do everything: tests forge, delete and count.
"""

import signal
from pathlib import Path

from jetstream import NatsServer, until
from voltgate.cli.permissions import role_of
from voltgate.config import Config, Nats, load

SHIPPED = Path(__file__).parents[2] / "deploy" / "nats" / "permissions"
ROLES = ("gateway", "backend", "csms", "operator")
PASSWORD = "nats-Geheimnis"


class Guarded(NatsServer):
    """Each role has a user of its name; those for other prefixes are made when a gateway has them."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file, self._store = folder / "nats.conf", folder
        self._users: dict[str, str] = {}
        self._add(load())
        super().__init__(folder, ["-c", str(self._file)])

    def url_of(self, role: str) -> str:
        """The server's address for a role, where gateways have the default prefixes."""
        return with_user(self.url, role)

    def guard(self, settings: Config) -> Config:
        """The same configuration with the login of a gateway."""
        if self._add(settings):
            before = self._reloads
            self.process.send_signal(signal.SIGHUP)
            until(lambda: self._reloads > before, "nats-server reads its users")
        name = f"gateway{_suffix(settings.nats)}"
        urls = [with_user(url, name) for url in settings.nats.urls]
        return settings.model_copy(update={"nats": settings.nats.model_copy(update={"url": urls})})

    def permissions(self, name: str) -> str:
        """The content of the user's block of permissions in the server's configuration."""
        return self._users[name]

    @property
    def _reloads(self) -> int:
        return self.log.read_text().count("Reloaded server configuration")

    def violations(self) -> list[str]:
        """What the server refused to users with a role so far."""
        return [line for line in self.log.read_text().splitlines() if "Violation" in line]

    def _add(self, settings: Config) -> bool:
        """Whether there are new users."""
        suffix = _suffix(settings.nats)
        if f"gateway{suffix}" in self._users:
            return False
        for role in ROLES:
            shipped = SHIPPED / f"{role}.conf"
            self._users[role + suffix] = f"{role_of(settings, role)}\n" if suffix else shipped.read_text()
        rows = [
            f"{{ user: {name!r}, password: {PASSWORD}, permissions: {{\n{rules}}} }}"
            for name, rules in self._users.items()
        ]
        everybody = f"{{ user: tests, password: {PASSWORD} }}"
        self._file.write_text(
            f"jetstream {{ store_dir: {str(self._store)!r} }}\nno_auth_user: tests\n"
            "authorization { users: [\n" + "\n".join([everybody, *rows]) + "\n] }\n"
        )
        return True


def _suffix(nats: Nats) -> str:
    """Of the users of gateways with these prefixes; empty for the default ones."""
    prefixes = (nats.prefix, nats.rpc_prefix, nats.stream_prefix, nats.inbox_prefix)
    default = Nats()
    usual = (default.prefix, default.rpc_prefix, default.stream_prefix, default.inbox_prefix)
    return "" if prefixes == usual else "-" + "-".join(prefixes)


def with_user(url: str, name: str) -> str:
    return url.replace("//", f"//{name}:{PASSWORD}@")


def as_operator(settings: Config) -> Config:
    """The configuration of a gateway with the operator's login."""
    urls = [url.replace("//gateway", "//operator") for url in settings.nats.urls]
    return settings.model_copy(update={"nats": settings.nats.model_copy(update={"url": urls})})
