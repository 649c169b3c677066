"""What the chargers connect to: one gateway with a listener for each way, NATS, the backend, HAProxy.

HAProxy terminates TLS and passes on what it knows with PROXY protocol version 2.
"""

import asyncio
import csv
import json
import shutil
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from certificates import Authority
from faults.process import Process
from jetstream import NatsServer, free_port
from processes import VOLTGATE, run_voltgate, status
from strangers.ways import ORGANIZATION, PASSWORD, WAYS, Road, Way

HAPROXY = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")

_CONFIG = """
[nats]
url = {nats}
publish_timeout = 3.0
ask_timeout = 3.0
ask_grace = 1.0
outage_close = 4.0
[registry]
required = false
[limits]
calls_per_second = 200
ping_interval = 3.0
ping_timeout = 3.0
[drain]
grace = 0.0
[admin]
port = {admin}
[streams]
tx_max_bytes = 268435456
events_max_bytes = 268435456
commands_max_bytes = 268435456
[[listeners]]
host = "127.0.0.1"
port = {open}
allow_unauthenticated = true
"""
_HAPROXY = """
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
"""
_FRONTEND = """
frontend profile{profile}
  bind 127.0.0.1:{port}{tls}
  default_backend gateway{profile}
backend gateway{profile}
  server gateway 127.0.0.1:{gateway} {send}
"""
# What the load balancer says about the charger's connection, by profile.
_SEND = {1: "send-proxy-v2", 2: "send-proxy-v2-ssl", 3: "send-proxy-v2-ssl-cn"}


@dataclass(frozen=True)
class Login:
    """What a charger is given to log in with; "" where its way asks for nothing of the kind."""

    url: str
    password: str = ""
    ca: str = ""
    certificate: str = ""
    key: str = ""


class Site:
    """Made by :func:`running`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._authority, self._chargers = Authority(folder, "servers"), Authority(folder, "chargers")
        rsa = self._authority.issue("rsa", "localhost", kind="rsa")
        self._served = [rsa, self._authority.issue("ec", "localhost")]
        self._nats = NatsServer(folder / "nats")
        self._admin, self._open = free_port(), free_port()
        self._listens = {way: free_port() for way in WAYS}
        self._dialled = {way: free_port() if way.road is Road.HAPROXY else self._listens[way] for way in WAYS}
        config = folder / "voltgate.toml"
        head = _CONFIG.format(nats=json.dumps(self.url), admin=self._admin, open=self._open)
        config.write_text(head + "".join(map(self._listener, WAYS)))
        self._given = ["--config", str(config)]
        serve, backend = ([*VOLTGATE, what, *self._given] for what in ("serve", "backend"))
        self.gateway = Process("gateway", folder / "gateway.log", serve)
        self._backend = Process("backend", folder / "backend.log", backend)
        self.processes = [self.gateway, self._backend]
        if HAPROXY is not None:
            file = folder / "haproxy.cfg"
            file.write_text(_HAPROXY + "".join(self._frontend(way) for way in WAYS))
            balancer = [HAPROXY, "-db", "-f", str(file)]
            self.processes.append(Process("haproxy", folder / "haproxy.log", balancer))

    def _listener(self, way: Way) -> str:
        lines = [f'[[listeners]]\nhost = "127.0.0.1"\nport = {self._listens[way]}']
        lines.append(f"security_profile = {way.profile}")
        if way.road is Road.HAPROXY:
            lines.append('proxy_protocol = true\ntrusted_proxies = ["127.0.0.1"]')
        elif way.profile > 1:
            lines.append(f"tls_certificates = {json.dumps([one.pair for one in self._served])}")
            if way.profile == 3:
                lines.append(f'client_ca = "{self._chargers.file}"\norganization = "{ORGANIZATION}"')
        return "\n".join([*lines, ""])

    def _frontend(self, way: Way) -> str:
        if way.road is not Road.HAPROXY:
            return ""
        tls = ""
        if way.profile > 1:
            both = self._folder / "both.pem"
            both.write_text("".join(Path(file).read_text() for file in self._served[0].pair))
            tls = f" ssl crt {both}"
        if way.profile == 3:
            tls += f" ca-file {self._chargers.file} verify required"
        return _FRONTEND.format(
            profile=way.profile,
            port=self._dialled[way],
            tls=tls,
            gateway=self._listens[way],
            send=_SEND[way.profile],
        )

    @property
    def url(self) -> str:
        """Of NATS."""
        return self._nats.url

    def login(self, identity: str, way: Way) -> Login:
        """Everything the charger needs. The certificate's common name is that of its record."""
        if not way.profile:
            return Login(f"ws://127.0.0.1:{self._open}/ocpp")
        url, ca = f"{way.scheme}://localhost:{self._dialled[way]}/ocpp", self._authority.file
        match way.profile:
            case 1:
                return Login(url, PASSWORD)
            case 2:
                return Login(url, PASSWORD, ca)
            case _:
                issued = self._chargers.issue(identity.replace(" ", "-"), serial(identity), ORGANIZATION)
                return Login(url, "", ca, *issued.pair)

    async def start(self, chargers: Iterable[tuple[str, Way]]) -> None:
        """Make streams and the records of ``chargers``; start every process."""
        columns = ("identity", "password", "security_profile", "certificate_cn")
        rows = [
            (identity, PASSWORD, way.profile, serial(identity)) for identity, way in chargers if way.profile
        ]
        file = self._folder / "chargers.csv"
        with file.open("w", newline="") as out:
            csv.writer(out).writerows([columns, *rows])
        await asyncio.to_thread(run_voltgate, "streams", "apply", *self._given)
        await asyncio.to_thread(run_voltgate, "chargers", "import", str(file), "--random-keys", *self._given)
        for process in self.processes:
            process.start()

    async def ready(self) -> bool:
        """Whether the gateway takes chargers."""
        return (await asyncio.to_thread(status, self._admin, "/readyz"))[0] == 200

    def stop(self) -> None:
        """End every process."""
        for process in self.processes:
            process.kill()
        self._nats.kill()


def serial(identity: str) -> str:
    """The common name of a charger's certificate, another than its identity."""
    return f"SN {identity}"


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Site]:
    """A site of its own in ``folder``; every process has ended afterwards."""
    site = Site(folder)
    try:
        yield site
    finally:
        await asyncio.to_thread(site.stop)
