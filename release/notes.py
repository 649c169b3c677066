"""What CHANGELOG.md says of a release."""

import re


class NoSectionError(Exception):
    """The changelog does not have the release."""


def section(changelog: str, version: str) -> str:
    """The section of ``version``, behind what is not in a release yet. Raises NoSectionError."""
    parts = re.split(r"(?m)^(?=## )", changelog)
    wanted = [
        part for part in parts if re.match(rf"## (?:Unreleased|{re.escape(version)})(?: |$)", part, re.M)
    ]
    if not any(part.startswith(f"## {version}") for part in wanted):
        raise NoSectionError(f"CHANGELOG.md has no section {version}")
    return "".join(wanted)


def open_points(changelog: str, version: str) -> list[str]:
    """What has to be written before the tag."""
    faults = []
    if re.search(r"(?m)^## Unreleased$", changelog):
        faults.append("CHANGELOG.md has a section Unreleased")
    if re.search(rf"(?m)^## {re.escape(version)} \(unreleased\)$", changelog):
        faults.append(f"CHANGELOG.md says that {version} is unreleased")
    return faults
