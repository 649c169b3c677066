"""What deploy/compose/compose.yaml would start, started on loopback by the very commands in it.

There is no container engine here. Each container becomes a process: the command of its service, in the
environment of its service, with copies of the files that are mounted into it. In commands and copies,
addresses and paths of the container are replaced by those of this machine, and nothing else is.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
import yaml

from jetstream import free_port
from processes import PATIENCE, status
from voltgate.cli.dev.embedded import find

ROOT = Path(__file__).parents[2]
GATEWAYS = ("gateway-1", "gateway-2")
COMPOSE = ROOT / "deploy" / "compose" / "compose.yaml"
PASSWORDS = {
    name: f"p{number}-of-the-test"
    for number, name in enumerate(re.findall(r"(?m)^(\w+)=", COMPOSE.with_name(".env.example").read_text()))
}
ANY = r"0\.0\.0\.0|127\.0\.0\.1|\*"


def entrypoint(image: str) -> list[str] | None:
    """What an image puts before the command of its service; None where this machine has no such program."""
    kind = image.rpartition("/")[2].partition(":")[0]
    if kind == "voltgate":
        (written,) = re.findall(r'(?m)^ENTRYPOINT \["(\w+)"\]$', (ROOT / "deploy/Dockerfile").read_text())
        return [sys.executable, "-m", written]
    if kind == "nats":
        return [str(find())]
    program = shutil.which(kind) or shutil.which(kind, path="/usr/sbin")
    return program and ([] if kind == "haproxy" else [program])  # type: ignore[return-value]


class Stack:
    """The services of the compose file. ``start`` in any order, ``close`` at the end."""

    def __init__(self, folder: Path, certificates: Mapping[str, Path] | None = None) -> None:
        written = yaml.safe_load(COMPOSE.read_text())
        self.services: dict[str, dict[str, Any]] = written["services"]
        self._subnet = written["networks"]["default"]["ipam"]["config"][0]["subnet"]
        self._folder, self._certificates = folder, certificates or {}
        self._ports: dict[tuple[str, int], int] = {}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def port(self, service: str, port: int) -> int:
        """Where a port of a container is on this machine."""
        if (service, port) not in self._ports:
            self._ports[service, port] = free_port()
        return self._ports[service, port]

    def nats(self, user: str) -> str:
        """The URL of a server for a user."""
        return f"nats://{user}:{PASSWORDS[f'{user.upper()}_PASSWORD']}@127.0.0.1:{self.port('nats-1', 4222)}"

    def log(self, service: str) -> str:
        """All that it wrote."""
        return (self._folder / service / "log").read_text()

    def command(self, service: str) -> list[str]:
        """How its process was started."""
        return [str(word) for word in self.processes[service].args]  # type: ignore[union-attr]

    def start(self, *names: str) -> None:
        """Start services, after what they depend on; ``streams`` is repeated until it completes."""
        for name in names:
            if name in self.processes and self.processes[name].poll() is None:
                continue
            needs = self.services[name].get("depends_on", [])
            self.start(*(need for need in needs if need not in self.processes))
            self._run(name)
            if name == "streams":
                self._complete(name)

    def stop(self, name: str) -> int:
        """As `compose stop`: SIGTERM, and the time that the service has to end. Its exit code."""
        self.processes[name].terminate()
        return self.processes[name].wait(int(self.services[name]["stop_grace_period"].removesuffix("s")))

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()

    def until_ready(self, name: str) -> None:
        """Until a gateway's /readyz is 200."""
        deadline = monotonic() + PATIENCE
        while status(self.port(name, 9464), "/readyz")[0] != 200:
            assert self.processes[name].poll() is None, self.log(name)
            assert monotonic() < deadline, self.log(name)
            sleep(0.05)

    def _complete(self, name: str) -> None:
        deadline = monotonic() + PATIENCE
        while self.processes[name].wait(PATIENCE):
            assert self.services[name]["restart"] == "on-failure"
            assert monotonic() < deadline, self.log(name)
            self._run(name)

    def _run(self, name: str) -> None:
        service, folder = self.services[name], self._folder / name
        folder.mkdir(parents=True, exist_ok=True)
        before = entrypoint(service["image"])
        assert before is not None, f"no program for {service['image']}"
        paths = dict(self._mounted(name))
        command = [self._here(name, str(word), paths) for word in service["command"]]
        if command[0] == "haproxy":
            command[0] = str(shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin"))
        environment = {
            variable: self._here(name, re.sub(r"\$\{(\w+)\}", lambda one: PASSWORDS[one[1]], text), paths)
            for variable, text in service.get("environment", {}).items()
        }
        inherited = {key: text for key, text in os.environ.items() if not key.startswith("VOLTGATE_")}
        with (folder / "log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [*before, *command], cwd=folder, stdout=log, stderr=log, env=inherited | environment
            )

    def _mounted(self, name: str) -> Iterator[tuple[str, Path]]:
        """(path in the container, path here) of each volume; copies have the addresses of this machine."""
        volumes = [volume.split(":") for volume in self.services[name].get("volumes", [])]
        paths = {
            inside: self._folder / name / inside.strip("/").replace("/", "_") for _, inside, *_ in volumes
        }
        for outside, inside, *_ in volumes:
            here, source = paths[inside], COMPOSE.parent / outside
            if outside == "./certificates":
                here.mkdir(exist_ok=True)
                for file, content in self._certificates.items():
                    shutil.copy(content, here / file)
            elif not outside.startswith("."):
                here.mkdir(exist_ok=True)
            elif not here.exists():
                pairs = [(source, here)] if source.is_file() else []
                pairs += [(one, here / one.relative_to(source)) for one in source.rglob("*") if one.is_file()]
                for one, copy in pairs:
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    copy.write_text(self._here(name, one.read_text(), paths))
            yield inside, here

    def _here(self, name: str, text: str, paths: Mapping[str, Path]) -> str:
        """A text of a container with the addresses and paths of this machine."""

        def address(found: re.Match[str]) -> str:
            host = found[1] if found[1] in self.services else name
            return f"127.0.0.1:{self.port(host, int(found[2]))}"

        def checked(found: re.Match[str]) -> str:
            return f"{found[1]}port {self.port(found[2], int(found[3]))}"

        text = re.sub(r"(?m)^( *server ([\w-]+) .*)port (\d+)", checked, text)
        hosts = "|".join([*self.services, ANY])
        text = re.sub(rf"(?<![\w.-])({hosts}):(\d+)\b", address, text)
        text = re.sub(r"(?<=bind )():(\d+)", address, text)
        text = re.sub(r"(?m)^port = (\d+)", lambda one: f"port = {self.port(name, int(one[1]))}", text)
        text = text.replace('host = "0.0.0.0"', 'host = "127.0.0.1"').replace(self._subnet, "127.0.0.0/8")
        if paths:
            inside = "|".join(sorted(map(re.escape, paths), key=len, reverse=True))
            text = re.sub(rf"(?<![\w./-])({inside})(?![\w-])", lambda one: str(paths[one[1]]), text)
        return text


@contextmanager
def stack(folder: Path, certificates: Mapping[str, Path] | None = None) -> Iterator[Stack]:
    """A stack that ends with the block."""
    made = Stack(folder, certificates)
    try:
        yield made
    finally:
        made.close()


def settings() -> dict[str, Any]:
    """deploy/compose/gateway.toml."""
    return tomllib.loads((COMPOSE.parent / "gateway.toml").read_text())


def needs(program: str, package: str) -> str:
    """The path of a program; the test is skipped where it is missing, and fails where CI installs it."""
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin")
    if found is None:
        assert "CI" not in os.environ or program not in {"haproxy", "prometheus"}, f"CI installs {package}"
        pytest.skip(f"{program} is not installed: {package}")
    return found
