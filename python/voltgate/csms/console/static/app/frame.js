// The frame of every screen: the tabs, the connection, More, and the screen of the address.
import { html, use, useEffect, useState } from "../ui/html.js";
import { Connection, Empty, Failed, Icon, Loading } from "../ui/parts.js";
import { Toast } from "../ui/toast.js";
import { matched, place } from "../data/router.js";
import { Problem } from "../data/api.js";
import { t } from "../text/shell.js";
import { More } from "./more.js";
import { SCREENS, TABS } from "./screens.js";

const loaded = new Map(); // components that were imported, by path pattern

function found(path) {
  for (const screen of SCREENS) {
    const values = matched(screen.path, path);
    if (values) return { ...screen, values };
  }
  return null;
}

const Missing = () => html`<${Empty} alone icon="circle-help" title=${t("missing.title")} />`;

/** The component of a screen, imported when it is opened first. */
function Opened({ screen }) {
  const [, again] = useState(0);
  const [fault, setFault] = useState(null);
  const ready = screen.screen ?? loaded.get(screen.path);
  useEffect(() => {
    if (ready) return;
    setFault(null);
    screen.load().then(
      (component) => {
        loaded.set(screen.path, component);
        again((n) => n + 1);
      },
      () => setFault(screen.path),
    );
  }, [screen.path]);
  // Files of another release are not served any more: the page of the new one has its own.
  if (fault === screen.path) {
    const problem = new Problem("release", 0, t("error.release"));
    return html`<${Failed} problem=${problem} again=${() => location.reload()} />`;
  }
  return ready ? html`<${ready} ...${screen.values} />` : html`<${Loading} />`;
}

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
