// A short word at the edge of the page that something has happened; read aloud, and gone by itself.
import { html, signal, use } from "./html.js";

const toast = signal(null);
let timer = 0;

export function say(text) {
  clearTimeout(timer);
  toast.value = text;
  timer = setTimeout(() => (toast.value = null), 6000);
}

export function Toast() {
  const text = use(() => toast.value);
  return html`<div class="toast" role="status" hidden=${!text}>${text}</div>`;
}
