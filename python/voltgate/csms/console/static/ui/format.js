// Numbers, money, times and ages as people of this language write them.
import { language } from "../text/text.js";

const numbers = [0, 1, 2].map(
  (digits) => new Intl.NumberFormat(language, { minimumFractionDigits: digits, maximumFractionDigits: digits }),
);
const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit" });
const exact = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat(language, { day: "numeric", month: "short" });
const dayAndYear = new Intl.DateTimeFormat(language, { day: "numeric", month: "short", year: "numeric" });
const AGES = [
  [86400, "day"],
  [3600, "hour"],
  [60, "minute"],
  [1, "second"],
].map(([seconds, unit]) => [
  seconds,
  new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "short", maximumFractionDigits: 0 }),
]);

const NOTHING = "–";

export const number = (value, digits = 0) => (value == null ? NOTHING : numbers[digits].format(value));
export const kw = (watts) => (watts == null ? NOTHING : `${numbers[1].format(watts / 1000)} kW`);
/** Little energy has two digits everywhere: 0 kWh is none. */
export const kwh = (wh, digits = 2) =>
  wh == null ? NOTHING : `${numbers[wh && Math.abs(wh) < 10_000 ? 2 : digits].format(wh / 1000)} kWh`;
export const percent = (value, digits = 0) => (value == null ? NOTHING : `${numbers[digits].format(value)} %`);

/** `amount`: a decimal string of the API, with the currency's digits. */
export const money = (amount, currency) =>
  amount == null || !currency
    ? NOTHING
    : new Intl.NumberFormat(language, { style: "currency", currency }).format(Number(amount));

/** Of seconds: the largest unit that fits, "3 min". */
export function age(seconds) {
  const full = Math.max(0, Math.floor(seconds));
  const [size, unit] = AGES.find(([one]) => full >= one) ?? AGES.at(-1);
  return unit.format(Math.floor(full / size));
}

/** What a person wrote as a number, with a comma or a point; NaN where it is none, or nothing. */
export const decimal = (text) => (text.trim() ? Number(text.replace(",", ".")) : NaN);

/** A whole number for the API; what is none is sent as written: the server says what is wrong. */
export const whole = (text) => (/^\d+$/.test(text.trim()) ? Number(text) : text);

/** A moment, so that it can be read on another day. */
export function moment(at, time = clock) {
  const date = at.getFullYear() === new Date().getFullYear() ? day : dayAndYear;
  return `${date.format(at)}, ${time.format(at)}`;
}

function written(text, time) {
  if (!text) return NOTHING;
  const at = new Date(text);
  return at.toDateString() === new Date().toDateString() ? time.format(at) : moment(at, time);
}

/** Of a time of the API: the clock for today, else the day too. */
export const when = (text) => written(text, clock);

/** The same with seconds. */
export const exactly = (text) => written(text, exact);
