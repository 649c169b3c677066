"""The table of docs/contract.md 3.4: its defaults, what may be changed, and what may not."""

from typing import Any

import orjson
import pytest

from voltgate import Codec, _core
from voltgate.config import ConfigError, load
from voltgate.policy import Rule, command_levels, fallback_payload, gateway_answer, rules
from voltgate.schemas import SUBPROTOCOLS

pytestmark = pytest.mark.usefixtures("clean_environment")

DEFAULT = rules(load())
ALL = [rule for table in DEFAULT.values() for rule in table.values()]


def changed(version: str, action: str, **change: Any) -> Rule:
    return rules(load(policy={version: {action: change}}))[version][action]


def test_every_action_a_charger_may_send_has_a_rule() -> None:
    for version, table in DEFAULT.items():
        sent = {action for action, sender, *_ in _core.actions(version) if sender != "csms"}
        assert {action for action in table if not action.endswith("-Signed")} == sent
        if version == "v16":
            assert len(table) == len(sent), "1.6 has no signed messages (docs/ocpp.md A16)"


@pytest.mark.parametrize(
    "rule", [r for r in ALL if r.answer == "gateway"], ids=lambda r: r.version + r.action
)
def test_what_the_gateway_answers_its_schema_takes(rule: Rule) -> None:
    codec = Codec(SUBPROTOCOLS[rule.version])
    assert codec.check(rule.action, "response", gateway_answer(rule.action, "")) is None


ROWS = [
    (
        "v16",
        "StartTransaction",
        "tx",
        "backend",
        "lenient",
        "close",
        "the charger queues and keeps its attempts",
    ),
    ("v16", "MeterValues", "tx", "gateway", "lenient", None, "money, and nothing to answer"),
    ("v16", "Heartbeat", "live", "gateway", "lenient", None, "the gateway has a clock"),
    (
        "v16",
        "BootNotification",
        "event",
        "backend",
        "lenient",
        '{"status":"Pending","interval":60}',
        "asked again",
    ),
    (
        "v16",
        "DataTransfer",
        "event",
        "backend",
        "lenient",
        '{"status":"UnknownVendorId"}',
        "an unknown vendor",
    ),
    ("v16", "Authorize", "event", "backend", "lenient", "InternalError", "everything else"),
    ("v201", "TransactionEvent", "tx", "backend-if-idtoken", "lenient", "{}", "an idToken needs a decision"),
    ("v21", "NotifySettlement", None, "gateway", None, "{}", "where a backend is to answer"),
    (
        "v201",
        "Heartbeat-Signed",
        "live",
        "backend",
        "lenient",
        "InternalError",
        "the gateway cannot verify it",
    ),
    ("v21", "NotifyPeriodicEventStream-Signed", "event", "none", "lenient", None, "a SEND"),
]


@pytest.mark.parametrize(("version", "action", "class_", "answer", "level", "fallback", "why"), ROWS)
def test_defaults(
    version: str,
    action: str,
    class_: str | None,
    answer: str,
    level: str | None,
    fallback: str | None,
    why: str,
) -> None:
    rule = DEFAULT[version][action]
    assert rule.class_ == (class_ or rule.class_), why
    assert rule.answer == answer, why
    assert rule.validation == (level or rule.validation), why
    assert str(rule.fallback) == (fallback or str(rule.fallback)), why


def test_the_action_beats_the_global_level_beats_the_default() -> None:
    config = load(validation="off", policy={"v16": {"Heartbeat": {"validation": "lenient"}}})
    table = rules(config)["v16"]
    assert (table["Heartbeat"].validation, table["Authorize"].validation) == ("lenient", "off")
    assert rules(load(validation="strict"))["v16"]["MeterValues"].validation == "strict"


def test_commands_are_strict_unless_their_policy_says_otherwise() -> None:
    policy = {
        "v16": {"ChangeConfiguration": {"validation": "lenient"}, "DataTransfer": {"validation": "off"}}
    }
    levels = command_levels("v16", load(validation="off", policy=policy))
    assert levels["ChangeConfiguration"] == "lenient"
    assert levels["DataTransfer"] == "off", "the policy of an action is for both directions"
    assert levels["Reset"] == "strict", "the global key is for what chargers send"
    assert "StatusNotification" not in levels


def test_a_fallback_may_be_a_payload_a_code_or_the_end_of_the_connection() -> None:
    rule = changed("v16", "Authorize", fallback={"idTagInfo": {"status": "Blocked"}})
    assert orjson.loads(fallback_payload(rule, "")) == {"idTagInfo": {"status": "Blocked"}}
    assert changed("v16", "Authorize", fallback="GenericError").fallback.code == "GenericError"
    assert changed("v16", "Authorize", fallback="close").fallback.closes


def test_a_boot_fallback_has_the_time_of_the_gateway_unless_it_names_one() -> None:
    now = "2026-06-01T00:00:00Z"
    payload = orjson.loads(fallback_payload(DEFAULT["v16"]["BootNotification"], now))
    assert payload == {"currentTime": now, "status": "Pending", "interval": 60}


REFUSED = [
    ("v16", "Heartbeet", {}, "policy.v16.Heartbeet: ", "no such action"),
    ("v16", "Reset", {}, "policy.v16.Reset: ", "a charger does not send it"),
    ("v16", "Reset", {"answer": "gateway", "validation": "off"}, "policy.v16.Reset: ", "nor is it answered"),
    ("v16", "Authorize", {"answer": "gateway"}, "policy.v16.Authorize.answer: ", "it needs content"),
    ("v16", "Authorize", {"fallback": "Nope"}, "policy.v16.Authorize.fallback: ", "no such code"),
    (
        "v16",
        "Authorize",
        {"fallback": {"status": "Accepted"}},
        "policy.v16.Authorize.fallback: ",
        "the schema does not take it",
    ),
    ("v21", "NotifyPeriodicEventStream", {"answer": "backend"}, "policy.v21.", "a SEND is never answered"),
]


@pytest.mark.parametrize(("version", "action", "change", "line", "why"), REFUSED)
def test_what_ocpp_does_not_allow_stops_the_start(
    version: str, action: str, change: dict[str, Any], line: str, why: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        changed(version, action, **change)
    (told,) = str(caught.value).splitlines()
    assert told.startswith(f"command line: {line}"), why
