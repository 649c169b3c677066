// Firmware and logs of a charger: what was asked for, and how far it is.
import { html, use, useState } from "../ui/html.js";
import { when } from "../ui/format.js";
import { Icon, Shown } from "../ui/parts.js";
import { part, query, send } from "../data/api.js";
import { useEvery, useQuery } from "../data/query.js";
import { may } from "../data/me.js";
import { Result, sent } from "./outcome.js";
import { t } from "../text/work.js";

const ICONS = { asked: "clock", running: "refresh-cw", done: "circle-check", failed: "circle-x", refused: "ban" };
const AGAIN = 2000; // milliseconds, while something goes on
const LATELY = 3600_000; // and was asked for so lately: what a charger forgot is not asked for for ever
const lately = (one) => Date.now() - new Date(one.at).getTime() < LATELY;

const Transfer = ({ id, one }) => html`<li class="row transfer" data-testid="transfer" data-state=${one.state}>
  <span>
    <b><${Icon} name=${ICONS[one.state]} /> ${t(one.kind === "security" ? "kind.security.log" : `kind.${one.kind}`)}: ${t(`transfer.${one.state}`)}</b>
    <small>${when(one.at)} ${one.steps.map((step) => ` → ${step.status}`)}</small>
  </span>
  ${one.file &&
  may("operator") &&
  html`<a download href="/api/v1${query(`/chargers/${part(id)}/file`, { name: one.file })}"><${Icon} name="download" />${t("download")}</a>`}
</li>`;

function Update({ run, id }) {
  const images = useQuery("/firmware");
  const [location, setLocation] = useState("");
  const [file, setFile] = useState("");
  const kept = images.data?.items ?? [];
  const body = file ? { file } : { location: location.trim() };
  return html`<details>
    <summary>${t("firmware.update")}</summary>
    ${kept.length > 0 &&
    html`<label>
      ${t("firmware.file")}
      <select value=${file} onChange=${(event) => setFile(event.target.value)}>
        <option value="">${t("firmware.elsewhere")}</option>
        ${kept.map((one) => html`<option value=${one.name}>${one.name}</option>`)}
      </select>
    </label>`}
    ${!file &&
    html`<label>
      ${t("firmware.location")}
      <input type="url" placeholder="https://" value=${location} onInput=${(event) => setLocation(event.target.value)} />
    </label>`}
    <div class="buttons">
      <button
        class="danger"
        data-testid="firmware"
        disabled=${!file && !location.trim()}
        onClick=${() => run((key) => send("POST", `/chargers/${part(id)}/firmware`, body, key))}
      >
        ${t("firmware.update")}
      </button>
    </div>
  </details>`;
}

export function Transfers({ id }) {
  const list = useQuery(`/chargers/${part(id)}/transfers`);
  const operates = use(() => may("operator"));
  const manages = use(() => may("manager"));
  const [ended, setEnded] = useState(null);
  const goesOn = list.data?.items.some((one) => ["asked", "running"].includes(one.state) && lately(one)) ?? false;
  useEvery(list.again, AGAIN, goesOn);
  const run = async (work) => {
    setEnded({ busy: true });
    setEnded(await sent(work));
    list.again();
  };
  const fetchLog = (kind) => run((key) => send("POST", `/chargers/${part(id)}/log`, { kind }, key));
  return html`<div class="card" data-testid="transfers">
    ${operates &&
    html`<div class="buttons tight">
      <button data-testid="log-diagnostics" onClick=${() => fetchLog("diagnostics")}>${t("log.diagnostics")}</button>
      <button data-testid="log-security" onClick=${() => fetchLog("security")}>${t("log.security")}</button>
    </div>`}
    ${manages && html`<${Update} run=${run} id=${id} />`} ${ended && html`<${Result} ended=${ended} />`}
    <${Shown} query=${list}>
      ${(data) =>
        data.items.length
          ? html`<ul class="rows">
              ${data.items.map((one) => html`<${Transfer} key=${one.command_id} id=${id} one=${one} />`)}
            </ul>`
          : html`<p class="dim">${t("transfers.none")}</p>`}
    </${Shown}>
  </div>`;
}
