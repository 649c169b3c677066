"""What a charger sends because a command asked for it: it passes while its boot is Pending (CONTRACT 3.4)."""

import orjson

_REPORTS = ("GetBaseReport", "GetReport")
_TRIGGERS = ("TriggerMessage", "ExtendedTriggerMessage")


def triggered(action: str, request: bytes, response: bytes) -> set[str]:
    """The actions that an accepted command lets the charger send; both payloads are valid."""
    if action not in (*_REPORTS, *_TRIGGERS) or orjson.loads(response).get("status") != "Accepted":
        return set()
    if action in _REPORTS:
        return {"NotifyReport"}
    wanted = orjson.loads(request)["requestedMessage"]
    # SignChargePointCertificate, SignV2GCertificate and their like are all one action.
    certificate = wanted.startswith("Sign") and wanted.endswith("Certificate")
    return {"SignCertificate" if certificate else wanted}
