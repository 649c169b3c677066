// The last picture, kept in this browser for the next visit and for when there is no network. It is deleted at logout.
import { idle } from "./clock.js";
import { chargers, FIRST, link, packed, preview, remember } from "./live.js";

const NAME = "picture";
const EVERY = 20_000; // milliseconds
const AT_ONCE = 500; // chargers that are written in one go: the page stays quick
const possible = "caches" in globalThis; // in secure contexts

async function keep() {
  const at = link.value.at;
  const rows = [...chargers.values()];
  const parts = [`{"at":${at},"events":[`];
  for (let first = 0; first < rows.length; first += AT_ONCE) {
    await idle();
    parts.push(first ? "," : "", JSON.stringify(packed(rows.slice(first, first + AT_ONCE))));
  }
  parts.push("]}");
  const cache = await caches.open(NAME);
  await cache.put("/first", new Response(JSON.stringify({ at, event: packed(rows.slice(0, FIRST)) })));
  await cache.put("/picture", new Response(new Blob(parts)));
}

export const forget = async () => possible && caches.delete(NAME);

/** Show what was kept, and keep what is shown from now on. */
export async function recall() {
  if (!possible) return;
  const first = await caches.match("/first", { cacheName: NAME });
  if (first) {
    const { at, event } = await first.json();
    preview(event, at);
  }
  const found = await caches.match("/picture", { cacheName: NAME });
  if (found) {
    const { at, events } = await found.json();
    if (events) remember(events, at); // else an earlier release kept it
  }
  let kept = 0;
  const again = async () => {
    if (link.value.state === "live" && chargers.size && link.value.at !== kept) {
      kept = link.value.at;
      await keep();
    }
    setTimeout(again, kept ? EVERY : 1000);
  };
  setTimeout(again, 1000);
}
