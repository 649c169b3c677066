// The days of every charger, summed: by day, and by site.
import { useState } from "../ui/html.js";
import { get, part, query } from "./api.js";
import { useQuery } from "./query.js";

const PAGES = 30; // of a thousand rows: a month of a thousand chargers
const SUMS = ["energy_wh", "sessions"];
const DAY = 86_400_000;

const blank = (key) => ({ key, peak_w: 0, revenue: {}, ...Object.fromEntries(SUMS.map((name) => [name, 0])) });

/** One row for each value of `key(day)`; revenue is by currency. The largest peak of one charger, not their sum. */
export function summed(days, key) {
  const found = new Map();
  for (const day of days) {
    const name = key(day);
    const row = found.get(name) ?? found.set(name, blank(name)).get(name);
    for (const one of SUMS) row[one] += day[one];
    row.peak_w = Math.max(row.peak_w, day.peak_w);
    row.revenue[day.currency] = (row.revenue[day.currency] ?? 0) + Number(day.revenue);
  }
  return [...found.values()];
}

/** All pages of a path that has a query; `complete`: there are no more of them. */
async function read(path) {
  const days = [];
  let after = null;
  for (let page = 0; page < PAGES; page++) {
    const one = await get(after ? `${path}&after=${part(after)}` : path);
    days.push(...one.items);
    after = one.next;
    if (!after) break;
  }
  return { days, complete: !after };
}

/** A query (data/query.js) of the last `length` days, today among them; its data are `{ days, complete }`. */
export function useDays(length) {
  const [from] = useState(() => new Date(Date.now() - (length - 1) * DAY).toISOString().slice(0, 10));
  return useQuery(query("/days", { from, limit: 1000 }), read);
}
