"""``voltgate csms`` as a process: health, keys and links from the terminal, HTTPS, and its end."""

import asyncio
import json
import signal
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nats
import pytest
import trustme

from cli.configuration import SMALL
from jetstream import NatsServer
from processes import Start, Voltgate, status

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def config(
    voltgate: Run,
    file: Callable[[str], Path],
    nats_server: NatsServer,
    tmp_path: Path,
    free_port: Callable[[], int],
) -> Path:
    """With the gateway's streams."""
    csms = f"[csms]\ndatabase='sqlite:///{tmp_path}/csms.db'\nport={free_port()}\ntick_seconds=0.5\n"
    path = file(f"{SMALL}[nats]\nurl='{nats_server.url}'\n{csms}")
    assert voltgate("streams", "apply", "--config", path)[0] == 0
    return path


def port_of(config: Path) -> int:
    return int(config.read_text().partition("\nport=")[2].split()[0])


def served(start: Start, config: Path, *command: str) -> Voltgate:
    running = start("csms", *command, "--config", str(config))
    running.until(lambda: "the console is at" in running.err, "the console is served")
    return running


def ask(port: int, key: str, path: str) -> tuple[int, Any]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v1{path}", headers={"Authorization": f"Bearer {key}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, json.load(refusal)


def test_ledger_and_console_in_one_process(start: Start, voltgate: Run, config: Path) -> None:
    running, port = served(start, config), port_of(config)
    running.until(lambda: status(port, "/api/v1/health")[0] == 200, "the ledger has its tables")
    running.until(
        lambda: json.loads(status(port, "/api/v1/health")[1])["status"] == "ok", "the ledger has folded"
    )
    code, out, err = voltgate(
        "csms", "key", "add", "billing", "--role", "viewer", "--json", "--config", config
    )
    assert (code, err) == (0, "")
    key = json.loads(out)
    assert (key["name"], key["role"]) == ("billing", "viewer")
    running.until(lambda: ask(port, key["key"], "/me")[0] == 200, "the key is known")
    assert ask(port, key["key"], "/chargers") == (200, {"items": [], "next": None})
    assert voltgate("csms", "key", "list", "--config", config)[1].splitlines()[1].split() == [
        "billing",
        "viewer",
        "all",
    ]
    assert voltgate("csms", "key", "remove", "billing", "--config", config)[0] == 0
    running.until(lambda: ask(port, key["key"], "/me")[0] == 401, "the key is not valid any more")
    assert running.ends(signal.SIGTERM) == 0


def test_a_link_from_the_terminal(start: Start, voltgate: Run, config: Path) -> None:
    running, port = served(start, config, "console"), port_of(config)
    code, _, err = voltgate("csms", "link", "ann", "--config", config)
    assert (code, err) == (1, "voltgate: ann: there is no such person: give --role to add one\n")
    code, out, _ = voltgate("csms", "link", "ann", "--role", "admin", "--config", config)
    assert code == 0
    assert out.startswith(f"http://127.0.0.1:{port}/login?link=")
    form = out.strip().partition("?")[2].encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/login", data=form)
    opener = urllib.request.build_opener(NoRedirect)
    with pytest.raises(urllib.error.HTTPError) as answer:
        opener.open(request, timeout=10)
    with answer.value as redirect:
        assert redirect.code == 303
    assert running.ends(signal.SIGINT) == 0


def test_a_link_with_another_role_keeps_the_sites(
    voltgate: Run, nats_server: NatsServer, config: Path
) -> None:
    def link(*options: str) -> tuple[int, str]:
        code, _, err = voltgate("csms", "link", "bea", *options, "--config", config)
        return code, err

    async def person() -> dict[str, Any]:
        client = await nats.connect(nats_server.url)
        entry = await client.jetstream().get_last_msg("OPS_PEOPLE", "ops.person.operator.bea")
        await client.close()
        found: dict[str, Any] = json.loads(entry.data or b"")
        return found

    assert link("--site", "north") == (2, "voltgate: --site: give --role too\n")
    assert link("--role", "viewer", "--site", "north") == (0, "")
    assert link() == (0, "")
    assert link("--role", "manager") == (0, "")
    assert asyncio.run(person()) == {"role": "manager", "sites": ["north"]}


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def test_https(start: Start, config: Path, tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    issued.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
    pair = f"tls_certificates=[['{tmp_path}/server.pem','{tmp_path}/server.pem']]\n"
    config.write_text(config.read_text() + pair)
    running, port = served(start, config), port_of(config)
    assert f"https://127.0.0.1:{port}" in running.err
    trusted = ssl.create_default_context()
    authority.configure_trust(trusted)

    def answers() -> bool:
        try:
            with urllib.request.urlopen(
                f"https://localhost:{port}/api/v1/health", timeout=5, context=trusted
            ) as answer:
                return bool(answer.headers["Strict-Transport-Security"])
        except OSError:
            return False

    running.until(answers, "it serves HTTPS")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ("key", "add", "x", "--role", "king"),
            "--role king: must be one of viewer, operator, manager, admin",
        ),
        (("key", "remove", "x"), "x: has no key"),
    ],
)
def test_wrong(arguments: tuple[str, ...], words: str, voltgate: Run, config: Path) -> None:
    code, out, err = voltgate("csms", *arguments, "--config", config)
    assert code in (1, 2)
    assert out == ""
    assert words in err


def test_a_port_that_is_taken_and_a_certificate_that_is_not_there(start: Start, config: Path) -> None:
    served(start, config)
    second = start("csms", "console", "--config", str(config))
    assert second.process.wait(60) == 1
    assert f"csms 127.0.0.1:{port_of(config)}: " in second.err
    config.write_text(config.read_text() + "tls_certificates=[['no.pem','no.key']]\n")
    third = start("csms", "console", "--config", str(config), "--port", "0")
    assert third.process.wait(60) == 1
    assert "csms.tls_certificates: no.pem: " in third.err
