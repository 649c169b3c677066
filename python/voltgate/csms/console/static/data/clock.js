// The time, once a second while somebody looks: ages on the page grow by it.
import { signal } from "../ui/html.js";

export const now = signal(Date.now());

const tick = () => {
  if (!document.hidden) now.value = Date.now();
};
/** When the page has nothing else to do. */
export const idle = () => new Promise((done) => (globalThis.requestIdleCallback ?? setTimeout)(done));

setInterval(tick, 1000);
document.addEventListener("visibilitychange", tick);
