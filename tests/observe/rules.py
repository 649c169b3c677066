"""The rules that are shipped, read from their files."""

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
FILES = [PROMETHEUS / f"{name}.yaml" for name in ("recording", "alerts", "slos")]
RUNBOOKS = ROOT / "docs" / "runbooks"


def announced() -> set[str]:
    """Metrics that docs/contract.md calls not served yet; what is shipped may read them already."""
    part = (ROOT / "docs" / "contract.md").read_text().split("### 4.4 Metrics")[1].split("\n### ")[0]
    return set(re.findall(r"`(voltgate_\w+)`", part.partition("Not served yet:")[2]))


def rules(*files: Path) -> list[dict[str, Any]]:
    """Every rule of these files, of all by default."""
    groups = [group for file in files or FILES for group in yaml.safe_load(file.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def alerts(*files: Path) -> dict[str, dict[str, Any]]:
    """The alerting rules by name; of several with one name (sloth: page and ticket) the last."""
    return {rule["alert"]: rule for rule in rules(*files) if "alert" in rule}
