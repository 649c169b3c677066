"""Login by a link that works once, and logout: pages without script. The shell is for people with a session.

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
from voltgate.csms.console.shell import LANGUAGES, Shell, language_of
from voltgate.csms.ledger import times

_PAGE = """<!doctype html>
<html lang="{language}"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>Voltgate</title>
{styles}</head><body class="door"><main data-testid="login"><h1>Voltgate</h1>{inner}</main></body></html>
"""
_FORM = """<form method="post" action="/login"><input type="hidden" name="link" value="{}">
<p>{}</p><button type="submit" class="primary">{}</button></form>"""
# Each in the order of LANGUAGES, as the tables of the pages are.
TEXTS = {
    "press": ("This link logs you in once.", "Dieser Link meldet dich einmal an."),
    "login": ("Log in", "Anmelden"),
    "spent": (
        "This link has been used or is too old. Ask for another one.",
        "Dieser Link wurde schon benutzt oder ist zu alt. Bitte um einen neuen.",
    ),
    "wanted": (
        "Open the login link that you were given.",
        "Öffne den Link, den du zum Anmelden bekommen hast.",
    ),
}


def routes(console: Console, shell: Shell) -> list[web.RouteDef]:
    """Of one console. The last route takes every address of a page."""

    def page(request: web.Request, text: str, status: int = 200, link: str = "") -> web.Response:
        language = language_of(request)
        inner = f"<p>{TEXTS[text][language]}</p>"
        if link:
            inner = _FORM.format(escape(link, quote=True), TEXTS[text][language], TEXTS["login"][language])
        return web.Response(
            text=_PAGE.format(language=LANGUAGES[language], styles=shell.styles(), inner=inner),
            status=status,
            content_type="text/html",
            headers={"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"},
        )

    async def show(request: web.Request) -> web.Response:
        link = request.query.get("link", "")
        return page(request, "press" if link else "wanted", link=link)

    async def start(request: web.Request) -> web.Response:
        if (principal := await console.door.known(request)) is not None:
            return shell.shown(console.live.top(principal))
        return web.Response(status=303, headers={"Location": "/login", "Cache-Control": "no-store"})

    async def login(request: web.Request) -> web.Response:
        console.door.from_own_pages(request, header=False)
        form = parse_qs((await request.read()).decode(errors="replace"))
        found = await console.door.linked(request, form.get("link", [""])[0])
        if found is None:
            console.door.failed(request)
            return page(request, "spent", 403)
        revision, operator = found
        try:
            await console.writer.remove(Kind.LINK, keys.id_of(form["link"][0]), revision)
        except Problem as problem:
            if problem.kind is Faults.CHANGED:  # used by somebody else in this very moment
                return page(request, "spent", 403)
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
        web.get("/login", show),
        web.post("/login", login),
        web.post("/logout", logout),
        web.get("/static/{file:.+}", shell.static),
        web.get("/sw.js", shell.worker),
        web.get("/{page:(?!api/|static/|files/|receipts/).*}", start),
    ]
