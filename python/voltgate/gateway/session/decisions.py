"""Decisions about one frame or one reply, from values alone: is it passed on, who gets which answer.

No state and no effects; the session asks and acts.
"""

from typing import NamedTuple

from voltgate import _core
from voltgate._core import Frame, Version, Violation
from voltgate.gateway import cloudevents
from voltgate.gateway.interfaces import Reply
from voltgate.gateway.session.call import Answer, Call, GatewayViolation
from voltgate.gateway.session.turn import Turn
from voltgate.policy import Rule
from voltgate.schemas import Codec

_PROPERTY = "PropertyConstraintViolation"
_UNKNOWN = GatewayViolation("InternalError", "", "no policy for this action")


def refusal(frame: Frame, rule: Rule | None) -> Violation | GatewayViolation | None:
    """Why the frame itself is not passed on (docs/contract.md 2.2): the first violation its level minds."""
    if frame.violation is not None:
        if rule is None or rule.validation == "strict":
            return frame.violation
        return frame.fatal
    return None


def tag(violation: Violation | GatewayViolation | None) -> str:
    """The text of ``ocpp-violation`` and ``ocpp-reply-violation``; "" for none."""
    return "" if violation is None else f"{violation.code} {violation.pointer}".rstrip()


def description(violation: Violation | GatewayViolation) -> str:
    """What a CALLERROR says: the property and the rule, never a value (docs/contract.md 2.2)."""
    return f"{violation.pointer}: {violation.reason}" if violation.pointer else violation.reason


def gated(ocpp: Version, boot: str, triggered: frozenset[str], action: str) -> GatewayViolation | None:
    """Whether a CALL must wait for BootNotification; ``boot``: a backend's last word on it, "" for none."""
    action = action.removesuffix("-Signed")
    passes = boot not in ("Pending", "Rejected") or action == "BootNotification"
    if passes or (boot == "Pending" and (action in ocpp.passes_while_pending or action in triggered)):
        return None
    return GatewayViolation("SecurityError", "", f"BootNotification was answered {boot}")


def error_id(ocpp: Version, frame: Frame, code: str) -> str | None:
    """The id a CALLERROR goes to; None where the version says there is none (docs/ocpp.md A10, A11, A14)."""
    if frame.type == 6:
        return None
    if frame.type is None and code == ocpp.unknown_type_code:
        return (frame.message_id or ocpp.unreadable_id) if ocpp.answers_unknown_type else None
    if frame.message_id is not None:
        return frame.message_id
    return ocpp.unreadable_id


def refused(ocpp: Version, call: Call, turn: Turn) -> Violation | GatewayViolation | None:
    """Why the CALL is refused; None for one that is served."""
    rule = call.handling.rule if call.handling else None
    why = refusal(call.frame, rule)
    if why is None and rule is not None and turn.boot:
        why = gated(ocpp, turn.boot, turn.triggered, rule.action)
    return _UNKNOWN if why is None and (rule is None or call.message_id is None) else why


class BackendFailed(NamedTuple):
    """The backend replied that it failed: no better reply is to be expected. ``code`` is its own."""

    code: str


def backend_answer(
    codec: Codec, action: str, reply: Reply, max_bytes: int
) -> Answer | BackendFailed | Violation | GatewayViolation:
    """The backend's reply as an answer, or why it is not one a charger could be given.

    See docs/contract.md 3.4.
    """
    headers = {name.lower(): value for name, value in reply.headers.items()}
    if "nats-service-error-code" in headers:
        return BackendFailed(headers["nats-service-error-code"])
    if "ocpp-error" in headers:
        code = _core.error_code(codec.version, headers["ocpp-error"])
        if code is None:
            return GatewayViolation(_PROPERTY, "", f"ocpp-error: not an error code of {codec.version}")
        return Answer("backend", code=code, description=reply.data.decode(errors="replace"))
    if len(reply.data) > max_bytes:
        return GatewayViolation(_PROPERTY, "", f"more than {max_bytes} bytes (limits.max_message_bytes)")
    if (violation := codec.check(action, "response", reply.data)) is not None:
        return violation
    # A null payload, legal in 1.6, travels as {} (docs/contract.md 2.2).
    return Answer("backend", b"{}" if reply.data.strip() == b"null" else reply.data)


time_text = cloudevents.time_text
