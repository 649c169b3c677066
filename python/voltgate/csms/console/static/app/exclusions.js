// Exclusions of a site: time that is not counted against its uptime, each with a reason.
import { html, use, useState } from "../ui/html.js";
import { when } from "../ui/format.js";
import { Icon, Shown } from "../ui/parts.js";
import { Decide, Removal } from "../ui/decide.js";
import { part } from "../data/api.js";
import { may } from "../data/me.js";
import { useQuery } from "../data/query.js";
import { fresh } from "./outcome.js";
import { t } from "../text/books.js";

// The order of csms/uptime/exclusions.py.
const REASONS = ["utility", "network", "vandalism", "disaster", "vehicle", "maintenance", "closed", "ours"];

export function Exclusions({ site }) {
  const scope = `site:${site}`;
  const query = useQuery("/exclusions");
  const operates = use(() => may("operator"));
  const [adding, add] = useState("");
  const [removed, remove] = useState(null);
  const time = (local) => (local ? new Date(local).toISOString() : null);
  return html`<section class="card" data-testid="exclusions">
    <h2>${t("exclusions")}</h2>
    <p class="dim">${t("exclusions.text")}</p>
    <${Shown} query=${query}>
      ${(data) => {
        const here = data.items.filter((one) => one.scope === scope);
        return html`<ul class="rows">
          ${here.map(
            (one) => html`<li key=${one.id}>
              <div class="row entry">
                <span class="name">
                  <b>${t(`reason.${one.reason}`)}</b>
                  <small>${one.from ? when(one.from) : "…"} – ${one.to ? when(one.to) : "…"}</small>
                </span>
                ${operates && html`<button class="quiet" onClick=${() => remove(one)}>${t("remove")}</button>`}
              </div>
            </li>`,
          )}
        </ul>`;
      }}
    </${Shown}>
    ${operates &&
    html`<p class="buttons"><button onClick=${() => add(`${site}-${fresh().slice(0, 6)}`)}><${Icon} name="clock" />${t("exclusion.add")}</button></p>`}
    ${adding &&
    html`<${Decide}
      title=${t("exclusion.add")}
      path=${() => `/exclusions/${part(adding)}`}
      fields=${[
        ["reason", t("reason"), { value: "maintenance", options: REASONS.map((one) => [one, t(`reason.${one}`)]) }],
        ["from", t("from"), { type: "datetime-local", required: true }],
        ["to", t("to"), { type: "datetime-local" }],
      ]}
      body=${({ from, to, ...rest }) => ({ ...rest, scope, from: time(from), ...(to && { to: time(to) }) })}
      reason
      onDone=${query.again}
      onClose=${() => add("")}
    />`}
    ${removed &&
    html`<${Removal}
      name=${t(`reason.${removed.reason}`)}
      path=${`/exclusions/${part(removed.id)}`}
      onDone=${query.again}
      onClose=${() => remove(null)}
    />`}
  </section>`;
}
