// Tokens: who may charge; block one in one tap, decide on another.
import { html, use, useState } from "../ui/html.js";
import { Icon, why } from "../ui/parts.js";
import { Decide } from "../ui/decide.js";
import { Pages } from "../ui/pages.js";
import { say } from "../ui/toast.js";
import { part, send } from "../data/api.js";
import { may, me } from "../data/me.js";
import { usePages } from "../data/pages.js";
import { t } from "../text/books.js";

const STATUSES = ["Accepted", "Blocked", "Expired", "Invalid"];

export function Tokens() {
  const tokens = usePages("/tokens", { limit: 100 });
  const manages = use(() => (me.value, may("manager", { everywhere: true })));
  const [adding, add] = useState(false);
  const set = async (one, status) => {
    try {
      await send("PUT", `/tokens/${part(one.token)}`, { status, group: one.group });
      tokens.again();
    } catch (problem) {
      say(why(problem));
    }
  };
  const row = (one) => html`<li key=${one.token}>
    <div class="row">
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
  return html`<header class="head">
      <h1>${t("tokens")}</h1>
      ${manages && html`<button class="primary" onClick=${() => add(true)}><${Icon} name="key-round" />${t("token.add")}</button>`}
    </header>
    <${Pages} pages=${tokens} row=${row} icon="key-round" none=${t("tokens.none")} />
    ${adding &&
    html`<${Decide}
      title=${t("token.add")}
      path=${(values) => `/tokens/${part(values.token)}`}
      fields=${[
        ["token", t("token"), { required: true, maxlength: 36 }],
        ["status", t("status"), { value: "Accepted", options: STATUSES.map((one) => [one, t(`token.${one}`)]) }],
        ["group", t("group"), { maxlength: 36 }],
      ]}
      body=${({ status, group }) => ({ status, group: group || null })}
      onDone=${tokens.again}
      onClose=${() => add(false)}
    />`}`;
}
