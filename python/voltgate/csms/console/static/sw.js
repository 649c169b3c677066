// The service worker: the shell and its files from this browser, so that the pages open without a network.
// What the API answers is never kept here. A new release has other addresses: this file differs, and is installed.
const BASE = "{base}";
const FILES = "{files}".split(" ");
const SERVED = /^\/(api|static|login|logout|receipts|sw\.js)\b/;

addEventListener("install", (event) => {
  // Where a browser can, it finds files in the cache without asking this worker.
  event.addRoutes?.({ condition: { urlPattern: `${BASE}/*` }, source: { cacheName: BASE } });
  event.waitUntil(
    caches
      .open(BASE)
      .then((cache) => cache.addAll(FILES.map((name) => `${BASE}/${name}`)))
      .then(() => self.skipWaiting()),
  );
});

addEventListener("activate", (event) =>
  event.waitUntil(
    caches
      .keys()
      .then((names) => names.filter((name) => name.startsWith("/static/") && name !== BASE))
      .then((old) => Promise.all(old.map((name) => caches.delete(name))))
      .then(() => self.clients.claim()),
  ),
);

async function file(request) {
  const cache = await caches.open(BASE);
  const found = await cache.match(request);
  if (found) return found;
  const answer = await fetch(request);
  if (answer.ok) await cache.put(request, answer.clone());
  return answer;
}

addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== location.origin) return;
  if (url.pathname.startsWith(`${BASE}/`)) event.respondWith(file(request));
  else if (request.mode === "navigate" && !SERVED.test(url.pathname)) {
    event.respondWith(file(new Request(`${BASE}/shell.html`)));
  }
});
