// What a screen asks of the API when it opens: loading, ready or failed, and how old it is.
import { useEffect, useRef, useState } from "../ui/html.js";
import { get } from "./api.js";

/**
 * `{ state: "loading" | "ready" | "failed", data, problem, at, again() }` of one path; null: nothing is asked.
 * Data stay while they are asked for again, and when that fails: `problem` is then there too. `read(path)`: the data.
 */
export function useQuery(path, read = get) {
  const [found, set] = useState({ path, state: "loading" });
  const [turn, setTurn] = useState(0);
  const last = useRef(0);
  useEffect(() => {
    if (path === null) return;
    const mine = ++last.current;
    read(path).then(
      (data) => mine === last.current && set({ path, state: "ready", data, at: Date.now() }),
      (problem) =>
        mine === last.current &&
        set((old) => (old.path === path && old.data ? { ...old, problem } : { path, state: "failed", problem })),
    );
    return () => void last.current++;
  }, [path, turn]);
  const again = () => setTurn((n) => n + 1);
  return found.path === path ? { ...found, again } : { path, state: "loading", again };
}

/** Asks again every so many milliseconds while it is on: `again` of {@link useQuery}. */
export function useEvery(again, milliseconds, on = true) {
  useEffect(() => {
    if (!on) return undefined;
    const timer = setInterval(again, milliseconds);
    return () => clearInterval(timer);
  }, [milliseconds, on]);
}
