"""Login by a link that works once, sessions, keys, and requests of other sites."""

import asyncio
import json
import re
from datetime import timedelta
from typing import Any

import pytest

from csms.console.desk import Answer, Books, Desk
from e2e.strangers import until
from voltgate.csms.console import keys, persons
from voltgate.csms.console.people import Kind
from voltgate.csms.console.writer import Writer
from voltgate.csms.ledger import times

FIRST = re.compile(r'<script type="application/json" id="first">(.*?)</script>')


async def linked(console: Desk, name: str = "ann", role: str = "operator", **more: Any) -> str:
    """The secret of a login link of an operator."""
    await console.ask("PUT", f"/people/{name}", {"role": role, **more})
    link = await console.ask("POST", f"/people/{name}/link")
    return str(link.json["url"].partition("?link=")[2])


async def login(console: Desk, secret: str, **headers: str) -> Answer:
    async with console.http.post(
        f"{console.url}/login", data={"link": secret}, headers=headers, allow_redirects=False
    ) as response:
        return Answer(response.status, response.headers, await response.text(), None)


def cookie(answer: Answer) -> dict[str, str]:
    return {"Cookie": answer.headers["Set-Cookie"].partition(";")[0]}


async def test_a_link_works_once_and_begins_a_session(console: Desk, books: Books) -> None:
    books.charger()
    secret = await linked(console)
    async with console.http.get(f"{console.url}/login?link={secret}") as page:
        assert 'data-testid="login"' in await page.text()
    answer = await login(console, secret)
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    said = answer.headers["Set-Cookie"]
    assert "HttpOnly" in said
    assert "SameSite=Strict" in said
    me = await console.get("/me", role=None, headers=cookie(answer))
    assert me == {"name": "ann", "role": "operator", "sites": None, "by": "session"}
    async with console.http.get(f"{console.url}/", headers=cookie(answer)) as page:
        assert (page.status, "main.js" in await page.text()) == (200, True)
    async with console.http.get(f"{console.url}/", allow_redirects=False) as page:
        assert (page.status, page.headers["Location"]) == (303, "/login")
    assert (await login(console, secret)).status == 403


async def test_a_page_has_the_first_rows_of_who_asks_as_data(console: Desk, books: Books) -> None:
    """Shown before there is a stream of events; no cache keeps them, and markup in a name is none."""
    for charger, site in (("</script><b>", "north"), ("CP2", "south")):
        books.charger(charger, site)
    books.position(1)
    await until(lambda: console.console.live.streams)
    session = cookie(await login(console, await linked(console, sites=["north"])))
    async with console.http.get(f"{console.url}/chargers", headers=session) as page:
        found = FIRST.findall(await page.text())
        assert page.headers["Cache-Control"] == "private, no-store"
    assert [json.loads(one)["chargers"]["id"] for one in found] == [["</script><b>"]]


async def test_of_two_who_use_a_link_at_once_one_gets_in(console: Desk) -> None:
    secret = await linked(console)
    answers = await asyncio.gather(*(login(console, secret) for _ in range(5)))
    assert sorted(one.status for one in answers) == [303, 403, 403, 403, 403]


async def test_what_was_made_elsewhere_a_moment_ago_lets_in(console: Desk) -> None:
    """By a terminal, while the console has still to read what came before it."""
    terminal = Writer(console.client.jetstream(), "ops")
    following: Any = console.console.door._caught_up  # noqa: SLF001 - held up below
    await console.key()  # of the requests below that are answered at once
    for way in ("key", "link"):
        async with following.__self__._news:  # noqa: SLF001 - nothing more is read meanwhile
            await console.client.publish("ops.person.noise.x", b"{}")
            if way == "key":
                key = await persons.new_key(terminal, "new", "viewer", None)
                headers = {"Authorization": f"Bearer {key}"}
                asking = asyncio.create_task(console.ask("GET", "/me", role=None, headers=headers))
            else:
                url = await persons.terminal_link(terminal, console.console.config, "bob", "viewer", None)
                asking = asyncio.create_task(login(console, url.partition("?link=")[2]))
            for _ in range(3):
                await console.get("/me")
            assert not asking.done()
        assert (await asking).status == (200 if way == "key" else 303)


async def test_a_link_is_over_after_its_time(console: Desk) -> None:
    await console.ask("PUT", "/people/ann", {"role": "viewer"})
    old = console.console.now() - timedelta(minutes=16)
    secret = await persons.new_link(console.console.writer, "ann", old)
    assert (await login(console, secret)).status == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"X-Voltgate": "1"}, 200),
        ({"X-Voltgate": "1", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"X-Voltgate": "1", "Sec-Fetch-Site": "same-site"}, 403),
        ({"X-Voltgate": "1", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
    ],
)
async def test_a_session_changes_something_from_own_pages_only(
    headers: dict[str, str], status: int, console: Desk
) -> None:
    session = cookie(await login(console, await linked(console, role="manager")))
    answer = await console.ask("PUT", "/sites/a", {"name": "A"}, role=None, headers=session | headers)
    assert answer.status == status, answer.text
    assert (await console.ask("GET", "/me", role=None, headers=session)).status == 200


async def test_another_site_cannot_log_anybody_in(console: Desk) -> None:
    secret = await linked(console)
    assert (await login(console, secret, **{"Sec-Fetch-Site": "cross-site"})).status == 403
    assert (await login(console, secret)).status == 303, "the link was not used up"


async def test_removed_people_and_keys_are_out_at_once_and_stay_out(console: Desk) -> None:
    session = cookie(await login(console, await linked(console)))
    key = await console.ask("POST", "/keys/billing", {"role": "viewer", "sites": ["north"]})
    bearer = {"Authorization": f"Bearer {key.json['key']}"}
    assert (await console.get("/me", role=None, headers=bearer))["sites"] == ["north"]
    assert (await console.ask("POST", "/keys/billing", {"role": "viewer"})).status == 409
    for path in ("/people/ann", "/keys/billing"):
        assert (await console.ask("DELETE", path)).status == 204
    for headers in (session, bearer):
        assert (await console.ask("GET", "/me", role=None, headers=headers)).status == 401
    await console.ask("PUT", "/people/ann", {"role": "admin"})
    assert (await console.ask("GET", "/me", role=None, headers=session)).status == 401


@pytest.mark.parametrize(("operator", "minutes"), [("ann", -1), ("nobody", 1)])
async def test_a_session_that_is_over_or_of_nobody_opens_no_page(
    operator: str, minutes: int, console: Desk
) -> None:
    """A login may have been under way while the person was removed."""
    await console.ask("PUT", "/people/ann", {"role": "viewer"})
    until = times.text(console.console.now() + timedelta(minutes=minutes))
    body = {"operator": operator, "until": until}
    await console.console.writer.put(Kind.SESSION, keys.id_of("s"), body, lasts=timedelta(minutes=5))
    session = {"Cookie": f"{console.console.door.cookie}=s"}
    async with console.http.get(f"{console.url}/", headers=session, allow_redirects=False) as page:
        assert (page.status, page.headers.get("Location")) == (303, "/login")


async def test_another_role_holds_at_once(console: Desk) -> None:
    session = cookie(await login(console, await linked(console)))
    await console.ask("PUT", "/people/ann", {"role": "viewer", "sites": ["north"]})
    me = await console.get("/me", role=None, headers=session)
    assert (me["role"], me["sites"]) == ("viewer", ["north"])


async def test_logout(console: Desk) -> None:
    session = cookie(await login(console, await linked(console)))
    async with console.http.post(f"{console.url}/logout", headers=session, allow_redirects=False) as response:
        assert response.status == 303
    assert (await console.ask("GET", "/me", role=None, headers=session)).status == 401


async def test_guessing_is_slowed_and_locks_nobody_out(console: Desk) -> None:
    statuses = [
        (await console.ask("GET", "/me", role=None, headers={"Authorization": f"Bearer {guess}"})).status
        for guess in ["", "x", keys.new_key().text, *map(str, range(9))]
    ]
    assert statuses == [401] * 10 + [429] * 2
    assert (await login(console, "guess")).status == 429
    assert (await console.ask("GET", "/me")).status == 200
    assert (await login(console, await linked(console))).status == 303


async def test_answers_carry_the_headers_that_keep_browsers_safe(console: Desk) -> None:
    for path in ("/health", "/login"):
        answer = await console.ask("GET", path, role=None)
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "aiohttp" not in answer.headers["Server"]


async def test_nothing_secret_is_stored(console: Desk) -> None:
    secret = await linked(console)
    answer = await login(console, secret)
    key = (await console.ask("POST", "/keys/billing", {"role": "viewer"})).json["key"]
    stored = await messages(console)
    session = cookie(answer)["Cookie"].partition("=")[2]
    for one in (secret, session, key, key.rpartition("_")[2]):
        assert not [message for message in stored if one in message]
    assert len(console.console.people.rows(Kind.SESSION)) == 1


async def messages(console: Desk) -> list[str]:
    """Whatever OPS_PEOPLE has, subjects and bodies."""
    jetstream: Any = console.client.jetstream()
    info = await jetstream.stream_info("OPS_PEOPLE", subjects_filter=">")
    found = [await jetstream.get_last_msg("OPS_PEOPLE", subject) for subject in info.state.subjects]
    return [f"{one.subject} {(one.data or b'').decode()}" for one in found]
