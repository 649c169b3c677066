// A list of the API that comes in pages: what has been read of it, and the next page on demand.
import { useEffect, useState } from "../ui/html.js";
import { get, query } from "./api.js";

const NEW = { state: "loading", items: [], next: null };

/** `{ state, items, next, problem, more(), again() }`; anew when the path or a value changes. */
export function usePages(path, values = {}) {
  const address = query(path, values);
  const [found, set] = useState({ address, ...NEW });
  const ask = (after) =>
    get(query(path, { ...values, after })).then(
      (page) =>
        set((old) => {
          const before = after && old.address === address ? old.items : [];
          return { address, state: "ready", items: [...before, ...page.items], next: page.next };
        }),
      (problem) => set((old) => ({ ...(old.address === address ? old : NEW), address, state: "failed", problem })),
    );
  useEffect(() => void ask(null), [address]);
  const shown = found.address === address ? found : NEW;
  return { ...shown, more: () => ask(shown.next), again: () => ask(null) };
}
