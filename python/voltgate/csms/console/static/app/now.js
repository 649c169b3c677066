// Now: what needs a person, and what the network does at this moment.
import { html, use } from "../ui/html.js";
import { kw } from "../ui/format.js";
import { Age, Empty, State } from "../ui/parts.js";
import { chargers, picture, totals, whole } from "../data/live.js";
import { part } from "../data/api.js";
import { STATES } from "../data/states.js";
import { t } from "../text/chargers.js";
import { t as shared } from "../text/shell.js";

const SHOWN = 8;
const TROUBLE = ["faulted", "offline"];

function Needs({ rows, count }) {
  if (!count) return html`<p class="well">${t("now.well")}</p>`;
  return html`<ul class="rows">
      ${rows.map(
        (row) =>
          html`<li key=${row.id}>
            <a class="row" href="/chargers/${part(row.id)}">
              <${State} state=${row.state} />
              <span class="name">${row.label}</span>
              ${row.since && row.state === "offline" && html`<span class="dim"><${Age} since=${row.since} /></span>`}
            </a>
          </li>`,
      )}
    </ul>
    ${count > rows.length &&
    html`<p><a href="/chargers?state=${totals.faulted > SHOWN ? "faulted" : "offline"}">${t("now.more", { n: count - rows.length })}</a></p>`}`;
}

/** One bar: how many chargers have each state; its numbers stand below it. */
function States({ numbers }) {
  const all = numbers.reduce((sum, [, n]) => sum + n, 0);
  return html`<div class="bar" aria-hidden="true">
      ${numbers.map(([state, n]) => html`<i class="fill-${state}" style=${{ width: `${(100 * n) / all}%` }} />`)}
    </div>
    <ul class="legend">
      ${numbers.map(
        ([state, n]) =>
          html`<li key=${state}><a href="/chargers?state=${state}"><${State} state=${state} /> <b>${n}</b></a></li>`,
      )}
    </ul>`;
}

export function Now() {
  const seen = use(() => {
    picture.value;
    const trouble = [];
    for (const state of TROUBLE) {
      if (!totals[state]) continue;
      for (const row of chargers.values()) {
        if (row.state === state && trouble.push(row) === SHOWN) break;
      }
      if (trouble.length >= SHOWN) break;
    }
    const { power, sessions } = totals;
    const numbers = STATES.filter((state) => totals[state]).map((state) => [state, totals[state]]);
    return { trouble, power, sessions, numbers, count: totals.faulted + totals.offline };
  });
  const known = use(() => whole.value);
  if (!known) return html`<p class="loading" role="status">${shared("loading")}</p>`;
  if (!chargers.size) {
    return html`<${Empty} alone icon="plug" title=${t("none")}><p>${t("none.hint")}</p></${Empty}>`;
  }
  return html`<h1 class="hidden">${shared("nav.now")}</h1>
    <section class="card hero">
      <p class="big" data-testid="network-power">${kw(seen.power)}</p>
      <p class="dim">${t("now.sessions", { n: seen.sessions })}</p>
    </section>
    <section class="card">
      <h2>${t("now.states")}</h2>
      <${States} numbers=${seen.numbers} />
    </section>
    <section class="card">
      <h2>${t("now.needs")}</h2>
      <${Needs} rows=${seen.trouble} count=${seen.count} />
    </section>`;
}
