"""Profiles the gateway: the thirty functions with the highest own time.

Run: ``python benchmarks/hotspots.py durable|live|upgrade [--payload heartbeat]``. cProfile slows Python
calls down but not native ones: compare shares and counts, not times.
"""

import argparse
import cProfile
import os
import pstats
import signal
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

GATEWAY = "--gateway"  # this file starts itself with it, as the server


def main() -> None:
    """Profile a run and print it."""
    import servers  # noqa: PLC0415 - not in the server's process

    parser = argparse.ArgumentParser(description="Profile the gateway under load.")
    parser.add_argument("class_", choices=("durable", "live", "upgrade"), metavar="durable|live|upgrade")
    parser.add_argument("--payload", default="meter", choices=("heartbeat", "status", "meter", "transaction"))
    parser.add_argument("--connections", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=5.0)
    given = parser.parse_args()

    servers.build_load()
    with tempfile.TemporaryDirectory() as room:
        result = Path(room) / "profile"
        launch = (__file__, GATEWAY, str(result), "serve")
        options = {"payload": given.payload, "connections": given.connections}
        extra = servers.LIVE if given.class_ == "live" else ""
        with servers.voltgate(extra, launch) as server, servers.Load(server, options) as load:
            if given.class_ == "upgrade":
                server.process.send_signal(signal.SIGUSR1)
                load.connect()
                what = f"{given.connections:,} chargers connected"
            else:
                load.connect()
                load.go(1.0)
                server.process.send_signal(signal.SIGUSR1)
                what = f"{load.go(given.seconds)['answered']:,} messages answered"
            server.process.send_signal(signal.SIGUSR2)
            while not result.exists():
                time.sleep(0.05)
        print(f"{what}; ncalls over that is calls for each")
        pstats.Stats(str(result)).sort_stats("tottime").print_stats(30)


def serve(result: Path, words: list[str]) -> None:
    """The gateway, profiled from SIGUSR1 to SIGUSR2, without its start."""
    profile = cProfile.Profile()
    signal.signal(signal.SIGUSR1, lambda number, frame: profile.enable())
    signal.signal(signal.SIGUSR2, lambda number, frame: finish())

    def finish() -> None:
        profile.disable()
        half = result.with_suffix(".part")
        profile.dump_stats(str(half))
        os.rename(half, result)  # atomic: a reader never sees half of it

    from voltgate.cli import main as command  # noqa: PLC0415 - behind the signal handlers

    sys.argv = ["voltgate", *words]
    command()


if __name__ == "__main__":
    run = partial(serve, Path(sys.argv[2]), sys.argv[3:]) if sys.argv[1:2] == [GATEWAY] else main
    run()
