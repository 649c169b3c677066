"""A gateway that is restarted: its outage is the operator's, and no port's."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from e2e.house import PATIENCE, config, gateway
from e2e.strangers import connected, dial
from jetstream import NatsServer
from voltgate.config import Config
from voltgate.csms.ledger import store
from voltgate.csms.ledger.service import Ledger
from voltgate.csms.ledger.store import Row
from voltgate.csms.uptime import report

ZONE = ZoneInfo("UTC")


def rows(config_: Config, sql: str) -> list[Row]:
    database = store.opened(config_.csms.database)
    try:
        with suppress(Exception), database.begin() as tx:
            return tx.all(sql)
        return []
    finally:
        database.close()
