"""Traces of a real gateway process at a real OTLP receiver, with a backend that continues them."""

import asyncio
import gzip
import http.server
import json
import re
import signal
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from nats.aio.client import Client
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from e2e.house import PATIENCE
from e2e.serving import ANYBODY
from e2e.strangers import START, Backend, Charger, Facts, dial, started, until
from jetstream import NatsServer, free_port
from processes import Voltgate, status
from voltgate.gateway.telemetry.tracing import BATCH, QUEUE


class Receiver:
    """An OTLP/HTTP receiver: parses what comes, answers as the specification says.

    ``hangs``: it reads requests and never answers.
    """

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.resources: list[dict[str, str]] = []
        self.hangs, self.requests, self._released = False, 0, threading.Event()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.requests += 1
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if receiver.hangs:
                    receiver._released.wait()
                    return
                assert self.path == "/v1/traces"
                assert self.headers["Content-Type"] == "application/x-protobuf"
                receiver.take(gzip.decompress(body) if self.headers["Content-Encoding"] else body)
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def take(self, body: bytes) -> None:
        for part in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resources.append({one.key: one.value.string_value for one in part.resource.attributes})
            for scope in part.scope_spans:
                self.spans += scope.spans

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]

    def stop(self) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()


TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"  # of a backend


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.stop()


@asynccontextmanager
async def traced(
    server: NatsServer, folder: Path, endpoint: str, ratio: float = 1.0
) -> AsyncIterator[tuple[Voltgate, int, int]]:
    """``voltgate serve`` with tracing; its port for chargers and that of its admin pages."""
    port, admin = free_port(), free_port()
    file = folder / "voltgate.toml"
    file.write_text(
        f'[nats]\nurl = "{server.url}"\n{ANYBODY}host = "127.0.0.1"\nport = {port}\n'
        f"[limits]\ncalls_burst = 10000\n[drain]\ngrace = 0\n[admin]\nport = {admin}\n"
        f'[tracing]\nendpoint = "{endpoint}"\nratio = {ratio}\nservice_name = "edge"\n'
    )
    serve = Voltgate(folder, "serve", "--config", str(file))
    try:
        await asyncio.to_thread(serve.until, lambda: "gateway.started" in serve.err, "it serves")
        yield serve, port, admin
    finally:
        serve.process.kill()
        serve.process.wait()


def traceparent(span: Span) -> str:
    """As far as it is the span's: without the flags."""
    return f"00-{span.trace_id.hex()}-{span.span_id.hex()}"


@pytest.mark.usefixtures("house")  # it makes the streams
async def test_a_trace_goes_from_the_charger_over_the_gateway_to_the_backend_and_back(
    nats_server: NatsServer, tmp_path: Path, receiver: Receiver, client: Client, identity: str, facts: Facts
) -> None:
    async with (
        traced(nats_server, tmp_path, receiver.url) as (serve, port, _),
        dial(port, identity) as charger,
    ):
        backend = Backend(client, identity, {"StartTransaction": started(7)})
        await backend.listen()
        assert await charger.ask(f'[2,"tx 1","StartTransaction",{START}]') == f'[3,"tx 1",{started(7)}]'
        await command(client, charger, facts)
        assert await asyncio.to_thread(serve.ends, signal.SIGTERM) == 0, "the last spans are exported"
    await facts.link("down")
    (start,) = receiver.named("CALL StartTransaction")
    (ask,) = receiver.named("ask StartTransaction")
    (fact,), (response,) = facts.about(".StartTransaction."), facts.about(".StartTransactionResponse.")
    assert fact.headers["traceparent"].startswith(traceparent(start))
    assert response.headers["traceparent"] == fact.headers["traceparent"]
    assert backend.questions[0].headers["traceparent"].startswith(traceparent(ask))
    within = [span.name for span in receiver.spans if span.parent_span_id == start.span_id]
    assert sorted(within) == ["ask StartTransaction", "record", "store"]
    assert {span.trace_id for span in receiver.spans if span.parent_span_id == start.span_id} == {
        start.trace_id
    }
    attributes = {one.key: one.value.string_value for one in start.attributes}
    link = (await facts.kept_link(state="down")).json
    assert attributes == {
        "ocpp.identity": identity,
        "ocpp.session": link["session"],
        "ocpp.action": "StartTransaction",
        "ocpp.message_id": "tx 1",
        "ocpp.answered_by": "backend",
    }
    assert (
        start.start_time_unix_nano
        < ask.start_time_unix_nano
        < ask.end_time_unix_nano
        <= start.end_time_unix_nano
    )
    (resource, *_) = receiver.resources
    assert resource["service.name"] == "edge"
    assert resource["service.instance.id"] == link["gateway"]
    (reset,), (sent,) = receiver.named("command Reset"), receiver.named("CALL Reset")
    assert (reset.trace_id.hex(), reset.parent_span_id.hex()) == (TRACE, PARENT)
    assert sent.parent_span_id == reset.span_id
    about_reset = facts.about(".command.")
    assert len(about_reset) == 2
    assert all(fact.headers["traceparent"] == f"{traceparent(reset)}-01" for fact in about_reset)


async def command(client: Client, charger: Charger, facts: Facts) -> None:
    """A Reset that continues a trace of its backend, sent and accepted."""
    sending = asyncio.create_task(
        client.request(
            f"ocpprpc.send.Reset.{facts.token}",
            b'{"type":"Soft"}',
            timeout=PATIENCE,
            headers={"traceparent": f"00-{TRACE}-{PARENT}-01"},
        )
    )
    message_id = json.loads(await charger.hear())[1]
    await charger.send(f'[3,"{message_id}",{{"status":"Accepted"}}]')
    assert ((await sending).headers or {})["ocpp-outcome"] == "result"
    await until(lambda: len(facts.about(".command.")) == 2)


def spans(admin: int, outcome: str) -> float:
    """``voltgate_spans_total`` as a scrape shows it."""
    _, page = status(admin, "/metrics")
    found = re.search(rf'voltgate_spans_total{{outcome="{outcome}",worker="0"}} (\S+)', page)
    return float(found[1]) if found else 0.0


@pytest.mark.usefixtures("house")
@pytest.mark.parametrize("hangs", [False, True], ids=["nobody listens", "it never answers"])
async def test_a_collector_that_is_away_costs_no_charger_anything(
    nats_server: NatsServer, tmp_path: Path, receiver: Receiver, identity: str, hangs: bool
) -> None:
    receiver.hangs = hangs
    endpoint = receiver.url if hangs else f"http://127.0.0.1:{free_port()}"
    count = 2400 if hangs else 80  # of two spans each; 4,096 wait, and at most 512 are being sent
    async with (
        traced(nats_server, tmp_path, endpoint) as (serve, port, admin),
        dial(port, identity) as charger,
    ):
        if hangs:
            assert await charger.ask('[2,"first","Heartbeat",{}]')
            await until(lambda: receiver.requests == 1)
        for number in range(0, count, 8):
            await charger.send(*(f'[2,"{number + n}","Heartbeat",{{}}]' for n in range(8)))
            heard = [json.loads(await charger.hear())[1] for _ in range(8)]
            assert heard == [str(number + n) for n in range(8)]
        assert await asyncio.to_thread(status, admin, "/readyz") == (200, "ok\n")
        if hangs:
            assert spans(admin, "dropped") >= 2 * count - QUEUE - BATCH
        else:
            await until(lambda: spans(admin, "failed") > 0)
            assert serve.err.count("export.failed") == 1
            assert "opentelemetry" not in serve.err, "the exporter's own lines repeat it"
        assert spans(admin, "exported") == 0
        began = time.monotonic()
        assert await asyncio.to_thread(serve.ends, signal.SIGTERM) == 0
        assert time.monotonic() - began < PATIENCE
