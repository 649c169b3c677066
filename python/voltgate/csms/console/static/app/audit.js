// Audit: who decided what, when and why; newest first.
import { html } from "../ui/html.js";
import { when } from "../ui/format.js";
import { Pages } from "../ui/pages.js";
import { usePages } from "../data/pages.js";
import { t } from "../text/books.js";
import { t as shared } from "../text/shell.js";

const row = (one) => html`<li key=${one.revision}>
  <details>
    <summary class="row entry">
      <span class="name"><b>${one.kind} ${one.id}</b><small>${one.by.replace(/^session:/, "")} · ${one.why || t("why.none")}</small></span>
      <small>${when(one.at)}</small>
    </summary>
    <pre tabindex="0">${JSON.stringify(one.body, null, 2)}</pre>
  </details>
</li>`;

export function Audit() {
  const pages = usePages("/audit", { limit: 50 });
  return html`<h1>${shared("nav.audit")}</h1>
    <${Pages} pages=${pages} row=${row} icon="history" none=${t("audit.none")} />`;
}
