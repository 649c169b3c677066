"""The wheel in an empty environment: it prints its configuration, and serves a charger by a real NATS."""

import asyncio
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from steps import ROOT, FailedError, bare, own, run

LOCK = ROOT / "release" / "requirements.txt"
BOOT = [2, "1", "BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"}]
PATIENCE = 30.0


def check(wheel: Path, environment: Path, example: Path) -> str:
    """Installs ``wheel`` with the locked dependencies into ``environment``. Raises FailedError."""
    shutil.rmtree(environment, ignore_errors=True)
    run(sys.executable, "-m", "venv", "--without-pip", environment)
    python = environment / "bin" / "python"
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    pip += ["--python", python]
    run(*pip, "install", "--require-hashes", "--no-deps", "--requirement", LOCK, env=bare())
    run(*pip, "install", "--no-deps", wheel, env=bare())
    run(*pip, "check", env=bare())
    voltgate = environment / "bin" / "voltgate"
    if run(voltgate, "config", "example", env=bare(), cwd="/") != example.read_text():
        raise FailedError("`voltgate config example` is not deploy/voltgate.toml")
    version = _served(voltgate, environment / "work")
    return (
        f"{version} in an empty environment: config example, streams apply, serve, backend, a boot accepted"
    )


def _served(voltgate: Path, folder: Path) -> str:
    folder.mkdir()
    nats, port, admin = _free(), _free(), _free()
    config = folder / "voltgate.toml"
    config.write_text(
        f"[nats]\nurl = 'nats://127.0.0.1:{nats}'\n[admin]\nport = {admin}\n[registry]\nrequired = false\n"
        f"[streams]\ntx_max_bytes = 67108864\nevents_max_bytes = 67108864\ncommands_max_bytes = 67108864\n"
        f"[[listeners]]\nhost = '127.0.0.1'\nport = {port}\nallow_unauthenticated = true\n"
    )
    given = ["--config", str(config)]
    with ExitStack() as stack:

        def start(*command: str | Path) -> None:
            log = stack.enter_context((folder / f"{len(list(folder.glob('*.log')))}.log").open("wb"))
            process = subprocess.Popen(command, stdout=log, stderr=log, env=bare(), cwd=folder)
            stack.callback(process.wait, PATIENCE)
            stack.callback(process.send_signal, signal.SIGTERM)

        start(own("nats-server"), "-a", "127.0.0.1", "-p", str(nats), "-js", "-sd", str(folder / "jetstream"))
        _until(lambda: socket.create_connection(("127.0.0.1", nats), 1).close())
        run(voltgate, "streams", "apply", *given, env=bare(), cwd=folder)
        start(voltgate, "serve", *given)
        start(voltgate, "backend", *given)
        _until(lambda: urlopen(f"http://127.0.0.1:{admin}/readyz", timeout=1).close())
        try:
            asyncio.run(asyncio.wait_for(_boot(port), PATIENCE))
        except TimeoutError:
            raise FailedError(f"no boot was accepted within {PATIENCE} s: logs are in {folder}") from None
    return run(voltgate, "version", env=bare(), cwd=folder).splitlines()[0]


async def _boot(port: int) -> None:
    """A boot is accepted as soon as the backend answers."""
    from websockets.asyncio.client import connect  # noqa: PLC0415 - only where a wheel is checked

    url = f"ws://127.0.0.1:{port}/CP001"
    while True:
        async with connect(url, subprotocols=["ocpp1.6"]) as charger:  # type: ignore[list-item]
            await charger.send(json.dumps(BOOT))
            answer = json.loads(await charger.recv())
        if answer[:2] == [3, "1"] and answer[2]["status"] == "Accepted":
            return
        await asyncio.sleep(0.2)


def _until(works: Callable[[], object]) -> None:
    """Call ``works`` until it raises no OSError."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            works()
        except (OSError, URLError) as error:
            if time.monotonic() > end:
                raise FailedError(f"nothing answers after {PATIENCE} s: {error}") from None
            time.sleep(0.1)
        else:
            return


def _free() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
