"""The receipt of a session: a page that prints, and works without script."""

from decimal import Decimal
from html import escape
from typing import Any

from aiohttp import web

from voltgate.csms.console.console import Console
from voltgate.csms.console.endpoints import CdrQuery
from voltgate.csms.console.problems import Kind, Problem
from voltgate.csms.console.shell import LANGUAGES, Shell, language_of

_PAGE = """<!doctype html>
<html lang="{language}"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>{title} {number}</title>
{styles}</head><body><main class="receipt" data-testid="receipt">
<h1>{title} {number}</h1>
<dl class="about card">{about}</dl>
<table class="numbers"><caption>{charged}</caption><thead><tr>{heads}</tr></thead>
<tbody>{lines}</tbody>
<tfoot><tr><th scope="row" colspan="3">{total}</th><td><b>{cost}</b></td></tr></tfoot></table>
<p>{with_tax}</p>{documents}<p class="dim"><a href="/sessions/{id}">{back}</a></p>
</main></body></html>
"""
_NOTHING = "-"
_DOCUMENTS = '<h2>{}</h2><table class="numbers"><tbody>{}</tbody></table>'
# In English and in German, as the tables of the pages are.
_TEXTS = {
    "title": ("Receipt", "Beleg"),
    "charger": ("Charger", "Ladepunkt"),
    "begun": ("Started", "Begonnen"),
    "ended": ("Ended", "Beendet"),
    "energy": ("Energy", "Energie"),
    "charged": ("What it costs", "Was es kostet"),
    "for": ("For", "Für"),
    "quantity": ("Quantity", "Menge"),
    "price": ("Price", "Preis"),
    "amount": ("Amount", "Betrag"),
    "total": ("Total", "Summe"),
    "tax": ("All amounts contain tax, together", "Alle Beträge enthalten Steuer, zusammen"),
    "zone": ("All times are UTC.", "Alle Zeiten sind UTC."),
    "documents": ("Invoices and credits", "Rechnungen und Gutschriften"),
    "invoice": ("Invoice", "Rechnung"),
    "credit": ("Credit", "Gutschrift"),
    "provisional": ("provisional", "vorläufig"),
    "back": ("The session on the console", "Der Vorgang auf der Konsole"),
    "line.start": ("Start", "Start"),
    "line.energy": ("Energy", "Energie"),
    "line.charging": ("Charging time", "Ladezeit"),
    "line.idle": ("Idle time", "Standzeit"),
    "line.idle_cap": ("Idle time, at most", "Standzeit, höchstens"),
    "line.minimum": ("Minimum", "Mindestbetrag"),
    "line.maximum": ("Maximum", "Höchstbetrag"),
}


def routes(console: Console, shell: Shell) -> list[web.RouteDef]:
    """Of one console: ``/receipts/{session}``, for whom may see the session."""

    async def receipt(request: web.Request) -> web.Response:
        principal, id_ = await console.door.known(request), request.match_info["id"]
        if principal is None:
            return web.Response(status=303, headers={"Location": "/login", "Cache-Control": "no-store"})
        session = await console.rows.session(id_, principal)
        if session is None or not principal.sees(session["site"]):
            raise Problem(Kind.NOT_FOUND)
        lines = await console.rows.lines(id_, session["currency"])
        documents = (await console.rows.cdrs(CdrQuery(session=id_), principal))["items"]
        text = page(session, lines, documents, language=language_of(request), styles=shell.styles())
        return web.Response(text=text, content_type="text/html", headers={"Cache-Control": "no-store"})

    return [web.get("/receipts/{id}", receipt)]


def page(
    session: dict[str, Any],
    lines: list[dict[str, Any]],
    documents: list[dict[str, Any]],
    *,
    language: int,
    styles: str,
) -> str:
    """HTML; ``documents``: CDRs, newest first. Every text of a charger or a person is escaped."""

    def t(key: str) -> str:
        return _TEXTS[key][language]

    def cells(*values: Any) -> str:
        return "".join(f"<td>{escape(str(value))}</td>" for value in values)

    currency = session["currency"] or ""
    energy = _NOTHING if session["energy_wh"] is None else f"{session['energy_wh'] / 1000:.3f} kWh"
    about = {
        t("charger"): escape(session["charger"]),
        t("begun"): _time(session["started"]),
        t("ended"): _time(session["ended"]),
        t("energy"): energy,
    }
    rows = "".join(
        f'<tr><th scope="row">{t("line." + line["kind"])}<small>{_span(line)}</small></th>'
        + cells(_quantity(line), _price(line["price"]), f"{line['amount']} {currency}")
        + "</tr>"
        for line in lines
    )
    heads = t("for"), t("quantity"), f"{t('price')} ({escape(currency)})", t("amount")
    papers = "".join(
        "<tr>"
        + f'{cells(t(one["kind"]))}<td class="long">{escape(one["number"])}</td>'
        + f"<td>{_time(one['issued'])[:10]}</td>"
        + cells(f"{one['cost']} {one['currency']}")
        + "</tr>"
        for one in documents
    )
    invoices = [one["number"] for one in documents if one["kind"] == "invoice"]
    number = invoices[0] if invoices else f"({t('provisional')})"
    return _PAGE.format(
        language=LANGUAGES[language],
        title=t("title"),
        number=escape(number),
        styles=styles,
        about="".join(f"<div><dt>{key}</dt><dd>{value}</dd></div>" for key, value in about.items()),
        charged=t("charged"),
        heads="".join(f'<th scope="col">{head}</th>' for head in heads),
        lines=rows,
        total=t("total"),
        cost=escape(f"{session['cost'] or _NOTHING} {currency}"),
        with_tax=f"{t('tax')}: {escape(_taxes(lines))} {escape(currency)}. {t('zone')}",
        documents=_DOCUMENTS.format(t("documents"), papers) if papers else "",
        id=escape(session["id"]),
        back=t("back"),
    )


def _span(line: dict[str, Any]) -> str:
    """HTML; the day once where it is the same."""
    begins, ends = _time(line["from"]), _time(line["to"])
    return f"{begins} &ndash; {ends[11:] if ends[:10] == begins[:10] else ends}"


def _quantity(line: dict[str, Any]) -> str:
    """Without zeros at its end; a start is one."""
    return "1" if line["kind"] == "start" else f"{Decimal(line['quantity']).normalize():f} {line['unit']}"


def _price(text: str) -> str:
    """With two digits after the point at least."""
    price = Decimal(text).normalize()
    return f"{price:f}" if int(price.as_tuple().exponent) < -2 else f"{price:.2f}"


def _time(text: str | None) -> str:
    """HTML, to the second: ``2026-05-01 10:00:00``."""
    return escape(text[:19].replace("T", " ")) if text else _NOTHING


def _taxes(lines: list[dict[str, Any]]) -> str:
    return str(sum((Decimal(line["tax"]) for line in lines), Decimal(0)))
