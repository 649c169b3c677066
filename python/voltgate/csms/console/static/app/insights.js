// Insights: use by day and by hour of the week, uptime, and how often a visit ends in energy.
import { html, useMemo } from "../ui/html.js";
import { kw, kwh, percent } from "../ui/format.js";
import { Icon, Shown } from "../ui/parts.js";
import { DaysChart } from "../ui/days.js";
import { part } from "../data/api.js";
import { summed, useDays } from "../data/days.js";
import { useQuery } from "../data/query.js";
import { language } from "../text/text.js";
import { t } from "../text/books.js";

const DAYS = 30;
const HOURS = [...Array(24).keys()];
// A week that begins on a Monday.
const WEEKDAYS = [1, 2, 3, 4, 5, 6, 7].map((day) =>
  new Intl.DateTimeFormat(language, { weekday: "short", timeZone: "UTC" }).format(Date.UTC(2024, 0, day)),
);
const LEVELS = 5;
const PORTS = 20; // those with the least uptime

/** The use of each hour of the week: shades for the eye, the same numbers as text. */
export function Heat({ hours }) {
  const by = new Map(hours.map((one) => [`${one.weekday}/${one.hour}`, one]));
  const most = Math.max(1, ...hours.map((one) => one.energy_wh));
  const level = (wh) => (wh ? 1 + Math.min(LEVELS - 1, Math.floor((LEVELS * wh) / most)) : 0);
  return html`<div class="wide" tabindex="0" role="region" aria-label=${t("heat")}>
    <table class="heat">
      <caption>${t("heat.caption")}</caption>
      <thead>
        <tr><td></td>${HOURS.map((hour) => html`<th scope="col">${hour}</th>`)}</tr>
      </thead>
      <tbody>
        ${WEEKDAYS.map(
          (name, index) => html`<tr>
            <th scope="row">${name}</th>
            ${HOURS.map((hour) => {
              const wh = by.get(`${index + 1}/${hour}`)?.energy_wh ?? 0;
              return html`<td class="heat-${level(wh)}" title=${kwh(wh, 1)}><span class="hidden">${kwh(wh, 1)}</span></td>`;
            })}
          </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

const STEPS = ["attempts", "plugged", "started", "energy", "successes"];

function Funnel({ rows }) {
  const sums = STEPS.map((name) => [name, rows.reduce((sum, one) => sum + one[name], 0)]);
  const all = sums[0][1];
  if (!all) return html`<p class="dim">${t("attempts.none")}</p>`;
  const worst = [...rows].sort((a, b) => Number(a.percent) - Number(b.percent)).slice(0, 10);
  return html`<ol class="funnel">
      ${sums.map(
        ([name, n]) => html`<li key=${name}>
          <span>${t(`step.${name}`)}</span> <b>${n}</b> <small>${percent((100 * n) / all)}</small>
          <i style=${{ width: `${(100 * n) / all}%` }} aria-hidden="true" />
        </li>`,
      )}
    </ol>
    <h3>${t("worst")}</h3>
    <table class="numbers">
      <thead>
        <tr><th scope="col">${t("model")}</th><th scope="col">${t("step.attempts")}</th><th scope="col">${t("success")}</th></tr>
      </thead>
      <tbody>
        ${worst.map(
          (one) =>
            html`<tr>
              <th scope="row">${[one.vendor, one.model, one.firmware].filter(Boolean).join(" ") || t("nameless")}</th>
              <td>${one.attempts}</td>
              <td>${percent(Number(one.percent), 1)}</td>
            </tr>`,
        )}
      </tbody>
    </table>`;
}

export const Port = ({ one }) => html`<li>
  <div class="row entry">
    <a class="name" href="/chargers/${part(one.charger)}"><b>${one.charger}</b><small>${t("evse", { n: one.evse })}</small></a>
    <span class="at">
      <span class="state state-${one.meets_floor ? "available" : "faulted"}">
        <${Icon} name=${one.meets_floor ? "circle-check" : "triangle-alert"} />${percent(Number(one.percent), 2)}
      </span>
      <small>${one.meets_floor ? t("floor.met") : t("floor.missed")}</small>
    </span>
  </div>
  <div class="bar" aria-hidden="true"><i class="fill-available" style=${{ width: `${Number(one.percent)}%` }} /></div>
</li>`;

const lowest = (ports) => [...ports].sort((a, b) => Number(a.percent) - Number(b.percent)).slice(0, PORTS);

function Use({ days }) {
  const rows = useMemo(() => summed(days, (one) => one.date).sort((a, b) => (a.key < b.key ? -1 : 1)), [days]);
  const all = useMemo(() => summed(days, () => "")[0], [days]);
  return html`<section class="card hero">
      <p class="big">${kwh(all?.energy_wh ?? 0, 0)}</p>
      <p class="dim">
        ${[
          t("energy.days", { n: DAYS }),
          t("sessions.of", { n: all?.sessions ?? 0 }),
          t("peak.of", { power: kw(all?.peak_w) }),
        ].join(" · ")}
      </p>
    </section>
    <${DaysChart} title=${t("energy")} rows=${rows} value=${(row) => row.energy_wh / 1000} text=${(row) => kwh(row.energy_wh, 1)} />`;
}

export function Insights() {
  const days = useDays(DAYS);
  const week = useQuery("/week");
  const uptime = useQuery("/uptime");
  const attempts = useQuery("/attempts");
  return html`<h1>${t("insights")}</h1>
    <${Shown} query=${days}>${(data) => html`<${Use} days=${data.days} />`}</${Shown}>
    <section class="card">
      <h2>${t("heat")}</h2>
      <${Shown} query=${week}>${(data) => html`<${Heat} hours=${data.items} />`}</${Shown}>
    </section>
    <section class="card" data-testid="funnel">
      <h2>${t("funnel")}</h2>
      <${Shown} query=${attempts}>${(data) => html`<${Funnel} rows=${data.items} />`}</${Shown}>
    </section>
    <section class="card" data-testid="uptime">
      <h2>${t("uptime")}</h2>
      <p class="dim">${t("uptime.text")}</p>
      <${Shown} query=${uptime}>
        ${(data) =>
          data.items.length
            ? html`<ul class="rows">${lowest(data.items).map((one) => html`<${Port} key=${`${one.charger}/${one.evse}`} one=${one} />`)}</ul>`
            : html`<p class="dim">${t("uptime.none")}</p>`}
      </${Shown}>
      <p class="buttons">
        <a class="button" href="/api/v1/export/outages.csv" download><${Icon} name="download" />CSV</a>
        <a class="button" href="/insights/chargers">${t("conduct")}</a>
      </p>
    </section>`;
}
