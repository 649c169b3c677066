// The live picture of every charger: one stream of events, applied at most once a frame.
import { signal } from "../ui/html.js";
import { ofCharger, STATES, total } from "./states.js";

/** Rows by id: the API's document with `state`, `power`, `energy`, `label` and `text` (what a search looks in). */
export const chargers = new Map();
/** Grows with each change of {@link chargers}: read it, and you are drawn again. */
export const picture = signal(0);
/** Grows when a charger comes, goes, or changes its name or site. */
export const roster = signal(0);
/** `state`: connecting, live or stale; `at`: when the last event came, 0 for never. */
export const link = signal({ state: "connecting", at: 0 });
/** How many chargers have each state, and what all of them take, in watts. */
export const totals = { power: 0, sessions: 0, ...Object.fromEntries(STATES.map((state) => [state, 0])) };

let pending = new Map(); // the last document of each charger that has changed, until the next frame
let whole = false; // pending is all there is
let asked = 0;

function count(row, sign) {
  totals[row.state] += sign;
  totals.power += sign * (row.power ?? 0);
  totals.sessions += sign * row.running;
}

function put(document) {
  const before = chargers.get(document.id);
  const label = document.name || document.id;
  const row = {
    ...document,
    label,
    state: ofCharger(document),
    power: total(document, "power_w"),
    energy: total(document, "energy_wh"),
    running: document.connectors.filter((one) => one.session).length,
  };
  const moved = !before || before.label !== label || before.site !== document.site;
  row.text =
    moved || before.model !== document.model
      ? [label, document.id, document.site, document.vendor, document.model].join(" ").toLowerCase()
      : before.text;
  if (before) count(before, -1);
  count(row, 1);
  chargers.set(document.id, row);
  return moved;
}

function draw() {
  asked = 0;
  let moved = whole;
  if (whole) {
    for (const [id, row] of chargers) {
      if (pending.has(id)) continue;
      count(row, -1);
      chargers.delete(id);
    }
  }
  for (const document of pending.values()) moved = put(document) || moved;
  pending = new Map();
  whole = false;
  if (!totals.sessions) totals.power = 0; // what rounding has left
  if (moved) roster.value++;
  picture.value++;
}

function take(event, all) {
  const { chargers: documents } = JSON.parse(event.data);
  if (all) {
    pending = new Map();
    whole = true;
  }
  for (const document of documents) pending.set(document.id, document);
  link.value = { state: "live", at: Date.now() };
  // No frame comes while the page is hidden: what has come is then drawn when it is shown.
  asked ||= requestAnimationFrame(draw);
}

let source = null;

/** Connect, or connect again: the browser repeats a cut connection by itself, and says where it was. */
export function connect() {
  source?.close();
  source = new EventSource("/api/v1/live");
  source.addEventListener("snapshot", (event) => take(event, true));
  source.addEventListener("change", (event) => take(event, false));
  source.addEventListener("open", () => (link.value = { state: "live", at: Date.now() }));
  source.addEventListener("error", () => {
    link.value = { state: "stale", at: link.value.at };
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, 3000);
  });
}
