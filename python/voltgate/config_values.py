"""What sections of the configuration are made of: kinds of values, and how a URL is shown."""

import re
from typing import Annotated

from pydantic import ConfigDict, Field

Seconds = Annotated[float, Field(gt=0, le=86_400)]
MOST = (1 << 53) - 1  # of any number: every reader of JSON and TOML has it exactly
# Of every table of the file: unknown keys are faults.
TABLE = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def masked(url: str) -> str:
    """A URL without its password and the values of its query."""
    # By hand: urlsplit finds no password if the scheme is missing, or if the password contains a slash.
    url, query, parameters = url.partition("?")
    secret, at, host = url.rpartition("@")
    scheme = secret.partition("://")[0] + "://" if "://" in secret else ""
    shown = f"{scheme}***@{host}" if at else url
    return shown + query + re.sub(r"=[^&]*", "=***", parameters)
