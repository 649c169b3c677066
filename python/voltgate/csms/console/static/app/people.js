// People and keys: who may do what, a login link for a person, a key for a program.
import { html, use, useState } from "../ui/html.js";
import { Icon } from "../ui/parts.js";
import { Decide, decided, Removal } from "../ui/decide.js";
import { Pages } from "../ui/pages.js";
import { part, send } from "../data/api.js";
import { me, ROLES } from "../data/me.js";
import { usePages } from "../data/pages.js";
import { t } from "../text/books.js";
import { t as shared } from "../text/shell.js";

const fields = [
  ["name", t("name"), { required: true, maxlength: 64 }],
  ["role", t("role"), { value: "viewer", options: ROLES.map((one) => [one, shared(`role.${one}`)]) }],
  ["sites", t("sites.list"), {}],
];
const body = ({ role, sites }) => ({ role, sites: sites.trim() ? sites.split(/[ ,;]+/).filter(Boolean) : null });

export function People() {
  const people = usePages("/people");
  const keys = usePages("/keys");
  const [adding, add] = useState("");
  const [shown, show] = useState(null);
  const [removed, remove] = useState(null);
  const self = use(() => me.value?.name);
  const link = async (one) => {
    const said = await decided(send("POST", `/people/${part(one.name)}/link`), people.again);
    if (said) show({ text: t("link.text", { name: one.name }), secret: said.url });
  };
  const row = (kind, list) => (one) => html`<li key=${one.name}>
    <div class="row entry">
      <span class="name">
        <b>${one.name}</b><small>${shared(`role.${one.role}`)} · ${one.sites ? one.sites.join(", ") : t("sites.all")}</small>
      </span>
      <span class="at">
        ${kind === "people" && html`<button class="quiet" onClick=${() => link(one)}>${t("link")}</button>`}
        ${(kind === "keys" || one.name !== self) &&
        html`<button class="quiet" onClick=${() => remove({ kind, name: one.name, list })}>${t("remove")}</button>`}
      </span>
    </div>
  </li>`;
  return html`<header class="titled">
      <h1>${shared("nav.people")}</h1>
      <button class="primary" onClick=${() => add("people")}><${Icon} name="users" />${t("person.add")}</button>
    </header>
    ${shown &&
    html`<section class="card" role="status">
      <p>${shown.text}</p>
      <p><code>${shown.secret}</code></p>
      <p class="buttons"><button onClick=${() => show(null)}>${shared("close")}</button></p>
    </section>`}
    <${Pages} pages=${people} row=${row("people", people)} icon="users" none=${t("people.none")} />
    <header class="titled">
      <h2>${t("keys")}</h2>
      <button onClick=${() => add("keys")}><${Icon} name="key-round" />${t("key.add")}</button>
    </header>
    <${Pages} pages=${keys} row=${row("keys", keys)} icon="key-round" none=${t("keys.none")} />
    ${adding &&
    html`<${Decide}
      title=${adding === "people" ? t("person.add") : t("key.add")}
      method=${adding === "people" ? "PUT" : "POST"}
      path=${(values) => `/${adding}/${part(values.name)}`}
      fields=${fields}
      body=${body}
      onDone=${(said) => {
        if (said?.key) show({ text: t("key.text", { name: said.name }), secret: said.key });
        people.again();
        keys.again();
      }}
      onClose=${() => add("")}
    />`}
    ${removed &&
    html`<${Removal}
      name=${removed.name}
      path=${`/${removed.kind}/${part(removed.name)}`}
      about=${t("remove.access")}
      onDone=${removed.list.again}
      onClose=${() => remove(null)}
    />`}`;
}
