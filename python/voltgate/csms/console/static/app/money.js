// Money: revenue by day and site, and the bills with what became of them.
import { html, use, useMemo, useState } from "../ui/html.js";
import { kwh, money, when } from "../ui/format.js";
import { Icon, Shown } from "../ui/parts.js";
import { DaysChart } from "../ui/days.js";
import { Decide } from "../ui/decide.js";
import { Pages } from "../ui/pages.js";
import { part } from "../data/api.js";
import { summed, useDays } from "../data/days.js";
import { may } from "../data/me.js";
import { usePages } from "../data/pages.js";
import { t } from "../text/books.js";

const DAYS = 30;
const PAYMENTS = ["due", "paid", "refunded", "waived"];

/** Amounts of several currencies are not added. */
const amounts = (revenue) =>
  Object.entries(revenue)
    .map(([currency, amount]) => money(amount, currency))
    .join(", ") || "–";

function Revenue({ days, complete }) {
  const byDay = useMemo(() => summed(days, (one) => one.date).sort((a, b) => (a.key < b.key ? -1 : 1)), [days]);
  const bySite = useMemo(() => summed(days, (one) => one.site ?? t("nowhere")), [days]);
  const all = useMemo(() => summed(days, () => "")[0], [days]);
  const currency = Object.keys(all?.revenue ?? {})[0];
  return html`<section class="card hero">
      <p class="big" data-testid="revenue">${amounts(all?.revenue ?? {})}</p>
      <p class="dim">${t("revenue.days", { n: DAYS })} · ${kwh(all?.energy_wh ?? 0, 0)}${complete ? "" : ` ${t("in.part")}`}</p>
    </section>
    <${DaysChart}
      title=${t("revenue")}
      rows=${byDay}
      value=${(row) => row.revenue[currency] ?? 0}
      text=${(row) => amounts(row.revenue)}
    />
    <section class="card">
      <h2>${t("by.site")}</h2>
      <table class="numbers">
        <thead>
          <tr><th scope="col">${t("site")}</th><th scope="col">${t("revenue")}</th><th scope="col">${t("energy")}</th></tr>
        </thead>
        <tbody>
          ${bySite.map(
            (row) =>
              html`<tr><th scope="row">${row.key}</th><td>${amounts(row.revenue)}</td><td>${kwh(row.energy_wh, 0)}</td></tr>`,
          )}
        </tbody>
      </table>
    </section>`;
}

const Bill = ({ one, manages, pay }) => html`<li>
  <div class="row entry">
    <a class="name" href="/sessions/${part(one.session)}">
      <b>${one.number}</b><small>${one.charger}, ${when(one.issued)}</small>
    </a>
    <span class="values">
      <span>${money(one.cost, one.currency)}</span>
      ${manages
        ? html`<button onClick=${() => pay(one)}>${t(`payment.${one.payment}`)}</button>`
        : html`<small>${t(`payment.${one.payment}`)}</small>`}
    </span>
  </div>
</li>`;

export function Money() {
  const days = useDays(DAYS);
  const cdrs = usePages("/cdrs", { limit: 50 });
  const manages = use(() => may("manager"));
  const [paid, pay] = useState(null);
  return html`<header class="titled">
      <h1>${t("money")}</h1>
      <a class="button" href="/api/v1/export/cdrs.csv" download><${Icon} name="download" />CSV</a>
    </header>
    <${Shown} query=${days}>${(data) => html`<${Revenue} ...${data} />`}</${Shown}>
    <h2>${t("bills")}</h2>
    <${Pages}
      pages=${cdrs}
      row=${(one) => html`<${Bill} key=${one.id} one=${one} manages=${manages} pay=${pay} />`}
      icon="receipt"
      none=${t("bills.none")}
    />
    ${paid &&
    html`<${Decide}
      title=${t("payment.of", { number: paid.number })}
      path=${() => `/payments/${part(paid.id)}`}
      fields=${[["state", t("payment"), { value: paid.payment, options: PAYMENTS.map((one) => [one, t(`payment.${one}`)]) }]]}
      body=${(values) => values}
      reason
      onDone=${cdrs.again}
      onClose=${() => pay(null)}
    />`}`;
}
