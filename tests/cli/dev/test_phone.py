"""The certificate of ``voltgate dev --host`` is made once for its hosts; the QR code shows the link."""

import ssl
import stat
from pathlib import Path

import segno

from voltgate.cli.dev import phone

HOSTS = ["192.0.2.7", "localhost", "fd00::1"]


def test_a_certificate_is_made_once_for_its_hosts(tmp_path: Path) -> None:
    file = phone.certificate(tmp_path / "data", HOSTS)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    made = file.read_bytes()
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(file, file)
    assert len(phone.fingerprint(file).split(":")) == 32
    assert phone.certificate(tmp_path / "data", HOSTS[:2]).read_bytes() == made
    assert phone.certificate(tmp_path / "data", ["192.0.2.8"]).read_bytes() != made


def test_a_file_that_is_no_certificate_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "console.pem").write_text("nothing")
    assert b"BEGIN CERTIFICATE" in phone.certificate(tmp_path, HOSTS).read_bytes()


def test_a_qr_code_has_the_modules_of_its_text() -> None:
    text = "https://192.0.2.7:9480/login?link=secret"
    lines = phone.qr_code(text).split("\n")
    upper = [[block in " ▄" for block in line] for line in lines]
    lower = [[block in " ▀" for block in line] for line in lines]
    rows = [row for pair in zip(upper, lower, strict=True) for row in pair]
    wanted = [[bool(module) for module in row] for row in segno.make_qr(text).matrix_iter(border=2)]
    assert rows[: len(wanted)] == wanted
    assert not any(any(row) for row in rows[len(wanted) :])
