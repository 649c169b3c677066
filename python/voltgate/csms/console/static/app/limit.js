// Limit: the power of a charger, or of one EVSE, and what the charger says of its schedule.
import { html, use, useState } from "../ui/html.js";
import { decimal, kw, when } from "../ui/format.js";
import { Icon } from "../ui/parts.js";
import { part, query, send } from "../data/api.js";
import { chargers, picture } from "../data/live.js";
import { Result, sent } from "./outcome.js";
import { t } from "../text/work.js";

const Schedule = ({ said }) => html`<table class="numbers">
  <caption>${t("schedule.starts", { time: said.starts ? when(said.starts) : "–" })}</caption>
  <thead>
    <tr><th scope="col">${t("schedule.after")}</th><th scope="col">${t("schedule.limit")}</th></tr>
  </thead>
  <tbody>
    ${said.periods.map(
      (one) =>
        html`<tr>
          <td>${t("minutes", { n: Math.round(one.start_s / 60) })}</td>
          <td>${said.unit === "W" ? kw(one.limit) : `${one.limit ?? "–"} A`}</td>
        </tr>`,
    )}
  </tbody>
</table>`;

export function Limit({ id }) {
  const row = use(() => (picture.value, chargers.get(id)), [id]);
  const evses = [...new Set((row?.connectors ?? []).map((one) => one.evse).filter(Boolean))];
  const [evse, setEvse] = useState("");
  const [limit, setLimit] = useState("");
  const [unit, setUnit] = useState("W");
  const [ended, setEnded] = useState(null);
  const [said, setSaid] = useState(null);
  const path = `/chargers/${part(id)}`;
  const run = async (work) => {
    setEnded({ busy: true });
    setEnded(await sent(work));
  };
  const number = decimal(limit) * (unit === "W" ? 1000 : 1);
  const set = () =>
    run((key) => send("PUT", `${path}/limit`, { limit: number, unit, evse: evse ? Number(evse) : null }, key));
  const clear = () => run((key) => send("DELETE", query(`${path}/limit`, { evse }), undefined, key));
  const ask = async () => {
    setEnded({ busy: true });
    const found = await sent((key) => send("POST", `${path}/schedule`, { evse: Number(evse || 0) }, key));
    setSaid(found.answer ?? null);
    setEnded(found.good ? null : found);
  };
  return html`<div class="card" data-testid="limit">
    <div class="form">
      <label>
        ${t("limit.where")}
        <select value=${evse} onChange=${(event) => setEvse(event.target.value)}>
          <option value="">${t("whole")}</option>
          ${evses.map((one) => html`<option value=${one}>${t("evse", { n: one })}</option>`)}
        </select>
      </label>
      <label>
        ${t("schedule.limit")}
        <input inputmode="decimal" placeholder="11" value=${limit} onInput=${(event) => setLimit(event.target.value)} />
      </label>
      <label>
        ${t("unit")}
        <select value=${unit} onChange=${(event) => setUnit(event.target.value)}>
          <option value="W">kW</option>
          <option value="A">A</option>
        </select>
      </label>
    </div>
    <div class="buttons">
      <button onClick=${ask} data-testid="schedule"><${Icon} name="refresh-cw" />${t("schedule.ask")}</button>
      <button onClick=${clear} data-testid="limit-clear">${t("limit.clear")}</button>
      <button class="primary" disabled=${!(number >= 0)} onClick=${set} data-testid="limit-set">${t("limit.set")}</button>
    </div>
    ${ended && html`<${Result} ended=${ended} />`} ${said?.periods.length > 0 && html`<${Schedule} said=${said} />`}
  </div>`;
}
