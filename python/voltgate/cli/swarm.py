"""``voltgate swarm``: simulated chargers by the thousand, in processes of their own, and what they saw."""

import asyncio
import csv
import ipaddress
import math
import resource
import socket
import ssl
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from time import monotonic
from typing import Annotated, Any
from urllib.parse import urlsplit

import orjson
import typer

from voltgate.charger.behaviour import Latencies
from voltgate.charger.swarm import MAX_LINE, Plan, Report
from voltgate.charger.tally import Tally
from voltgate.cli.faults import EXIT_CODES, FAILED, USAGE, Failure
from voltgate.cli.progress import Progress, progress
from voltgate.cli.service import on_signals, run
from voltgate.cli.terminal import AsJson, ConfigFile, out, out_json, say
from voltgate.cli.versions import version_token
from voltgate.schemas import SUBPROTOCOLS

app = typer.Typer()

PER_PROCESS = 5_000
PER_ADDRESS = 20_000  # of about 28,000 ports a source address has; a storm needs some twice
SPARE_DESCRIPTORS = 100
PATIENCE = 60.0  # seconds in which at least one more charger must get in
GRACE = 35.0  # an answer has 30 s
HURRY = 2.0  # after Ctrl-C
CONNECT_SECONDS = 5.0
