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
          if (old.address !== address || (after && old.next !== after)) return old; // it was overtaken
          return { address, state: "ready", items: [...(after ? old.items : []), ...page.items], next: page.next };
        }),
      (problem) => set((old) => (old.address === address ? { ...old, state: "failed", problem } : old)),
    );
  useEffect(() => {
    set({ address, ...NEW });
    void ask(null);
  }, [address]);
  const shown = found.address === address ? found : NEW;
  return { ...shown, more: () => ask(shown.next), again: () => ask(null) };
}
