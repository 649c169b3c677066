"""What an SRE may get wrong: each is one line that names its source and says what to do, in every command.

The same line comes from ``check`` and from ``serve``. What needs no NATS is in the first table.
"""

import asyncio
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from string import Template

import nats
import pytest

from certificates import Authority
from jetstream import NatsServer, free_port
from voltgate.config import load
from voltgate.gateway.bus.streams import apply

Run = Callable[..., tuple[int, str, str]]

LISTENER = "[[listeners]]\nhost='127.0.0.1'\nport=0\nallow_unauthenticated=true\n"
SIZES = "tx_max_bytes=67108864\nevents_max_bytes=67108864\ncommands_max_bytes=67108864\n"
TAIL = f"[admin]\nport=0\n[log]\nformat='text'\n[streams]\n{SIZES}"
FEW = "[limits]\nmax_connections=100\n"


@dataclass(frozen=True)
class Wrong:
    """``text``: the file; ``told``: parts of the one line, in their order."""

    why: str
    text: str | bytes
    told: tuple[str, ...]
    variables: tuple[tuple[str, str], ...] = ()
    code: int = 2


def line(number: int) -> str:
    return f"voltgate.toml:{number}: "


# -- the configuration ------------------------------------------------------------------------------

CONFIGURATION = [
    Wrong("not UTF-8", b"[nats]\n# \xff", (line(2), "is not UTF-8: save the file as UTF-8")),
    Wrong("a byte order mark", b"\xef\xbb\xbf[nats]\n", (line(1), "byte order mark: save it as UTF-8 without")),
    Wrong("too deep", b"a = " + b"[" * 5000 + b"]" * 5000, ("voltgate.toml: ", "nested too deeply")),
    Wrong("text without quotes", "[nats]\nurl = nats://a\n", (line(2), "put text in quotes")),
    Wrong("an open bracket", "[nats\nurl='nats://a'\n", (line(1), "bracket of a table is not closed")),
    Wrong("open quotes", "[nats]\nurl='nats://a\n", (line(2), "quotes are not closed")),
    Wrong("no value", "[nats]\nurl\n", (line(2), "a key needs a value")),
    Wrong("a key twice", "[nats]\nurl='nats://a'\nurl='nats://b'\n", (line(3), "appears twice: remove one")),
    Wrong("a table twice", "[nats]\n[log]\n[nats]\n", (line(3), "appears twice: join the two")),
    Wrong("an unknown key", "[nats]\nurll='a'\n", (line(2), "nats.urll: no such key; did you mean nats.url?")),
    Wrong("an unknown table", "[nat]\nurl='a'\n", (line(1), "nat: no such key; did you mean nats?")),
    Wrong("a key without its table", "url='a'\n", (line(1), "url: no such key; did you mean nats.url?")),
    Wrong("in another table", "[nats]\nopen_calls=1\n", (line(2), "did you mean limits.open_calls?")),
    Wrong("of a listener", LISTENER + "prt=1\n", (line(5), "did you mean listeners.0.port?")),
    Wrong("text for a number", "[limits]\nopen_calls='many'\n", (line(2), "must be a whole number")),
    Wrong("a number for text", "[nats]\ntls_ca=1\n", (line(2), "nats.tls_ca: must be text in quotes")),
    Wrong("a value for a table", "nats='a'\n", (line(1), "nats: must be a table: write [nats]")),
    Wrong("a table for a list", "[listeners]\nport=1\n", (line(1), "must be a list: write [[listeners]]")),
    Wrong("no listener", "listeners=[]\n", (line(1), "listeners: must have at least 1 entry")),
    Wrong("no such port", "[[listeners]]\nport=70000\n", (line(2), "listeners.0.port: must be at most 65535")),
    Wrong("no time", "[nats]\nask_timeout=0\n", (line(2), "nats.ask_timeout: must be more than 0")),
    Wrong("not a number", "[drain]\nrate=nan\n", (line(2), "drain.rate: must be ")),
    Wrong("two replicas", "[streams]\nreplicas=2\n", (line(2), "streams.replicas: must be 1, 3 or 5")),
    Wrong("a window too long", "[streams]\ntx_max_age_days=1\nduplicate_window=86401\n", (line(3), "at most 86400")),
    Wrong("no such level", "[log]\nlevel='trace'\n", (line(2), 'must be "debug", "info", "warning" or')),
    Wrong("facts and questions", "[nats]\nprefix='ocpprpc'\n", (line(2), "prefix and rpc_prefix must differ")),
    Wrong("a prefix of two tokens", "[nats]\nprefix='a.b'\n", (line(2), "must be 1 to 32 letters, digits")),
    Wrong("a foreign inbox", "[nats]\ninbox_prefix='_INBOX'\n", (line(2), "must not begin with one of")),
    Wrong("not a NATS URL", "[nats]\nurl='http://a'\n", (line(2), "nats.url: must be a server such as")),
    Wrong("no such NATS port", "[nats]\nurl='nats://a:99999'\n", (line(2), "nats.url: must be a server")),
    Wrong("ws beside tcp", "[nats]\nurl=['ws://a','nats://b']\n", (line(2), "nats.url: must not mix")),
    Wrong("a bad seed", "[nats]\nnkey_seed='SUX'\n", (line(2), "nats.nkey_seed: must be the seed")),
    Wrong("policy: no action", "[policy.v16.Heartbeet]\nclass='tx'\n", (line(1), "did you mean Heartbeat?")),
    Wrong("policy: no version", "[policy.v15.Heartbeat]\nclass='tx'\n", (line(1), 'must be "v16", "v201" or')),
    Wrong("policy: no class", "[policy.v16.Heartbeat]\nclass='log'\n", (line(2), 'must be "tx", "event" or')),
    Wrong("policy: no code", "[policy.v16.Authorize]\nfallback='No'\n", (line(2), "is neither a v16 error code")),
    Wrong("policy: no answer", "[policy.v16.Authorize]\nanswer='gateway'\n", (line(2), 'must be "backend"')),
    Wrong(
        "an underscore too few", "", ("VOLTGATE_NATS_URL: no such key; did you mean VOLTGATE_NATS__URL?",),
        (("VOLTGATE_NATS_URL", "nats://a"),),
    ),
    Wrong(
        "an unknown variable", "", ("VOLTGATE_LIMITS__OPEN_CALS: ", "did you mean VOLTGATE_LIMITS__OPEN_CALLS?"),
        (("VOLTGATE_LIMITS__OPEN_CALS", "1"),),
    ),
    Wrong(
        "a variable of a wrong type", "[limits]\nopen_calls=2\n",
        ("VOLTGATE_LIMITS__OPEN_CALLS: ", "limits.open_calls: must be a whole number"),
        (("VOLTGATE_LIMITS__OPEN_CALLS", "many"),),
    ),
    Wrong(
        "a list that is not JSON", "", ("VOLTGATE_NATS__REPLY_PREFIXES: is not JSON: write a list in JSON",),
        (("VOLTGATE_NATS__REPLY_PREFIXES", "_INBOX"),),
    ),
    Wrong(
        "a whole section as text", "", ("VOLTGATE_NATS: is not JSON: use a variable for each key",),
        (("VOLTGATE_NATS", "nats://a"),),
    ),
]  # fmt: skip


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, so that lines name the file as it was given: voltgate.toml."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lines_of(error: str) -> list[str]:
    """What a command says to its user, beside its log."""
    return [one.removeprefix("voltgate: ") for one in error.splitlines() if one.startswith("voltgate: ")]


def judge(wrong: Wrong, run: Run, *, in_findings: bool) -> None:
    """``serve`` says it in one line, with its code; ``check`` says the same."""
    code, out, err = run("serve", "--config", "voltgate.toml")
    told = lines_of(err)
    assert len(told) == 1, err
    position = 0
    for part in wrong.told:
        assert part in told[0][position:], told
        position = told[0].index(part, position) + len(part)
    assert (code, out) == (wrong.code, "")
    code, out, err = run("check", "--config", "voltgate.toml")
    if in_findings:
        failed = [row for row in out.splitlines() if row.startswith("fail")]
        # A file also has a line of its own.
        others = [row for row in failed if told[0] not in row]
        assert all(row.split()[1].startswith(("listeners.", "nats.")) for row in others), out
        assert len(failed) == 1 + len(others), out
        # A file of [nats] that cannot be used is an error of the configuration too.
        assert (code, lines_of(err)) in ((1, []), (2, told))
    else:
        assert (code, out, lines_of(err)) == (wrong.code, "", told)


@pytest.mark.parametrize("wrong", CONFIGURATION, ids=[one.why for one in CONFIGURATION])
def test_a_wrong_configuration(
    directory: Path, voltgate: Run, monkeypatch: pytest.MonkeyPatch, wrong: Wrong
) -> None:
    content = wrong.text.encode() if isinstance(wrong.text, str) else wrong.text
    (directory / "voltgate.toml").write_bytes(content)
    for name, value in wrong.variables:
        monkeypatch.setenv(name, value)
    judge(wrong, voltgate, in_findings=False)


def test_a_configuration_that_is_not_there(directory: Path, voltgate: Run) -> None:
    wrong = Wrong("", "", ("voltgate.toml: does not exist: ", "`voltgate config example`"))
    judge(wrong, voltgate, in_findings=False)
    (directory / "voltgate.toml").mkdir()
    wrong = Wrong("", "", ("voltgate.toml: is not a file: name a TOML file",))
    judge(wrong, voltgate, in_findings=False)


# -- listeners, addresses, NATS ---------------------------------------------------------------------


def listener(text: str) -> str:
    """A file whose listener begins at line 1; ``text`` at line 4."""
    return f"[[listeners]]\nhost='127.0.0.1'\nport=0\n{text}{TAIL}{FEW}[nats]\nurl='$ready'\n"


def at_nats(url: str, text: str = "") -> str:
    """A file whose NATS is at line 2; ``text`` at line 3."""
    return f"[nats]\nurl='{url}'\n{text}{FEW}{LISTENER}{TAIL}"


PAIR = "security_profile=2\ntls_certificates=[['$certs/{0}.pem','$certs/{1}.key']]\n"
FINDINGS = [
    Wrong("proxy without proxies", listener("proxy_protocol=true\n"),
          (line(1), "listeners.0.trusted_proxies: proxy_protocol needs the addresses of the load balancers")),
    Wrong("proxies without proxy", listener("trusted_proxies=['10.0.0.1']\n"), (line(4), "remove it")),
    Wrong("TLS without a certificate", listener("security_profile=2\n"),
          (line(1), "listeners.0.tls_certificates: security_profile 2 needs TLS: name them")),
    Wrong("a certificate without TLS", listener(PAIR.format("good", "good").replace("=2", "=1")),
          (line(4), "listeners.0.security_profile: 1 is without TLS")),
    Wrong("profile 3 without a CA", listener(PAIR.format("good", "good").replace("=2", "=3")),
          (line(1), "listeners.0.client_ca: security_profile 3 needs the authority")),
    Wrong("no certificate for all", listener(
          PAIR.format("good", "good").replace("=2", "=3")
          + "client_ca='$certs/authority.pem'\nallow_unauthenticated=true\n"),
          (line(7), "listeners.0.allow_unauthenticated: ", "remove it")),
    Wrong("a certificate that is not there", listener(PAIR.format("none", "good")),
          (line(5), "listeners.0.tls_certificates: ", "none.pem: No such file")),
    Wrong("a key that is not there", listener(PAIR.format("good", "none")),
          (line(5), "listeners.0.tls_certificates: ", "none.key: No such file")),
    Wrong("the key of another", listener(PAIR.format("good", "other")),
          (line(5), "listeners.0.tls_certificates: ", "other.key")),
    Wrong("a certificate that cannot be read", listener(PAIR.format("folder", "good")),
          (line(5), "listeners.0.tls_certificates: ", "folder.pem: Is a directory")),
    Wrong("a CA that is not there", listener(
          PAIR.format("good", "good").replace("=2", "=3") + "client_ca='$certs/none.pem'\n"),
          (line(6), "listeners.0.client_ca: ", "none.pem: No such file")),
    Wrong("two listeners on one port", "[[listeners]]\nport=$free\n[[listeners]]\nhost='127.0.0.1'\nport=$free\n"
          f"{TAIL}{FEW}[nats]\nurl='$ready'\n", (line(5), "listeners.1.port: $free is listeners.0.port too: choose")),
    Wrong("the port of the admin pages", "[[listeners]]\nport=$free\n[admin]\nport=$free\n[nats]\nurl='$ready'\n"
          f"[streams]\n{SIZES}{FEW}", (line(4), "admin.port: $free is listeners.0.port too: choose")),
    Wrong("a port in use", "[[listeners]]\nhost='127.0.0.1'\nport=$used\n" + TAIL + FEW + "[nats]\nurl='$ready'\n",
          (line(3), "listeners.0.port: 127.0.0.1:$used is in use: stop the other process"), code=1),
    Wrong("the admin port in use", "[[listeners]]\nport=0\n[admin]\nport=$used\n[nats]\nurl='$ready'\n"
          f"[streams]\n{SIZES}{FEW}", (line(4), "admin.port: 127.0.0.1:$used is in use"), code=1),
    Wrong("an address of another machine", "[[listeners]]\nhost='192.0.2.1'\nport=9000\n" + TAIL
          + FEW + "[nats]\nurl='$ready'\n", (line(2), "listeners.0.host: 192.0.2.1 is not an address of this"), code=1),
    Wrong("a host without address", "[[listeners]]\nhost='no.such.host.invalid'\nport=9000\n" + TAIL
          + FEW + "[nats]\nurl='$ready'\n", (line(2), "listeners.0.host: no.such.host.invalid: no such host"), code=1),
    Wrong("NATS is away", at_nats("nats://u:secret@127.0.0.1:$free"),
          (line(2), "nats.url: NATS at nats://***@127.0.0.1:$free cannot be reached: "), code=1),
    Wrong("a wrong password", at_nats("$nats"), (line(2), "nats.url: NATS at nats://***@", "refuses the login", "check"), code=1),
    Wrong("an account without JetStream", at_nats("$plain"), ("JetStream ", "enable it"), code=1),
    Wrong("a stream is missing", at_nats("$missing"),
          ("stream OCPP_LINKS is missing: ", "run `voltgate streams apply --config voltgate.toml`"), code=1),
    Wrong("a stream contradicts", at_nats("$contradicting"),
          ("stream OCPP_TX differs (max_age: ", "run `voltgate streams apply --config voltgate.toml`"), code=1),
    Wrong("a stream takes the subjects", at_nats("$overlapping"),
          ("stream OCPP_TX cannot be as configured: stream BILLING takes ocpp.tx.>",
           "change the subjects of that stream, or nats.prefix"), code=1),
    Wrong("a stream covers questions", at_nats("$covering"),
          ("stream GREEDY covers ocpprpc.>", "change its subjects"), code=1),
    Wrong("a message that is too large", at_nats("$ready").replace(FEW, FEW + "max_message_bytes=1048576\n"),
          (line(5), "limits.max_message_bytes is 1048576, but NATS accepts 1048576 bytes", "set it to"), code=1),
    Wrong("an old NATS server", at_nats("$old"),
          ("nats-server 2.12.7 refuses consumers whose filters overlap: install 2.12.8 or newer",), code=1),
    Wrong("no file of credentials", at_nats("$ready", "credentials='none.creds'\n"),
          (line(3), "nats.credentials: none.creds: No such file")),
    Wrong("no file of authorities", at_nats("$ready", "tls_ca='none.pem'\n"),
          (line(3), "nats.tls_ca: none.pem: No such file")),
    Wrong("TLS that the server does not offer", at_nats("$tls"),
          (line(2), "nats.url: NATS at tls://***@", "offers no TLS"), code=1),
]  # fmt: skip
ACCOUNTS = ("ready", "missing", "contradicting", "overlapping", "covering", "plain")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What the files above name: certificates, ports, and a NATS with an account for each fault."""
    folder = tmp_path_factory.mktemp("wrong")
    authority = Authority(folder)
    for name in ("good", "other"):
        authority.issue(name)
    (folder / "folder.pem").mkdir()
    users = {name: f"users: [{{user: {name}, password: secret}}]" for name in ACCOUNTS}
    accounts = [f"{name}: {{{user}, jetstream: {name != 'plain'}}}".lower() for name, user in users.items()]
    settings = f'jetstream {{store_dir: "{folder}/js"}}\naccounts: {{{", ".join(accounts)}}}\n'
    (folder / "nats.conf").write_text(settings)
    server = NatsServer(folder / "nats", ("-c", str(folder / "nats.conf")))
    urls = {name: server.url.replace("//", f"//{name}:secret@") for name in ACCOUNTS}
    asyncio.run(prepare(urls))
    with socket.create_server(("127.0.0.1", 0)) as used, older(server.port, b"2.12.7") as old:
        yield urls | {
            "nats": server.url.replace("//", "//ready:wrong@"),
            "old": urls["ready"].replace(str(server.port), str(old)),
            "tls": urls["ready"].replace("nats://", "tls://"),
            "certs": str(folder),
            "used": str(used.getsockname()[1]),
            "free": str(free_port()),
        }
    server.kill()


async def prepare(urls: dict[str, str]) -> None:
    """Each account's streams, with its fault."""
    size = 64 << 20
    config = load(streams={f"{one}_max_bytes": size for one in ("tx", "events", "commands")})
    for name in ("ready", "missing", "contradicting", "overlapping", "covering"):
        client = await nats.connect(urls[name])
        await apply(client, config)
        if name == "missing":
            await client.jsm().delete_stream("OCPP_LINKS")
        if name == "contradicting":
            have = (await client.jsm().stream_info("OCPP_TX")).config
            await client.jsm().update_stream(have.evolve(max_age=7200.0))
        if name == "overlapping":
            await client.jsm().delete_stream("OCPP_TX")
            await client.jsm().add_stream(name="BILLING", subjects=["ocpp.tx.>"])
        if name == "covering":
            await client.jsm().add_stream(name="GREEDY", subjects=["ocpprpc.>"])
        await client.close()


@contextmanager
def older(port: int, release: bytes) -> Iterator[int]:
    """A port in front of a NATS server that greets with another release."""

    def passed(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                sink.sendall(re.sub(rb'"version":"[^"]*"', b'"version":"%s"' % release, data))
            sink.shutdown(socket.SHUT_WR)

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = door.accept()
                server = socket.create_connection(("127.0.0.1", port))
                opened.extend((client, server))
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=passed, args=pair, daemon=True).start()

    opened: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as door:
        threading.Thread(target=accept, daemon=True).start()
        yield door.getsockname()[1]
        door.shutdown(socket.SHUT_RDWR)
    for one in opened:
        one.close()


@pytest.mark.parametrize("wrong", FINDINGS, ids=[one.why for one in FINDINGS])
def test_a_wrong_environment(directory: Path, voltgate: Run, world: dict[str, str], wrong: Wrong) -> None:
    assert isinstance(wrong.text, str)
    (directory / "voltgate.toml").write_text(Template(wrong.text).substitute(world))
    told = tuple(Template(part).substitute(world) for part in wrong.told)
    judge(replace(wrong, told=told), voltgate, in_findings=True)


def test_too_few_file_descriptors(directory: Path, voltgate: Run, world: dict[str, str]) -> None:
    """``check`` fails; ``serve`` starts with those it has, and logs it."""
    text = at_nats("$ready").replace("max_connections=100", "max_connections=1000000000")
    (directory / "voltgate.toml").write_text(Template(text).substitute(world))
    code, out, _ = voltgate("check", "--config", "voltgate.toml")
    (failed,) = [row for row in out.splitlines() if row.startswith("fail")]
    assert code == 1
    assert "limits.max_connections = 1000000000" in failed
    assert "raise the hard limit to 1000000256" in failed
