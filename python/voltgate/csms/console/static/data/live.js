// The live picture of every charger: one stream of events in columns, applied at most once a frame.
//
//   connecting --event--> live --silence, error, offline--> stale --event--> live
//
// Before the first event, and while there is none, the last picture that was kept is shown with its age.
import { signal } from "../ui/html.js";
import { introduce } from "./me.js";
import { now } from "./clock.js";
import { ofCharger, STATES, total } from "./states.js";

const SILENT = 12_000; // milliseconds; the server says something every five seconds
const WOKEN = 7_000; // likewise, for who looks again after a while
/** How many rows are shown before the picture has come: a screen of them. */
export const FIRST = 24;
const LATE = 10; // seconds that the ledger may be behind before what it says counts as old

/** Rows by id: the API's document with `state`, `power`, `energy`, `label`, `heard` and `text` (for searches). */
export const chargers = new Map();
/** Grows with each change of {@link chargers}: read it, and you are drawn again. */
export const picture = signal(0);
/** Grows when a charger comes, goes, or changes its name or site. */
export const roster = signal(0);
/** `state`: connecting, live or stale; `at`: of what time the picture is, in milliseconds, 0 for none. */
export const link = signal({ state: "connecting", at: 0 });
/** Rows that are shown until there is a picture: those at the top of the list. */
export const first = signal([]);
/** Whether there is a picture, live or kept: a charger that is not in it is not there. */
export const pictured = () => link.value.at > 0 && !first.value.length;
/** How many chargers have each state, and what all of them take, in watts. */
export const totals = { power: 0, sessions: 0, ...Object.fromEntries(STATES.map((state) => [state, 0])) };

let pending = []; // events until the next frame
let asked = 0;
let source = null;
let last = ""; // the id of the last event
let heardAt = 0; // when the last one came
let triedAt = 0;

function count(row, sign) {
  totals[row.state] += sign;
  totals.power += sign * (row.power ?? 0);
  totals.sessions += sign * row.running;
}

/** What rows have beside a document of {@link applied}. `before`: the row that it takes the place of, if there is one. */
function derive(document, before) {
  const label = document.name || document.id;
  const { id, site, vendor, model, connectors } = document;
  const moved = !before || before.label !== label || before.site !== site;
  const text = moved || before.model !== model ? [label, id, site, vendor, model].join(" ").toLowerCase() : before.text;
  document.label = label;
  document.text = text;
  document.state = ofCharger(document);
  document.power = total(document, "power_w");
  document.energy = total(document, "energy_wh");
  document.running = connectors.filter((one) => one.session).length;
  document.heard = connectors.reduce((latest, one) => (one.heard > latest ? one.heard : latest), "");
  return moved;
}

/** Take a document in, which becomes the row; whether it is new or has moved in the list. */
function put(document) {
  const before = chargers.get(document.id);
  const moved = derive(document, before);
  if (before) count(before, -1);
  count(document, 1);
  chargers.set(document.id, document);
  return moved;
}

/** Each row of columns: the value of the column `key`, and an object of the others. */
function* rows(columns, key) {
  const names = Object.keys(columns).filter((name) => name !== key);
  const length = columns[key]?.length ?? 0;
  for (let index = 0; index < length; index++) {
    const row = {};
    for (const name of names) row[name] = columns[name][index];
    yield [columns[key][index], row];
  }
}

const DERIVED = new Set(["label", "text", "state", "power", "energy", "running", "heard", "connectors"]);

/** Rows of {@link chargers} as an event, to be kept: as small as it came. */
export function packed(documents) {
  const event = { chargers: {}, connectors: {}, values: {} };
  const push = (columns, name, value) => (columns[name] ??= []).push(value);
  for (const document of documents) {
    for (const name of Object.keys(document)) if (!DERIVED.has(name)) push(event.chargers, name, document[name]);
    for (const one of document.connectors) {
      push(event.connectors, "charger", document.id);
      for (const name of Object.keys(one)) push(event.connectors, name, one[name]);
    }
  }
  return event;
}

/** Documents that events change, by id; those that are not there yet are copied from {@link chargers}. */
function applied(events) {
  const touched = new Map();
  const place = (id, one) => {
    let document = touched.get(id);
    if (!document) {
      const known = chargers.get(id);
      if (!known) return null;
      document = { ...known, connectors: [...known.connectors] };
      touched.set(id, document);
    }
    const index = document.connectors.findIndex((it) => it.evse === one.evse && it.connector === one.connector);
    return { list: document.connectors, index };
  };
  for (const { chargers: whole, connectors, values } of events) {
    for (const [id, row] of rows(whole, "id")) {
      row.id = id;
      row.connectors = [];
      touched.set(id, row);
    }
    for (const [charger, one] of rows(connectors, "charger")) {
      const found = place(charger, one);
      if (found) found.list[found.index < 0 ? found.list.length : found.index] = one;
    }
    for (const [charger, one] of rows(values, "charger")) {
      const found = place(charger, one);
      if (found && found.index >= 0) found.list[found.index] = { ...found.list[found.index], ...one };
    }
  }
  return touched;
}

function draw() {
  asked = 0;
  if (first.value.length) first.value = [];
  const whole = pending.some((event) => event.whole);
  const touched = applied(pending);
  let moved = false;
  if (whole) {
    for (const [id, row] of chargers) {
      if (touched.has(id)) continue;
      count(row, -1);
      chargers.delete(id);
      moved = true;
    }
  }
  pending = [];
  for (const document of touched.values()) moved = put(document) || moved;
  if (!totals.sessions) totals.power = 0; // what rounding has left
  if (moved) roster.value++;
  picture.value++;
}

/** Show an event with the next frame; while the page is hidden there is none, and what has come waits. */
function show(event) {
  if (event.whole) pending = [];
  pending.push(event);
  asked ||= requestAnimationFrame(draw);
}

function alive(lag) {
  heardAt = Date.now();
  const late = lag > LATE;
  link.value = { state: late ? "stale" : "live", at: late ? heardAt - lag * 1000 : heardAt };
}

function take(event, whole) {
  const data = JSON.parse(event.data);
  last = event.lastEventId;
  show({ ...data, whole });
  alive(data.lag);
}

/** Show these rows until there is a picture. `at`: of what time they are, if they were kept. */
export function preview(event, at = 0) {
  if (chargers.size) return;
  const rows = [...applied([event]).values()];
  for (const row of rows) derive(row);
  first.value = rows;
  if (at) link.value = { state: link.value.state, at };
}

/** A picture of an earlier visit, in events of {@link packed}, until there is a newer one. */
export function remember(events, at) {
  if (chargers.size || link.value.state === "live") return;
  first.value = [];
  for (const document of applied(events).values()) put(document);
  link.value = { state: link.value.state, at };
  roster.value++;
  picture.value++;
}

function stale() {
  if (link.value.state !== "stale") link.value = { ...link.value, state: "stale" };
}

/** Connect, or connect again where the last event was. */
export function connect() {
  source?.close();
  triedAt = Date.now();
  const wanted = first.value.length ? 0 : FIRST;
  source = new EventSource(`/api/v1/live?form=columns&first=${wanted}${last && `&last_event_id=${last}`}`);
  source.addEventListener("first", (event) => preview(JSON.parse(event.data)));
  source.addEventListener("snapshot", (event) => take(event, true));
  source.addEventListener("change", (event) => take(event, false));
  source.addEventListener("alive", (event) => alive(JSON.parse(event.data).lag));
  source.addEventListener("error", () => {
    stale();
    // An answer without events: who is not logged in any more is sent to the login page.
    if (source.readyState === EventSource.CLOSED) introduce().catch(() => undefined);
  });
}

/** After so many milliseconds without an event it is not live: a connection that is dead looks like silence. */
function look(patience) {
  if (!triedAt || Date.now() - heardAt < patience) return;
  if (heardAt) stale();
  if (navigator.onLine && Date.now() - triedAt >= 3000) connect();
}

now.subscribe(() => look(SILENT));
document.addEventListener("visibilitychange", () => !document.hidden && look(WOKEN));
addEventListener("online", () => triedAt && connect());
addEventListener("offline", () => {
  source?.close();
  stale();
});
