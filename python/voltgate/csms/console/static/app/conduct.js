// What chargers do wrong or too much: parts of Insights, and a screen of their own.
import { html } from "../ui/html.js";
import { when } from "../ui/format.js";
import { Shown } from "../ui/parts.js";
import { part } from "../data/api.js";
import { useQuery } from "../data/query.js";
import { t } from "../text/work.js";

const charger = (id) => html`<a href="/chargers/${part(id)}?tab=timeline">${id}</a>`;
const named = (one) => [one.vendor, one.model, one.firmware].filter(Boolean).join(" ") || t("nameless");

export function Violations() {
  const query = useQuery("/violations");
  return html`<section class="card" data-testid="violations">
    <h2>${t("violations")}</h2>
    <${Shown} query=${query}>
      ${(data) =>
        data.items.length
          ? html`<div class="wide" tabindex="0" role="region" aria-label=${t("violations")}><table class="numbers">
              <caption>${t("since.when", { time: when(data.since) })}${data.complete ? "" : ` ${t("in.part")}`}</caption>
              <thead>
                <tr>
                  <th scope="col">${t("model")}</th>
                  <th scope="col">${t("message")}</th>
                  <th scope="col">${t("rule")}</th>
                  <th scope="col">${t("count")}</th>
                  <th scope="col">${t("example")}</th>
                </tr>
              </thead>
              <tbody>
                ${data.items.map(
                  (one) =>
                    html`<tr>
                      <td>${named(one)}</td>
                      <td>${one.action} ${one.version}</td>
                      <td>${one.code} ${one.pointer}</td>
                      <td>${one.count}</td>
                      <td>${charger(one.example)}${one.chargers > 1 ? ` +${one.chargers - 1}` : ""}</td>
                    </tr>`,
                )}
              </tbody>
            </table></div>`
          : html`<p class="dim">${t("violations.none")}</p>`}
    </${Shown}>
  </section>`;
}

export function Talkers() {
  const query = useQuery("/talkers");
  return html`<section class="card" data-testid="talkers">
    <h2>${t("talkers")}</h2>
    <${Shown} query=${query}>
      ${(data) =>
        data.items.length
          ? html`<div class="wide" tabindex="0" role="region" aria-label=${t("talkers")}><table class="numbers">
              <caption>${t("since.when", { time: when(data.since) })}${data.complete ? "" : ` ${t("in.part")}`}</caption>
              <thead>
                <tr>
                  <th scope="col">${t("charger")}</th>
                  <th scope="col">${t("per.minute")}</th>
                  <th scope="col">${t("often")}</th>
                </tr>
              </thead>
              <tbody>
                ${data.items.map(
                  (one) =>
                    html`<tr>
                      <td>${charger(one.charger)}</td>
                      <td>${one.per_minute}</td>
                      <td>${one.often}</td>
                    </tr>`,
                )}
              </tbody>
            </table></div>`
          : html`<p class="dim">${t("talkers.none")}</p>`}
    </${Shown}>
  </section>`;
}

export const Conduct = () => html`<h1>${t("conduct")}</h1>
  <${Violations} />
  <${Talkers} />`;
