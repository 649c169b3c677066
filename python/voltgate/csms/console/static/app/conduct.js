// What chargers do wrong or too much.
import { html } from "../ui/html.js";
import { when } from "../ui/format.js";
import { Shown } from "../ui/parts.js";
import { part } from "../data/api.js";
import { useQuery } from "../data/query.js";
import { t } from "../text/work.js";

const charger = (id) => html`<a href="/chargers/${part(id)}?tab=timeline">${id}</a>`;
const named = (one) => [one.vendor, one.model, one.firmware].filter(Boolean).join(" ") || t("nameless");

/** What was counted lately, at `/name` of the API: `columns` are their heads, `row(item)` its cells. */
function Counted({ name, none, columns, row }) {
  const query = useQuery(`/${name}`);
  return html`<section class="card" data-testid=${name}>
    <h2>${t(name)}</h2>
    <${Shown} query=${query}>
      ${(data) =>
        data.items.length
          ? html`<div class="wide" tabindex="0" role="region" aria-label=${t(name)}>
              <table class="numbers">
                <caption>${t("since.when", { time: when(data.since) })}${data.complete ? "" : ` ${t("in.part")}`}</caption>
                <thead><tr>${columns.map((one) => html`<th scope="col">${one}</th>`)}</tr></thead>
                <tbody>
                  ${data.items.map((one) => html`<tr>${row(one).map((cell) => html`<td>${cell}</td>`)}</tr>`)}
                </tbody>
              </table>
            </div>`
          : html`<p class="dim">${none}</p>`}
    </${Shown}>
  </section>`;
}

const Violations = () => html`<${Counted}
  name="violations"
  none=${t("violations.none")}
  columns=${[t("model"), t("message"), t("rule"), t("count"), t("example")]}
  row=${(one) => [
    named(one),
    `${one.action} ${one.version}`,
    `${one.code} ${one.pointer}`,
    one.count,
    [charger(one.example), one.chargers > 1 && ` +${one.chargers - 1}`],
  ]}
/>`;

const Talkers = () => html`<${Counted}
  name="talkers"
  none=${t("talkers.none")}
  columns=${[t("charger"), t("per.minute"), t("often")]}
  row=${(one) => [charger(one.charger), one.per_minute, one.often]}
/>`;

export const Conduct = () => html`<h1>${t("conduct")}</h1>
  <${Violations} />
  <${Talkers} />`;
