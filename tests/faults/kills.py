"""Faults that kill, freeze or stop processes and start them again; ``verdict`` checks the effects."""

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from faults.run import Run


async def gateway_killed(run: "Run") -> None:
    """SIGKILL; the others go on, and what it had is dialled elsewhere."""
    gateway = await run.gateway()
    gateway.kill()
    await run.felt()
    gateway.start()


async def gateways_killed(run: "Run") -> None:
    """SIGKILL to all: no process keeps its memory."""
    for gateway in run.house.gateways:
        gateway.kill()
    await run.felt()
    for gateway in run.house.gateways:
        gateway.start()


async def gateway_frozen(run: "Run") -> None:
    """SIGSTOP: its sockets stay open, and its past catches up with it at SIGCONT."""
    gateway = await run.gateway()
    gateway.freeze()
    await run.felt()
    gateway.thaw()


async def gateway_drained(run: "Run") -> None:
    """SIGTERM, and a new one: a rolling restart (docs/contract.md 4.5)."""
    gateway = await run.gateway()
    gateway.terminate()
    await run.until(lambda: not gateway.runs, f"{gateway.name} has left")
    code = gateway.kill()
    if code:
        raise run.stuck(f"{gateway.name} left with {code}")
    gateway.start()


async def nats_killed(run: "Run") -> None:
    """SIGKILL to a nats-server, started again on its store."""
    node = run.chance.choice(run.house.nodes)
    await asyncio.to_thread(node.kill)
    await run.felt()
    await asyncio.to_thread(node.start)


async def nats_frozen(run: "Run") -> None:
    """SIGSTOP: publishes pile up in its sockets."""
    node = run.chance.choice(run.house.nodes)
    await asyncio.to_thread(node.freeze)
    await run.felt()
    node.thaw()


async def nats_frozen_and_killed(run: "Run") -> None:
    """What piled up in its sockets is gone with it: nothing of that may have been answered."""
    node = run.chance.choice(run.house.nodes)
    await asyncio.to_thread(node.freeze)
    await run.felt()
    await asyncio.to_thread(node.kill)
    await asyncio.to_thread(node.start)


async def worker_killed(run: "Run") -> None:
    """SIGKILL to one worker: its supervisor starts another (docs/contract.md 4.1, --workers)."""
    gateway = await run.gateway()
    await run.until(lambda: bool(gateway.workers), "there is a worker")
    run.chance.choice(gateway.workers).kill()
    await run.felt()


async def worker_frozen(run: "Run") -> None:
    """SIGSTOP to one worker, until its supervisor has put another in its place."""
    gateway = await run.gateway()
    await run.until(lambda: bool(gateway.workers), "there is a worker")
    worker = run.chance.choice(gateway.workers)
    worker.suspend()
    await run.until(lambda: not worker.is_running(), "the frozen worker was killed")


async def supervisor_killed(run: "Run") -> None:
    """SIGKILL to the supervisor: its workers end by themselves, and lose nothing."""
    gateway = await run.gateway()
    workers = gateway.kill_supervisor()
    await run.until(lambda: not any(worker.is_running() for worker in workers), "the workers have ended")
    gateway.start()


async def supervisor_frozen(run: "Run") -> None:
    """SIGSTOP to the supervisor: its workers need it for nothing."""
    gateway = await run.gateway()
    gateway.process.suspend()
    await run.felt_nowhere()
    gateway.process.resume()


async def leader_killed(run: "Run") -> None:
    """SIGKILL to the leader of OCPP_TX: the others elect (docs/contract.md 2.3)."""
    assert run.house.cluster is not None
    node = await run.house.cluster.leader("OCPP_TX")
    await asyncio.to_thread(node.kill)
    await run.felt_nowhere()
    await asyncio.to_thread(node.start)


async def leader_frozen(run: "Run") -> None:
    """SIGSTOP to it: it is still the leader when it wakes up, or thinks so."""
    assert run.house.cluster is not None
    node = await run.house.cluster.leader("OCPP_TX")
    await asyncio.to_thread(node.freeze)
    await run.felt_nowhere()
    node.thaw()


async def ledger_killed(run: "Run") -> None:
    """SIGKILL: the next one goes on from the positions of the database, once it has reached it."""
    ledger = run.house.ledger
    assert ledger is not None

    def starts() -> int:
        return ledger.log.read_text().count('"ledger.started"')

    before = starts()
    ledger.kill()
    await run.felt_nowhere()
    ledger.start()
    await run.until(lambda: starts() > before, "the ledger has started again")


async def ledger_frozen(run: "Run") -> None:
    """SIGSTOP: its consumers and its transaction stay open."""
    assert run.house.ledger is not None
    run.house.ledger.freeze()
    await run.felt_nowhere()
    run.house.ledger.thaw()


async def database_killed(run: "Run") -> None:
    """SIGKILL to PostgreSQL: the ledger waits for it."""
    assert run.house.database is not None
    await asyncio.to_thread(run.house.database.kill)
    await run.felt_nowhere()
    await asyncio.to_thread(run.house.database.start)


async def leader_steps_down(run: "Run") -> None:
    """An election while all live."""
    assert run.house.cluster is not None
    await run.house.cluster.step_down("OCPP_TX")
