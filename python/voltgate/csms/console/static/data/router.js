// Addresses of the pages, with the browser's history. Every link of the page that leads to a screen is followed here.
import { signal } from "../ui/html.js";

const SERVED = /^\/(api|static|login|logout|receipts)\b/; // by the server, not by a screen

export const place = signal(location.pathname + location.search);

export function go(path, { replace = false } = {}) {
  history[replace ? "replaceState" : "pushState"](null, "", path);
  place.value = path;
  scrollTo(0, 0);
}

addEventListener("popstate", () => (place.value = location.pathname + location.search));
addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href]");
  const plain = event.button === 0 && !(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey);
  if (!link || !plain || event.defaultPrevented || link.target || link.hasAttribute("download")) return;
  const url = new URL(link.href);
  if (url.origin !== location.origin || SERVED.test(url.pathname)) return;
  event.preventDefault();
  go(url.pathname + url.search);
});

/** A part of an address as it was before it was encoded; null: it is not encoded (`100%`). */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return null;
  }
}

/** The values of `/chargers/:id` in a path, decoded; null: it is another address, or none. */
export function matched(pattern, path) {
  const wanted = pattern.split("/");
  const given = path.split("?")[0].split("/");
  if (wanted.length !== given.length) return null;
  const values = {};
  for (const [index, name] of wanted.entries()) {
    const value = decoded(given[index]);
    if (value === null) return null;
    if (name.startsWith(":")) values[name.slice(1)] = value;
    else if (name !== given[index]) return null;
  }
  return values;
}
