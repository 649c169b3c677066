// Bulk: one operation for the chargers that were chosen; and its page, with the outcome of each.
import { html, useState } from "../ui/html.js";
import { decimal, when } from "../ui/format.js";
import { Icon, Sheet, Shown, why } from "../ui/parts.js";
import { part, send } from "../data/api.js";
import { chargers } from "../data/live.js";
import { useEvery, useQuery } from "../data/query.js";
import { go } from "../data/router.js";
import { fresh, good, words } from "./outcome.js";
import { known, t } from "../text/work.js";

const LISTED = 100; // that can be taken out one by one
const AGAIN = 500; // milliseconds
const DO = ["refresh", "reset", "operative", "inoperative"];

/** `ids`: the chargers that the page of chargers shows now. */
export function Bulk({ ids, onClose }) {
  const [left, setLeft] = useState(() => new Set(ids));
  const [what, setWhat] = useState("refresh");
  const [limit, setLimit] = useState("11");
  const [key] = useState(fresh);
  const [state, setState] = useState({ busy: false });
  const toggle = (id) => setLeft((old) => new Set(old.has(id) ? [...old].filter((one) => one !== id) : [...old, id]));
  const watts = decimal(limit) * 1000;
  const operation = () => {
    if (what === "limit") return { limit: { limit: watts } };
    if (what === "clear_limit") return { clear_limit: {} };
    return what === "log" ? { log: {} } : { do: { do: what } };
  };
  const run = async () => {
    setState({ busy: true });
    try {
      const job = await send("POST", "/bulk", { chargers: [...left], ...operation() }, { "Idempotency-Key": key });
      onClose();
      go(`/bulk/${part(job.id)}`);
    } catch (problem) {
      setState({ busy: false, problem });
    }
  };
  return html`<${Sheet} title=${t("bulk.title", { n: left.size })} onClose=${onClose}>
    <label>
      ${t("bulk.what")}
      <select value=${what} data-testid="bulk-what" onChange=${(event) => setWhat(event.target.value)}>
        ${[...DO, "limit", "clear_limit", "log"].map((one) => html`<option value=${one}>${t(`what.${one}`)}</option>`)}
      </select>
    </label>
    ${what === "limit" &&
    html`<label class="field">kW
      <input inputmode="decimal" value=${limit} onInput=${(event) => setLimit(event.target.value)} />
    </label>`}
    ${ids.length <= LISTED &&
    html`<fieldset class="chosen">
      <legend>${t("bulk.chargers")}</legend>
      ${ids.map(
        (id) =>
          html`<label key=${id}>
            <input type="checkbox" checked=${left.has(id)} onChange=${() => toggle(id)} /> ${chargers.get(id)?.label ?? id}
          </label>`,
      )}
    </fieldset>`}
    ${state.problem && html`<p role="alert">${why(state.problem)}</p>`}
    <div class="buttons">
      <button
        class="danger"
        data-testid="confirm"
        disabled=${state.busy || !left.size || (what === "limit" && !(watts >= 0))}
        onClick=${run}
      >
        ${t("bulk.run", { what: t(`what.${what}`), n: left.size })}
      </button>
    </div>
  </${Sheet}>`;
}

export function BulkJob({ id }) {
  const query = useQuery(`/bulk/${part(id)}`);
  const goesOn = query.data ? query.data.done < query.data.total : false;
  useEvery(query.again, AGAIN, goesOn);
  return html`<h1>${t("bulk.job")}</h1>
    <${Shown} query=${query}>
      ${(job) => html`<div class="card" data-testid="job">
        <p>${t(`what.${known(`what.${job.what}`) ? job.what : "other"}`, { what: job.what })}, ${when(job.at)}, ${job.by}</p>
        <label>
          <span role="status">${t("bulk.progress", { done: job.done, total: job.total })}</span>
          <progress max=${job.total} value=${job.done}></progress>
        </label>
        <ul class="rows">
          ${job.items.map(
            (one) =>
              html`<li key=${one.charger} class="row" data-testid="item-${one.charger}">
                <a href="/chargers/${part(one.charger)}">${one.charger}</a>
                <span class="ended ${one.state !== "done" ? "" : good(one) ? "good" : "bad"}">
                  <${Icon} name=${one.state !== "done" ? "clock" : good(one) ? "circle-check" : "circle-x"} />
                  ${one.state === "done" ? words(one) : t(`item.${one.state}`)}
                </span>
              </li>`,
          )}
        </ul>
      </div>`}
    </${Shown}>`;
}
