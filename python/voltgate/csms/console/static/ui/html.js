// Templates and hooks for every screen. Text that comes from a charger or a person is a value in a template,
// which Preact writes as a text node: nothing here makes markup out of a string.
import { h } from "../vendor/preact.js";
import { useEffect, useMemo, useReducer, useRef } from "../vendor/hooks.js";
import htm from "../vendor/htm.js";
import { computed, effect } from "../vendor/signals-core.js";

export { Fragment, createContext, render } from "../vendor/preact.js";
export { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../vendor/hooks.js";
export { batch, computed, effect, signal, untracked } from "../vendor/signals-core.js";

export const html = htm.bind(h);

/** What `read` finds in signals; the component is drawn again when that changes. `inputs`: as of useMemo. */
export function use(read, inputs = []) {
  const [, again] = useReducer((n) => n + 1, 0);
  const value = useMemo(() => computed(read), inputs);
  const drawn = useRef();
  drawn.current = value.value;
  // It may have changed between the drawing and this effect: the first run compares too.
  useEffect(() => effect(() => void (value.value !== drawn.current && again())), [value]);
  return drawn.current;
}
