"""Webhooks: a POST, signed so that the receiver knows who sent it and when.

``Voltgate-Timestamp``: seconds since 1970, of this attempt. ``Voltgate-Signature``: ``sha256=`` and the hex
HMAC-SHA256, with the channel's secret, over the timestamp and the body, without anything between them.
``Voltgate-Id``: of the notice, the same in every attempt: a receiver that answered too late gets it twice.
"""

import hashlib
import hmac
from datetime import datetime

import aiohttp

from voltgate.csms.alerts.channels import Webhook
from voltgate.csms.alerts.notices import Notice

TIMEOUT = aiohttp.ClientTimeout(total=10)


async def post(http: aiohttp.ClientSession, channel: Webhook, notice: Notice, now: datetime) -> str | None:
    """Send a notice. None: the receiver answered 2xx; else why it is not delivered."""
    is_json = channel.format == "json"
    body = notice.json() if is_json else notice.text.encode()
    timestamp = str(int(now.timestamp()))
    headers = {
        "Content-Type": "application/json" if is_json else "text/plain; charset=utf-8",
        "User-Agent": "voltgate",
        "Voltgate-Id": notice.id,
        "Voltgate-Timestamp": timestamp,
    }
    if channel.secret:
        headers["Voltgate-Signature"] = f"sha256={signature(channel.secret, timestamp, body)}"
    try:
        # A redirect would take the signature to where nobody configured it.
        async with http.post(
            channel.url, data=body, headers=headers, timeout=TIMEOUT, allow_redirects=False
        ) as response:
            return None if 200 <= response.status < 300 else f"HTTP status {response.status}"
    except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
        return type(error).__name__


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """The hex digits of a signature."""
    return hmac.new(secret.encode(), timestamp.encode() + body, hashlib.sha256).hexdigest()
