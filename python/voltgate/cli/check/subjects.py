"""How subject patterns of NATS relate to each other."""


def covers(wide: str, narrow: str) -> bool:
    """Whether every subject of ``narrow`` is one of ``wide``."""
    a, b = wide.split("."), narrow.split(".")
    for position, token in enumerate(a):
        if token == ">":  # noqa: S105
            return len(b) > position
        if position >= len(b) or b[position] == ">" or (token != "*" and token != b[position]):  # noqa: S105
            return False
    return len(a) == len(b)


def meets(one: str, other: str) -> bool:
    """Whether some subject matches both."""
    a, b = one.split("."), other.split(".")
    for x, y in zip(a, b, strict=False):
        if ">" in (x, y):
            return True
        if x != y and "*" not in (x, y):
            return False
    return len(a) == len(b)


def uncovered(patterns: list[str]) -> list[str]:
    """The patterns that no other pattern covers."""
    patterns = list(dict.fromkeys(patterns))
    return [one for one in patterns if not any(covers(other, one) for other in patterns if other != one)]
