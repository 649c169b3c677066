// Tariffs: each in one sentence; an editor that shows what the last sessions would have cost; where each applies.
import { html, use, useState } from "../ui/html.js";
import { money, percent, whole } from "../ui/format.js";
import { Icon, Shown, why } from "../ui/parts.js";
import { Decide } from "../ui/decide.js";
import { Pages } from "../ui/pages.js";
import { part, send } from "../data/api.js";
import { may } from "../data/me.js";
import { usePages } from "../data/pages.js";
import { useQuery } from "../data/query.js";
import { t } from "../text/books.js";
import { t as shared } from "../text/shell.js";

const PRICES = ["energy_kwh", "start", "minute", "idle_minute", "idle_cap"];

/** The form as the API takes it: prices are decimal strings, and a comma is one way to write them. */
function asked(values) {
  const body = { currency: values.currency.toUpperCase() };
  for (const name of [...PRICES, "tax_percent"]) if (values[name]) body[name] = values[name].replace(",", ".");
  if (values.idle_after_minutes) body.idle_after_minutes = whole(values.idle_after_minutes);
  if (values.night_kwh) {
    body.night = { from: values.night_from, to: values.night_to, energy_kwh: values.night_kwh.replace(",", ".") };
  }
  if (values.why) body.why = values.why;
  return body;
}

function Preview({ values }) {
  const [said, set] = useState(null);
  const show = async () => {
    try {
      const { why: _, ...tariff } = asked(values);
      set({ preview: await send("POST", "/tariffs/preview", { tariff }) });
    } catch (problem) {
      set({ problem });
    }
  };
  const one = said?.preview;
  return html`<div class="preview">
    <button type="button" onClick=${show} data-testid="preview">${t("preview")}</button>
    ${said?.problem && html`<p role="alert">${why(said.problem)}</p>`}
    ${one &&
    html`<p role="status">
      <b>${one.sentence}</b><br />
      ${t("preview.before", { amount: money(one.before, one.currency) })}
      ${t("preview.after", { amount: money(one.after, one.currency) })}
      ${one.percent != null && html`(${one.percent > 0 ? "+" : ""}${percent(one.percent, 1)})`}<br />
      ${t("preview.who", { less: one.less, more: one.more, same: one.same })}
    </p>`}
  </div>`;
}

function Editor({ tariff, onDone, onClose }) {
  const text = (name) => String(tariff?.[name] ?? "");
  const decimal = (name) => ({ inputmode: "decimal", value: text(name) });
  return html`<${Decide}
    title=${tariff ? t("tariff.change") : t("tariff.new")}
    path=${(values) => `/tariffs/${part(tariff?.id ?? values.id)}`}
    fields=${[
      ...(tariff ? [] : [["id", t("name"), { required: true, maxlength: 36 }]]),
      ["currency", t("currency"), { required: true, maxlength: 3, value: text("currency") || "EUR" }],
      ["tax_percent", t("tax"), decimal("tax_percent")],
      ["energy_kwh", t("price.kwh"), decimal("energy_kwh")],
      ["start", t("price.start"), decimal("start")],
      ["minute", t("price.minute"), decimal("minute")],
      ["idle_minute", t("price.idle"), decimal("idle_minute")],
      ["idle_after_minutes", t("idle.after"), { inputmode: "numeric", value: text("idle_after_minutes") }],
      ["idle_cap", t("idle.cap"), decimal("idle_cap")],
      ["night_from", t("night.from"), { value: tariff?.night?.from ?? "22:00" }],
      ["night_to", t("night.to"), { value: tariff?.night?.to ?? "06:00" }],
      ["night_kwh", t("night.kwh"), { inputmode: "decimal", value: String(tariff?.night?.energy_kwh ?? "") }],
    ]}
    body=${asked}
    reason
    onDone=${onDone}
    onClose=${onClose}
  >
    ${(values) => html`<${Preview} values=${values} />`}
  </${Decide}>`;
}

export function Tariffs() {
  const tariffs = usePages("/tariffs", { limit: 100 });
  const assignments = useQuery("/assignments");
  const manages = use(() => may("manager"));
  const [edited, edit] = useState(null);
  const [assigned, assign] = useState(false);
  const row = (one) => html`<li key=${one.id}>
    <div class="row entry">
      <span class="name"><b>${one.id}</b><small>${one.sentence ?? t("tariff.whole")}</small></span>
      ${manages && !one.ocpp && html`<button onClick=${() => edit({ tariff: one })}>${t("change")}</button>`}
    </div>
  </li>`;
  return html`<header class="titled">
      <h1>${shared("nav.tariffs")}</h1>
      ${manages && html`<button class="primary" onClick=${() => edit({})}><${Icon} name="tag" />${t("tariff.new")}</button>`}
    </header>
    <${Pages} pages=${tariffs} row=${row} icon="tag" none=${t("tariffs.none")} />
    <section class="card">
      <h2>${t("applies")}</h2>
      <${Shown} query=${assignments}>
        ${(data) =>
          data.items.length
            ? html`<dl class="about">
                ${data.items.map((one) => html`<div key=${one.id}><dt>${one.id}</dt><dd>${one.tariff ?? "–"}</dd></div>`)}
              </dl>`
            : html`<p class="dim">${t("applies.none")}</p>`}
      </${Shown}>
      ${manages && html`<p class="buttons"><button onClick=${() => assign(true)}>${t("assign")}</button></p>`}
    </section>
    ${edited && html`<${Editor} tariff=${edited.tariff} onDone=${tariffs.again} onClose=${() => edit(null)} />`}
    ${assigned &&
    html`<${Decide}
      title=${t("assign")}
      path=${(values) => `/assignments/${part(values.scope)}`}
      fields=${[
        ["scope", t("scope"), { required: true, value: "default" }],
        ["tariff", t("tariff"), { required: true, options: tariffs.items.map((one) => [one.id, one.id]), value: tariffs.items[0]?.id }],
      ]}
      body=${({ scope, ...rest }) => rest}
      reason
      onDone=${assignments.again}
      onClose=${() => assign(false)}
    />`}`;
}
