// More: screens that are not in the tabs, and what a person sets for this browser.
import { html, use, useState } from "../ui/html.js";
import { Icon, Sheet } from "../ui/parts.js";
import { may, me } from "../data/me.js";
import { forget } from "../data/stored.js";
import { LANGUAGES, language, setLanguage } from "../text/text.js";
import { t } from "../text/shell.js";
import { SCREENS } from "./screens.js";

const NAMES = { en: "English", de: "Deutsch" };

function Theme() {
  const [theme, set] = useState(localStorage.getItem("theme") ?? "auto");
  const choose = (event) => {
    const chosen = event.target.value;
    set(chosen);
    if (chosen === "auto") {
      localStorage.removeItem("theme");
      delete document.documentElement.dataset.theme;
    } else {
      localStorage.setItem("theme", chosen);
      document.documentElement.dataset.theme = chosen;
    }
  };
  return html`<label>
    ${t("theme")}
    <select value=${theme} onChange=${choose}>
      ${["auto", "light", "dark"].map((one) => html`<option value=${one}>${t(`theme.${one}`)}</option>`)}
    </select>
  </label>`;
}

/** Nothing of the network stays in this browser. */
async function leave(event) {
  event.preventDefault();
  const form = event.currentTarget;
  await forget().catch(() => undefined);
  form.submit();
}

export function More({ onClose }) {
  const who = use(() => me.value);
  const links = SCREENS.filter((screen) => screen.more && may(screen.role ?? "viewer", screen));
  return html`<${Sheet} title=${t("more")} onClose=${onClose}>
    <ul class="menu">
      ${links.map(
        (screen) =>
          html`<li><a href=${screen.path}><${Icon} name=${screen.icon} />${t(screen.more)}</a></li>`,
      )}
    </ul>
    <div class="settings">
      <${Theme} />
      <label>
        ${t("language")}
        <select value=${language} onChange=${(event) => setLanguage(event.target.value)}>
          ${LANGUAGES.map((one) => html`<option value=${one}>${NAMES[one]}</option>`)}
        </select>
      </label>
    </div>
    <form method="post" action="/logout" onSubmit=${leave}>
      ${who && html`<p class="dim">${t("you", { name: who.name, role: t(`role.${who.role}`) })}</p>`}
      <button type="submit"><${Icon} name="log-out" />${t("logout")}</button>
    </form>
  </${Sheet}>`;
}
