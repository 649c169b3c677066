// Chargers: all of them, by site, with a search and a chip for each state.
import { html, use, useMemo, useState } from "../ui/html.js";
import { kw, kwh } from "../ui/format.js";
import { Age, Empty, Icon, Loading, Old, State } from "../ui/parts.js";
import { Lazy } from "../ui/lazy.js";
import { List } from "../ui/list.js";
import { chargers, listed, picture, roster, totals, whole } from "../data/live.js";
import { now } from "../data/clock.js";
import { part } from "../data/api.js";
import { may } from "../data/me.js";
import { go, place } from "../data/router.js";
import { STATES } from "../data/states.js";
import { t } from "../text/chargers.js";
import { t as shared } from "../text/shell.js";

const ROW = 4.5; // rem
const MOST = 1000; // chargers of one bulk operation

const bulk = () => import("./bulk.js").then((file) => file.Bulk);

function Row({ id }) {
  const row = use(() => (picture.value, chargers.get(id)), [id]);
  if (!row) return null;
  return html`<a class="row charger" href="/chargers/${part(id)}" data-testid="charger-${id}">
    <span class="name"><b>${row.label}</b><small>${row.site ?? t("nowhere")}</small></span>
    <span class="values">
      <span data-testid="power">${row.power != null && kw(row.power)}</span>
      <small data-testid="energy">${row.energy != null && kwh(row.energy)}</small>
    </span>
    <span class="at">
      <${State} state=${row.state} testid="state" />
      ${row.state === "offline"
        ? row.since && html`<small><${Age} since=${row.since} /></small>`
        : row.running > 0 && html`<${Old} since=${row.heard} />`}
    </span>
  </a>`;
}

function Chips({ chosen, choose }) {
  // Once a second: some charger of many changes in each frame.
  const numbers = use(() => {
    now.value;
    roster.value;
    if (!whole.value) return [];
    return STATES.filter((state) => totals[state] || state === chosen).map((state) => [state, totals[state]]);
  }, [chosen]);
  const all = use(() => (roster.value, whole.value ? chargers.size : ""));
  return html`<div class="chips" role="group" aria-label=${t("now.states")}>
    <button aria-pressed=${!chosen} onClick=${() => choose("")}>${t("all")} <b>${all || ""}</b></button>
    ${numbers.map(
      ([state, n]) =>
        html`<button key=${state} aria-pressed=${state === chosen} onClick=${() => choose(state)}>
          <${State} state=${state} /> <b>${n}</b>
        </button>`,
    )}
  </div>`;
}

/** One operation for the chargers that are shown. */
function BulkButton({ ids }) {
  const acts = use(() => may("operator"));
  const [open, setOpen] = useState(false);
  if (!acts || !ids.length || ids.length > MOST) return null;
  return html`<button data-testid="bulk" onClick=${() => setOpen(true)}>
      <${Icon} name="list-filter" />${t("bulk", { n: ids.length })}
    </button>
    ${open && html`<${Lazy} load=${bulk} props=${{ ids, onClose: () => setOpen(false) }} />`}`;
}

export function Chargers() {
  const given = use(() => place.value);
  const asked = new URLSearchParams(given.split("?")[1] ?? "");
  const state = asked.get("state") ?? "";
  const words = asked.get("q") ?? "";
  const set = (name, value) => {
    if (value) asked.set(name, value);
    else asked.delete(name);
    go(asked.size ? `/chargers?${asked}` : "/chargers", { replace: true });
  };
  // Sorted anew only when a charger comes, goes or moves.
  const all = use(() => (roster.value, listed()));
  const ids = use(() => {
    if (state) picture.value; // a state comes and goes
    const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
    if (!state && !wanted.length) return all;
    return all.filter((id) => {
      const row = chargers.get(id);
      return row && (!state || row.state === state) && wanted.every((word) => row.text.includes(word));
    });
  }, [all, state, words]);
  const known = use(() => whole.value);
  const row = useMemo(() => (id) => html`<${Row} id=${id} />`, []);
  if (!all.length) {
    if (!known) return html`<${Loading} />`;
    return html`<${Empty} alone icon="plug" title=${t("none")}><p>${t("none.hint")}</p></${Empty}>`;
  }
  return html`<h1 class="hidden">${shared("nav.chargers")}</h1>
    <div class="finder">
      <label class="search">
        <${Icon} name="search" /><span class="hidden">${t("search")}</span>
        <input
          type="search"
          placeholder=${t("search")}
          value=${words}
          autocomplete="off"
          onInput=${(event) => set("q", event.target.value)}
        />
      </label>
      <${Chips} chosen=${state} choose=${(one) => set("state", one)} />
    </div>
    <${BulkButton} ids=${ids} />
    <p class="hidden" role="status">${known && t("count", { n: ids.length })}</p>
    ${ids.length
      ? html`<${List} items=${ids} row=${row} height=${ROW} id=${(id) => id} label=${shared("nav.chargers")} />`
      : !known
      ? html`<${Loading} />`
      : html`<${Empty} icon="search" title=${t("none.found")}>
          <button onClick=${() => go("/chargers", { replace: true })}>${t("none.clear")}</button>
        </${Empty}>`}`;
}
