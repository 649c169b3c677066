// Alerts: what is wrong and since when, newest first; the rules, and the channels that messages go to.
import { html, use, useState } from "../ui/html.js";
import { when, whole } from "../ui/format.js";
import { Age, Icon, Shown } from "../ui/parts.js";
import { Decide, decided } from "../ui/decide.js";
import { Pages } from "../ui/pages.js";
import { say } from "../ui/toast.js";
import { part, send } from "../data/api.js";
import { may } from "../data/me.js";
import { usePages } from "../data/pages.js";
import { useQuery } from "../data/query.js";
import { Channels } from "./channels.js";
import { t } from "../text/books.js";
import { t as shared } from "../text/shell.js";

const DAY = 86_400_000;
const KINDS = ["offline", "faulted", "stuck", "held", "no_success", "success_rate", "reboots", "commands", "ledger"];
/** The name of a rule: its own where a person has named it. */
const named = (rule) => (KINDS.includes(rule) ? t(`rule.${rule}`) : rule);

export function Alerts() {
  const alerts = usePages("/alerts", { limit: 50 });
  const rules = useQuery("/rules");
  const operates = use(() => may("operator"));
  const manages = use(() => may("manager", { everywhere: true }));
  const [ruled, rule] = useState(null);
  const mute = async (one) => {
    const until = new Date(Date.now() + DAY).toISOString();
    if (await decided(send("POST", `/alerts/${part(one.id)}/mute`, { until, why: t("muted.here") }), alerts.again)) {
      say(t("muted.day"));
    }
  };
  const row = (one) => html`<li key=${one.id}>
    <div class="row entry">
      <span class="name">
        <b>${named(one.rule)}</b>
        <small>
          ${one.charger ? html`<a href="/chargers/${part(one.charger)}">${one.charger}</a>` : t("whole")}
          ${one.evse ? ` ${t("evse", { n: one.evse })}` : ""} · ${when(one.since)} · ${t("times", { n: one.count })}
        </small>
      </span>
      <span class="at">
        <span class="state state-${one.state === "raised" ? "faulted" : "available"}">
          <${Icon} name=${one.state === "raised" ? "triangle-alert" : "circle-check"} />
          ${one.state === "raised" ? html`<${Age} since=${one.since} />` : t("cleared")}
        </span>
        ${one.muted
          ? html`<small>${t("muted.until", { time: when(one.muted) })}</small>`
          : operates && one.state === "raised" && html`<button class="quiet" onClick=${() => mute(one)}>${t("mute")}</button>`}
      </span>
    </div>
  </li>`;
  return html`<h1>${shared("nav.alerts")}</h1>
    <${Pages} pages=${alerts} row=${row} icon="bell" none=${t("alerts.none")} />
    <section class="card">
      <h2>${t("rules")}</h2>
      <${Shown} query=${rules}>
        ${(data) =>
          html`<ul class="rows">
            ${data.items.map(
              (one) => html`<li key=${one.id}>
                <div class="row entry">
                  <span class="name">
                    <b>${named(one.id)}</b>
                    <small>${one.enabled === false ? t("off") : t("on")}${one.limit != null ? ` · ${t("limit.of", { n: one.limit })}` : ""}</small>
                  </span>
                  ${manages && html`<button class="quiet" onClick=${() => rule(one)}>${t("change")}</button>`}
                </div>
              </li>`,
            )}
          </ul>`}
      </${Shown}>
    </section>
    ${manages && html`<${Channels} />`}
    ${ruled &&
    html`<${Decide}
      title=${named(ruled.id)}
      path=${() => `/rules/${part(ruled.id)}`}
      fields=${[
        ["enabled", t("enabled"), { value: String(ruled.enabled !== false), options: [["true", t("on")], ["false", t("off")]] }],
        ["limit", t("limit"), { inputmode: "numeric", value: String(ruled.limit ?? "") }],
        ["hold_minutes", t("hold"), { inputmode: "numeric", value: String(ruled.hold_minutes ?? "") }],
        ["renotify_minutes", t("renotify"), { inputmode: "numeric", value: String(ruled.renotify_minutes ?? "") }],
      ]}
      body=${({ why: reason, enabled, ...numbers }) => {
        const { id, limit, hold_minutes, renotify_minutes, ...rest } = ruled; // one left empty is the default
        const given = Object.entries(numbers).filter(([, value]) => value !== "");
        return { ...rest, ...Object.fromEntries(given.map(([name, value]) => [name, whole(value)])), enabled: enabled === "true", why: reason };
      }}
      reason
      onDone=${rules.again}
      onClose=${() => rule(null)}
    />`}`;
}
