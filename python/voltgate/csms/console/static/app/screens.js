// Every screen there is. A line here makes it reachable: no link leads to what is not in this table.
import { Chargers } from "./chargers.js";
import { Now } from "./now.js";

/**
 * `path`: as the router's patterns; `tab`: which of the five it belongs to; `more`: the text of its link in More,
 * of text/shell.js; `role`: the least that sees the link; `everywhere`: not with a list of sites.
 * `load`: what imports the component when the screen is opened; `screen`: one that is always there.
 */
export const SCREENS = [
  { path: "/", tab: "now", screen: Now },
  { path: "/chargers", tab: "chargers", screen: Chargers },
  { path: "/chargers/:id", tab: "chargers", load: () => import("./charger.js").then((file) => file.Charger) },
  { path: "/bulk/:id", tab: "chargers", load: () => import("./bulk.js").then((file) => file.BulkJob) },
  { path: "/insights", tab: "insights", load: () => import("./insights.js").then((file) => file.Insights) },
  { path: "/insights/chargers", tab: "insights", load: () => import("./conduct.js").then((file) => file.Conduct) },
  { path: "/sessions", tab: "sessions", load: () => import("./sessions.js").then((file) => file.Sessions) },
  { path: "/sessions/:id", tab: "sessions", load: () => import("./session.js").then((file) => file.Session) },
  { path: "/money", tab: "money", load: () => import("./money.js").then((file) => file.Money) },
  {
    path: "/sites", icon: "map-pin", more: "nav.sites", role: "viewer",
    load: () => import("./sites.js").then((file) => file.Sites),
  },
  { path: "/sites/:id", load: () => import("./site.js").then((file) => file.Site) },
  {
    path: "/tariffs", icon: "tag", more: "nav.tariffs", role: "viewer", everywhere: true,
    load: () => import("./tariffs.js").then((file) => file.Tariffs),
  },
  {
    path: "/tokens", icon: "key-round", more: "nav.tokens", role: "viewer", everywhere: true,
    load: () => import("./tokens.js").then((file) => file.Tokens),
  },
  {
    path: "/alerts", icon: "bell", more: "nav.alerts", role: "viewer",
    load: () => import("./alerts.js").then((file) => file.Alerts),
  },
  {
    path: "/firmware", icon: "download", more: "nav.firmware", role: "manager", everywhere: true,
    load: () => import("./firmware.js").then((file) => file.Firmware),
  },
  {
    path: "/people", icon: "users", more: "nav.people", role: "admin", everywhere: true,
    load: () => import("./people.js").then((file) => file.People),
  },
  {
    path: "/audit", icon: "history", more: "nav.audit", role: "manager", everywhere: true,
    load: () => import("./audit.js").then((file) => file.Audit),
  },
  {
    path: "/health", icon: "activity", more: "nav.health", role: "viewer",
    load: () => import("./health.js").then((file) => file.Health),
  },
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
