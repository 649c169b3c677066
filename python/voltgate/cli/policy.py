"""``voltgate policy``: prints the policy of each action of a charger (docs/contract.md 3.4)."""

from typing import Annotated, Any

import typer

from voltgate.cli.faults import EXIT_CODES
from voltgate.cli.service import loaded
from voltgate.cli.terminal import AsJson, ConfigFile, out_json, print_table
from voltgate.cli.versions import VersionOption, version_token
from voltgate.policy import Rule, rules

app = typer.Typer()

COLUMNS = ("version", "action", "class", "answer", "validation", "fallback")


@app.command(epilog=f"Columns are separated by tabs if stdout is not a terminal. {EXIT_CODES}")
def policy(
    config: ConfigFile = None, version: Annotated[str, VersionOption] = "", as_json: AsJson = False
) -> None:
    """Print the policy of each action.

    Columns: class, origin of the answer, validation level, and fallback.
    """
    wanted = version_token(version) if version else ""
    table = rules(loaded(config))
    chosen = [rule for name, rows in table.items() if wanted in ("", name) for rule in rows.values()]
    if as_json:
        out_json([_record(rule) for rule in chosen])
    else:
        print_table(COLUMNS, [_row(rule) for rule in chosen])


def _asked(rule: Rule) -> bool:
    """Whether the fallback applies: only a question to a backend can remain unanswered."""
    return rule.answer.startswith("backend")


def _row(rule: Rule) -> tuple[str, ...]:
    fallback = str(rule.fallback) if _asked(rule) else ""
    return (rule.version, rule.action, rule.class_, rule.answer, rule.validation, fallback)


def _record(rule: Rule) -> dict[str, Any]:
    record: dict[str, Any] = dict(zip(COLUMNS, _row(rule), strict=True))
    if not _asked(rule):
        record["fallback"] = None
    elif rule.fallback.payload is not None:
        record["fallback"] = rule.fallback.payload
    return record
