"""Files of other people in the repository: take them from npm by name and version, and verify.

``python deploy/release/vendor.py`` reads each ``vendor.json``, which pins packages by the SHA-512 that npm
has, and writes their files with their licences. A file is as npm has it but for ``replace``: browsers resolve
no bare names, and an import map would be an inline script. A test (csms/pages) compares the files offline.
"""

import base64
import hashlib
import json
import re
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from steps import ROOT, FailedError, run

PLACES = (
    ROOT / "python" / "voltgate" / "csms" / "console" / "static" / "vendor",
    ROOT / "tests" / "csms" / "pages" / "vendor",
)


def digest(content: bytes) -> str:
    """As npm writes it."""
    return f"sha512-{base64.b64encode(hashlib.sha512(content).digest()).decode()}"


def packed(name: str, version: str, folder: Path) -> bytes:
    """The tarball of a package. Raises FailedError."""
    run("npm", "pack", "--silent", "--pack-destination", folder, f"{name}@{version}")
    (file,) = folder.iterdir()
    return file.read_bytes()


def read(members: tarfile.TarFile, name: str) -> str:
    """A file of a package. Raises FailedError."""
    try:
        member = members.extractfile(f"package/{name}")
    except KeyError:
        member = None
    if member is None:
        raise FailedError(f"no file {name}")
    return member.read().decode()


def symbol(name: str, icon: str) -> str:
    """One icon of a sprite; colour and width of its lines are the page's."""
    (inner,) = re.findall(r"<svg[^>]*>(.*)</svg>", icon, re.DOTALL)
    return f'<symbol id="{name}" viewBox="0 0 24 24">{" ".join(inner.split())}</symbol>\n'


def taken(package: dict[str, Any], place: Path, folder: Path) -> None:
    """Write the files of one package and note their hashes. Raises FailedError."""
    content = packed(package["name"], package["version"], folder)
    if digest(content) != package["integrity"]:
        raise FailedError(f"{package['name']}: the tarball is not the one that is pinned: {digest(content)}")
    archive = folder / "package.tgz"
    archive.write_bytes(content)
    with tarfile.open(archive) as members:
        for target, file in package["files"].items():
            if "sprite" in file:
                symbols = (
                    symbol(name, read(members, f"{file['sprite']}/{name}.svg")) for name in file["icons"]
                )
                text = f'<svg xmlns="http://www.w3.org/2000/svg">\n{"".join(symbols)}</svg>\n'
            else:
                text = read(members, file["from"])
            for old, new in file.get("replace", {}).items():
                text = text.replace(old, new)
            (place / target).write_text(text)
            file["sha512"] = digest(text.encode())


def main() -> None:
    """Write all files."""
    for place in PLACES:
        manifest = place / "vendor.json"
        packages = json.loads(manifest.read_text())
        for package in packages:
            with tempfile.TemporaryDirectory() as folder:
                taken(package, place, Path(folder))
            print(f"{package['name']} {package['version']} ({package['licence']})")
        manifest.write_text(json.dumps(packages, indent=2) + "\n")


if __name__ == "__main__":
    try:
        main()
    except FailedError as error:
        sys.exit(str(error))
