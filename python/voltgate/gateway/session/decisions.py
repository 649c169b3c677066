"""Decisions about one frame or one reply, from values alone: is it passed on, who gets which answer.

No state and no effects; the session asks and acts.
"""

from voltgate import _core
from voltgate._core import Frame, Version, Violation
from voltgate.gateway import cloudevents
from voltgate.gateway.interfaces import Reply
from voltgate.gateway.session.call import Answer, GatewayViolation
from voltgate.policy import Rule
from voltgate.schemas import Codec


def refusal(frame: Frame, rule: Rule | None) -> Violation | GatewayViolation | None:
    """Why the frame itself is not passed on (docs/contract.md 2.2): the first violation its level minds."""
    if frame.violation is not None:
        if rule is None or rule.validation == "strict":
            return frame.violation
        return frame.fatal
    return None


def passed_on(frame: Frame) -> str:
    """The text of ``ocpp-violation`` on a frame that a lenient level passes on; "" for none."""
    violation = frame.violation
    return "" if violation is None else f"{violation.code} {violation.pointer}".rstrip()


def gated(ocpp: Version, boot: str, triggered: set[str], action: str) -> GatewayViolation | None:
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


def backend_answer(codec: Codec, action: str, reply: Reply, max_bytes: int) -> Answer | None:
    """The backend's word as an answer; None where it is none a charger could be given.

    See docs/contract.md 3.4.
    """
    headers = {name.lower(): value for name, value in reply.headers.items()}
    if "ocpp-error" in headers:
        code = _core.error_code(codec.version, headers["ocpp-error"])
        return Answer("backend", code=code, description=reply.data.decode(errors="replace")) if code else None
    if "nats-service-error-code" in headers or len(reply.data) > max_bytes:
        return None
    if codec.check(action, "response", reply.data) is not None:
        return None
    # A null payload, legal in 1.6, travels as {} (docs/contract.md 2.2).
    return Answer("backend", b"{}" if reply.data.strip() == b"null" else reply.data)


time_text = cloudevents.time_text
