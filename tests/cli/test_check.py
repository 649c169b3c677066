"""``voltgate check``: each line, what makes it fail, and what it says to do."""

import json
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from jetstream import NatsServer
from processes import Start, status
from voltgate.cli import main
from voltgate.cli.check.permissions import needed
from voltgate.cli.check.subjects import covers, meets
from voltgate.config import load

pytestmark = pytest.mark.usefixtures("clean_environment", "own_logs")

OPEN = "[registry]\nrequired=false\n[[listeners]]\nhost='127.0.0.1'\nport=0\nallow_unauthenticated=true\n"
SMALL = "[streams]\ntx_max_bytes=67108864\nevents_max_bytes=67108864\ncommands_max_bytes=67108864\n"

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def voltgate(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process: exit code, stdout, stderr."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return run


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "voltgate.toml"
        path.write_text(text)
        return path

    return write


Row = tuple[str, str]


def rows(voltgate: Run, config: Path, *options: str) -> dict[str, Row]:
    """Verdict and text by name, the worst where a name has several; the exit code is true."""
    code, out, _ = voltgate("check", "--json", "--config", config, *options)
    worst: dict[str, Row] = {}
    for row in json.loads(out):
        order = ["ok", "hint", "fail"].index
        before = worst.get(row["name"], ("ok", ""))
        if order(row["verdict"]) >= order(before[0]):
            worst[row["name"]] = row["verdict"], row["text"]
    assert code == any(verdict == "fail" for verdict, _ in worst.values()), "hints do not fail it"
    return worst


def failing(voltgate: Run, config: Path) -> dict[str, str]:
    """The failing checks of ``voltgate check``, and that its exit code is true."""
    return {name: text for name, (verdict, text) in rows(voltgate, config).items() if verdict == "fail"}


def test_check_passes_where_serve_would_run(
    voltgate: Run, file: Callable[[str], Path], nats_server: NatsServer
) -> None:
    config = file(f"{OPEN}{SMALL}[nats]\nurl='{nats_server.url}'\n[limits]\nmax_connections=100\n")
    before = failing(voltgate, config)
    assert "OCPP_TX" in before
    assert "voltgate streams apply" in before["OCPP_TX"], "the line says what to do"
    voltgate("streams", "apply", "--config", config)
    assert failing(voltgate, config) == {}
    _, out, _ = voltgate("check", "--config", config)
    assert {line.split()[0] for line in out.splitlines()} == {"ok", "hint"}


def test_check_knows_the_streams_of_a_later_release(
    voltgate: Run, file: Callable[[str], Path], nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`serve` starts on them; by the same release it would be a contradiction (docs/compatibility.md)."""
    config = file(f"{OPEN}{SMALL}[nats]\nurl='{nats_server.url}'\n")
    voltgate("streams", "apply", "--config", config)
    config.write_text(f"{config.read_text()}[limits]\nmax_connections=100\n")
    other = file(config.read_text().replace("[streams]", "[streams]\ntx_max_age_days=20"))
    assert "max_age" in failing(voltgate, other)["OCPP_TX"]
    monkeypatch.setattr("voltgate.gateway.bus.streams._SIGNED", {"voltgate_release": "0.999.0"})
    voltgate("streams", "apply", "--config", other)
    config = file(other.read_text().replace("tx_max_age_days=20", ""))
    verdict, text = rows(voltgate, config)["OCPP_TX"]
    assert (verdict, "0.999.0" in text) == ("hint", True)


CONDITIONS = [
    ("[[listeners]]\nclient_ca='ca.pem'\n", ["-js"], "serve", "serve would refuse"),
    (OPEN + "[limits]\nmax_connections=1000000000\n", ["-js"], "descriptors", "more than a process may open"),
    (OPEN + "[limits]\nmax_message_bytes=1048576\n", ["-js"], "max_payload", "headers need room too"),
    (OPEN, [], "jetstream", "switched off in the server"),
]


@pytest.mark.parametrize(("text", "arguments", "name", "why"), CONDITIONS)
def test_check_finds_what_is_missing(
    voltgate: Run,
    file: Callable[[str], Path],
    start_nats: Callable[..., NatsServer],
    tmp_path: Path,
    text: str,
    arguments: list[str],
    name: str,
    why: str,
) -> None:
    server = start_nats(*arguments, *(["-sd", str(tmp_path / "js")] if arguments else []))
    assert name in failing(voltgate, file(f"{text}[nats]\nurl='{server.url}'\n")), why


def test_check_says_when_nats_is_away_or_forbids(
    voltgate: Run,
    file: Callable[[str], Path],
    start_nats: Callable[..., NatsServer],
    free_port: Callable[[], int],
    tmp_path: Path,
) -> None:
    assert "nats" in failing(voltgate, file(f"{OPEN}[nats]\nurl='nats://127.0.0.1:{free_port()}'\n"))
    rules = tmp_path / "nats.conf"
    rules.write_text(
        f'jetstream {{store_dir: "{tmp_path}/js"}}\n'
        "authorization {users: [{user: u, password: p, permissions: {publish: {deny: '$JS.API.>'}}}]}\n"
    )
    url = start_nats("-c", str(rules)).url.replace("//", "//u:p@")
    told = failing(voltgate, file(f"{OPEN}[nats]\nurl='{url}'\n"))
    assert "$JS.API.>" in told["permissions"]
    wrong = failing(voltgate, file(f"{OPEN}[nats]\nurl='{url.replace('u:p@', 'u:wrong@')}'\n"))
    assert "nats" in wrong
    assert "wrong" not in wrong["nats"]


def test_check_finds_a_stream_that_would_answer_questions(
    voltgate: Run, file: Callable[[str], Path], nats_server: NatsServer
) -> None:
    config = file(f"{OPEN}{SMALL}[nats]\nurl='{nats_server.url}'\nprefix='ocpprpc'\nrpc_prefix='other'\n")
    voltgate("streams", "apply", "--config", config)
    config.write_text(f"{OPEN}{SMALL}[nats]\nurl='{nats_server.url}'\n")
    assert "OCPP_" in failing(voltgate, config)["questions"]


# certificates

CA = trustme.CA()
NOW = datetime.now(UTC)


def pair(folder: Path, **options: object) -> tuple[str, str]:
    """The files of a certificate and of its key."""
    leaf = CA.issue_cert("gateway.example", **options)  # type: ignore[arg-type]
    certificate, key = folder / "leaf.pem", folder / "leaf.key"
    certificate.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    key.write_bytes(leaf.private_key_pem.bytes())
    return str(certificate), str(key)


def other_key(folder: Path) -> tuple[str, str]:
    certificate, key = pair(folder)
    Path(key).write_bytes(CA.issue_cert("another.example").private_key_pem.bytes())
    return certificate, key


def with_passphrase(folder: Path) -> tuple[str, str]:
    certificate, key = pair(folder)
    private = rsa.generate_private_key(65_537, 2048)
    Path(key).write_bytes(
        private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    )
    return certificate, key


def small_rsa(folder: Path) -> tuple[str, str]:
    """1024 bits, signed as trustme signs, which makes none that small itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256

    private = rsa.generate_private_key(65_537, 1024)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "small")])
    certificate = (
        x509.CertificateBuilder(name, name, private.public_key(), 1, NOW, NOW + timedelta(days=90))
        .sign(private, SHA256())
    )  # fmt: skip
    files = folder / "leaf.pem", folder / "leaf.key"
    files[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    files[1].write_bytes(
        private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    )
    return str(files[0]), str(files[1])


def no_pem(folder: Path) -> tuple[str, str]:
    certificate, key = pair(folder)
    Path(certificate).write_text("nothing")
    return certificate, key


def swapped(folder: Path) -> tuple[str, str]:
    certificate, key = pair(folder)
    Path(key).write_bytes(Path(certificate).read_bytes())
    return certificate, key


CERTIFICATES = [
    (lambda f: pair(f, not_after=NOW + timedelta(days=90)), "ok", "valid until", "good"),
    (lambda f: pair(f, not_after=NOW + timedelta(days=29)), "hint", "renew it", "soon over"),
    (lambda f: pair(f, not_after=NOW - timedelta(days=1)), "fail", "expired on", "over"),
    (lambda f: pair(f, not_before=NOW + timedelta(days=1)), "fail", "is not valid before", "not yet"),
    (lambda f: pair(f, key_type=trustme.KeyType.RSA), "ok", "valid until", "RSA with 2048 bits"),
    (other_key, "fail", "is not the key of the first certificate", "another's key"),
    (small_rsa, "fail", "RSA with 1024 bits: OCPP asks for 2048", "A25"),
    (with_passphrase, "fail", "passphrase", "nobody types it"),
    (no_pem, "fail", "holds no certificate in PEM form", "no certificate"),
    (swapped, "fail", "holds no private key in PEM form", "no key"),
    (lambda f: ("absent.pem", "absent.key"), "fail", "absent.pem: No such file", "no file"),
    (lambda f: (str(f), str(f)), "fail", "Is a directory", "a folder"),
]


@pytest.mark.parametrize(
    ("make", "verdict", "told", "why"), CERTIFICATES, ids=[why for *_, why in CERTIFICATES]
)
def test_a_certificate_and_its_key(
    voltgate: Run,
    file: Callable[[str], Path],
    tmp_path: Path,
    free_port: Callable[[], int],
    make: Callable[[Path], tuple[str, str]],
    verdict: str,
    told: str,
    why: str,
) -> None:
    certificate, key = make(tmp_path)
    nowhere = f"[nats]\nurl='nats://127.0.0.1:{free_port()}'\n"
    seen = rows(voltgate, file(f"{OPEN}tls_certificates=[['{certificate}','{key}']]\n{nowhere}"))
    assert seen["listeners.0.tls_certificates.0"][0] == verdict, why
    assert told in seen["listeners.0.tls_certificates.0"][1], why
    if verdict == "ok":
        assert "only: add an" in seen["listeners.0.tls_certificates"][1], "both suites are demanded (A25)"


def test_authorities_and_the_certificates_for_nats(
    voltgate: Run, file: Callable[[str], Path], tmp_path: Path, free_port: Callable[[], int]
) -> None:
    certificate, key = pair(tmp_path, not_after=NOW + timedelta(days=90))
    ca = tmp_path / "ca.pem"
    CA.cert_pem.write_to_path(str(ca))
    nats_section = (
        f"[nats]\nurl='nats://127.0.0.1:{free_port()}'\ntls_ca='{ca}'\n"
        f"tls_cert='{certificate}'\ntls_key='{key}'\n"
    )
    seen = rows(voltgate, file(f"{OPEN}client_ca='{certificate}'\n{nats_section}"))
    assert seen["nats.tls_ca"][0] == seen["nats.tls_cert"][0] == "ok"
    assert seen["listeners.0.client_ca"][0] == "fail"
    assert "is no authority" in seen["listeners.0.client_ca"][1], "it would vouch for nobody"
    assert ssl.create_default_context(cafile=str(ca)), "and what passes can be loaded"


# permissions

ALLOWED = sorted(
    {one for subjects in needed(load()).values() for one in subjects if not one.startswith("_INBOX")}
)


def user(tmp_path: Path, permissions: str) -> Path:
    path = tmp_path / "nats.conf"
    path.write_text(
        f'jetstream {{store_dir: "{tmp_path}/js"}}\n'
        f"authorization {{users: [{{user: u, password: p, permissions: {{{permissions}}}}}, "
        "{user: admin, password: p}]}\n"
    )
    return path


def publish(*subjects: str) -> str:
    return f"publish: {{allow: {json.dumps(list(subjects))}}}"


ASK = "$SYS.REQ.USER.INFO"
INBOX = 'subscribe: ["_INBOX.>", "ocpprpc.send.>", "ocpprpc.link.>"], allow_responses: true'
PERMISSIONS = [
    (f"{publish(ASK, *ALLOWED)}, {INBOX}", "ok", "may do what serve does", "just what is needed"),
    (publish(">"), "ok", "may do what serve does", "everything"),
    (
        publish(ASK, *[a for a in ALLOWED if a != "ocpp.tx.>"]),
        "fail",
        "publish to ocpp.tx.>",
        "no transactions",
    ),
    (
        publish(ASK, *[a for a in ALLOWED if "STREAM.INFO.OCPP_TX" not in a]),
        "fail",
        "publish to $JS.API.STREAM.INFO.OCPP_TX",
        "one call of the API",
    ),
    (publish(ASK, "ocpp.>", "ocpprpc.>", "$KV.>"), "fail", "publish to $JS.API.>", "no JetStream"),
    ("publish: {deny: 'ocpp.tx.v16.>'}", "fail", "publish to ocpp.tx.>", "a part of it is denied"),
    ("subscribe: {deny: '_INBOX.>'}", "fail", "subscribe to _INBOX.>", "no answer arrives"),
    ("subscribe: 'mine.>'", "fail", "subscribe to _INBOX.>", "an inbox of another prefix"),
    (
        f"{publish(ASK, *ALLOWED)}, subscribe: ['_INBOX.>', 'ocpprpc.send.>', 'ocpprpc.link.>']",
        "fail",
        "to answer commands (allow_responses: true)",
        "no reply to a command",
    ),
    (f"{publish('>')}, subscribe: '_INBOX.>'", "fail", "subscribe to ocpprpc.send.*.*", "no commands"),
    (publish(*ALLOWED), "hint", f"publish to {ASK}", "the server may not be asked"),
]


@pytest.mark.parametrize(
    ("allowed", "verdict", "told", "why"), PERMISSIONS, ids=[why for *_, why in PERMISSIONS]
)
def test_permissions_that_are_lacking_are_named(
    voltgate: Run,
    file: Callable[[str], Path],
    start_nats: Callable[..., NatsServer],
    tmp_path: Path,
    allowed: str,
    verdict: str,
    told: str,
    why: str,
) -> None:
    url = start_nats("-c", str(user(tmp_path, allowed))).url
    config = file(f"{OPEN}{SMALL}[nats]\nurl='{url.replace('//', '//admin:p@')}'\n")
    voltgate("streams", "apply", "--config", config)
    config.write_text(config.read_text().replace("admin:p@", "u:p@"))
    seen = rows(voltgate, config)
    assert seen["permissions"][0] == verdict, (why, seen)
    assert told in seen["permissions"][1], why
    if verdict != "fail":
        assert seen["OCPP_TX"][0] == "ok", "what is enough for the line is enough"


def test_serve_runs_with_just_what_the_line_asks_for(
    voltgate: Run,
    file: Callable[[str], Path],
    start: Start,
    start_nats: Callable[..., NatsServer],
    free_port: Callable[[], int],
    tmp_path: Path,
) -> None:
    url = start_nats("-c", str(user(tmp_path, f"{publish(*ALLOWED)}, {INBOX}"))).url
    admin = free_port()
    config = file(
        f"{OPEN}{SMALL}[admin]\nport={admin}\n[limits]\nmax_connections=100\n"
        f"[nats]\nurl='{url.replace('//', '//admin:p@')}'\n"
    )
    voltgate("streams", "apply", "--config", config)
    config.write_text(config.read_text().replace("admin:p@", "u:p@"))
    running = start("serve", "--config", str(config))
    running.until(lambda: status(admin, "/readyz")[0] == 200, "ready")
    assert "violation" not in running.err.lower()


RELATIONS = [
    ("a.>", "a.b.c", True, True, "everything below"),
    ("a.>", "a", False, False, "but not itself"),
    ("a.*", "a.>", False, True, "a part"),
    ("a.*.c", "a.b.*", False, True, "they cross"),
    ("a.b", "a.c", False, False, "apart"),
    ("a.*", "a.b.c", False, False, "too long"),
    (">", "a.>", True, True, "everything"),
]


@pytest.mark.parametrize(("one", "other", "covering", "meeting", "why"), RELATIONS)
def test_how_patterns_relate(one: str, other: str, covering: bool, meeting: bool, why: str) -> None:
    assert covers(one, other) is covering, why
    assert meets(one, other) is meets(other, one) is meeting, why


# --monitor

SYNC = [
    ("", 1, "hint", "sync_interval is 120 s: an OS crash loses what was acknowledged in the last 120 s"),
    ("sync_interval: 5s", 1, "hint", "loses what was acknowledged in the last 5 s"),
    ("sync_interval: always", 1, "hint", "a broken disk everything"),
    ("sync_interval: always", 3, "ok", "nothing acknowledged is lost"),
    ("", 3, "hint", "most of the machines at once"),
]


@pytest.mark.parametrize(("setting", "replicas", "verdict", "told"), SYNC)
def test_the_monitoring_tells_what_a_crash_would_cost(
    voltgate: Run,
    file: Callable[[str], Path],
    start_nats: Callable[..., NatsServer],
    free_port: Callable[[], int],
    tmp_path: Path,
    setting: str,
    replicas: int,
    verdict: str,
    told: str,
) -> None:
    port = free_port()
    settings = tmp_path / "nats.conf"
    settings.write_text(f'http: "127.0.0.1:{port}"\njetstream {{store_dir: "{tmp_path}/js"\n{setting}\n}}\n')
    url = start_nats("-c", str(settings)).url
    config = file(f"{OPEN}{SMALL}replicas={replicas}\n[nats]\nurl='{url}'\n")
    seen = rows(voltgate, config, "--monitor", f"http://127.0.0.1:{port}/")
    assert seen["durability"][0] == verdict
    assert told in seen["durability"][1]
    assert seen["store"][0] == "ok"
    assert seen["cluster"][0] == ("ok" if replicas == 1 else "fail"), "three copies need three servers"
    without = rows(voltgate, config)["durability"]
    assert without[0] == "hint"
    assert "--monitor" in without[1], "nobody can know from outside"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:{free}", "127.0.0.1:{free}", "file:///", "http://[", "http://127.0.0.1:{nats}"]
)
def test_a_monitoring_url_that_leads_nowhere_is_named(
    voltgate: Run,
    file: Callable[[str], Path],
    nats_server: NatsServer,
    free_port: Callable[[], int],
    url: str,
) -> None:
    url = url.format(free=free_port(), nats=nats_server.port)
    seen = rows(voltgate, file(f"{OPEN}[nats]\nurl='{nats_server.url}'\n"), "--monitor", url)
    assert seen["monitor"][0] == "fail"
    assert url in seen["monitor"][1]


def test_a_server_without_jetstream_is_named(
    voltgate: Run,
    file: Callable[[str], Path],
    start_nats: Callable[..., NatsServer],
    free_port: Callable[[], int],
) -> None:
    port = free_port()
    url = start_nats("-m", str(port)).url
    seen = rows(voltgate, file(f"{OPEN}[nats]\nurl='{url}'\n"), "--monitor", f"http://127.0.0.1:{port}")
    assert "JetStream is off" in seen["monitor"][1]
