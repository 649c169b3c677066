// Configuration of a charger: what it reported, as a tree with a search; a change has its outcome in words.
import { html, use, useState } from "../ui/html.js";
import { Age, Empty, Icon, Sheet, Shown, why } from "../ui/parts.js";
import { part, send } from "../data/api.js";
import { useQuery } from "../data/query.js";
import { may } from "../data/me.js";
import { Result, fresh, words } from "./outcome.js";
import { known, t } from "../text/work.js";

const titled = (one) =>
  [one.name + (one.instance ? ` ${one.instance}` : ""), one.evse && t("evse", { n: one.evse }), one.connector]
    .filter(Boolean)
    .join(" / ");
const found = (component, variable, text) =>
  `${titled(component)} ${variable.name} ${variable.instance ?? ""}`.toLowerCase().includes(text);

/** Limits and choices of a variable, as the charger reported them. */
function bounds({ data_type, minimum, maximum, values }) {
  const range = minimum != null || maximum != null ? `${minimum ?? ""} … ${maximum ?? ""}` : "";
  return [data_type, range, values].filter(Boolean).join(", ");
}

function Change({ id, component, variable, onClose }) {
  const attribute = variable.attributes.find((one) => one.mutability !== "ReadOnly");
  const [value, setValue] = useState(attribute.value ?? "");
  const [key] = useState(fresh);
  const [ended, setEnded] = useState(null);
  const change = {
    component: component.name || null,
    component_instance: component.instance,
    evse: component.evse,
    connector: component.connector,
    variable: variable.name,
    instance: variable.instance,
    attribute: attribute.type,
    value,
  };
  const run = async () => {
    setEnded({ busy: true });
    try {
      const path = `/chargers/${part(id)}/configuration`;
      const answer = await send("PUT", path, { changes: [change] }, { "Idempotency-Key": key });
      const [one] = answer.results;
      const good = ["Accepted", "RebootRequired"].includes(one.status);
      const word = `change.${one.status}`;
      const text = known(word) ? t(word) : one.meaning;
      setEnded({ good, text: answer.outcome === "result" ? text : words(answer) });
    } catch (problem) {
      setEnded({ good: false, text: why(problem) });
    }
  };
  return html`<${Sheet} title=${variable.name} onClose=${() => onClose(Boolean(ended?.good))}>
    ${ended
      ? html`<${Result} ended=${ended} />`
      : html`<label class="field">
            ${bounds(variable) || t("value")} ${variable.unit && `(${variable.unit})`}
            <input value=${value} maxlength="1000" autocomplete="off" onInput=${(event) => setValue(event.target.value)} />
          </label>
          <div class="buttons">
            <button class="primary" data-testid="confirm" onClick=${run}>${t("change")}</button>
          </div>`}
  </${Sheet}>`;
}

const Variable = ({ variable, choose }) => html`<li class="row variable">
  <span>
    <b>${variable.name}${variable.instance ? ` ${variable.instance}` : ""}</b>
    <small>
      ${variable.read_only ? t("read.only") : bounds(variable)} ${variable.reboot && html` <b>${t("needs.reboot")}</b>`}
    </small>
  </span>
  <span class="said">
    ${variable.attributes.map((one) => html`<span>${one.value ?? "–"}</span> `)} ${variable.unit}
    ${choose && !variable.read_only && html`<button onClick=${choose}>${t("change")}<span class="hidden"> ${variable.name}</span></button>`}
  </span>
</li>`;

export function Configuration({ id }) {
  const query = useQuery(`/chargers/${part(id)}/configuration`);
  const reads = use(() => may("operator"));
  const changes = use(() => may("manager"));
  const [text, setText] = useState("");
  const [chosen, choose] = useState(null);
  const [ended, setEnded] = useState(null);
  const read = async () => {
    setEnded({ busy: true });
    try {
      const answer = await send("POST", `/chargers/${part(id)}/configuration/read`, undefined, {
        "Idempotency-Key": fresh(),
      });
      setEnded(answer.complete ? null : { good: false, text: words(answer) });
      query.again();
    } catch (problem) {
      setEnded({ good: false, text: why(problem) });
    }
  };
  const ask = reads && html`<button data-testid="read" onClick=${read}><${Icon} name="refresh-cw" />${t("read")}</button>`;
  return html`<div class="card" data-testid="configuration">
    <${Shown} query=${query}>
      ${(data) => html`<header>
          <span>${data.at ? html`${t("reported")} <${Age} since=${data.at} />` : t("never.read")}</span>
          ${ask}
        </header>
        ${ended && html`<${Result} ended=${ended} />`} ${data.at && !data.complete && html`<p>${t("incomplete")}</p>`}
        ${data.components.length > 0 &&
        html`<label class="search">
          <${Icon} name="search" /><span class="hidden">${t("find.variable")}</span>
          <input type="search" placeholder=${t("find.variable")} value=${text} onInput=${(event) => setText(event.target.value)} />
        </label>`}
        ${data.components.map((component) => {
          const shown = component.variables.filter((one) => found(component, one, text.toLowerCase()));
          if (!shown.length) return null;
          return html`<details open key=${titled(component)}>
            <summary>${titled(component) || t("keys")} <small>${shown.length}</small></summary>
            <ul class="rows">
              ${shown.map(
                (variable) =>
                  html`<${Variable}
                    key=${`${variable.name}/${variable.instance}`}
                    variable=${variable}
                    choose=${changes && (() => choose({ component, variable }))}
                  />`,
              )}
            </ul>
          </details>`;
        })}
        ${data.at && !data.components.length && html`<${Empty} icon="settings" title=${t("nothing.reported")} />`}`}
    </${Shown}>
    ${chosen &&
    html`<${Change}
      id=${id}
      ...${chosen}
      onClose=${(changed) => {
        choose(null);
        if (changed) read();
      }}
    />`}
  </div>`;
}
