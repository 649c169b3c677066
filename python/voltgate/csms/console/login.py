"""Login by a link that works once, what a person sees then, and logout: pages without script.

Opening the link shows a button; pressing it uses the link up. A program that looks at links in messages
therefore does not.
"""

from html import escape
from urllib.parse import parse_qs

from aiohttp import web

from voltgate.csms.console import keys
from voltgate.csms.console.auth import SESSION_LASTS
from voltgate.csms.console.console import Console
from voltgate.csms.console.people import Kind
from voltgate.csms.console.problems import Kind as Faults
from voltgate.csms.console.problems import Problem
from voltgate.csms.ledger import times

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Voltgate</title></head><body><main{}><h1>Voltgate</h1>{}</main></body></html>
"""
_FORM = """<form method="post" action="/login"><input type="hidden" name="link" value="{}">
<button type="submit">Log in</button></form>"""
_SPENT = "<p>This link has been used or is too old. Ask for another one.</p>"
_INSIDE = """<p>You are logged in. Screens are not served yet; a browser shows what the API answers:</p><ul>
<li><a href="/api/v1/chargers">chargers</a></li><li><a href="/api/v1/sessions">sessions</a></li>
<li><a href="/api/v1/alerts">alerts</a></li><li><a href="/api/v1/health">health</a></li></ul>
<form method="post" action="/logout"><button type="submit">Log out</button></form>"""
_WANTED = "<p>Open the login link that you were given.</p>"


def _page(inner: str, status: int = 200, mark: str = ' data-testid="login"') -> web.Response:
    return web.Response(
        text=_PAGE.format(mark, inner),
        status=status,
        content_type="text/html",
        headers={"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"},
    )


def routes(console: Console) -> list[web.RouteDef]:
    """Of one console."""

    async def show(request: web.Request) -> web.Response:
        link = request.query.get("link", "")
        return _page(_FORM.format(escape(link, quote=True)) if link else _WANTED)

    async def start(request: web.Request) -> web.Response:
        if keys.id_of(request.cookies.get(console.door.cookie, "")) in console.people.rows(Kind.SESSION):
            return _page(_INSIDE, mark="")
        return web.Response(status=303, headers={"Location": "/login", "Cache-Control": "no-store"})

    async def login(request: web.Request) -> web.Response:
        console.door.from_own_pages(request, header=False)
        form = parse_qs((await request.read()).decode(errors="replace"))
        found = console.people.by_link(form.get("link", [""])[0], console.now())
        if found is None:
            console.door.failed(request)
            return _page(_SPENT, 403)
        revision, operator = found
        try:
            await console.writer.remove(Kind.LINK, keys.id_of(form["link"][0]), revision)
        except Problem as problem:
            if problem.kind is Faults.CHANGED:  # used by somebody else in this very moment
                return _page(_SPENT, 403)
            raise
        secret = keys.new_secret()
        body = {"operator": operator.name, "until": times.text(console.now() + SESSION_LASTS)}
        await console.writer.put(Kind.SESSION, keys.id_of(secret), body, lasts=SESSION_LASTS)
        response = web.Response(status=303, headers={"Location": "/", "Cache-Control": "no-store"})
        console.door.admit(response, secret)
        return response

    async def logout(request: web.Request) -> web.Response:
        console.door.from_own_pages(request, header=False)
        secret = request.cookies.get(console.door.cookie, "")
        if keys.id_of(secret) in console.people.rows(Kind.SESSION):
            await console.writer.remove(Kind.SESSION, keys.id_of(secret))
        response = web.Response(status=303, headers={"Location": "/login", "Cache-Control": "no-store"})
        console.door.dismiss(response)
        return response

    return [
        web.get("/", start),
        web.get("/login", show),
        web.post("/login", login),
        web.post("/logout", logout),
    ]
