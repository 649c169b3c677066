// Sessions: newest first, by state; each row says when, where, how much and what is unusual.
import { html, use } from "../ui/html.js";
import { kwh, money, when } from "../ui/format.js";
import { Icon } from "../ui/parts.js";
import { Pages } from "../ui/pages.js";
import { part } from "../data/api.js";
import { usePages } from "../data/pages.js";
import { go, place } from "../data/router.js";
import { t } from "../text/books.js";

const STATES = ["open", "ended", "settled", "presumed", "review"];
const ICONS = { open: "zap", ended: "clock", settled: "circle-check", presumed: "circle-help", review: "triangle-alert" };

export const SessionState = ({ state }) =>
  html`<span class="state session-${state}"><${Icon} name=${ICONS[state]} />${t(`session.${state}`)}</span>`;

/** The amount of a session; one of which nothing is billed has none. */
export const cost = (one) => (one.cost == null ? t("unbilled") : money(one.cost, one.currency));

const SessionRow = (one) => html`<li key=${one.id}>
  <a class="row entry" href="/sessions/${part(one.id)}" data-testid="session-${one.id}">
    <span class="name"><b>${one.charger}</b><small>${when(one.started ?? one.ended)}</small></span>
    <span class="values"><span>${kwh(one.energy_wh)}</span><small>${cost(one)}</small></span>
    <span class="at">
      <${SessionState} state=${one.state} />
      ${one.flags.length > 0 && html`<small>${t("flags", { n: one.flags.length })}</small>`}
    </span>
  </a>
</li>`;

export function Sessions() {
  const asked = new URLSearchParams(use(() => place.value).split("?")[1] ?? "");
  const state = asked.get("state") ?? "";
  const charger = asked.get("charger");
  const pages = usePages("/sessions", { limit: 50, state, charger });
  const choose = (one, what = "state") => {
    if (one) asked.set(what, one);
    else asked.delete(what);
    go(asked.size ? `/sessions?${asked}` : "/sessions", { replace: true });
  };
  return html`<header class="titled">
      <h1>${t("sessions")}</h1>
      <a class="button" href="/api/v1/export/sessions.csv" download><${Icon} name="download" />CSV</a>
    </header>
    <div class="chips wrap" role="group" aria-label=${t("filter")}>
      ${charger && html`<button aria-pressed="true" onClick=${() => choose("", "charger")}>${charger}<${Icon} name="x" /></button>`}
      ${["", ...STATES].map(
        (one) =>
          html`<button key=${one} aria-pressed=${one === state} onClick=${() => choose(one)}>
            ${one ? html`<${SessionState} state=${one} />` : t("all")}
          </button>`,
      )}
    </div>
    <${Pages} pages=${pages} row=${SessionRow} icon="history" none=${t(state || charger ? "sessions.nomatch" : "sessions.none")} />`;
}
