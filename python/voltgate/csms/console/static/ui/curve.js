// The power of a session over time, on bands of the prices that held; its numbers in a table.
import { html, useMemo } from "./html.js";
import { axes, Chart } from "./chart.js";
import { exactly, kw, kwh, percent } from "./format.js";
import { language } from "../text/text.js";
import { t } from "../text/books.js";

const HEIGHT = 180;
const LISTED = 100; // rows of the table
const SHORT = 600; // seconds: below it, minutes alone do not tell times apart
const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit" });
const exact = new Intl.DateTimeFormat(language, { timeStyle: "medium", hourCycle: "h23" });
const seconds = (text) => Date.parse(text) / 1000;

/** `lines`: those of the bill; every second price for energy has a band, so that its ends are seen. */
const options = (lines, length) => {
  const bands = lines
    .filter((one) => one.kind === "energy")
    .map((one) => [seconds(one.from), seconds(one.to), one.price])
    .sort((a, b) => a[0] - b[0]);
  const prices = [...new Set(bands.map((one) => one[2]))];
  return (width, colour) => ({
    width,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    axes: axes(colour, (length < SHORT ? exact : clock).format),
    series: [{}, { stroke: colour("--series-1"), fill: colour("--series-1") + "40", width: 2, spanGaps: true }],
    scales: { y: { range: (_, low, high) => [Math.min(0, low), Math.max(1, high * 1.05)] } },
    hooks: {
      drawClear: [
        (plot) => {
          const { ctx, bbox } = plot;
          ctx.fillStyle = colour("--line");
          for (const [from, to, price] of bands) {
            if (prices.indexOf(price) % 2 === 0) continue;
            const [left, right] = [from, to].map((at) =>
              Math.min(bbox.left + bbox.width, Math.max(bbox.left, plot.valToPos(at, "x", true))),
            );
            ctx.fillRect(left, bbox.top, right - left, bbox.height);
          }
        },
      ],
    },
  });
};

/** `samples`: of `GET sessions/{id}/curve`. Nothing is drawn of a session without power. */
export function Curve({ samples, lines }) {
  const shown = samples.filter((one) => one.power_w != null);
  const data = useMemo(
    () => [shown.map((one) => seconds(one.at)), shown.map((one) => one.power_w / 1000)],
    [samples],
  );
  const drawn = useMemo(() => options(lines, data[0].at(-1) - data[0][0]), [lines, data]);
  if (shown.length < 2) return html`<p class="dim">${t("curve.none")}</p>`;
  const step = Math.ceil(shown.length / LISTED);
  const listed = shown.filter((_, index) => index % step === 0);
  return html`<${Chart} options=${drawn} data=${data} label=${t("curve")} />
    <details>
      <summary>${t("as.table")}</summary>
      <div class="wide" tabindex="0" role="region" aria-label=${t("curve")}>
        <table class="numbers">
          <thead>
            <tr>
              <th scope="col">${t("time")}</th>
              <th scope="col">${t("power")}</th>
              <th scope="col">${t("register")}</th>
              <th scope="col">${t("soc")}</th>
            </tr>
          </thead>
          <tbody>
            ${listed.map(
              (one) => html`<tr>
                <th scope="row">${exactly(one.at)}</th>
                <td>${kw(one.power_w)}</td>
                <td>${kwh(one.register_wh)}</td>
                <td>${percent(one.soc)}</td>
              </tr>`,
            )}
          </tbody>
        </table>
      </div>
    </details>`;
}
