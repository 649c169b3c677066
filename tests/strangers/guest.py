"""One charger: a driver's process, its conversation, and what is found wrong with it."""

import asyncio
import json
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from nats.aio.client import Client as Nats
from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NatsTimeoutError

from e2e.strangers import Facts
from strangers.conversation import CONVERSATIONS, Exchange, missing
from strangers.site import Login
from strangers.ways import Road, Way

PATIENCE = 60.0  # seconds for an answer, a connection, a command
COLUMNS = ("conversation", "commands", "restart", "stored once")


class WrongError(Exception):
    """What is not as it must be."""


class Guest:
    """A charger made of ``client``. A phase is a column of the table; none starts after one that failed."""

    def __init__(self, client: str, version: str, way: Way, nats: Nats, folder: Path) -> None:
        self.client, self.version, self.way = client, version, way
        self.identity = f"{client.replace(' ', '-')}-{version}-{way.shown}"
        if way.road is not Road.DIRECT:
            self.identity += f"-{way.road.value}"
        self.passed: set[str] = set()
        self.wrong = ""
        self._log = folder / f"{self.identity}.log"
        self._nats, self._facts = nats, Facts(nats, self.identity)
        self._talk = CONVERSATIONS[version]
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._ups: asyncio.Queue[bool] = asyncio.Queue()
        self._commanded: list[str] = []
        self._transaction = 0
        self._process: Process
        self._reading: asyncio.Task[None]

    async def start(self, command: list[str], login: Login) -> None:
        given = (
            login.url,
            self.identity,
            self.version,
            login.password,
            login.ca,
            login.certificate,
            login.key,
        )
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command, *given, stdin=PIPE, stdout=PIPE, stderr=log
            )
        self._reading = asyncio.create_task(self._read())

    async def leave(self) -> None:
        """The end of its input makes a driver close its connection and exit."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(10):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._reading

    async def phase(self, column: str, work: Callable[["Guest"], Awaitable[None]]) -> None:
        if self.wrong:
            return
        try:
            await work(self)
            self.passed.add(column)
        except (WrongError, TimeoutError, NoRespondersError, NatsTimeoutError) as error:
            self.wrong = f"{column}: {str(error) or 'not in time'}"

    # -- phases ------------------------------------------------------------------------------------------

    async def converse(self) -> None:
        await self.connected()
        for exchange in self._talk.before:
            await self._call(exchange)

    async def obey(self) -> None:
        for command in self._talk.commands:
            await self._command(command)

    async def go_on(self) -> None:
        """Behind the restart: what was answered already once more, a command, and the rest."""
        await self.connected()
        for number in self._talk.again:
            await self._call(self._talk.before[number])
        await self._command(self._talk.reset)
        for exchange in self._talk.after:
            await self._call(exchange)

    async def audit(self) -> None:
        """Every transaction message once in OCPP_TX, as it was said; every command with its outcome."""
        facts = await self._facts.stored("TX")
        actions = [fact.subject.split(".")[3] for fact in facts]
        if Counter(actions) != self._talk.stored:
            raise WrongError(f"stored {dict(Counter(actions))}, expected {dict(self._talk.stored)}")
        said = self._talk.before[3:] + self._talk.after
        kept = [fact for fact in facts if not fact.subject.split(".")[3].endswith("Response")]
        for exchange, fact in zip(said, kept, strict=True):
            if wrong := list(missing(exchange.payload, fact.json)):
                raise WrongError(f"{exchange.action} was stored with other {wrong}: {fact.data!r}")
            if "ocpp-violation" in fact.headers:
                raise WrongError(f"{exchange.action}: {fact.headers['ocpp-violation']}")
        if len({fact.headers["Nats-Msg-Id"] for fact in facts}) != len(facts):
            raise WrongError("a Nats-Msg-Id is stored twice")
        commands = [*self._talk.commands, self._talk.reset]
        found = [
            (fact.subject.split(".")[3], fact.headers.get("ocpp-outcome"))
            for fact in await self._facts.stored("COMMANDS")
        ]
        if found != [
            pair for one in commands for pair in ((one.action, None), (f"{one.action}Response", "result"))
        ]:
            raise WrongError(f"facts of commands: {found}")
        if refused := await self._facts.stored("REJECTS"):
            raise WrongError(f"{len(refused)} frames were refused: {refused[0].headers}")

    # -- one exchange ------------------------------------------------------------------------------------

    async def connected(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await self._ups.get()

    async def _call(self, exchange: Exchange) -> None:
        payload = exchange.payload
        if payload.get("transactionId", "") is None:
            payload = payload | {"transactionId": self._transaction}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"call": exchange.action, "payload": payload}).encode() + b"\n")
        async with asyncio.timeout(PATIENCE):
            line = await self._answers.get()
        if "error" in line:
            raise WrongError(f"{exchange.action}: {line['error']}")
        if wrong := list(missing(exchange.answer, line["answer"])):
            raise WrongError(f"{exchange.action} was answered with other {wrong}: {line['answer']}")
        if exchange.action == "StartTransaction":
            number = line["answer"]["transactionId"]
            if self._transaction not in (0, number):
                raise WrongError(f"a resend got transaction {number} instead of {self._transaction}")
            self._transaction = number

    async def _command(self, command: Exchange) -> None:
        subject = f"ocpprpc.send.{command.action}.{self._facts.token}"
        body = json.dumps(command.payload).encode()
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    reply = await self._nats.request(subject, body, timeout=PATIENCE)
                    break
                except NoRespondersError:
                    await asyncio.sleep(0.1)  # the gateway has just come back (docs/contract.md 3.5)
        outcome = (reply.headers or {}).get("ocpp-outcome")
        if outcome != "result":
            raise WrongError(f"{command.action}: outcome {outcome}, {reply.data!r}")
        if wrong := list(missing(command.answer, json.loads(reply.data))):
            raise WrongError(f"{command.action} was answered with other {wrong}: {reply.data!r}")
        if self._commanded[-1:] != [command.action]:
            raise WrongError(f"{command.action}: the client's handler heard {self._commanded}")

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for text in self._process.stdout:
            match json.loads(text):
                case {"up": _}:
                    self._ups.put_nowait(True)
                case {"command": action}:
                    self._commanded.append(action)
                case line:
                    self._answers.put_nowait(line)
        self._answers.put_nowait({"error": "the driver ended"})
