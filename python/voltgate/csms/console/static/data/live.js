// The live picture of every charger: one stream of events in columns. What has come is applied in parts, with a few
// milliseconds of each frame, so that the page answers meanwhile.
//
//   connecting --snapshot, change--> live --silence, error, offline--> stale --event--> live
//
// Before the first event, and while there is none, the last picture that was kept is shown with its age.
import { signal } from "../ui/html.js";
import { introduce } from "./me.js";
import { now } from "./clock.js";
import { ofCharger, STATES, total } from "./states.js";

const SILENT = 12_000; // milliseconds; the server says something every five seconds
const WOKEN = 7_000; // likewise, for who looks again after a while
const UNSEEN = 30_000; // milliseconds that a hidden page goes on to listen
const LATE = 10; // seconds that the ledger may be behind before what it says counts as old
const BUDGET = 8; // milliseconds of a frame

/** Rows by id: the API's document with `state`, `power`, `energy`, `label`, `place`, `heard` and `text` (for searches). */
export const chargers = new Map();
/** Grows with each change of {@link chargers}: read it, and you are drawn again. */
export const picture = signal(0);
/** Grows when a charger comes, goes, or changes its name or site. */
export const roster = signal(0);
/** Whether {@link chargers} are all there are; until then they are those at the top of the list. */
export const whole = signal(false);
/** `state`: connecting, live or stale; `at`: of what time the picture is, in milliseconds, 0 for none. */
export const link = signal({ state: "connecting", at: 0 });
/** How many chargers have each state, and what all of them take, in watts. */
export const totals = { power: 0, sessions: 0, ...Object.fromEntries(STATES.map((state) => [state, 0])) };

const queue = []; // [name, JSON] of events that are not applied yet
const seen = new Set(); // ids in the parts since the last event that was none
let asked = 0;
let unseen = 0; // the timer of a hidden page
let source = null;
let last = ""; // the id of the last event
let heardAt = 0; // when the last one came
let triedAt = 0;

function count(row, sign) {
  totals[row.state] += sign;
  totals.power += sign * (row.power ?? 0);
  totals.sessions += sign * row.running;
}

/** For comparisons: `Bay 9` comes before `Bay 10`. */
const natural = (text) => text.toLowerCase().replace(/\d+/g, (digits) => digits.padStart(18, "0"));

/** What rows have beside a document of {@link documents}. `before`: the row that it takes the place of, if there is one. */
function derive(document, before) {
  const label = document.name || document.id;
  const { id, site, vendor, model, connectors } = document;
  const moved = before?.label !== label || before.site !== site;
  const text = moved || before.model !== model ? [label, id, site, vendor, model].join(" ").toLowerCase() : before.text;
  document.label = label;
  document.place = moved ? `${natural(site ?? "")}\0${natural(label)}` : before.place;
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

const DERIVED = new Set(["label", "place", "text", "state", "power", "energy", "running", "heard", "connectors"]);

/** Rows of {@link chargers} as an event, to be kept: as small as it came. */
export function packed(rows_) {
  const event = { chargers: {}, connectors: {}, values: {} };
  const push = (columns, name, value) => (columns[name] ??= []).push(value);
  for (const document of rows_) {
    for (const name of Object.keys(document)) if (!DERIVED.has(name)) push(event.chargers, name, document[name]);
    for (const one of document.connectors) {
      push(event.connectors, "charger", document.id);
      for (const name of Object.keys(one)) push(event.connectors, name, one[name]);
    }
  }
  return event;
}

/** Documents that an event changes, by id; those that are not in it as a whole are copied from {@link chargers}. */
function documents({ chargers: given = {}, connectors = {}, values = {} }) {
  const found = new Map();
  const place = (id, one) => {
    let document = found.get(id);
    if (!document) {
      const known = chargers.get(id);
      if (!known) return null;
      document = { ...known, connectors: [...known.connectors] };
      found.set(id, document);
    }
    const index = document.connectors.findIndex((it) => it.evse === one.evse && it.connector === one.connector);
    return { list: document.connectors, index };
  };
  for (const [id, row] of rows(given, "id")) {
    row.id = id;
    row.connectors = [];
    found.set(id, row);
  }
  for (const [charger, one] of rows(connectors, "charger")) {
    const at = place(charger, one);
    if (at) at.list[at.index < 0 ? at.list.length : at.index] = one;
  }
  for (const [charger, one] of rows(values, "charger")) {
    const at = place(charger, one);
    if (at && at.index >= 0) at.list[at.index] = { ...at.list[at.index], ...one };
  }
  return found;
}

/** Take an event in; whether a charger has come, gone or moved in the list. */
function apply(name, text) {
  const data = JSON.parse(text);
  let moved = false;
  for (const [id, document] of documents(data)) {
    if (name === "kept" && (whole.value || chargers.has(id))) continue; // something newer has come
    moved = put(document) || moved;
    if (name !== "kept") seen.add(id);
  }
  if (name === "snapshot") {
    for (const [id, row] of chargers) {
      if (seen.has(id)) continue;
      count(row, -1);
      chargers.delete(id);
      moved = true;
    }
  }
  if (name === "snapshot" || name === "kept-end") whole.value = true;
  if (name === "snapshot" || name === "change") {
    seen.clear();
    alive(data.lag);
  }
  return moved;
}

function draw() {
  asked = 0;
  // More where much waits: a slow phone falls behind otherwise.
  applied(performance.now() + Math.max(BUDGET, queue.length));
  if (queue.length) asked = requestAnimationFrame(draw);
}

/** Apply what waits, one event at least, until a time of the page. */
function applied(until) {
  let moved = false;
  do moved = apply(...queue.shift()) || moved;
  while (queue.length && performance.now() < until);
  if (!totals.sessions) totals.power = 0; // what rounding has left
  if (moved) roster.value++;
  picture.value++;
}

/** Apply an event with the next frames. `name`: that of the server; of what was kept `kept`, and `kept-end`. */
function show(name, text) {
  queue.push([name, text]);
  asked ||= requestAnimationFrame(draw);
}

function alive(lag) {
  const late = lag > LATE;
  link.value = { state: late ? "stale" : "live", at: late ? heardAt - lag * 1000 : heardAt };
}

function take(name, event) {
  heardAt = Date.now();
  if (name === "alive") return alive(JSON.parse(event.data).lag);
  if (name !== "part") last = event.lastEventId; // a part alone is nothing to go on from
  show(name, event.data);
}

/** Show the first rows of all at once, as JSON of an event. `at`: of what time they are, if they were kept. */
export function preview(text, at = 0) {
  if (at) link.value = { state: link.value.state, at };
  queue.unshift(["kept", text]);
  applied(0);
}

/** Rows of an earlier visit, until there are newer ones. `at`: of what time they are, in milliseconds. */
export function remember(text, at) {
  if (link.value.state === "live") return;
  if (link.value.at !== at) link.value = { state: link.value.state, at };
  show("kept", text);
}

/** That was all of it. */
export const remembered = () => show("kept-end", "{}");

/** Ids as a page lists them: by site and name. */
export function listed() {
  const found = [...chargers.values()];
  found.sort((a, b) => (a.place < b.place ? -1 : a.place > b.place ? 1 : 0));
  return found.map((row) => row.id);
}

function stale() {
  if (link.value.state !== "stale") link.value = { ...link.value, state: "stale" };
}

/** Connect, or connect again where the last event was. */
export function connect() {
  source?.close();
  triedAt = Date.now();
  watched();
  source = new EventSource(`/api/v1/live?form=columns${last && `&last_event_id=${last}`}`);
  source.addEventListener("open", () => seen.clear());
  for (const name of ["part", "snapshot", "change", "alive"]) {
    source.addEventListener(name, (event) => take(name, event));
  }
  source.addEventListener("error", () => {
    stale();
    // An answer without events: who is not logged in any more is sent to the login page.
    if (source.readyState === EventSource.CLOSED) introduce().catch(() => undefined);
  });
}

/** After so many milliseconds without an event it is not live: a connection that is dead looks like silence. */
function look(patience) {
  const closed = source?.readyState === EventSource.CLOSED;
  if (!triedAt || (!closed && Date.now() - heardAt < patience)) return;
  if (heardAt) stale();
  if (navigator.onLine && Date.now() - triedAt >= 3000) connect();
}

now.subscribe(() => look(SILENT));

/** Listen to nothing until somebody looks again, or there is a network. */
function rest() {
  source?.close();
  stale();
}

/** Nothing is drawn while the page is hidden, and what comes would pile up. */
function watched() {
  clearTimeout(unseen);
  if (document.hidden) unseen = setTimeout(rest, UNSEEN);
}

document.addEventListener("visibilitychange", () => {
  watched();
  if (!document.hidden) look(WOKEN);
});
addEventListener("online", () => triedAt && connect());
addEventListener("offline", rest);
