"""How tokens are shown. The database has their pseudonyms; who may see a token is decided here alone."""

from voltgate.csms.console.people import People
from voltgate.csms.console.roles import Principal, Role

SHOWN = 4  # characters at the end of a masked token


def shown(pseudonym: str, people: People, principal: Principal) -> str | None:
    """The token behind a pseudonym, masked for viewers; the pseudonym where nobody knows it."""
    if not pseudonym:
        return None
    known = people.token(pseudonym)
    if known is None:
        return pseudonym
    return known.text if principal.role >= Role.OPERATOR else masked(known.text)


def masked(text: str) -> str:
    """``••••B3C4``: no more of a short token than half of it."""
    return "••••" + text[max(len(text) - SHOWN, (len(text) + 1) // 2) :]
