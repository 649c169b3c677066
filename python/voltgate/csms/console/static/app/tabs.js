// The tabs of a charger: what is read, changed and sent beyond starting and stopping. Each is loaded when it is opened.
import { html, use, useEffect, useState } from "../ui/html.js";
import { Loading } from "../ui/parts.js";
import { go, place } from "../data/router.js";
import { may } from "../data/me.js";
import { part } from "../data/api.js";
import { t } from "../text/work.js";

const TABS = [
  { name: "timeline", load: () => import("./timeline.js").then((file) => file.Timeline) },
  { name: "configuration", load: () => import("./configuration.js").then((file) => file.Configuration) },
  { name: "limit", role: "operator", load: () => import("./limit.js").then((file) => file.Limit) },
  { name: "transfers", load: () => import("./transfers.js").then((file) => file.Transfers) },
];

export function Tabs({ id }) {
  const asked = use(() => new URLSearchParams(place.value.split("?")[1] ?? "").get("tab") ?? "");
  const tabs = use(() => TABS.filter((one) => may(one.role ?? "viewer")));
  const [loaded, set] = useState({});
  const open = tabs.find((one) => one.name === asked);
  useEffect(() => {
    if (open && !loaded[open.name]) open.load().then((screen) => set((old) => ({ ...old, [open.name]: screen })));
  }, [open]);
  const choose = (name) => {
    const path = `/chargers/${part(id)}`;
    const top = scrollY;
    go(name === asked ? path : `${path}?tab=${name}`, { replace: true });
    scrollTo(0, top);
  };
  const Screen = open && loaded[open.name];
  return html`<div class="chips wrap" role="group" aria-label=${t("tabs")}>
      ${tabs.map(
        ({ name }) =>
          html`<button
            key=${name}
            data-testid="tab-${name}"
            aria-pressed=${name === asked}
            onClick=${() => choose(name)}
          >
            ${t(name)}
          </button>`,
      )}
    </div>
    ${open && html`<section aria-label=${t(open.name)}>${Screen ? html`<${Screen} id=${id} />` : html`<${Loading} />`}</section>`}`;
}
