"""Contract certificates of vehicles: a folder with answers for ISO 15118 (docs/csms/backend.md).

``<PCID or eMAID>.exi`` is the EXI message for the vehicle whose request holds that name, as whoever provides
the certificates has made it.
"""

from base64 import b64decode, b64encode
from binascii import Error
from pathlib import Path

# Characters of an exiResponse.
LONGEST = {"v201": 7_500, "v21": 17_000}


class Contracts:
    """The folder. Raises NotADirectoryError."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise NotADirectoryError(f"{folder}: is not a folder")
        self._folder = folder

    def answer(self, version: str, request: str) -> str | None:
        """The ``exiResponse`` to an ``exiRequest``, None if there is none that fits."""
        try:
            message = b64decode(request, validate=True)
        except Error:
            return None
        shifted = shifts(message)
        found = [
            file
            for file in self._folder.glob("*.exi")
            if any(file.stem.encode() in one for one in shifted) and file.is_file()
        ]
        if not found:
            return None
        answer = b64encode(max(found, key=lambda file: len(file.stem)).read_bytes()).decode()
        return answer if 0 < len(answer) <= LONGEST[version] else None


def shifts(message: bytes) -> list[bytes]:
    """The message from each of its first eight bits on: EXI does not align its values to bytes."""
    bits = int.from_bytes(message)
    return [(bits >> shift).to_bytes(len(message)) for shift in range(8)]
