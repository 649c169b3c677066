// Firmware: the images that are kept at the console, for updates of chargers. An upload shows how far it is.
import { html, use, useState } from "../ui/html.js";
import { number, when } from "../ui/format.js";
import { Empty, Icon, Shown, why } from "../ui/parts.js";
import { Removal } from "../ui/decide.js";
import { part, upload } from "../data/api.js";
import { useQuery } from "../data/query.js";
import { may } from "../data/me.js";
import { Result } from "./outcome.js";
import { t } from "../text/work.js";

const LONGEST = 100; // characters of a name
const NAME = "[A-Za-z0-9][A-Za-z0-9._\\-]*";

/** A file's name as the console takes it. */
const plain = (name) => name.replace(/[^A-Za-z0-9._-]+/g, "-").replace(/^[^A-Za-z0-9]+/, "").slice(-LONGEST);

function refusal(problem) {
  if (problem.kind === "too-large") return t("image.large");
  if (problem.kind === "network") return t("image.broken");
  return why(problem);
}

function Upload({ onDone }) {
  const [file, choose] = useState(null);
  const [name, rename] = useState("");
  const [share, progress] = useState(null);
  const [ended, end] = useState(null);
  const chosen = (event) => {
    const [one] = event.target.files;
    choose(one ?? null);
    rename(one ? plain(one.name) : "");
    end(null);
  };
  const store = async (event) => {
    event.preventDefault();
    end(null);
    progress(0);
    try {
      await upload(`/firmware/${part(name)}`, file, progress);
      end({ good: true, text: t("image.kept", { name }) });
      onDone();
    } catch (problem) {
      end({ good: false, text: refusal(problem) });
    }
    progress(null);
  };
  return html`<form class="card decide" onSubmit=${store}>
    <h2>${t("image.upload")}</h2>
    <label>${t("image.file")}<input type="file" required onChange=${chosen} data-testid="image-file" /></label>
    <label>
      ${t("image.name")}
      <input
        required
        pattern=${NAME}
        maxlength=${LONGEST}
        value=${name}
        onInput=${(event) => rename(event.target.value)}
      />
    </label>
    ${share !== null &&
    html`<label>${t("image.progress", { share: number(100 * share) })}<progress max="1" value=${share} /></label>`}
    ${ended && html`<${Result} ended=${ended} />`}
    <p class="buttons">
      <button type="submit" class="primary" disabled=${!file || !name || share !== null} data-testid="image-upload">
        ${t("image.upload")}
      </button>
    </p>
  </form>`;
}

export function Firmware() {
  const images = useQuery("/firmware");
  const manages = use(() => may("manager", { everywhere: true }));
  const [removed, remove] = useState(null);
  const row = (one) => html`<li key=${one.name} data-testid="image-${one.name}">
    <div class="row entry">
      <span class="name">
        <b>${one.name}</b><small>${t("image.size", { size: number(one.size / 1024) })} · ${when(one.at)}</small>
      </span>
      ${manages &&
      html`<button aria-label=${t("image.remove.one", { name: one.name })} onClick=${() => remove(one.name)}>
        <${Icon} name="x" />
      </button>`}
    </div>
  </li>`;
  return html`<h1>${t("images")}</h1>
    <${Shown} query=${images}>
      ${(data) =>
        data.items.length
          ? html`<ul class="rows card">${data.items.map(row)}</ul>`
          : html`<${Empty} icon="download" title=${t("images.none")}><p>${t("images.hint")}</p></${Empty}>`}
    </${Shown}>
    ${manages && html`<${Upload} onDone=${images.again} />`}
    ${removed !== null &&
    html`<${Removal}
      name=${removed}
      path=${`/firmware/${part(removed)}`}
      about=${t("image.remove.about")}
      onDone=${images.again}
      onClose=${() => remove(null)}
    />`}`;
}
