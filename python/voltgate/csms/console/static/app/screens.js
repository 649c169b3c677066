// Every screen there is. A line here makes it reachable: no link leads to what is not in this table.
import { Charger } from "./charger.js";
import { Chargers } from "./chargers.js";
import { Now } from "./now.js";

/**
 * `path`: as the router's patterns; `tab`: which of the five it belongs to; `more`: the text of its link in More
 * with its table; `role`: the least that sees the link; `everywhere`: not with a list of sites.
 * `load`: what imports the component when the screen is opened; `screen`: one that is always there.
 */
export const SCREENS = [
  { path: "/", tab: "now", screen: Now },
  { path: "/chargers", tab: "chargers", screen: Chargers },
  { path: "/chargers/:id", tab: "chargers", screen: Charger },
  { path: "/bulk/:id", tab: "chargers", load: () => import("./bulk.js").then((file) => file.BulkJob) },
  { path: "/insights/chargers", tab: "insights", load: () => import("./conduct.js").then((file) => file.Conduct) },
  // The more specific address first. For example:
  // { path: "/sessions", tab: "sessions", load: () => import("./sessions.js").then((file) => file.Sessions) },
];

/** The tabs at the thumb, with their icons: each leads to its first screen. */
export const TABS = [
  ["now", "house"],
  ["chargers", "plug-zap"],
  ["sessions", "history"],
  ["money", "banknote"],
  ["insights", "chart-column"],
].flatMap(([name, icon]) => {
  const first = SCREENS.find((screen) => screen.tab === name);
  return first ? [{ name, icon, path: first.path }] : [];
});
