// Charger: its state and connectors, live, and what may be done with it.
import { html, use } from "../ui/html.js";
import { kw, kwh, percent, when } from "../ui/format.js";
import { Age, Empty, Loading, State } from "../ui/parts.js";
import { chargers, picture, whole } from "../data/live.js";
import { part } from "../data/api.js";
import { may } from "../data/me.js";
import { ofConnector } from "../data/states.js";
import { t } from "../text/chargers.js";
import { Act } from "./act.js";
import { Tabs } from "./tabs.js";

const ABOUT = ["id", "site", "vendor", "model", "firmware", "version"];

const Connector = ({ one, online }) => html`<li class="card connector">
  <header>
    <h2>${t("connector", { n: one.evse || 0 })}</h2>
    <${State} state=${online ? ofConnector(one) : "offline"} />
  </header>
  <dl class="figures">
    <div><dt>${t("power")}</dt><dd>${kw(one.power_w)}</dd></div>
    <div><dt>${t("energy")}</dt><dd>${kwh(one.energy_wh)}</dd></div>
    ${one.soc != null && html`<div><dt>${t("soc")}</dt><dd>${percent(one.soc)}</dd></div>`}
  </dl>
  <p class="dim">
    ${one.status} ${one.since && t("since", { time: when(one.since) })}
    ${one.heard && html`<br />${t("heard")} <${Age} since=${one.heard} />`}
    ${one.error && html`<br />${t("error.of", { error: one.error })}`}
  </p>
</li>`;

export function Charger({ id }) {
  const row = use(() => (picture.value, chargers.get(id)), [id]);
  const known = use(() => whole.value);
  const acts = use(() => may("operator"));
  if (!row) {
    if (!known) return html`<${Loading} />`;
    return html`<${Empty} alone icon="circle-help" title=${t("missing", { id })} />`;
  }
  const connectors = row.connectors.filter((one) => one.evse !== 0 || one.error);
  return html`<article data-testid="charger-${id}">
    <header class="head">
      <h1>${row.label}</h1>
      <p>
        <${State} state=${row.state} testid="state" />
        ${row.state === "offline" && row.since && html` <span class="dim"><${Age} since=${row.since} /></span>`}
      </p>
      <p class="sum" hidden=${row.power == null && row.energy == null}>
        <span data-testid="power">${kw(row.power)}</span>
        <span data-testid="energy">${kwh(row.energy)}</span>
      </p>
      <p><a href="/sessions?charger=${part(id)}" data-testid="sessions">${t("sessions.of")}</a></p>
      ${acts && html`<${Act} id=${id} />`}
    </header>
    ${connectors.length
      ? html`<ul class="cards">
          ${connectors.map(
            (one) => html`<${Connector} key=${`${one.evse}/${one.connector}`} one=${one} online=${row.online} />`,
          )}
        </ul>`
      : html`<p class="card">${t("no.connectors")}</p>`}
    <${Tabs} id=${id} />
    <section class="card">
      <h2>${t("about")}</h2>
      <dl class="about">
        ${ABOUT.map((name) => row[name] && html`<div key=${name}><dt>${t(name)}</dt><dd>${row[name]}</dd></div>`)}
      </dl>
    </section>
  </article>`;
}
