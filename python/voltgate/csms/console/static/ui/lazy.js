// A component whose file is loaded when it is shown first.
import { html, useEffect, useState } from "./html.js";
import { Failed, Loading } from "./parts.js";
import { Problem } from "../data/api.js";
import { t } from "../text/shell.js";

const loaded = new Map(); // components by what loads them

/** `load`: what imports the component, the same function each time; `props`: of the component. */
export function Lazy({ load, props }) {
  const [, again] = useState(0);
  const [fault, setFault] = useState(null);
  const component = loaded.get(load);
  useEffect(() => {
    if (component) return;
    setFault(null);
    load().then(
      (found) => {
        loaded.set(load, found);
        again((n) => n + 1);
      },
      () => setFault(() => load),
    );
  }, [load]);
  // Files of another release are not served any more: the page of the new one has its own.
  if (fault === load) {
    const problem = new Problem("release", 0, t("error.release"));
    return html`<${Failed} problem=${problem} again=${() => location.reload()} />`;
  }
  return component ? html`<${component} ...${props} />` : html`<${Loading} />`;
}
