// The frame of every screen: the tabs, the connection, More, and the screen of the address.
import { html, use, useEffect, useState } from "../ui/html.js";
import { Lazy } from "../ui/lazy.js";
import { Connection, Empty, Icon } from "../ui/parts.js";
import { Toast } from "../ui/toast.js";
import { matched, place } from "../data/router.js";
import { t } from "../text/shell.js";
import { More } from "./more.js";
import { SCREENS, TABS } from "./screens.js";

function found(path) {
  for (const screen of SCREENS) {
    const values = matched(screen.path, path);
    if (values) return { ...screen, values };
  }
  return null;
}

const Opened = ({ screen }) =>
  screen.screen
    ? html`<${screen.screen} ...${screen.values} />`
    : html`<${Lazy} load=${screen.load} props=${screen.values} />`;

const Missing = () => html`<${Empty} alone icon="circle-help" title=${t("missing.title")} />`;

function Tabs({ current }) {
  return html`<nav class="tabs" aria-label=${t("nav.main")}>
    ${TABS.map(
      ({ name, icon, path }) =>
        html`<a href=${path} data-testid="nav-${name}" aria-current=${name === current ? "page" : undefined}
          ><${Icon} name=${icon} />${t(`nav.${name}`)}</a
        >`,
    )}
  </nav>`;
}

export function Frame() {
  const path = use(() => place.value);
  const [open, setOpen] = useState(false);
  const screen = found(path);
  useEffect(() => setOpen(false), [path]);
  return html`<a class="skip" href="#content">${t("skip")}</a>
    <header class="top">
      <span class="brand"><${Icon} name="zap" />Voltgate</span>
      <button class="quiet" data-testid="more" aria-label=${t("more")} onClick=${() => setOpen(true)}>
        <${Icon} name="ellipsis" />
      </button>
    </header>
    <${Tabs} current=${screen?.tab} />
    <div class="page">
      <${Connection} />
      <main id="content" tabindex="-1">
        ${screen ? html`<${Opened} screen=${screen} key=${path.split("?")[0]} />` : html`<${Missing} />`}
      </main>
    </div>
    ${open && html`<${More} onClose=${() => setOpen(false)} />`}
    <${Toast} />`;
}
