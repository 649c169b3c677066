// Channels: where messages of alerts go. Each can be tried, and how that ended is said in words.
import { html, useState } from "../ui/html.js";
import { Shown, why } from "../ui/parts.js";
import { Decide, Removal } from "../ui/decide.js";
import { part, send } from "../data/api.js";
import { useQuery } from "../data/query.js";
import { Result } from "./outcome.js";
import { t } from "../text/books.js";

/** Why a message was not delivered: an answer's status, or the name of a fault. */
function refusal(error) {
  const [, status] = error.match(/^HTTP status (\d+)$/) ?? [];
  if (status) return t("channel.status", { status });
  if (error.startsWith("csms.smtp")) return t("channel.no.server");
  if (error.includes("Timeout")) return t("channel.silent");
  if (/Certificate|SSL/.test(error)) return t("channel.certificate", { error });
  if (/Connect|gaierror|OSError|Disconnected/.test(error)) return t("channel.unreached", { error });
  return t("channel.refused", { error });
}

async function tried(id) {
  try {
    const { delivered, error } = await send("POST", `/channels/${part(id)}/test`);
    return { good: delivered, text: delivered ? t("channel.delivered") : refusal(error) };
  } catch (problem) {
    return { good: false, text: why(problem) };
  }
}

function Channel({ one, remove }) {
  const [ended, end] = useState(null);
  const attempt = async () => {
    end({ busy: true });
    end(await tried(one.id));
  };
  return html`<li data-testid="channel-${one.id}">
    <div class="row entry">
      <span class="name"><b>${one.id}</b><small>${one.url ?? one.to?.join(", ")}</small></span>
      <span>
        <button disabled=${ended?.busy} aria-label=${t("channel.test", { name: one.id })} onClick=${attempt}>${t("test")}</button>
        <button class="quiet" onClick=${() => remove(one.id)}>${t("remove")}</button>
      </span>
    </div>
    ${ended && html`<${Result} ended=${ended} />`}
  </li>`;
}

export function Channels() {
  const channels = useQuery("/channels");
  const [adding, add] = useState(false);
  const [removed, remove] = useState(null);
  return html`<section class="card">
      <h2>${t("channels")}</h2>
      <${Shown} query=${channels}>
        ${(data) =>
          data.items.length
            ? html`<ul class="rows">${data.items.map((one) => html`<${Channel} key=${one.id} one=${one} remove=${remove} />`)}</ul>`
            : html`<p class="dim">${t("channels.none")}</p>`}
      </${Shown}>
      <p class="buttons"><button onClick=${() => add(true)}>${t("channel.add")}</button></p>
    </section>
    ${adding &&
    html`<${Decide}
      title=${t("channel.add")}
      path=${(values) => `/channels/${part(values.id)}`}
      fields=${[
        ["id", t("name"), { required: true, maxlength: 36 }],
        ["kind", t("kind"), { value: "webhook", options: [["webhook", "Webhook"], ["mail", t("mail")]] }],
        ["to", t("channel.to"), { required: true }],
        ["secret", t("channel.secret"), { maxlength: 200 }],
      ]}
      body=${({ kind, to, secret }) =>
        kind === "mail" ? { kind, to: to.split(/[ ,;]+/).filter(Boolean) } : { kind, url: to, ...(secret && { secret }) }}
      onDone=${channels.again}
      onClose=${() => add(false)}
    />`}
    ${removed !== null &&
    html`<${Removal}
      name=${removed}
      path=${`/channels/${part(removed)}`}
      onDone=${channels.again}
      onClose=${() => remove(null)}
    />`}`;
}
