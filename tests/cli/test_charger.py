"""``voltgate charger`` as a process, with a CSMS by script."""

import asyncio
import signal

import pytest

from processes import Start
from scripted_csms import Csms

pytestmark = pytest.mark.usefixtures("clean_environment")


async def test_one_charger_with_its_faults_until_ctrl_c(start: Start) -> None:
    csms = Csms()
    url = await csms.start()
    running = start("charger", "CP 7", "--url", url, "--version", "2.0.1", "--faults", "no_clock,evse_bare")
    await asyncio.to_thread(running.until, lambda: csms.sockets, "connected")
    await csms.wait_for("BootNotification")
    await csms.wait_for("TransactionEvent")
    status, started = csms.all("StatusNotification")[0], csms.all("TransactionEvent")[0]
    assert (status.identity, status.subprotocol) == ("CP%207", "ocpp2.0.1")
    assert status.payload["timestamp"].startswith("1970-01-01T00:0")
    assert started.payload["evse"] == {"id": 1}
    assert await asyncio.to_thread(running.ends, signal.SIGINT) == 0
    assert "Traceback" not in running.err
    await csms.stop()
