// Sites: where chargers stand, and one of them with its bays, load and price.
import { html, use, useState } from "../ui/html.js";
import { kw } from "../ui/format.js";
import { Icon, Shown, State } from "../ui/parts.js";
import { Decide } from "../ui/decide.js";
import { Pages } from "../ui/pages.js";
import { part } from "../data/api.js";
import { chargers, picture } from "../data/live.js";
import { may, me } from "../data/me.js";
import { usePages } from "../data/pages.js";
import { useQuery } from "../data/query.js";
import { ofConnector } from "../data/states.js";
import { t } from "../text/books.js";

const NUMBERS = ["max_power_w"];

function Editor({ site, onDone, onClose }) {
  const value = (name) => String(site?.[name] ?? "");
  return html`<${Decide}
    title=${site ? t("site.change") : t("site.new")}
    path=${(values) => `/sites/${part(site?.id ?? values.id)}`}
    fields=${[
      ...(site ? [] : [["id", t("site.id"), { required: true, maxlength: 36 }]]),
      ["name", t("name"), { required: true, value: value("name") }],
      ["timezone", t("timezone"), { value: value("timezone"), placeholder: "Europe/Berlin" }],
      ["currency", t("currency"), { maxlength: 3, value: value("currency") }],
      ["tax_percent", t("tax"), { inputmode: "decimal", value: value("tax_percent") }],
      ["max_power_w", t("max.power"), { inputmode: "numeric", value: value("max_power_w") }],
      ["address", t("address"), { value: value("address") }],
    ]}
    body=${({ id, ...values }) => {
      const given = Object.entries(values).filter(([, one]) => one !== "");
      return Object.fromEntries(given.map(([name, one]) => [name, NUMBERS.includes(name) ? Number(one) : one]));
    }}
    reason
    onDone=${onDone}
    onClose=${onClose}
  />`;
}

export function Sites() {
  const sites = usePages("/sites", { limit: 100 });
  const manages = use(() => (me.value, may("manager")));
  const [adding, add] = useState(false);
  const row = (one) => html`<li key=${one.id}>
    <a class="row" href="/sites/${part(one.id)}"><span class="name"><b>${one.name}</b><small>${one.address ?? one.id}</small></span><${Icon} name="chevron-right" /></a>
  </li>`;
  return html`<header class="head">
      <h1>${t("sites")}</h1>
      ${manages && html`<button class="primary" onClick=${() => add(true)}><${Icon} name="map-pin" />${t("site.new")}</button>`}
    </header>
    <${Pages} pages=${sites} row=${row} icon="map-pin" none=${t("sites.none")} />
    ${adding && html`<${Editor} onDone=${sites.again} onClose=${() => add(false)} />`}`;
}

/** Bays of a site: one tile for each connector, as it is at this moment. */
function Bays({ id, limit }) {
  const seen = use(() => {
    picture.value;
    const here = [...chargers.values()].filter((row) => row.site === id);
    return { here, power: here.reduce((sum, row) => sum + (row.power ?? 0), 0) };
  }, [id]);
  const bays = seen.here.flatMap((row) =>
    row.connectors.filter((one) => one.evse !== 0).map((one) => [row, one]),
  );
  return html`<section class="card hero">
      <p class="big">${kw(seen.power)}</p>
      <p class="dim">${limit ? t("of.limit", { power: kw(limit) }) : t("no.limit")}</p>
      ${limit && html`<div class="bar" aria-hidden="true"><i class="fill-charging" style=${{ width: `${Math.min(100, (100 * seen.power) / limit)}%` }} /></div>`}
    </section>
    <ul class="bays">
      ${bays.map(
        ([row, one]) => html`<li key=${`${row.id}/${one.evse}/${one.connector}`}>
          <a class="card" href="/chargers/${part(row.id)}">
            <b>${row.label}</b><small>${t("evse", { n: one.evse })}</small>
            <${State} state=${row.online ? ofConnector(one) : "offline"} />
            <small>${kw(one.power_w)}</small>
          </a>
        </li>`,
      )}
    </ul>
    ${!bays.length && html`<p class="card">${t("bays.none")}</p>`}`;
}

export function Site({ id }) {
  const sites = useQuery("/sites?limit=1000");
  const manages = use(() => (me.value, may("manager")));
  const [changing, change] = useState(false);
  return html`<${Shown} query=${sites}>
    ${(data) => {
      const site = data.items.find((one) => one.id === id) ?? { id, name: id };
      return html`<header class="head">
          <h1>${site.name}</h1>
          <p class="dim">${site.address}</p>
          ${manages && html`<button onClick=${() => change(true)}>${t("change")}</button>`}
        </header>
        <${Bays} id=${id} limit=${site.max_power_w} />
        ${changing && html`<${Editor} site=${site} onDone=${sites.again} onClose=${() => change(false)} />`}`;
    }}
  </${Shown}>`;
}
