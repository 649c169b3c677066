"""``voltgate serve`` as a process of its own, which tests may freeze and kill."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from jetstream import free_port
from processes import Voltgate

ANYBODY = "[registry]\nrequired = false\n[[listeners]]\nallow_unauthenticated = true\n"
KNOWN = "[[listeners]]\n"  # chargers log in


@asynccontextmanager
async def serving(
    url: str, folder: Path, door: str = ANYBODY, *options: str
) -> AsyncIterator[tuple[subprocess.Popen[bytes], int]]:
    """The process, and its port."""
    port = free_port()
    serve = _start(url, folder, f'{door}host = "127.0.0.1"\nport = {port}\n', *options)
    try:
        await asyncio.to_thread(serve.until, lambda: "gateway.started" in serve.err, "doors open")
        yield serve.process, port
    finally:
        serve.process.kill()
        serve.process.wait()


def _start(url: str, folder: Path, door: str, *options: str) -> Voltgate:
    folder.mkdir(exist_ok=True)
    file = folder / "voltgate.toml"
    file.write_text(
        f'[nats]\nurl = "{url}"\npublish_timeout = 2\n{door}[drain]\ngrace = 0\n[admin]\nport = 0\n'
    )
    return Voltgate(folder, "serve", "--config", str(file), *options)
