// The API of this console. Who is not logged in any more is sent to the login page.
import { forget } from "./stored.js";

const ROOT = "/api/v1";

/** What the console answered instead: `kind` is the name of its problem document, or "network" without an answer. */
export class Problem extends Error {
  constructor(kind, status, text, errors = []) {
    super(text);
    Object.assign(this, { kind, status, errors });
  }
}

/** One part of an address: an identity may hold a slash. */
export const part = encodeURIComponent;

async function asked(method, path, body, headers) {
  const options = { method, headers: { "X-Voltgate": "1", ...headers } };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(ROOT + path, options);
  } catch {
    throw new Problem("network", 0, "");
  }
  return answer.ok ? answer : refused(answer);
}

/** Throws what an answer says. */
async function refused(answer) {
  if (answer.status === 401) {
    await forget();
    location.assign("/login");
  }
  const said = await answer.json().catch(() => ({}));
  const kind = (said.type ?? "").split(":").pop() || "internal";
  throw new Problem(kind, answer.status, said.detail || said.title || answer.statusText, said.errors);
}

export const get = async (path) => (await asked("GET", path)).json();

/** `headers`: If-Match, Idempotency-Key. What is answered without content is null. */
export async function send(method, path, body, headers = {}) {
  const answer = await asked(method, path, body, headers);
  return answer.status === 204 ? null : answer.json();
}

/** PUT a file as it is; `progress` is called with the share that was sent, 0 to 1: fetch does not say it. */
export function upload(path, file, progress) {
  const request = new XMLHttpRequest();
  return new Promise((done, fail) => {
    request.open("PUT", ROOT + path);
    request.setRequestHeader("X-Voltgate", "1");
    request.upload.onprogress = (event) => progress(event.loaded / event.total);
    request.onerror = () => fail(new Problem("network", 0, ""));
    request.onload = () => {
      const answer = new Response(request.responseText, { status: request.status, statusText: request.statusText });
      done(answer.ok ? answer.json() : refused(answer));
    };
    request.send(file);
  });
}

/** `/path?name=value` of what is neither null nor empty. */
export function query(path, values) {
  const given = Object.entries(values).filter(([, value]) => value != null && value !== "");
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}
