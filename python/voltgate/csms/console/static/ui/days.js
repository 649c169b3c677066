// A picture of days, its numbers in a table, and the same as a file.
import { html, useMemo } from "./html.js";
import { axes, Chart } from "./chart.js";
import { Icon } from "./parts.js";
import { language } from "../text/text.js";
import { t } from "../text/books.js";

const HEIGHT = 180;
const day = new Intl.DateTimeFormat(language, { day: "numeric", month: "short", timeZone: "UTC" });

const options = (label) => (width, colour) => ({
  width,
  height: HEIGHT,
  legend: { show: false },
  cursor: { show: false },
  axes: axes(colour, day.format),
  series: [{}, { label, stroke: colour("--series-1"), fill: colour("--series-1") + "40", width: 2 }],
});

/** `rows`: of data/days.js by date, oldest first; `value(row)`: what is drawn; `text(row)`: how it is written. */
export function DaysChart({ title, rows, value, text }) {
  const data = useMemo(
    () => [rows.map((row) => Date.parse(`${row.key}T00:00:00Z`) / 1000), rows.map(value)],
    [rows],
  );
  const drawn = useMemo(() => options(title), [title]);
  return html`<section class="card">
    <h2>${title}</h2>
    ${rows.length > 1 && html`<${Chart} options=${drawn} data=${data} label=${title} />`}
    <details open=${rows.length === 1}>
      <summary>${t("as.table")}</summary>
      <table class="numbers">
        <thead><tr><th scope="col">${t("day")}</th><th scope="col">${title}</th></tr></thead>
        <tbody>${rows.map((row) => html`<tr><th scope="row">${row.key}</th><td>${text(row)}</td></tr>`)}</tbody>
      </table>
      <p class="buttons">
        <a class="button" href="/api/v1/export/days.csv" download><${Icon} name="download" />CSV</a>
      </p>
    </details>
  </section>`;
}
