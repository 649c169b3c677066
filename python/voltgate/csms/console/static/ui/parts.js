// Parts that every screen is made of.
import { html, use, useEffect, useRef, useState } from "./html.js";
import { age } from "./format.js";
import { now } from "../data/clock.js";
import { link } from "../data/live.js";
import { t } from "../text/shell.js";

const SPRITE = new URL("../vendor/icons.svg", import.meta.url).pathname;

/** One of vendor/icons.svg; beside a word, and silent for who listens. */
export const Icon = ({ name }) =>
  html`<svg class="icon" aria-hidden="true" focusable="false"><use href="${SPRITE}#${name}" /></svg>`;

const STATE_ICONS = {
  available: "circle-check",
  charging: "zap",
  occupied: "plug",
  reserved: "clock",
  unavailable: "ban",
  faulted: "triangle-alert",
  offline: "wifi-off",
  unknown: "circle-help",
};

/** State: icon, word and colour together. */
export const State = ({ state, testid }) =>
  html`<span class="state state-${state}" data-testid=${testid}
    ><${Icon} name=${STATE_ICONS[state]} />${t(`state.${state}`)}</span
  >`;

/** How long ago a time of the API or a number of milliseconds was; it grows. */
export function Age({ since }) {
  const text = use(() => age((now.value - new Date(since).getTime()) / 1000), [since]);
  return html`<time datetime=${new Date(since).toISOString()}>${text}</time>`;
}

const OLD = 150; // seconds: more than two readings a minute apart

/** The age of values that should have been renewed by now; nothing while they are fresh. */
export function Old({ since }) {
  const old = use(() => Boolean(since) && (now.value - new Date(since).getTime()) / 1000 > OLD, [since]);
  return old ? html`<small class="old"><${Icon} name="clock-alert" /><${Age} since=${since} /></small>` : null;
}

/** A line above the page while what it shows is not live. */
export function Connection() {
  const text = use(() => {
    const { state, at } = link.value;
    if (state === "live") return "";
    if (!at) return t(state === "stale" ? "live.never" : "live.connecting");
    return t("live.stale", { age: age((now.value - at) / 1000) });
  });
  useEffect(() => void document.documentElement.classList.toggle("stale", Boolean(text)), [text]);
  return html`<p class="connection" role="status" hidden=${!text} data-testid="connection">${text}</p>`;
}

/** Nothing there yet, or nothing found; `alone`: it is the whole screen. */
export const Empty = ({ icon = "circle-check", title, alone, children }) =>
  html`<div class="empty">
    <${Icon} name=${icon} />${alone ? html`<h1>${title}</h1>` : html`<h2>${title}</h2>`}${children}
  </div>`;

export const Loading = () => html`<p class="loading" role="status">${t("loading")}</p>`;

/** What a Problem means, in words. */
export function why(problem) {
  if (problem.kind === "network") return t("error.network");
  if (problem.kind === "forbidden") return t("error.forbidden");
  return problem.message;
}

export const Failed = ({ problem, again }) =>
  html`<div class="empty" role="alert">
    <${Icon} name="triangle-alert" />
    <h2>${t("error.title")}</h2>
    <p>${why(problem)}</p>
    ${again && html`<button onClick=${again}>${t("error.again")}</button>`}
  </div>`;

/** What a query of data/query.js has found: `children` is a function of its data. */
export function Shown({ query, children }) {
  if (query.state === "loading") return html`<${Loading} />`;
  if (query.state === "failed") return html`<${Failed} problem=${query.problem} again=${query.again} />`;
  return html`${query.problem &&
    html`<p class="connection" role="status">${t("live.stale", { age: age((Date.now() - query.at) / 1000) })}</p>`}
    ${children(query.data)}`;
}

/** A sheet over the page, from below on a phone: a dialog with the focus in it; Escape and the backdrop close it. */
export function Sheet({ title, onClose, children }) {
  const dialog = useRef();
  useEffect(() => dialog.current.showModal(), []);
  const outside = (event) => event.target === dialog.current && dialog.current.close();
  return html`<dialog class="sheet" ref=${dialog} aria-label=${title} onClose=${onClose} onClick=${outside}>
    <div class="sheet-inner">
      <header>
        <h2>${title}</h2>
        <button class="quiet" aria-label=${t("close")} onClick=${() => dialog.current.close()}>
          <${Icon} name="x" />
        </button>
      </header>
      ${children}
    </div>
  </dialog>`;
}

const HOLD = 600; // milliseconds

/** Held, it calls `onHold`; pressed shortly or by the keyboard, `onPress`, which asks before it does anything. */
export function HoldButton({ onHold, onPress, children, ...rest }) {
  const [held, setHeld] = useState(false);
  const timer = useRef(0);
  const fired = useRef(false);
  const release = () => {
    clearTimeout(timer.current);
    setHeld(false);
  };
  const press = () => {
    fired.current = false;
    setHeld(true);
    timer.current = setTimeout(() => {
      fired.current = true;
      setHeld(false);
      onHold();
    }, HOLD);
  };
  useEffect(() => release, []);
  const click = () => {
    if (!fired.current) onPress();
    fired.current = false;
  };
  return html`<button
    ...${rest}
    class="hold ${rest.class ?? ""} ${held ? "held" : ""}"
    title=${t("hold.hint")}
    onPointerDown=${press}
    onPointerUp=${release}
    onPointerLeave=${release}
    onPointerCancel=${release}
    onContextMenu=${(event) => event.preventDefault()}
    onClick=${click}
  >
    ${children}
  </button>`;
}
