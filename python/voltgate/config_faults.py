"""Faults of the configuration in words: source of the value, key, what to do (docs/contract.md 4.2)."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from voltgate.config_lines import Key
from voltgate.config_sources import ENV_PREFIX, Sources

Known = Mapping[str, "Known"]
"""The keys of a table, and below each its own; ``"*"`` stands for any name."""


def line(sources: Sources, key: Key, text: str, known: Known | None = None) -> str:
    """One line for a fault. ``known``: the keys, where this one is not among them."""
    source = sources.of(key)
    name = ".".join(map(str, key))
    if known is not None:
        text += _did_you_mean(key, known, is_variable=source in sources.variables.values())
    return ": ".join(part for part in (source, name, text) if part)


def known(model: type[BaseModel]) -> dict[str, Known]:
    """The keys of a model; of a list of sections, those of an entry."""

    def inner(default: Any) -> Known:
        section = default[0] if isinstance(default, list) and default else default
        return known(type(section)) if isinstance(section, BaseModel) else {}

    return {field.alias or name: inner(field.default) for name, field in model.model_fields.items()}


def unknown_variables(sources: Sources, known: Known) -> list[str]:
    """A line for each environment variable that begins as ours do, and names no section."""
    names = {"_".join(key): key for key in _leaves(known, ())}
    found = []
    for key, name in sorted(sources.variables.items()):
        if key[0] not in known:
            close = difflib.get_close_matches("_".join(key), names, 1, 0.75)
            remedy = f"did you mean {_variable(names[close[0]])}?" if close else "remove the variable"
            found.append(f"{name}: no such key; {remedy}")
    return found


def not_json(sources: Sources, model: type[BaseModel]) -> list[str]:
    """A line for each variable that must be JSON and is not: whole sections, and lists."""
    found = []
    for key, name in sources.variables.items():
        value: Any = model.model_fields[key[0]].default if key[0] in model.model_fields else ""
        for part in key[1:]:
            value = getattr(value, part, "")
        if isinstance(value, BaseModel | list | dict) and name in sources.texts:
            remedy = 'write a list in JSON: ["a", "b"]'
            if isinstance(value, BaseModel):
                remedy = (
                    f"use a variable for each key, such as {name}__{next(iter(known(type(value)))).upper()}"
                )
            found.append(f"{name}: is not JSON: {remedy}")
    return found


def _leaves(known: Known, above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for name, inner in known.items():
        yield from _leaves(inner, (*above, name)) if inner else [(*above, name)]


def _did_you_mean(key: Key, known: Known, is_variable: bool) -> str:
    *above, wrong = key
    table: Known = known
    for part in above:
        table = table if isinstance(part, int) else table.get(part, table.get("*", {}))
    if close := difflib.get_close_matches(str(wrong).lower(), table, 1):
        meant = (*above, close[0])
    elif elsewhere := [section for section, keys in known.items() if wrong in keys]:
        meant = (elsewhere[0], wrong)
    else:
        return "; `voltgate config example` lists all keys"
    names = [part for part in meant if isinstance(part, str)]
    is_variable &= len(names) == len(meant)  # an entry of a list has no variable of its own
    return f"; did you mean {_variable(names) if is_variable else '.'.join(map(str, meant))}?"


def _variable(key: Iterable[str]) -> str:
    return ENV_PREFIX + "__".join(key).upper()


# -- what pydantic found, in words ------------------------------------------------------------------

_KINDS = {
    "string_type": "text in quotes",
    "list_type": "a list",
    "tuple_type": "a list",
    "model_type": "a table",
    "dict_type": "a table",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
}
_BOUNDS = {
    "greater_than_equal": ("ge", "must be at least {}"),
    "greater_than": ("gt", "must be more than {}"),
    "less_than_equal": ("le", "must be at most {}"),
    "less_than": ("lt", "must be less than {}"),
    "literal_error": ("expected", "must be {}"),
    "too_short": ("min_length", "must have at least {} entries"),
    "too_long": ("max_length", "must have at most {} entries"),
    "string_too_short": ("min_length", "must have at least {} characters"),
    "string_too_long": ("max_length", "must have at most {} characters"),
}


def explained(faults: Iterable[Mapping[str, Any]], sources: Sources, known: Known) -> list[str]:
    """A line for each fault that pydantic found."""
    kinds: dict[Key, list[str]] = {}  # of a key that takes several, each is a fault
    texts: list[tuple[Key, str, Known | None]] = []
    for fault in faults:
        key = tuple(
            part for part in fault["loc"] if not re.fullmatch(r"str|(list|dict)\[.*|\[key\]", str(part))
        )
        if kind := _KINDS.get(fault["type"]):
            if key not in kinds:
                texts.append((key, "", None))
            kinds.setdefault(key, []).append(kind)
        elif fault["type"] == "extra_forbidden":
            texts.append((key, "no such key", known))
        else:
            texts.append((*_of_a_section(key, _text(fault), known, sources), None))
    return [
        line(sources, key, text or _of_kind(key, list(dict.fromkeys(kinds[key])), known), table)
        for key, text, table in texts
    ]


def _of_kind(key: Key, kinds: list[str], known: Known) -> str:
    text = f"must be {' or '.join(kinds)}"
    if key[-1] not in known:
        return text
    return f"{text}: write [[{key[-1]}]]" if kinds == ["a list"] else f"{text}: write [{key[-1]}]"


def _text(fault: Mapping[str, Any]) -> str:
    kind, context = fault["type"], fault.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "missing":
        return "is missing"
    if kind == "string_pattern_mismatch":
        words = ", or up to four of that joined by dots" if r"\." in context["pattern"] else ""
        return f"must be 1 to 32 letters, digits, _ or -{words}"
    if kind in _BOUNDS:
        name, form = _BOUNDS[kind]
        bound = context[name]
        text = form.format(f"{bound:g}" if isinstance(bound, float) else str(bound).replace("'", '"'))
        return text.replace("1 entries", "1 entry")
    return "is not valid"


def _of_a_section(key: Key, text: str, known: Known, sources: Sources) -> tuple[Key, str]:
    """The key that a fault of a whole section is about: the first of those in its text that is set."""
    table: Known = known
    for part in key:
        table = table if isinstance(part, int) else table.get(part, {})
    named: list[Key] = [(*key, word) for word in re.findall(r"\w+", text) if word in table]
    if not named:
        return key, text
    return next(filter(sources.of, named), named[0]), text.removeprefix(f"{named[0][-1]}: ")
