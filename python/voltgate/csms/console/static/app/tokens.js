// Tokens: who may charge; block one in one tap, decide on another.
import { html, use, useState } from "../ui/html.js";
import { when } from "../ui/format.js";
import { Icon, Shown } from "../ui/parts.js";
import { Decide, decided } from "../ui/decide.js";
import { Pages } from "../ui/pages.js";
import { part, send } from "../data/api.js";
import { may } from "../data/me.js";
import { usePages } from "../data/pages.js";
import { useQuery } from "../data/query.js";
import { t } from "../text/books.js";
import { t as shared } from "../text/shell.js";

const STATUSES = ["Accepted", "Blocked", "Expired", "Invalid"];

export function Tokens() {
  const tokens = usePages("/tokens");
  const manages = use(() => may("manager", { everywhere: true }));
  const unknown = useQuery(manages ? "/tokens/unknown" : null);
  const [adding, add] = useState(null); // the token in the sheet
  const again = () => {
    tokens.again();
    unknown.again();
  };
  const set = (one, status) =>
    decided(send("PUT", `/tokens/${part(one.token)}`, { status, group: one.group }), tokens.again);
  const row = (one) => html`<li key=${one.token}>
    <div class="row entry">
      <span class="name"><b>${one.token}</b><small>${one.group ? t("group.of", { group: one.group }) : t("group.none")}</small></span>
      <span class="at">
        <span class="state"><${Icon} name=${one.status === "Accepted" ? "circle-check" : "ban"} />${t(`token.${one.status}`)}</span>
        ${manages &&
        html`<button onClick=${() => set(one, one.status === "Accepted" ? "Blocked" : "Accepted")}>
          ${one.status === "Accepted" ? t("block") : t("accept")}
        </button>`}
      </span>
    </div>
  </li>`;
  return html`<header class="titled">
      <h1>${shared("nav.tokens")}</h1>
      ${manages && html`<button class="primary" onClick=${() => add("")}><${Icon} name="key-round" />${t("token.add")}</button>`}
    </header>
    <${Pages} pages=${tokens} row=${row} icon="key-round" none=${t("tokens.none")} />
    ${manages &&
    html`<section class="card" data-testid="unknown">
      <h2>${t("tokens.unknown")}</h2>
      <p class="dim">${t("tokens.unknown.text")}</p>
      <${Shown} query=${unknown}>
        ${(data) =>
          data.items.length
            ? html`<ul class="rows">
                ${data.items.map(
                  (one) => html`<li key=${one.token}>
                    <div class="row entry">
                      <span class="name">
                        <b>${one.token}</b>
                        <small>
                          <a href="/chargers/${part(one.charger)}">${one.charger}</a>, ${when(one.at)} · ${t("times", { n: one.times })}
                        </small>
                      </span>
                      <button onClick=${() => add(one.token)}>${t("decide")}</button>
                    </div>
                  </li>`,
                )}
              </ul>`
            : html`<p>${t("tokens.unknown.none")}</p>`}
      </${Shown}>
    </section>`}
    ${adding !== null &&
    html`<${Decide}
      title=${t("token.add")}
      path=${(values) => `/tokens/${part(values.token)}`}
      fields=${[
        ["token", t("token"), { required: true, maxlength: 36, value: adding }],
        ["status", t("status"), { value: "Accepted", options: STATUSES.map((one) => [one, t(`token.${one}`)]) }],
        ["group", t("group"), { maxlength: 36 }],
      ]}
      body=${({ status, group }) => ({ status, group: group || null })}
      onDone=${again}
      onClose=${() => add(null)}
    />`}`;
}
