// Health: whether the books keep up with the network, and how far they have come.
import { html } from "../ui/html.js";
import { number } from "../ui/format.js";
import { Icon, Shown } from "../ui/parts.js";
import { useEvery, useQuery } from "../data/query.js";
import { t } from "../text/books.js";
import { t as shared } from "../text/shell.js";

const EVERY = 5000; // milliseconds

export function Health() {
  const query = useQuery("/health");
  useEvery(query.again, EVERY);
  return html`<h1>${shared("nav.health")}</h1>
    <${Shown} query=${query}>
      ${(data) => html`<section class="card">
        <p>
          <span class="state state-${data.status === "ok" ? "available" : "faulted"}">
            <${Icon} name=${data.status === "ok" ? "circle-check" : "triangle-alert"} />${t(`health.${data.status}`)}
          </span>
        </p>
        <dl class="figures"><div><dt>${t("lag")}</dt><dd>${number(data.lag_seconds, 1)} s</dd></div></dl>
        <h2>${t("position")}</h2>
        <dl class="about">
          ${Object.entries(data.position).map(([stream, seq]) => html`<div key=${stream}><dt>${stream}</dt><dd>${number(seq)}</dd></div>`)}
        </dl>
      </section>`}
    </${Shown}>`;
}
