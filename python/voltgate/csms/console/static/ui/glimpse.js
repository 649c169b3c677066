// What is on the screen as data, from which glimpse.js draws it at the next visit.
import { moment } from "./format.js";
import { t } from "../text/shell.js";

const LIVE = ["/", "/chargers"]; // screens of the live picture alone

function tree(node, line) {
  if (node.nodeType !== Node.ELEMENT_NODE) return node.data;
  const attributes = Object.fromEntries([...node.attributes].map(({ name, value }) => [name, value]));
  if (node.dataset.testid !== "connection") {
    return [node.localName, attributes, ...[...node.childNodes].map((child) => tree(child, line))];
  }
  delete attributes.hidden;
  return [node.localName, attributes, line];
}

/** JSON of the screen as it is; null where it is none of the live picture, or not what is shown first. `at`: of what time it is. */
export function glimpse(at) {
  if (!LIVE.includes(location.pathname) || scrollY || document.querySelector("dialog, .toast:not([hidden])")) return null;
  const line = t("live.kept", { at: moment(new Date(at)) });
  const app = document.getElementById("app");
  return JSON.stringify({
    address: location.pathname + location.search,
    tree: [...app.children].map((child) => tree(child, line)),
  });
}
