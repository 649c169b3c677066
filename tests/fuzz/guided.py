"""One Python target under atheris: ``python -m fuzz.guided session CORPUS -max_total_time=60``.

The product is instrumented as it is imported, so that inputs that reach new lines of it are kept.
"""

import importlib
import logging
import sys

import atheris
import structlog


def main() -> None:
    """Never returns: libFuzzer ends the process."""
    _, target, *options = sys.argv
    logging.disable()
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    with atheris.instrument_imports(include=["voltgate.gateway", "websockets", "nats"]):
        one = importlib.import_module(f"fuzz.{target}").one
    atheris.Setup([f"fuzz.{target}", *options], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
