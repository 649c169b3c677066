"""``voltgate policy``: prints the policy of each action a charger may send (docs/contract.md 3.4)."""

from typing import Annotated, Any

import typer

from voltgate.cli.faults import EXIT_CODES
from voltgate.cli.service import loaded
from voltgate.cli.terminal import AsJson, ConfigFile, coloured, on_terminal, out, out_json
from voltgate.cli.versions import VersionOption, version_token
from voltgate.policy import Rule, rules

app = typer.Typer()

COLUMNS = ("version", "action", "class", "answer", "validation", "fallback")


@app.command(epilog=f"Columns are separated by tabs if stdout is not a terminal. {EXIT_CODES}")
def policy(
    config: ConfigFile = None, version: Annotated[str, VersionOption] = "", as_json: AsJson = False
) -> None:
    """Print the policy of each action.

    The columns are its class, what answers it, how strictly it is validated, and the fallback.
    """
    wanted = version_token(version) if version else ""
    table = rules(loaded(config))
    chosen = [rule for name, rows in table.items() if wanted in ("", name) for rule in rows.values()]
    if as_json:
        out_json([_record(rule) for rule in chosen])
    elif on_terminal():
        _table(chosen)
    else:
        out("\t".join(COLUMNS))
        for rule in chosen:
            out("\t".join(_row(rule)))


def _asked(rule: Rule) -> bool:
    """Whether the fallback can be used: only a question to a backend can stay unanswered."""
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


def _table(chosen: list[Rule]) -> None:
    from rich.console import Console  # noqa: PLC0415 - only for a terminal
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold" if coloured() else "")
    for column in COLUMNS:
        table.add_column(column, no_wrap=column != "fallback", overflow="fold")
    for rule in chosen:
        table.add_row(*map(Text, _row(rule)))
    Console(no_color=not coloured()).print(table)
