"""Failures of commands: a line with the remedy, and the exit code (docs/contract.md 4.1)."""

import traceback

from voltgate.config import ConfigError

DONE, FAILED, USAGE, INTERRUPTED, READER_LEFT = 0, 1, 2, 130, 141
EXIT_CODES = "Exit codes: 0 done, 1 failed, 2 usage or config."


class Failure(Exception):
    """The command cannot do its work. The text has one line per fault, each with its remedy."""

    def __init__(self, text: str, code: int = FAILED) -> None:
        super().__init__(text)
        self.code = code


class ReaderLeft(Exception):
    """The reader of stdout has closed it, as with ``| head``."""


def explained(error: Exception) -> tuple[str, int]:
    """The text for an error, one line per fault, and the exit code."""
    # Lazy imports: if the error came from these modules, they are already loaded.
    from voltgate.gateway.admin import AdminError  # noqa: PLC0415
    from voltgate.gateway.bus.connect import BusError, SettingError  # noqa: PLC0415
    from voltgate.gateway.listening import ListenError  # noqa: PLC0415
    from voltgate.gateway.preflight import StartError  # noqa: PLC0415

    if isinstance(error, ExceptionGroup):  # of a task group around what failed
        told = [explained(one) for one in error.exceptions]
        return "\n".join(dict.fromkeys(text for text, _ in told)), max(code for _, code in told)
    if isinstance(error, Failure):
        return str(error), error.code
    if isinstance(error, ConfigError | SettingError):
        return str(error), USAGE
    if isinstance(error, AdminError | BusError | ListenError | StartError):
        return str(error), FAILED
    if isinstance(
        error, UnicodeEncodeError
    ):  # Python keeps bytes of arguments that are not text as surrogates
        return f"{error.object!r}: is not UTF-8", USAGE
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}", FAILED
    origin = traceback.extract_tb(error.__traceback__)[-1]
    what = f"{type(error).__name__}: {error}".splitlines()[0]
    return f"this is a bug in voltgate, please report it: {what} ({origin.filename}:{origin.lineno})", FAILED
