// Sites: where chargers stand; and the sheet in which one is changed.
import { html, use, useState } from "../ui/html.js";
import { decimal } from "../ui/format.js";
import { Icon } from "../ui/parts.js";
import { Decide } from "../ui/decide.js";
import { Pages } from "../ui/pages.js";
import { part } from "../data/api.js";
import { may } from "../data/me.js";
import { usePages } from "../data/pages.js";
import { t } from "../text/books.js";
import { t as shared } from "../text/shell.js";

/** Of kW as a person writes them; what is no number is sent as written. */
const watts = (text) => (decimal(text) >= 0 ? Math.round(decimal(text) * 1000) : text.trim());

/** The form as the API takes it: without what is left empty; a comma is one way to write a decimal. */
function asked({ id, ...values }) {
  const taken = {
    ...values,
    currency: values.currency.toUpperCase(),
    tax_percent: values.tax_percent.replace(",", "."),
    max_power_w: watts(values.max_power_w),
  };
  return Object.fromEntries(Object.entries(taken).filter(([, one]) => one !== ""));
}

export function Editor({ site, onDone, onClose }) {
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
      ["max_power_w", t("max.power"), { inputmode: "decimal", value: site?.max_power_w == null ? "" : String(site.max_power_w / 1000) }],
      ["address", t("address"), { value: value("address") }],
    ]}
    body=${asked}
    reason
    onDone=${onDone}
    onClose=${onClose}
  />`;
}

export function Sites() {
  const sites = usePages("/sites", { limit: 100 });
  const manages = use(() => may("manager", { everywhere: true }));
  const [adding, add] = useState(false);
  const row = (one) => html`<li key=${one.id}>
    <a class="row entry" href="/sites/${part(one.id)}"><span class="name"><b>${one.name}</b><small>${one.address ?? one.id}</small></span><${Icon} name="chevron-right" /></a>
  </li>`;
  return html`<header class="titled">
      <h1>${shared("nav.sites")}</h1>
      ${manages && html`<button class="primary" onClick=${() => add(true)}><${Icon} name="map-pin" />${t("site.new")}</button>`}
    </header>
    <${Pages} pages=${sites} row=${row} icon="map-pin" none=${t("sites.none")} />
    ${adding && html`<${Editor} onDone=${sites.again} onClose=${() => add(false)} />`}`;
}
