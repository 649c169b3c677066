"""The YAML that is written, read back by its rules: JSON in quotes, plain words without."""

from voltgate.cli.asyncapi.yaml import dumped


def test_maps_lists_and_scalars() -> None:
    value = {
        "a": {"b": {"c": "x y"}, "list": [1, {"$ref": "#/x", "deep": {"e": None}}, "no"], "none": {}},
        "long": {"one": "x" * 60, "two": "y" * 60},
        "text": 'quoted: "yes"',
        "true": True,
    }
    assert dumped(value) == (
        "a:\n"
        "  b:\n"
        "    c: x y\n"
        "  list:\n"
        "    - 1\n"
        '    - "$ref": "#/x"\n'
        "      deep: {e: null}\n"
        '    - "no"\n'
        "  none: {}\n"
        "long:\n"
        f"  one: {'x' * 60}\n"
        f"  two: {'y' * 60}\n"
        'text: "quoted: \\"yes\\""\n'
        '"true": true\n'
    ).replace("  b:\n    c: x y\n", "  b: {c: x y}\n")


def test_a_number_or_date_in_a_string_is_quoted() -> None:
    assert dumped({"a": "3.1.0", "b": "2026-01-01", "c": "1", "d": "a: b", "e": "- x"}) == (
        'a: "3.1.0"\nb: "2026-01-01"\nc: "1"\nd: "a: b"\ne: "- x"\n'
    )
