// The days of every charger, summed: by day, and by site.
import { useEffect, useState } from "../ui/html.js";
import { get, query } from "./api.js";

const PAGES = 30; // of a thousand rows: a month of a thousand chargers
const SUMS = ["energy_wh", "sessions", "busy_s", "up_s", "attempts", "successes"];

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

/** Of the last `length` days: `{ state, days, complete, problem, again() }`. */
export function useDays(length) {
  const [found, set] = useState({ state: "loading" });
  const [turn, again] = useState(0);
  useEffect(() => {
    let gone = false;
    const read = async () => {
      const from = new Date(Date.now() - length * 86_400_000).toISOString().slice(0, 10);
      const days = [];
      let after = null;
      for (let page = 0; page < PAGES; page++) {
        const one = await get(query("/days", { from, limit: 1000, after }));
        days.push(...one.items);
        after = one.next;
        if (!after) break;
      }
      return { state: "ready", days, complete: !after };
    };
    read().then(
      (data) => gone || set(data),
      (problem) => gone || set({ state: "failed", problem }),
    );
    return () => void (gone = true);
  }, [length, turn]);
  return { ...found, again: () => again((n) => n + 1) };
}
