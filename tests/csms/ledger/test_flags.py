"""The closed list of flags is the one of the docs."""

import re
from pathlib import Path

from voltgate.csms.ledger.flags import Flag, joined, split

PAGE = (Path(__file__).parents[3] / "docs" / "csms" / "ledger.md").read_text()


def test_the_flags_in_the_docs_are_those_in_code_with_their_words() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (yes|no) \|$", PAGE, re.MULTILINE)
    assert rows == [(flag.label, flag.words, "yes" if flag.review else "no") for flag in Flag]


def test_a_column_keeps_flags_in_order() -> None:
    flags = {Flag.SEVERAL_STOPS, Flag.END_PRESUMED}
    assert joined(flags) == "end_presumed several_stops"
    assert split(joined(flags)) == flags
    assert split("") == set()
