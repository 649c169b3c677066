// Timeline of a charger: its last messages, refusals and commands, newest first, each with its payload.
import { html, useEffect, useState } from "../ui/html.js";
import { exactly } from "../ui/format.js";
import { Empty, Failed, Icon, Loading } from "../ui/parts.js";
import { get, part, query } from "../data/api.js";
import { t } from "../text/work.js";

const ICONS = {
  message: "plug",
  answer: "rotate-ccw",
  command: "zap",
  outcome: "circle-check",
  refusal: "triangle-alert",
  security: "key-round",
  violation: "triangle-alert",
  link: "wifi-off",
};

const titleOf = (one) =>
  one.kind === "link" && one.payload?.state
    ? t(one.payload.state === "up" ? "link.up" : "link.down")
    : one.action || t(`kind.${one.kind}`);

const Moment = ({ one }) => html`<li>
  <details class="moment ${one.error ? "bad" : ""}">
    <summary>
      <${Icon} name=${one.kind === "link" && one.payload?.state === "up" ? "plug-zap" : ICONS[one.kind]} />
      <span>
        <b>${titleOf(one)}</b>
        <small>${t(`kind.${one.kind}`)}${one.outcome ? ` · ${one.outcome}` : ""}${one.error ? ` · ${one.error}` : ""}</small>
      </span>
      <time datetime=${one.at}>${exactly(one.at)}</time>
    </summary>
    <pre tabindex="0">${typeof one.payload === "string" ? one.payload : JSON.stringify(one.payload, null, 2)}</pre>
    <p class="dim">${one.stream} ${one.seq}</p>
  </details>
</li>`;

export function Timeline({ id }) {
  const [pages, set] = useState({ items: [], next: null, state: "loading" });
  const more = async (before) => {
    try {
      const page = await get(query(`/chargers/${part(id)}/timeline`, { before }));
      set((old) => {
        const known = new Set(before ? old.items.map((one) => one.id) : []);
        const fresh = page.items.filter((one) => !known.has(one.id));
        return { items: before ? [...old.items, ...fresh] : fresh, next: page.next, state: "ready" };
      });
    } catch (problem) {
      set((old) => ({ ...old, state: "failed", problem }));
    }
  };
  useEffect(() => void more(null), [id]);
  if (pages.state === "loading") return html`<${Loading} />`;
  if (pages.state === "failed") return html`<${Failed} problem=${pages.problem} again=${() => more(null)} />`;
  if (!pages.items.length) return html`<${Empty} icon="history" title=${t("timeline.none")} />`;
  return html`<div class="card" data-testid="timeline">
    <div class="buttons tight"><button onClick=${() => more(null)}><${Icon} name="refresh-cw" />${t("renew")}</button></div>
    <ul class="rows">
      ${pages.items.map((one) => html`<${Moment} key=${one.id} one=${one} />`)}
    </ul>
    ${pages.next && html`<div class="buttons"><button onClick=${() => more(pages.next)}>${t("older")}</button></div>`}
  </div>`;
}
