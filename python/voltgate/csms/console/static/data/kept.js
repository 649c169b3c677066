// The last picture, kept in this browser for the next visit and for when there is no network. It is deleted at logout.
// Its first line is its time; each of the others is an event, which is drawn by itself.
import { glimpse } from "../ui/glimpse.js";
import { idle } from "./clock.js";
import { chargers, link, listed, packed, preview, remember, remembered, whole } from "./live.js";
import { FIRST, GLIMPSE, PICTURE } from "./stored.js";

const EVERY = 20_000; // milliseconds
const SCREEN = 24; // chargers that are shown at once
const PART = 250; // chargers that are written and shown in one go: the page stays quick
const possible = "caches" in globalThis; // in secure contexts

async function keep() {
  const ids = listed();
  const line = (first, end) => JSON.stringify(packed(ids.slice(first, end).flatMap((id) => chargers.get(id) ?? [])));
  const lines = [String(link.value.at), line(0, SCREEN)];
  for (let first = SCREEN; first < ids.length; first += PART) {
    await idle();
    lines.push(line(first, first + PART));
  }
  localStorage.setItem(FIRST, lines.slice(0, 2).join("\n"));
  const screen = glimpse(link.value.at);
  if (screen) localStorage.setItem(GLIMPSE, screen);
  const cache = await caches.open(PICTURE);
  await cache.put("/picture", new Response(lines.join("\n")));
}

async function* linesOf(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    const lines = done ? [rest] : (rest + value).split("\n");
    if (!done) rest = lines.pop();
    yield* lines;
    if (done) return;
  }
}

/** Show the first rows of what was kept. */
export function glance() {
  const [at, rows] = localStorage.getItem(FIRST)?.split("\n") ?? [];
  if (rows) preview(rows, Number(at));
}

/** Show what was kept, and keep what is shown from now on. */
export async function recall() {
  if (!possible) return;
  const found = await caches.match("/picture", { cacheName: PICTURE });
  if (found) {
    let at = 0;
    for await (const line of linesOf(found.body)) {
      if (at) remember(line, at);
      else if (!(at = Number(line))) break; // an earlier release kept it
    }
    if (at) remembered();
  }
  let kept = 0;
  const again = async () => {
    if (link.value.state === "live" && whole.value && link.value.at !== kept) {
      kept = link.value.at;
      await keep();
    }
    setTimeout(again, kept ? EVERY : 1000);
  };
  setTimeout(again, 1000);
}
