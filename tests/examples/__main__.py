"""``make examples``: build the programs, let all of them serve one network of chargers, and print the table.

In its course every billing service is killed before it has acknowledged what it read, and NATS is restarted
under all of them. What lacks a meter reading must become a dead letter, and must not be billed. Afterwards
their sums must be those of the chargers.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from asyncio.subprocess import PIPE
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from time import monotonic

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import ConsumerInfo
from nats.js.errors import NotFoundError

from examples.charger import KNOWN, Charger
from examples.languages import LANGUAGES, Language, built, is_ci
from examples.network import Network, running
from faults.process import Process, tail

PATIENCE = 90.0  # seconds until a condition that should hold counts as failed
FLEET = {"CP001": "v16", "RDAM 1.2*": "v16", "München": "v201", "a/b=c%": "v21"}
COLUMNS = ("authorize", "command", "online", "kill", "restart", "incomplete", "sums")


class Service:
    """The programs of one language, and what was found wrong with them."""

    def __init__(self, language: Language, network: Network, folder: Path) -> None:
        self.language, self._nats = language, network.nats.url
        self.name = f"billing-{language.name}"
        self.passed: set[str] = set()
        self.wrong = ""
        self.billing = self._process("billing", folder, self.name)
        self.authorize = self._process("authorize", folder, *KNOWN)

    def _process(self, program: str, folder: Path, *arguments: str) -> Process:
        name = f"{self.language.name}-{program}"
        return Process(
            name, folder / f"{name}.log", self.language.start(program, *arguments, nats=self._nats)
        )

    async def run(self, program: str, *arguments: str) -> tuple[int, str]:
        """Exit code and output of a program that ends by itself."""
        command = self.language.start(program, *arguments, nats=self._nats)
        process = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
        async with asyncio.timeout(PATIENCE):
            output, _ = await process.communicate()
        return process.returncode or 0, output.decode()

    async def totals(self) -> str:
        if self.language.name == "go":
            return (await self.run("totals", self.name))[1]
        return (await self.run("billing", "totals", self.name))[1]


class Course:
    """What happens to the network and its services, a column of the table each."""

    def __init__(self, network: Network, services: list[Service], client: Client) -> None:
        self._network, self._services, self._client = network, services, client
        self._chargers = [Charger(network.url, identity, version) for identity, version in FLEET.items()]
        self._incomplete = 0
        self._dead = Counter[str]()  # letters by consumer

    async def stop(self) -> None:
        for charger in self._chargers:
            await charger.stop()
        for service in self._services:
            service.billing.kill()
            service.authorize.kill()

    async def phase(self, column: str, check: Callable[[Service], Awaitable[None]]) -> None:
        """Of all services at once; one that has failed is left out from then on."""

        async def one(service: Service) -> None:
            try:
                await check(service)
                service.passed.add(column)
            except (AssertionError, TimeoutError) as error:
                service.wrong = f"{column}: {str(error) or 'not in time'}"

        await asyncio.gather(*(one(service) for service in self._services if not service.wrong))

    async def charge(self, sessions: int) -> None:
        async def one(charger: Charger) -> None:
            for _ in range(sessions):
                await charger.charge()

        await asyncio.gather(*(one(charger) for charger in self._chargers))

    def _delivered(self) -> Counter[str]:
        return sum((charger.delivered for charger in self._chargers), Counter[str]())

    # -- the columns ----------------------------------------------------------------------------------

    async def authorize(self, service: Service) -> None:
        """The queue group gives every service its part of the questions, and each has printed some."""

        async def answered() -> bool:
            await self._chargers[0].authorize()
            return "ocpprpc.ask." in service.authorize.log.read_text()

        for charger in self._chargers:
            await charger.authorize()
        await until(answered)

    async def command(self, service: Service) -> None:
        """Each way in which a command ends for its sender."""
        expected = {
            ("RDAM 1.2*", "Reset", '{"type":"Soft"}'): (0, 'result {"status": "Accepted"}'),
            ("RDAM 1.2*", "ClearCache", "{}"): (1, "error"),
            ("RDAM 1.2*", "Reset", "{}"): (1, "invalid"),
            ("NOBODY", "Reset", "{}"): (1, "not_connected"),
            ("MUTE", "Reset", "{}"): (1, "unknown"),
        }
        for arguments, (code, words) in expected.items():
            found = await service.run("command", *arguments, "1" if arguments[0] == "MUTE" else "20")
            assert found[0] == code, f"{arguments}: {found}"
            assert found[1].startswith(words), f"{arguments}: {found}"

    async def online(self, service: Service) -> None:
        code, words = await service.run("online")
        expected = sorted(f"{identity} {version}" for identity, version in FLEET.items())
        assert (code, sorted(words.splitlines())) == (0, expected), f"exit code {code}, {words!r}"

    async def kill(self, service: Service) -> None:
        """It ends between a fact and its acknowledgement, and starts again."""
        for _ in range(5):
            service.billing.start()

            async def reads() -> bool:
                return bool((await self.consumer(service)).num_ack_pending)

            try:
                await until(reads, 20)
            finally:
                service.billing.kill()
            if (killed := await self.consumer(service)).num_ack_pending:
                service.billing.start()
                await until(partial(self._reads_on, service, killed))
                return
            await self.charge(2)
        raise AssertionError("it had acknowledged everything whenever it was killed")

    async def _reads_on(self, service: Service, killed: ConsumerInfo) -> bool:
        """Whether it has started: a program that does not find NATS at its start ends, as it should."""
        assert service.billing.runs, tail("billing", service.billing.log)
        before, now = killed.delivered, (await self.consumer(service)).delivered
        return before is not None and now is not None and now.consumer_seq > before.consumer_seq

    async def restart(self, service: Service) -> None:
        """It is the process from before, and reads on."""

        await until(partial(self._has_read, service))

    async def _has_read(self, service: Service) -> bool:
        assert service.billing.runs, tail("billing", service.billing.log)
        info = await self.consumer(service)
        return not info.num_pending and not info.num_ack_pending

    async def charge_incompletely(self) -> None:
        """Send what cannot be billed; a second attempt is the last, so that it takes seconds."""
        for service in self._services:
            config = (await self.consumer(service)).config
            config.max_deliver = 2
            await self._client.jetstream().add_consumer("OCPP_TX", config)
        self._incomplete = sum([await charger.charge_incompletely() for charger in self._chargers])

    async def _died(self, advisory: Msg) -> None:
        self._dead[advisory.subject.rsplit(".", 1)[1]] += 1

    async def incomplete(self, service: Service) -> None:
        """What lacks a reading is a dead letter of it, and nothing else."""

        async def dead() -> bool:
            return await self._has_read(service) and self._dead[service.name] >= self._incomplete

        await until(dead)
        assert self._dead[service.name] == self._incomplete, f"{self._dead[service.name]} dead letters"

    async def sums(self, service: Service) -> None:
        expected = self._delivered()
        words = await service.totals()
        assert json.loads(words) == expected, f"{words.strip()}, the chargers: {dict(expected)}"
        service.authorize.terminate()

        async def ended() -> bool:
            return not service.authorize.runs

        await until(ended, 20)

    async def consumer(self, service: Service) -> ConsumerInfo:
        info: ConsumerInfo = await self._client.jetstream().consumer_info("OCPP_TX", service.name)
        return info

    async def consumers(self) -> None:
        """Wait until every billing service has its consumer."""

        async def made() -> bool:
            try:
                return all([await self.consumer(service) for service in self._services])
            except NotFoundError:
                return False

        await until(made)

    async def run(self) -> None:
        for service in self._services:
            service.billing.start()
            service.authorize.start()
        await self._client.subscribe("ocpprpc.send.*.MUTE")  # a gateway that does not answer
        await self._client.subscribe("$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.OCPP_TX.*", cb=self._died)
        await self.consumers()
        await self.phase("authorize", self.authorize)
        await self.phase("command", self.command)
        await self.phase("online", self.online)
        for service in self._services:
            service.billing.kill()
        await self.charge(15)  # what waits for them
        await self.phase("kill", self.kill)
        charging = asyncio.create_task(self.charge(15))
        enough = self._delivered().total() + 8_000  # Wh: in the middle of it

        async def amidst() -> bool:
            return self._delivered().total() >= enough

        await until(amidst)
        self._network.nats.kill()
        await asyncio.to_thread(self._network.nats.start)
        await charging
        await self.phase("restart", self.restart)
        await self.charge_incompletely()
        await self.phase("incomplete", self.incomplete)
        await self.phase("sums", self.sums)


async def until(holds: Callable[[], Awaitable[bool]], seconds: float = PATIENCE) -> None:
    async with asyncio.timeout(seconds):
        while not await holds():
            await asyncio.sleep(0.002)


async def _quiet(error: Exception) -> None:
    del error  # NATS is restarted


async def visit(languages: list[Language], folder: Path) -> list[Service]:
    async with running(folder) as network:
        await network.start()
        await until(network.ready)
        client = await nats.connect(network.nats.url, max_reconnect_attempts=-1, error_cb=_quiet)
        services = [Service(language, network, folder) for language in languages]
        course = Course(network, services, client)
        try:
            await course.run()
        finally:
            await course.stop()
            await client.close()
            for service in services:
                if service.wrong:
                    for process in (service.billing, service.authorize):
                        print(tail(process.name, process.log), file=sys.stderr)
        return services


def main() -> int:
    parser = argparse.ArgumentParser(prog="examples", description=__doc__)
    parser.add_argument("--language", choices=[one.name for one in LANGUAGES], help="only this one")
    chosen = parser.parse_args().language
    began = monotonic()
    languages, missing = built([one for one in LANGUAGES if chosen in (None, one.name)])
    ready = monotonic()
    with tempfile.TemporaryDirectory(prefix="voltgate-examples-") as folder:
        services = asyncio.run(visit(languages, Path(folder)))
    print("".join(map("{:12}".format, ("language", *COLUMNS))).rstrip())
    for service in services:
        cells = ("ok" if column in service.passed else "-" for column in COLUMNS)
        print("".join(map("{:12}".format, (service.language.name, *cells))).rstrip())
    print(f"{ready - began:.0f} s to build, {monotonic() - ready:.0f} s to run")
    wrong = [f"{service.language.name}: {service.wrong}" for service in services if service.wrong]
    for line in [*wrong, *(f"{name} is not here: {why}" for name, why in missing.items())]:
        print(line)
    failed = len(wrong) + (len(missing) if is_ci() else 0)
    print(f"examples: {len(services) - len(wrong)} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
