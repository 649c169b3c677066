"""The shipped rules: what they read exists, each alert is explained, fires, and clears."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from observe.rules import FILES, PROMETHEUS, ROOT, RUNBOOKS, alerts, announced, rules
from voltgate.gateway.edge.accepts import Overrun
from voltgate.gateway.edge.proxied import Untrusted
from voltgate.gateway.edge.proxy import Refused
from voltgate.gateway.edge.tls import Failure
from voltgate.gateway.pool.merged import Supervision
from voltgate.gateway.telemetry.metrics import Metrics

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="needs promtool (Debian package prometheus)"
)
needs_sloth = pytest.mark.skipif(
    shutil.which("sloth") is None, reason="needs sloth (go install github.com/slok/sloth/cmd/sloth@latest)"
)
ALERTS = alerts(PROMETHEUS / "alerts.yaml")


def promtool(*arguments: str) -> str:
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_metric_that_a_rule_reads_is_one_of_the_gateway() -> None:
    reference = (ROOT / "docs" / "reference.md").read_text()
    known = set(re.findall(r"^\| `(voltgate_\w+)` \|", reference, re.MULTILINE))
    histograms = {f.name for f in Metrics().families() if hasattr(f, "bounds")}
    known |= {f"{name}_{part}" for name in histograms for part in ("bucket", "sum", "count")}
    read = {name for rule in rules() for name in re.findall(r"(?<![:\w])voltgate_\w+", rule["expr"])}
    assert announced() & known == set(), "served by now: docs/contract.md 4.4"
    assert read - known - announced() == set()


def test_no_rule_reads_a_label_value_that_does_not_exist() -> None:
    """A wrong ``result`` or ``outcome`` in a selector is an alert that never fires."""
    families = {f.name: f for f in [*Metrics().families(), *Supervision().families()]}
    named = {reason.label for reason in (*Failure, *Refused, *Untrusted, *Overrun)}
    elsewhere = named | {"no_descriptor"}  # by the worker
    for rule in rules():
        for name, label, operator, values in re.findall(
            r'(voltgate_\w+)\{(result|outcome|bound)(=~|!~|!=|=)"([^"]*)"\}', rule["expr"]
        ):
            shown = {sample.labels.get(label) for sample in families[name].family({}).samples}
            if name != "voltgate_limit":  # read from the configuration
                assert set(values.split("|")) - elsewhere <= shown, (rule, operator)


def test_every_alert_says_how_bad_what_and_what_to_do() -> None:
    for name, rule in alerts().items():
        texts = rule["annotations"]
        assert rule["labels"]["severity"] in ("critical", "warning", "info"), name
        assert {"summary", "runbook"} <= set(texts), name
        assert "description" in texts or name not in ALERTS, name
        assert texts["runbook"] == f"docs/runbooks/{name}.md"


def test_every_alert_has_its_page_and_every_page_its_alert() -> None:
    assert {page.stem for page in RUNBOOKS.glob("*.md")} - {"README"} == set(alerts())
    index = (RUNBOOKS / "README.md").read_text()
    for name, rule in alerts().items():
        page = (RUNBOOKS / f"{name}.md").read_text()
        assert page.startswith(f"# {name}\n")
        for part in ("## What it means", "## What to look at", "## What to do"):
            assert part in page, (name, part)
        row = re.search(rf"^\| \[{name}\]\({name}\.md\) \| ([\w, ]+) \|", index, re.MULTILINE)
        assert row, name
        assert rule["labels"]["severity"] in row[1], name


def test_alerts_group_by_job_or_instance_and_never_by_charger() -> None:
    for rule in rules(*FILES[:2]):
        for labels in re.findall(r"\bby ?\(([\w, ]*)\)", rule["expr"]):
            known = {"job", "instance", "worker", "stream", "consumer", "result", "version", "direction",
                     "type", "class", "le"}  # fmt: skip
            assert set(labels.split(", ")) <= known


@needs_promtool
def test_promtool_accepts_the_rules_and_the_example_configuration() -> None:
    promtool("check", "rules", *map(str, FILES))
    promtool("check", "config", str(PROMETHEUS / "prometheus.yaml"))


@needs_sloth
def test_the_objectives_are_as_sloth_writes_them(tmp_path: Path) -> None:
    made = tmp_path / "slos.yaml"
    subprocess.run(
        ["sloth", "generate", "-i", PROMETHEUS / "slos.sloth.yaml", "-o", made],
        check=True,
        capture_output=True,
    )
    assert yaml.safe_load(made.read_text()) == yaml.safe_load((PROMETHEUS / "slos.yaml").read_text())


needs_go = pytest.mark.skipif(shutil.which("go") is None, reason="needs Go")


@needs_go
def test_the_dashboards_are_as_their_program_writes_them(tmp_path: Path) -> None:
    """It checks each one strictly, and its own test proves that the check finds faults."""
    build = ROOT / "deploy" / "grafana" / "build"
    for words in (["go", "vet", "."], ["go", "test", "."], ["go", "run", ".", str(tmp_path)]):
        done = subprocess.run(words, cwd=build, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    shipped = {file.name: file.read_text() for file in (build.parent / "dashboards").iterdir()}
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == shipped


# -- each alert fires and clears --------------------------------------------------------------------------


class Case(NamedTuple):
    """Series, a value a minute; when the alert fires and when it has cleared; its labels of the series."""

    series: dict[str, str]
    fires: str
    clears: str
    labels: dict[str, str]


ONE = {"job": "voltgate", "instance": "a:9464"}
JOB = {"job": "voltgate"}


def of(metric: str, **labels: str) -> str:
    """A series of worker 0 of one gateway."""
    every = ONE | ({} if "worker" in metric else {"worker": "0"}) | labels
    return metric + "{" + ",".join(f'{key}="{value}"' for key, value in every.items()) + "}"


def lag(bucket: str) -> dict[str, str]:
    """A hundred timers a minute for half an hour, all of them in one bucket; then nothing."""
    bounds = ["0.1", "0.25", "0.5", "+Inf"]
    return {
        of("voltgate_loop_lag_seconds_bucket", le=bound): (
            "0+100x30 3000x60" if place >= bounds.index(bucket) else "0x90"
        )
        for place, bound in enumerate(bounds)
    }


TX = of("voltgate_stream_fill_ratio", stream="OCPP_TX")
GOOD = of("voltgate_handshakes_total", result="accepted")
BAD = of("voltgate_handshakes_total", result="wrong_password")
ONLINE = of("voltgate_connections", version="v16")
SECOND = ONLINE.replace('worker="0"', 'worker="1"')
# "0x9 1x9": ten times 0, then ten times 1; "0+5x9": rising by 5.
CASES = {
    "BusAway": Case({of("voltgate_bus_connected"): "1x4 0x9 1x20"}, "8m", "16m", ONE),
    "NotReady": Case({of("voltgate_ready", check="nats"): "1x4 0x9 1x20"}, "12m", "16m", ONE),
    "StreamFullSoon": Case(
        {TX: "0.5+0.0002x1000 0.5x1000"}, "10h", "30h", JOB | {"stream": "OCPP_TX"}
    ),
    "StreamNearlyFull": Case({TX: "0.85x30 0.5x30"}, "20m", "35m", JOB | {"stream": "OCPP_TX"}),
    "StreamFull": Case({TX: "0.99x9 0.5x30"}, "5m", "15m", JOB | {"stream": "OCPP_TX"}),
    "FactsNotStored": Case(
        {of("voltgate_publish_failures_total", cause="full"): "0 1+1x9 10x30"}, "9m", "20m", ONE
    ),
    "BackendMissing": Case(
        {
            of("voltgate_asks_total", outcome="reply"): "0+10x60",
            of("voltgate_asks_total", outcome="no_responders"): "0+5x15 75x60",
        },
        "12m",
        "30m",
        JOB,
    ),
    "ReconnectStorm": Case({GOOD: "0x9 0+200x6 1200x20", ONLINE: "500x40"}, "15m", "22m", JOB),
    "FleetDrop": Case({ONLINE: "1000x70 500x30 1000x60"}, "85m", "110m", JOB),
    "NoChargers": Case({ONLINE: "10x9 0x15 10x20"}, "23m", "30m", JOB),
    "LoopLag": Case(lag("0.5"), "15m", "60m", ONE),
    "WorkerRestarting": Case(
        {of("voltgate_worker_restarts_total", reason="killed"): "0x4 1x40"}, "6m", "30m", ONE
    ),
    "WorkerMissing": Case(
        {
            of("voltgate_worker_scraped", worker="0"): "1x40",
            of("voltgate_worker_scraped", worker="1"): "0x9 1x30",
        },
        "5m",
        "12m",
        ONE,
    ),
    "DrainStuck": Case({of("voltgate_draining"): "1x15 0x20"}, "12m", "20m", ONE),
    "RefusalsRising": Case({BAD: "0x360 0+60x30 1800x60"}, "380m", "420m", JOB),
    "CredentialGuessing": Case({BAD: "0+120x15 1800x30"}, "12m", "30m", JOB),
    "MessagesDropped": Case({of("voltgate_bus_dropped_total"): "0x4 3x40"}, "6m", "15m", ONE),
    "Unbalanced": Case({ONLINE: "1000x40 500x40", SECOND: "100x40 600x40"}, "35m", "45m", JOB),
    "NearConnectionCap": Case(
        {ONLINE: "900x15 500x20", of("voltgate_limit", bound="max_connections"): "1000x40"}, "12m", "20m", ONE
    ),
    "DescriptorsNearLimit": Case(
        {of("voltgate_process_open_fds"): "900x15 500x20", of("voltgate_process_max_fds"): "1000x40"},
        "12m",
        "20m",
        ONE,
    ),
    "VersionSkew": Case(
        {
            of("voltgate_build_info", version="0.2.0"): "1x200",
            of("voltgate_build_info", version="0.1.0", instance="b:9464"): "1x100 _x100",
        },
        "90m",
        "110m",
        JOB,
    ),
    "Absent": Case({of("voltgate_build_info", version="0.2.0"): "1x4 _x15 1x20"}, "18m", "22m", {}),
    "ReloadFailed": Case({of("voltgate_config_reload_successful"): "1x4 0x9 1x20"}, "6m", "16m", ONE),
    "ConsumerBehind": Case(
        {of("voltgate_consumer_pending_messages", stream="OCPP_TX", consumer="billing"): "20000x20 10x20"},
        "18m",
        "25m",
        JOB | {"stream": "OCPP_TX", "consumer": "billing"},
    ),
    "CertificateExpiring": Case(
        {of("voltgate_certificate_expiry_timestamp_seconds"): "864000x20 8640000x20"}, "15m", "25m", ONE
    ),
}  # fmt: skip


def test_each_alert_has_its_case() -> None:
    assert set(CASES) == set(ALERTS)


def expected(name: str, case: Case) -> Iterator[dict[str, Any]]:
    """What ALERTS holds at the start, while it fires, and when it has cleared."""
    labels = {"alertname": name, "alertstate": "firing"} | ALERTS[name]["labels"] | case.labels
    series = "ALERTS{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) + "}"
    for time, samples in (("0m", []), (case.fires, [{"labels": series, "value": 1}]), (case.clears, [])):
        expression = f'ALERTS{{alertname="{name}",alertstate="firing"}}'
        yield {"expr": expression, "eval_time": time, "exp_samples": samples}


@needs_promtool
def test_each_alert_fires_and_clears(tmp_path: Path) -> None:
    tests = [
        {
            "interval": "1m",
            "input_series": [{"series": series, "values": values} for series, values in case.series.items()],
            "promql_expr_test": list(expected(name, case)),
        }
        for name, case in CASES.items()
    ]
    file = tmp_path / "tests.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [str(one) for one in FILES[:2]], "tests": tests}))
    promtool("test", "rules", str(file))
