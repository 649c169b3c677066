// A list in pages, as a screen shows it: loading, failed, nothing there, rows, and a button for more of them.
import { html } from "./html.js";
import { Empty, Failed, Loading } from "./parts.js";
import { t } from "../text/books.js";

/** `pages`: of usePages; `row(item)`: an `<li>`; `none`: the words where there is none. */
export function Pages({ pages, row, none, icon }) {
  if (pages.state === "loading") return html`<${Loading} />`;
  if (pages.state === "failed") return html`<${Failed} problem=${pages.problem} again=${pages.again} />`;
  if (!pages.items.length) return html`<${Empty} icon=${icon} title=${none} />`;
  return html`<ul class="rows card">${pages.items.map(row)}</ul>
    ${pages.next && html`<p class="buttons"><button onClick=${pages.more}>${t("more")}</button></p>`}`;
}
