"""Names that users rely on: in code as in docs/reference.md and deploy/voltgate.toml."""

import ast
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest

from voltgate.config import Config, Limits
from voltgate.gateway.bus.outage import Cause
from voltgate.gateway.edge.accepts import Overrun
from voltgate.gateway.edge.proxied import Untrusted
from voltgate.gateway.edge.proxy import Refused
from voltgate.gateway.edge.tls import Failure
from voltgate.gateway.interfaces import Garbage
from voltgate.gateway.pool.merged import Supervision
from voltgate.gateway.pool.supervisor import RestartReason
from voltgate.gateway.reasons import Outcome, Reason, Refusal
from voltgate.gateway.telemetry.metrics import Metrics
from voltgate.gateway.worker import Worker

ROOT = Path(__file__).parent.parent
GATEWAY = ROOT / "python" / "voltgate" / "gateway"
REFERENCE = (ROOT / "docs" / "reference.md").read_text()
CLOSED = REFERENCE.split("\nClosed sets:\n")[1].split("\n## ")[0]


def documented(name: str) -> set[str]:
    """The words of one entry of "Closed sets"."""
    (entry,) = re.findall(rf"^- {re.escape(name)}:((?:.|\n(?!- ))*)", CLOSED, re.MULTILINE)
    return set(re.findall(r"`(\w+)`", entry.split(";")[0]))


def arguments(pattern: str) -> set[str]:
    """The literal that the group matches, in every call of the gateway's source that the pattern matches."""
    return {word for path in GATEWAY.rglob("*.py") for word in re.findall(pattern, path.read_text())}


@cache
def strings(package: str) -> set[str]:
    """Every string in the code of a package."""
    trees = [ast.parse(path.read_text()) for path in (GATEWAY / package).rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return {node.value for node in nodes if isinstance(node.value, str)}


def test_handshake_results_and_reasons_of_disconnects() -> None:
    before = [*Failure, *Refused, *Untrusted, *Overrun]
    results = {one.label for one in [*Refusal, *before]}
    assert len(results) == len(Refusal) + len(before)
    counted = {"accepted", "timeout", "sockets", "no_descriptor"}
    assert documented("`result` of handshakes") == results | counted
    reasons = {reason.label for reason in Reason}
    assert documented("`reason` of disconnects, and of link `down` facts") == reasons
    security = {one.label for one in [*Refusal, *Failure, *Refused, *Untrusted] if one.is_security}
    assert documented("`<reason>` of security facts") == security
    assert documented("`kind`") == set(get_args(Garbage))


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("`by`", "session"),
        ("`type`", "session"),
        ("`outcome` of asks", "."),
        ("`outcome` of spans", "."),
        ("`reason` of the link `down` that another gateway writes for a dead one", "cluster"),
    ],
)
def test_every_documented_word_is_in_the_code(name: str, package: str) -> None:
    """Of lists that no single place in the code holds."""
    assert documented(name) - strings(package) == set()


def test_reasons_of_restarts() -> None:
    assert documented("`reason` of restarts") == set(get_args(RestartReason))


def test_reasons_of_outages_and_checks_of_readiness() -> None:
    assert documented("`reason` of outages") == {cause.label for cause in Cause}
    assert documented("`check`") == Worker(Config()).checks().keys()


def test_outcomes_of_commands() -> None:
    table = REFERENCE.split("## Commands")[1].split("## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (\d*) ?\|", table, re.MULTILINE)
    assert rows == [(outcome.label, str(outcome.value.code or "")) for outcome in Outcome]


def test_causes_of_publish_failures_and_bounds_of_pauses() -> None:
    causes = arguments(r'(?:_failed\(token, |publish_failures\.add\()"(\w+)"')
    assert documented("`cause`") == causes | {"timeout"}
    assert documented("`bound` of pauses") == arguments(r'paused\.add\("(\w+)"')


def test_the_metrics_in_code_are_those_in_the_docs() -> None:
    rows = re.findall(r"^\| `(voltgate_\w+)` \| ([\w, ]*) ?\|", REFERENCE, re.MULTILINE)
    written = {name: {label for label in labels.strip().split(", ") if label} for name, labels in rows}
    families = [*Metrics().families(), *Supervision().families()]
    assert written == {family.name: set(family.labels) for family in families}


def test_every_bound_has_a_key_a_metric_and_what_happens_beyond_it() -> None:
    """According to the table: each key of [limits] is in it, and each metric and label is real."""
    table = REFERENCE.split("\n## Bounds\n")[1].split("\n## ")[0]
    rows = re.findall(r'^\| (`.*`) \| (.+) \| `(\w+)(?:\{(\w+)="(\w+)"\})?` \|$', table, re.MULTILINE)
    keys = [key for row in rows for key in re.findall(r"`([\w.]+)`", row[0])]
    assert {key for key in keys if key.startswith("limits.")} == {
        f"limits.{name}" for name in Limits.model_fields
    }
    for key in keys:
        section, name = key.split(".")
        assert name in type(Config.model_fields[section].default).model_fields
    words = set(re.findall(r"`(\w+)`", CLOSED)) | {outcome.label for outcome in Outcome}
    families = {family.name: set(family.labels) for family in Metrics().families()}
    for _, _, metric, label, value in rows:
        assert ({label} - {""}) <= families[metric]
        assert not value or value in words


def shown() -> dict[str, Any]:
    """deploy/voltgate.toml with the comments taken off its keys."""
    text = (ROOT / "deploy" / "voltgate.toml").read_text()
    return tomllib.loads("\n".join(re.sub(r"^# ?(?=[a-z_]+ = |\[)", "", line) for line in text.splitlines()))


SECTIONS = [name for name in Config.model_fields if name not in ("policy", "validation")]


@pytest.mark.parametrize("section", SECTIONS)
def test_every_config_key_is_in_the_commented_file_with_its_default(section: str) -> None:
    default = Config.model_fields[section].default
    given = shown()[section]
    if section == "listeners":
        (default,), (given,) = default, given
    assert given == default.model_dump(mode="json")
